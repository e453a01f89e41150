//! A sheet as one HTML page: no scripts, no links, nothing to load, everything escaped.

use super::sheet::{Block, Cell, Proof, Row, Sheet, Table, Tone};

const STYLE: &str = include_str!("style.css");

pub(super) fn render(sheet: &Sheet) -> String {
    let title = format!("{}: {}", sheet.title, sheet.about);
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<header>\n\
         <h1>{}</h1>\n<p class=\"about\">{}</p>\n",
        escape(&title),
        escape(sheet.title),
        escape(&sheet.about),
    );
    if let Some(verdict) = &sheet.verdict {
        let class = class(verdict.tone);
        out.push_str(&format!(
            "<p class=\"verdict {class}\">{}</p>\n",
            escape(&verdict.text)
        ));
    }
    if let Some(warning) = sheet.warning {
        out.push_str(&format!(
            "<p class=\"warning\" role=\"note\">{}</p>\n",
            escape(warning)
        ));
    }
    out.push_str("</header>\n");
    for block in &sheet.blocks {
        match block {
            Block::Table(table) => write_table(&mut out, table),
            Block::Pairs { title, pairs } => write_pairs(&mut out, title, pairs),
        }
    }
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

fn write_pairs(out: &mut String, title: &str, pairs: &[(String, Cell)]) {
    out.push_str(&format!("<section>\n<h2>{}</h2>\n<dl>\n", escape(title)));
    for (name, value) in pairs {
        out.push_str(&format!(
            "<div><dt>{}</dt><dd>{}</dd></div>\n",
            escape(name),
            shown(value)
        ));
    }
    out.push_str("</dl>\n</section>\n");
}

fn write_table(out: &mut String, table: &Table) {
    out.push_str(&format!("<section>\n<h2>{}</h2>\n", escape(&table.title)));
    if table.rows.is_empty() {
        out.push_str("<p>None.</p>\n</section>\n");
        return;
    }
    out.push_str("<div class=\"wide\">\n<table>\n<thead>\n<tr>");
    for column in &table.columns {
        let class = if column.numeric {
            " class=\"number\""
        } else {
            ""
        };
        out.push_str(&format!(
            "<th scope=\"col\"{class}>{}</th>",
            escape(&column.title)
        ));
    }
    out.push_str("</tr>\n</thead>\n");
    for row in &table.rows {
        write_row(out, table, row);
    }
    out.push_str("</table>\n</div>\n</section>\n");
}

/// A row and what belongs to it are one body: they stay on one page of paper.
fn write_row(out: &mut String, table: &Table, row: &Row) {
    out.push_str("<tbody>\n<tr>");
    for (at, (cell, column)) in row.cells.iter().zip(&table.columns).enumerate() {
        let class = if column.numeric {
            " class=\"number\""
        } else {
            ""
        };
        if at == 0 {
            out.push_str(&format!("<th scope=\"row\"{class}>{}</th>", shown(cell)));
        } else {
            out.push_str(&format!("<td{class}>{}</td>", shown(cell)));
        }
    }
    out.push_str("</tr>\n");
    if !row.notes.is_empty() || !row.proofs.is_empty() {
        let span = table.columns.len().max(2) - 1;
        out.push_str(&format!(
            "<tr class=\"notes\"><td></td><td colspan=\"{span}\">"
        ));
        write_notes(out, row);
        out.push_str("</td></tr>\n");
    }
    out.push_str("</tbody>\n");
}

fn write_notes(out: &mut String, row: &Row) {
    if !row.notes.is_empty() {
        out.push_str("<ul class=\"issues\">");
        for note in &row.notes {
            out.push_str(&format!("<li>{}</li>", escape(note)));
        }
        out.push_str("</ul>");
    }
    if !row.proofs.is_empty() {
        let count = row.proofs.len();
        let plural = if count == 1 { "" } else { "s" };
        out.push_str(&format!(
            "<details><summary>{count} check{plural}</summary><ol>"
        ));
        for proof in &row.proofs {
            write_proof(out, proof);
        }
        out.push_str("</ol></details>");
    }
}

fn write_proof(out: &mut String, proof: &Proof) {
    out.push_str(&format!(
        "<li>{} <span class=\"asked\">{}</span> <code>{}</code>",
        shown(&proof.outcome),
        escape(&proof.asked),
        escape(&proof.regex),
    ));
    if !proof.flags.is_empty() {
        out.push_str(&format!(
            " <span class=\"flags\">{}</span>",
            escape(&proof.flags)
        ));
    }
    if let Some(issue) = &proof.issue {
        out.push_str(&format!("<p>{}</p>", escape(issue)));
    }
    if let Some(matched) = &proof.matched {
        // The first line feed after <pre> is not shown: one that belongs to the text must not be lost.
        out.push_str(&format!("<pre>\n{}</pre>", escape(matched)));
    }
    out.push_str("</li>");
}

fn shown(cell: &Cell) -> String {
    let text = escape(&cell.text);
    match cell.tone {
        Tone::Plain => text,
        Tone::Good | Tone::Bad | Tone::Unknown => {
            format!("<span class=\"mark {}\">{text}</span>", class(cell.tone))
        }
    }
}

fn class(tone: Tone) -> &'static str {
    match tone {
        Tone::Plain => "plain",
        Tone::Good => "good",
        Tone::Bad => "bad",
        Tone::Unknown => "unknown",
    }
}

/// Text that is text, in elements and attributes alike.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for it in text.chars() {
        match it {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(it),
        }
    }
    out
}
