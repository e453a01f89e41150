use serde_json::{Value, json};

/// Why a use case did not do what it was asked, by what the caller can do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes are no JSON, or no zip: send others.
    #[error("{0}")]
    Malformed(String),
    /// Fields of the request are wrong: mend them.
    #[error("the request has {} that cannot be used: {}", plural(fields.len()), list(fields))]
    Invalid {
        /// The fields at fault.
        fields: Vec<Field>,
    },
    /// Content is wrong: its author must mend it.
    #[error("{detail}")]
    Content {
        /// What was looked at, and how much is wrong.
        detail: String,
        /// Every finding with file, line and column.
        errors: Vec<Value>,
    },
    /// Nothing has that name.
    #[error("{0}")]
    NotFound(String),
    /// It is in a state, or fits something else, that does not allow this.
    #[error("{0}")]
    Conflict(String),
    /// It is larger than may be.
    #[error("{0}")]
    TooLarge(String),
    /// There is too much to do already: try again later.
    #[error("{0}")]
    Busy(String),
    /// It does not answer: try again.
    #[error("{0}")]
    Unavailable(String),
    /// A defect, or damage that an operator must look at.
    #[error("{0}")]
    Internal(String),
}

/// A field of a request that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// JSON Pointer of the field.
    pub pointer: String,
    /// What is wrong, and what to give instead.
    pub message: String,
}

/// Result of the use cases.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// One field is wrong.
    #[must_use]
    pub fn field(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid {
            fields: vec![Field {
                pointer: pointer.into(),
                message: message.into(),
            }],
        }
    }

    /// Its name in problem documents.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::Invalid { .. } => "validation",
            Self::Content { .. } => "content",
            Self::NotFound(_) => "not-found",
            Self::Conflict(_) => "conflict",
            Self::TooLarge(_) => "too-large",
            Self::Busy(_) => "busy",
            Self::Unavailable(_) => "unavailable",
            Self::Internal(_) => "internal",
        }
    }

    /// Whether the same call may succeed later without anybody doing anything.
    #[must_use]
    pub fn retry(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Busy(_))
    }

    /// The single findings, where there are some.
    #[must_use]
    pub fn findings(&self) -> Vec<Value> {
        match self {
            Self::Invalid { fields } => fields
                .iter()
                .map(|it| json!({"pointer": it.pointer, "message": it.message}))
                .collect(),
            Self::Content { errors, .. } => errors.clone(),
            Self::Malformed(_)
            | Self::NotFound(_)
            | Self::Conflict(_)
            | Self::TooLarge(_)
            | Self::Busy(_)
            | Self::Unavailable(_)
            | Self::Internal(_) => Vec::new(),
        }
    }
}

impl From<se_store::Error> for Error {
    fn from(error: se_store::Error) -> Self {
        use se_store::Error as Store;
        let text = chain(&error);
        match error {
            Store::NotFound { .. } => Self::NotFound(text),
            Store::Conflict { .. } | Store::Busy { .. } => Self::Conflict(text),
            // With the former key, or the newer engine, the job goes on: nothing is lost that would have
            // to be given up.
            Store::Unavailable { .. }
            | Store::WrongKey { .. }
            | Store::NewerEvent { .. }
            | Store::Fenced => Self::Unavailable(text),
            Store::Corrupt { .. }
            | Store::KeyFile { .. }
            | Store::NewerSchema { .. }
            | Store::OlderSchema { .. }
            | Store::BadExport { .. }
            | Store::File { .. }
            | Store::InUse { .. } => Self::Internal(text),
        }
    }
}

impl From<se_content::Error> for Error {
    fn from(error: se_content::Error) -> Self {
        use se_content::Error as Content;
        let text = chain(&error);
        match error {
            Content::Refused(_) => Self::Content {
                errors: vec![json!({"severity": "error", "message": text})],
                detail: text,
            },
            Content::Address { .. } => Self::field("/source_uri", text),
            Content::NotFound { .. } => Self::NotFound(text),
            Content::Denied { .. } => Self::Conflict(text),
            Content::Unavailable { .. } => Self::Unavailable(text),
        }
    }
}

/// An error with everything that caused it, on one line; nothing is said twice.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let cause = error.to_string();
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
        next = error.source();
    }
    text
}

fn plural(count: usize) -> String {
    if count == 1 {
        "a field".to_owned()
    } else {
        format!("{count} fields")
    }
}

fn list(fields: &[Field]) -> String {
    let all: Vec<String> = fields
        .iter()
        .map(|it| format!("`{}` {}", it.pointer, it.message))
        .collect();
    all.join("; ")
}

#[cfg(test)]
mod tests {
    use se_content::Refused;

    use super::chain;

    #[test]
    fn a_cause_that_the_message_holds_is_not_said_again() {
        let hint = String::new();
        let text = chain(&se_content::Error::from(Refused::NoContent { hint }));
        assert_eq!(text.matches("no `PAv1/` folder").count(), 1, "{text}");
    }

    #[test]
    fn other_causes_follow() {
        let at = "lab.zip".to_owned();
        let source = Some("gone".into());
        let text = chain(&se_content::Error::NotFound { at, source });
        assert!(text.ends_with(": gone"), "{text}");
    }
}
