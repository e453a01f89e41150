//! Regular expressions of content: compiled once, bounded in size and in work.

pub(crate) mod cost;

use std::fmt;

use serde::{Deserialize, Serialize};

/// A compiled regular expression with its flags.
///
/// Matching is linear in the text, and refused before it starts where the pattern's positions times
/// the text's bytes are too many. Patterns that need look-around or back-references stop with an
/// error after a fixed amount of backtracking, and take texts of at most 64 KiB.
#[derive(Clone)]
pub struct Pattern {
    source: String,
    flags: Flags,
    engine: Engine,
}

#[derive(Clone)]
enum Engine {
    Linear {
        regex: regex::Regex,
        positions: usize,
    },
    Backtracking(fancy_regex::Regex),
}

/// How a pattern is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flags {
    /// `^` and `$` match at line ends.
    pub multiline: bool,
    /// `.` matches a line feed.
    pub dotall: bool,
    /// Case does not count.
    pub ignorecase: bool,
    /// All matches, not only the first; accepted for old packages, without effect on whether it matches.
    pub global: bool,
}

impl Default for Flags {
    /// Device output is lines: `multiline`.
    fn default() -> Self {
        Self {
            multiline: true,
            ..Self::none()
        }
    }
}

impl Flags {
    /// No flags.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            multiline: false,
            dotall: false,
            ignorecase: false,
            global: false,
        }
    }

    /// Adds a flag by its long name or letter; `false` if there is no such flag.
    #[must_use]
    pub fn set(&mut self, name: &str) -> bool {
        let flag = match name {
            "m" | "multiline" => &mut self.multiline,
            "s" | "dotall" => &mut self.dotall,
            "i" | "ignorecase" => &mut self.ignorecase,
            "g" | "global" => &mut self.global,
            _ => return false,
        };
        *flag = true;
        true
    }

    /// The long names of the flags that are set.
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        [
            (self.multiline, "multiline"),
            (self.dotall, "dotall"),
            (self.ignorecase, "ignorecase"),
            (self.global, "global"),
        ]
        .into_iter()
        .filter_map(|(set, name)| set.then_some(name))
        .collect()
    }
}

/// Why a pattern is refused, or could not be matched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It does not parse, or is too large. The text says what and where.
    #[error("{0}")]
    Invalid(String),
    /// Matching needed too much backtracking.
    #[error("matching `{0}` took too much backtracking; make its repetitions unambiguous")]
    TooMuchWork(String),
    /// The text is too long for so costly a pattern.
    #[error(
        "matching `{pattern}` on {bytes} bytes would take too much work; \
         make its repetitions smaller, or collect less output"
    )]
    TooLong {
        /// The pattern as written.
        pattern: String,
        /// The length of the text.
        bytes: usize,
    },
}

/// Where a pattern matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

const SIZE_LIMIT: usize = 1 << 20;
/// Positions of a pattern times bytes of text that one search may take, see [`cost::positions`]:
/// a pattern of 100 positions takes texts up to 2 MB.
const MOST_WORK: usize = 200_000_000;
/// The longest text for a pattern that needs backtracking: a look-ahead may read all of it from
/// each of its bytes.
const BACKTRACKED_TEXT: usize = 64 << 10;
/// Steps back that one search may take; to move on to the next byte is one.
const BACKTRACK_LIMIT: usize = 100_000;

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// [`PatternError::Invalid`] if it does not parse or compiles to more than 1 MiB.
    ///
    /// # Example
    /// ```
    /// use se_dsl::pattern::{Flags, Pattern};
    /// let full = Pattern::compile("^80\\s+LAB80", Flags::default())?;
    /// assert!(full.find("1 default\n80   LAB80 active")?.is_some());
    /// # Ok::<(), se_dsl::pattern::PatternError>(())
    /// ```
    pub fn compile(source: &str, flags: Flags) -> Result<Self, PatternError> {
        let linear = regex::RegexBuilder::new(source)
            .multi_line(flags.multiline)
            .dot_matches_new_line(flags.dotall)
            .case_insensitive(flags.ignorecase)
            .size_limit(SIZE_LIMIT)
            .build();
        let engine = match linear {
            Ok(regex) => Engine::Linear {
                regex,
                positions: cost::positions(source, flags, false),
            },
            Err(regex::Error::CompiledTooBig(limit)) => {
                let text = format!("compiles to more than {limit} bytes; use smaller repetitions");
                return Err(PatternError::Invalid(text));
            }
            Err(error) => Engine::Backtracking(Self::backtracking(source, flags, &error)?),
        };
        Ok(Self {
            source: source.to_owned(),
            flags,
            engine,
        })
    }

    fn backtracking(
        source: &str,
        flags: Flags,
        linear: &regex::Error,
    ) -> Result<fancy_regex::Regex, PatternError> {
        if cost::parts(source) > cost::MOST_PARTS {
            return Err(PatternError::Invalid(format!(
                "has more than {} look-arounds and back-references",
                cost::MOST_PARTS
            )));
        }
        fancy_regex::RegexBuilder::new(source)
            .multi_line(flags.multiline)
            .dot_matches_new_line(flags.dotall)
            .case_insensitive(flags.ignorecase)
            .backtrack_limit(BACKTRACK_LIMIT)
            .delegate_size_limit(SIZE_LIMIT)
            .build()
            .map_err(|_| PatternError::Invalid(linear.to_string()))
    }

    /// The first match in `text`.
    ///
    /// # Errors
    /// [`PatternError::TooLong`] if it did not begin, [`PatternError::TooMuchWork`] if it gave up.
    pub fn find(&self, text: &str) -> Result<Option<Match>, PatternError> {
        let admitted = match &self.engine {
            Engine::Linear { positions, .. } => positions.saturating_mul(text.len()) <= MOST_WORK,
            Engine::Backtracking(_) => text.len() <= BACKTRACKED_TEXT,
        };
        if !admitted {
            return Err(PatternError::TooLong {
                pattern: self.source.clone(),
                bytes: text.len(),
            });
        }
        match &self.engine {
            Engine::Linear { regex, .. } => Ok(regex.find(text).map(|it| Match {
                start: it.start(),
                end: it.end(),
            })),
            Engine::Backtracking(regex) => match regex.find(text) {
                Ok(found) => Ok(found.map(|it| Match {
                    start: it.start(),
                    end: it.end(),
                })),
                Err(_) => Err(PatternError::TooMuchWork(self.source.clone())),
            },
        }
    }

    /// Whether it matches whatever the text is, even none at all.
    #[must_use]
    pub fn matches_anything(&self) -> bool {
        // Texts that no pattern names; what asks for line ends or starts finds none on the last.
        let texts = ["", "\u{E000}", "\u{E000}\u{E001}\n\u{E000}"];
        let mut found = texts.into_iter().map(|text| self.find(text));
        found.all(|it| it.is_ok_and(|it| it.is_some()))
    }

    /// The pattern as written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Its flags.
    #[must_use]
    pub fn flags(&self) -> Flags {
        self.flags
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({:?}, {:?})", self.source, self.flags.names())
    }
}

#[cfg(test)]
mod tests {
    use super::{Flags, Pattern, PatternError};

    #[test]
    fn patterns_that_match_any_text_are_told() {
        for (source, expected) in [
            (".*", true),
            ("^.*$", true),
            ("a*", true),
            ("(LAB80)?", true),
            ("LAB80|", true),
            ("(?!x)", true),
            ("\\s*", true),
            ("^$", false),
            ("^\\s*$", false),
            (".+", false),
            ("LAB80", false),
            ("^80\\s+LAB80", false),
        ] {
            let pattern = Pattern::compile(source, Flags::default()).unwrap();
            assert_eq!(pattern.matches_anything(), expected, "{source}");
        }
    }

    #[test]
    fn texts_too_long_for_a_costly_pattern_are_refused_unmatched() {
        let cases = [
            ("(a{1,30}){1,30}b", 1_000, true),
            ("(a{1,30}){1,30}b", 1_000_000, false),
            ("a(?!b)", 60_000, true),
            ("a(?!b)", 100_000, false),
            ("^Vlan10 +up", 2_000_000, true),
        ];
        for (source, length, admitted) in cases {
            let pattern = Pattern::compile(source, Flags::default()).unwrap();
            let found = pattern.find(&"a".repeat(length));
            let refused = matches!(found, Err(PatternError::TooLong { .. }));
            assert_eq!(refused, !admitted, "{source} on {length} bytes");
        }
    }
}
