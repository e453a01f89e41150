//! A sheet for a terminal: aligned columns, no colours.

use super::sheet::{Block, Row, Sheet, Table};

/// A column of text is broken at spaces where it is wider than this.
const WIDEST: usize = 60;

pub(super) fn render(sheet: &Sheet) -> String {
    let mut out = format!("{}: {}\n", sheet.title, sheet.about);
    for block in &sheet.blocks {
        match block {
            Block::Table(table) if table.rows.is_empty() => {}
            Block::Table(table) => {
                out.push('\n');
                if table.title.starts_with("Part ") {
                    out.push_str(&format!("{}\n", table.title));
                }
                write_table(&mut out, table);
            }
            Block::Pairs { pairs, .. } => {
                out.push('\n');
                write_pairs(
                    &mut out,
                    pairs
                        .iter()
                        .map(|(name, it)| (name.as_str(), it.text.as_str())),
                );
            }
        }
    }
    out.push('\n');
    if let Some(warning) = sheet.warning {
        out.push_str(&format!("{warning}\n"));
    }
    if let Some(verdict) = &sheet.verdict {
        out.push_str(&format!("{}\n", verdict.text));
    }
    out
}

fn write_pairs<'a>(out: &mut String, pairs: impl Iterator<Item = (&'a str, &'a str)> + Clone) {
    let width = pairs
        .clone()
        .map(|(name, _)| width(name))
        .max()
        .unwrap_or(0);
    for (name, value) in pairs {
        write_line(out, &[(name, width, false), (value, 0, false)]);
    }
}

fn write_table(out: &mut String, table: &Table) {
    let lines: Vec<Vec<Vec<String>>> = table.rows.iter().map(broken).collect();
    let widths: Vec<usize> = table
        .columns
        .iter()
        .enumerate()
        .map(|(at, column)| {
            let cells = lines.iter().filter_map(|row| row.get(at)).flatten();
            let widest = cells.map(|it| width(it)).max().unwrap_or(0);
            widest.max(width(&column.title))
        })
        .collect();
    let titles = table.columns.iter().zip(&widths);
    let titles: Vec<_> = titles
        .map(|(it, width)| (it.title.as_str(), *width, it.numeric))
        .collect();
    write_line(out, &titles);
    let rules: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
    let rules: Vec<_> = rules.iter().map(|it| (it.as_str(), 0, false)).collect();
    write_line(out, &rules);
    let indent = widths.first().map_or(2, |width| width + 2);
    for (row, cells) in table.rows.iter().zip(&lines) {
        let height = cells.iter().map(Vec::len).max().unwrap_or(0);
        for line in 0..height {
            let texts = cells.iter().zip(&widths).zip(&table.columns);
            let texts: Vec<_> = texts
                .map(|((cell, width), column)| {
                    let text = cell.get(line).map_or("", String::as_str);
                    (text, *width, column.numeric)
                })
                .collect();
            write_line(out, &texts);
        }
        for note in &row.notes {
            out.push_str(&format!("{}- {note}\n", " ".repeat(indent)));
        }
    }
}

fn broken(row: &Row) -> Vec<Vec<String>> {
    row.cells.iter().map(|cell| wrap(&cell.text)).collect()
}

/// Lines no wider than a column may be, where the text has spaces.
fn wrap(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = vec![String::new()];
    for word in text.split(' ') {
        let Some(line) = lines.last_mut() else { break };
        if line.is_empty() {
            line.push_str(word);
        } else if width(line) + 1 + width(word) <= WIDEST {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

/// One line of (text, width, right-aligned), without spaces at its end.
fn write_line(out: &mut String, cells: &[(&str, usize, bool)]) {
    let mut line = String::new();
    for (at, (text, wide, right)) in cells.iter().enumerate() {
        let gap = " ".repeat(wide.saturating_sub(width(text)));
        if at > 0 {
            line.push_str("  ");
        }
        let (before, after) = if *right {
            (gap.as_str(), "")
        } else {
            ("", gap.as_str())
        };
        line.push_str(before);
        line.push_str(text);
        line.push_str(after);
    }
    out.push_str(line.trim_end());
    out.push('\n');
}

fn width(text: &str) -> usize {
    text.chars().count()
}
