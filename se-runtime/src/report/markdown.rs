//! A sheet as GitHub-flavoured Markdown. Nothing in it can become markup.

use super::sheet::{Block, Proof, Row, Sheet, Table};

pub(super) fn render(sheet: &Sheet) -> String {
    let mut out = format!("# {}\n\n{}\n", sheet.title, escape(&sheet.about));
    if let Some(verdict) = &sheet.verdict {
        out.push_str(&format!("\n**{}**\n", escape(&verdict.text)));
    }
    if let Some(warning) = sheet.warning {
        out.push_str(&format!("\n> {warning}\n"));
    }
    for block in &sheet.blocks {
        match block {
            Block::Table(table) => write_table(&mut out, table),
            Block::Pairs { title, pairs } => {
                out.push_str(&format!("\n## {title}\n\n"));
                for (name, value) in pairs {
                    out.push_str(&format!("- {name}: {}\n", escape(&value.text)));
                }
            }
        }
    }
    out
}

fn write_table(out: &mut String, table: &Table) {
    out.push_str(&format!("\n## {}\n\n", escape(&table.title)));
    if table.rows.is_empty() {
        out.push_str("None.\n");
        return;
    }
    let line = |cells: &mut dyn Iterator<Item = String>| {
        let cells: Vec<String> = cells.collect();
        format!("| {} |\n", cells.join(" | "))
    };
    out.push_str(&line(&mut table.columns.iter().map(|it| escape(&it.title))));
    let rule = |numeric| if numeric { "--:" } else { "---" }.to_owned();
    out.push_str(&line(&mut table.columns.iter().map(|it| rule(it.numeric))));
    for row in &table.rows {
        out.push_str(&line(&mut row.cells.iter().map(|it| escape(&it.text))));
    }
    for row in &table.rows {
        write_notes(out, table, row);
    }
}

/// What is said about a row stands under the table, named by the row's first cell: a table has no place
/// for it.
fn write_notes(out: &mut String, table: &Table, row: &Row) {
    if row.notes.is_empty() && row.proofs.is_empty() {
        return;
    }
    if let (Some(column), Some(cell)) = (table.columns.first(), row.cells.first()) {
        let name = format!("{} {}", column.title, cell.text);
        out.push_str(&format!("\n**{}**\n\n", escape(&name)));
    }
    for note in &row.notes {
        out.push_str(&format!("- {}\n", escape(note)));
    }
    for proof in &row.proofs {
        out.push_str(&format!("- {}\n", in_words(proof)));
    }
}

fn in_words(proof: &Proof) -> String {
    let outcome = &proof.outcome.text;
    format!(
        "{}: {} {}",
        outcome,
        escape(&proof.asked),
        code(&proof.regex)
    )
}

/// A code span that holds any text.
fn code(text: &str) -> String {
    let mut run = 0;
    let mut longest = 0;
    for it in text.chars() {
        run = if it == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat(longest + 1);
    format!("{fence} {text} {fence}")
}

/// Text that Markdown takes as it is, in a table too.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = ' ';
    let mut chars = text.chars().peekable();
    while let Some(it) = chars.next() {
        let inside =
            before.is_alphanumeric() && chars.peek().is_some_and(|it| it.is_alphanumeric());
        match it {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // Between letters it is no emphasis.
            '_' if inside => out.push(it),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '!' => {
                out.push('\\');
                out.push(it);
            }
            '+' | '-' | '=' if out.is_empty() => {
                out.push('\\');
                out.push(it);
            }
            _ => out.push(it),
        }
        before = it;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{code, escape};

    #[test]
    fn nothing_becomes_markup() {
        let cases = [
            ("rtr01.show_access_list", "rtr01.show_access_list"),
            ("_a_ *b* `c` | d", "\\_a\\_ \\*b\\* \\`c\\` \\| d"),
            ("<script>&", "&lt;script&gt;&amp;"),
            ("- item", "\\- item"),
            ("[x](y)", "\\[x\\](y)"),
        ];
        for (text, escaped) in cases {
            assert_eq!(escape(text), escaped);
        }
        assert_eq!(code("a``b"), "``` a``b ```");
    }
}
