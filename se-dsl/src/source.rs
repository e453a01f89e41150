//! The text a package is made of, and places in it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// One document of a [`Sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(u32);

/// A range of bytes in one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// The file the range lies in.
    pub file: FileId,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// A range of bytes of `file`. Offsets past 4 GiB are clamped; a document is far smaller.
    #[must_use]
    pub fn new(file: FileId, start: usize, end: usize) -> Self {
        let clamp = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self {
            file,
            start: clamp(start),
            end: clamp(end.max(start)),
        }
    }

    /// The first byte of a file: the place of what is wrong with a file as a whole.
    #[must_use]
    pub fn file(file: FileId) -> Self {
        Self::new(file, 0, 0)
    }

    /// No place: of what is wrong with a package that has no document at all.
    pub(crate) fn nowhere() -> Self {
        Self::new(NOWHERE, 0, 0)
    }
}

const NOWHERE: FileId = FileId(u32::MAX);
static NO_FILE: LazyLock<SourceFile> = LazyLock::new(|| SourceFile {
    path: "PAv1/".to_owned(),
    text: String::new(),
    invalid_at: None,
    line_starts: vec![0],
});

/// A value and where it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// Puts a value and its place together.
    pub fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

/// Lines and columns of a [`Span`], counted from 1; a column counts characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Line of the first character.
    pub line: u32,
    /// Column of the first character.
    pub column: u32,
    /// Line of the position after the last character.
    pub end_line: u32,
    /// Column of the position after the last character.
    pub end_column: u32,
}

#[derive(Clone, Debug)]
struct SourceFile {
    path: String,
    text: String,
    /// Offset in `text` of the first byte that was not UTF-8.
    invalid_at: Option<usize>,
    line_starts: Vec<usize>,
}

/// The documents (YAML, JSON) of a package with their texts, and the names and sizes of its other files.
///
/// Paths are relative to the root of the zip, with `/`: `PAv1/jobs/grade.yaml`.
///
/// ```
/// let mut sources = se_dsl::Sources::new();
/// let file = sources.add("PAv1/manifest.yaml", "name: x\npod_type: none\n");
/// let at = sources.position(se_dsl::Span::new(file, 8, 16));
/// assert_eq!((at.line, at.column, at.end_column), (2, 1, 9));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Sources {
    files: Vec<SourceFile>,
    assets: BTreeMap<String, u64>,
}

impl Sources {
    /// No files.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a document. Bytes that are not UTF-8 are kept readable and remembered for a diagnostic.
    pub fn add(&mut self, path: impl Into<String>, bytes: impl Into<Vec<u8>>) -> FileId {
        let bytes = bytes.into();
        let (text, invalid_at) = match String::from_utf8(bytes) {
            Ok(text) => (text, None),
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                (
                    String::from_utf8_lossy(error.as_bytes()).into_owned(),
                    Some(at),
                )
            }
        };
        let line_starts = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        let id = FileId(u32::try_from(self.files.len()).unwrap_or(u32::MAX));
        self.files.push(SourceFile {
            path: path.into(),
            text,
            invalid_at,
            line_starts,
        });
        id
    }

    /// Adds a file that is not a document: only its name and size count.
    pub fn add_asset(&mut self, path: impl Into<String>, size: u64) {
        self.assets.insert(path.into(), size);
    }

    /// Every document in the order added.
    pub fn files(&self) -> impl Iterator<Item = FileId> + '_ {
        (0..self.files.len()).map(|at| FileId(u32::try_from(at).unwrap_or(u32::MAX)))
    }

    /// Every other file: path and size in bytes, sorted by path.
    pub fn assets(&self) -> impl Iterator<Item = (&str, u64)> {
        self.assets
            .iter()
            .map(|(path, size)| (path.as_str(), *size))
    }

    /// The document at exactly this path.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<FileId> {
        self.files().find(|id| self.path(*id) == path)
    }

    /// A document's path.
    #[must_use]
    pub fn path(&self, file: FileId) -> &str {
        &self.file(file).path
    }

    /// A document's text.
    #[must_use]
    pub fn text(&self, file: FileId) -> &str {
        &self.file(file).text
    }

    /// Where a document stops being UTF-8, if it does.
    #[must_use]
    pub fn invalid_utf8(&self, file: FileId) -> Option<Span> {
        self.file(file)
            .invalid_at
            .map(|at| Span::new(file, at, at + char::REPLACEMENT_CHARACTER.len_utf8()))
    }

    /// The text of a span; empty when the span is not on character boundaries.
    #[must_use]
    pub fn slice(&self, span: Span) -> &str {
        self.text(span.file)
            .get(span.start as usize..span.end as usize)
            .unwrap_or_default()
    }

    /// Lines and columns of a span.
    #[must_use]
    pub fn position(&self, span: Span) -> Position {
        let (line, column) = self.line_column(span.file, span.start as usize);
        let (end_line, end_column) = self.line_column(span.file, span.end as usize);
        Position {
            line,
            column,
            end_line,
            end_column,
        }
    }

    fn line_column(&self, file: FileId, offset: usize) -> (u32, u32) {
        let file = self.file(file);
        let offset = offset.min(file.text.len());
        let line = file
            .line_starts
            .partition_point(|start| *start <= offset)
            .max(1);
        let start = file.line_starts.get(line - 1).copied().unwrap_or_default();
        let before = file.text.as_bytes().get(start..offset).unwrap_or_default();
        let column = before.iter().filter(|byte| **byte & 0xC0 != 0x80).count() + 1;
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        (number(line), number(column))
    }

    fn file(&self, file: FileId) -> &SourceFile {
        if file == NOWHERE {
            return &NO_FILE;
        }
        self.files
            .get(file.0 as usize)
            .expect("a FileId is only made by the Sources it indexes")
    }
}
