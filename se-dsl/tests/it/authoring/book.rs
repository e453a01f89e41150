//! The pages for authors, read as what they show: packages that grow block by block, and tables.
//!
//! The first line of a block says what it is:
//!
//! | first line | is |
//! |---|---|
//! | `yaml PAv1/jobs/a.yaml` | a file of the package that the page is writing; it stays |
//! | `yaml PAv1/jobs/a.yaml SE1301` | the same with a mistake, and the codes that it gives; it does not stay |
//! | `yaml steps`, `yaml steps SE1301` | the steps of a job that does not stay |
//! | `console` | commands after `$ `, and what they print |
//!
//! `<!-- package: NAME -->` begins a package, without any file.

use std::collections::BTreeMap;

/// What a page holds, in order.
pub(crate) enum Piece<'p> {
    /// A heading.
    Heading(&'p str),
    /// A package begins.
    Package(&'p str),
    /// A block of code.
    Block(Block<'p>),
}

/// A block of code.
pub(crate) struct Block<'p> {
    /// The line of the page that it begins on.
    pub(crate) line: usize,
    /// The words after the three ticks.
    pub(crate) words: Vec<&'p str>,
    pub(crate) text: String,
}

impl Block<'_> {
    /// The file that it is, in the package.
    pub(crate) fn path(&self) -> Option<&str> {
        let path = self.words.get(1)?;
        path.starts_with("PAv1/").then_some(*path)
    }

    /// The codes that it gives.
    pub(crate) fn codes(&self) -> Vec<&str> {
        let codes = self.words.iter().skip(2);
        codes.copied().collect()
    }

    pub(crate) fn is_steps(&self) -> bool {
        self.words.get(1) == Some(&"steps")
    }

    pub(crate) fn is_console(&self) -> bool {
        self.words.first() == Some(&"console")
    }
}

/// Everything that matters here of a page.
pub(crate) fn pieces(page: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut lines = page.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        if let Some(words) = line.strip_prefix("```") {
            let inside = lines.by_ref().map(|(_, line)| line);
            let inside: Vec<&str> = inside.take_while(|line| *line != "```").collect();
            let text = inside.iter().map(|line| format!("{line}\n")).collect();
            let words = words.split_whitespace().collect();
            let line = at + 1;
            pieces.push(Piece::Block(Block { line, words, text }));
        } else if line.starts_with('#') {
            pieces.push(Piece::Heading(line.trim_start_matches('#').trim()));
        } else if let Some(name) = line.strip_prefix("<!-- package: ") {
            let name = name.strip_suffix(" -->");
            pieces.push(Piece::Package(name.expect("the comment ends on its line")));
        }
    }
    pieces
}

/// A package while it is written.
#[derive(Clone, Default)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// By path.
    pub(crate) files: BTreeMap<String, String>,
}

impl Package {
    /// Takes in what a piece adds to it: whether that changed it.
    pub(crate) fn take(&mut self, piece: &Piece<'_>) -> bool {
        match piece {
            Piece::Package(name) => {
                *self = Self {
                    name: (*name).to_owned(),
                    files: BTreeMap::new(),
                };
                false
            }
            Piece::Block(block) if block.codes().is_empty() => match block.path() {
                Some(path) => {
                    self.files.insert(path.to_owned(), block.text.clone());
                    true
                }
                None => false,
            },
            Piece::Block(_) | Piece::Heading(_) => false,
        }
    }
}

/// The rows of the table whose head begins with this cell; each cell without spaces around it.
pub(crate) fn table<'p>(page: &'p str, head: &str) -> Vec<Vec<&'p str>> {
    let cells = |line: &'p str| -> Vec<&'p str> {
        let line = line.trim_start_matches('|').trim_end_matches('|');
        line.split(" | ").map(str::trim).collect()
    };
    let at = page.find(&format!("\n| {head} |"));
    let at = at.expect("a table begins with that cell");
    let rows = page[at..].trim_start().lines().skip(2);
    rows.take_while(|line| line.starts_with('|'))
        .map(cells)
        .collect()
}

/// What stands in backticks in a cell.
pub(crate) fn ticked(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}
