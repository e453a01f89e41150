//! Which names a package may hold.

use std::collections::BTreeMap;

use unicode_normalization::UnicodeNormalization;

use crate::error::Refused;

/// Longer names cannot be unpacked everywhere.
const LONGEST: usize = 1024;

/// The names of a package, each proved to stay inside it and to mean one file on every system.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// By the form in which names are compared: how it is spelled, and whether it is a folder.
    seen: BTreeMap<String, (String, Kind)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    File,
    /// A folder that other names imply.
    Implied,
    /// A folder with an entry of its own.
    Folder,
}

impl Names {
    /// Takes a name as it stands in the zip: a folder's ends with `/`.
    pub(crate) fn take(&mut self, raw: &str) -> Result<(), Refused> {
        check(raw)?;
        let (name, kind) = match raw.strip_suffix('/') {
            Some(name) => (name, Kind::Folder),
            None => (raw, Kind::File),
        };
        for (end, _) in name.match_indices('/') {
            self.note(name.get(..end).unwrap_or(name), Kind::Implied)?;
        }
        self.note(name, kind)
    }

    fn note(&mut self, name: &str, kind: Kind) -> Result<(), Refused> {
        let Some((spelled, known)) = self.seen.get_mut(&compared(name)) else {
            self.seen.insert(compared(name), (name.to_owned(), kind));
            return Ok(());
        };
        if spelled != name {
            return Err(Refused::Ambiguous {
                entry: name.to_owned(),
                other: spelled.clone(),
            });
        }
        match (*known, kind) {
            (Kind::Implied | Kind::Folder, Kind::Implied) => Ok(()),
            (Kind::Implied, Kind::Folder) => {
                *known = kind;
                Ok(())
            }
            (Kind::File, _) | (_, Kind::File) | (Kind::Folder, Kind::Folder) => {
                Err(Refused::Duplicate {
                    entry: name.to_owned(),
                })
            }
        }
    }
}

/// Refuses names that lead elsewhere or that some system cannot hold.
pub(crate) fn check(raw: &str) -> Result<(), Refused> {
    let name = raw.strip_suffix('/').unwrap_or(raw);
    let mut parts = name.split('/');
    let first = parts.clone().next().unwrap_or_default();
    let reason = if raw.len() > LONGEST {
        "it is longer than 1024 bytes"
    } else if name.is_empty() {
        "it is empty"
    } else if name.starts_with('/') {
        "it is absolute"
    } else if name.contains('\\') {
        "it holds a backslash, and folders are parted by `/`"
    } else if name.chars().any(char::is_control) {
        "it holds control characters"
    } else if first.ends_with(':') || first.get(1..2) == Some(":") {
        "it begins with a drive"
    } else if parts.any(|it| it.is_empty() || it == "." || it == "..") {
        "it holds an empty, `.` or `..` part"
    } else {
        return Ok(());
    };
    let printable = raw.escape_default().take(200).collect();
    Err(Refused::Name {
        entry: printable,
        reason,
    })
}

/// Names that are equal in this form are one file on some system.
fn compared(name: &str) -> String {
    let lower = name.nfc().collect::<String>().to_lowercase();
    lower.nfc().collect()
}

/// What a file is to the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Read, checked and shown.
    Document,
    /// Kept for devices.
    Payload,
    /// Listed only.
    Other,
}

/// Tells by a path from the root of the package.
pub(crate) fn role(path: &str) -> Role {
    if ROOT_DOCUMENTS.contains(&path) {
        return Role::Document;
    }
    let Some(inside) = path.strip_prefix(CONTENT) else {
        return Role::Other;
    };
    let part = inside.strip_prefix("parts/");
    let in_part = part.and_then(|it| it.split_once('/')).map(|(_, it)| it);
    let is_payload = in_part.unwrap_or(inside).starts_with("files/");
    let extension = path.rsplit_once('.').map(|(_, it)| it);
    match extension {
        Some("yaml" | "yml" | "json") if !is_payload => Role::Document,
        _ => Role::Payload,
    }
}

/// The folder that is unpacked.
pub(crate) const CONTENT: &str = "PAv1/";
/// Documents beside `PAv1/` that say what a package is.
const ROOT_DOCUMENTS: [&str; 4] = ["mosaic_meta.json", "cml.yaml", "cml.yml", "radkit.yaml"];

#[cfg(test)]
mod tests {
    use super::{Names, Role, role};

    fn take(names: &[&str]) -> String {
        let mut taken = Names::default();
        let refused = names.iter().find_map(|it| taken.take(it).err());
        refused.map_or_else(String::new, |it| it.to_string())
    }

    #[test]
    fn names_stay_inside_and_mean_one_file() {
        let fine: [&[&str]; 4] = [
            &["PAv1/", "PAv1/jobs/", "PAv1/jobs/a.yaml"],
            &["PAv1/jobs/a.yaml", "PAv1/jobs/", "PAv1/"],
            &["PAv1/a..b/c...yaml", "PAv1/ä ö.yaml"],
            &["ab:c/d:e"],
        ];
        for names in fine {
            assert_eq!(take(names), "", "{names:?}");
        }
        let refused: [(&[&str], &str); 14] = [
            (&["/etc/passwd"], "absolute"),
            (&["../x"], "`..`"),
            (&["a/../../b"], "`..`"),
            (&["a/./b"], "`.`"),
            (&["a//b"], "empty"),
            (&[""], "empty"),
            (&["C:/x"], "drive"),
            (&["PAv1\\x"], "backslash"),
            (&["a\0b"], "control"),
            (&["a", "a"], "twice"),
            (&["a/", "a/"], "twice"),
            (&["a", "a/b"], "twice"),
            (&["PAv1/Jobs/x", "PAv1/jobs/y"], "case or Unicode"),
            (&["caf\u{e9}", "cafe\u{301}"], "case or Unicode"),
        ];
        for (names, message) in refused {
            let said = take(names);
            assert!(said.contains(message), "{names:?}: {said}");
        }
    }

    #[test]
    fn payloads_are_no_documents() {
        for (path, expected) in [
            ("PAv1/manifest.yaml", Role::Document),
            ("PAv1/topology/devices.json", Role::Document),
            ("PAv1/files/config.yaml", Role::Payload),
            ("PAv1/parts/01-a/files/config.yaml", Role::Payload),
            ("PAv1/parts/01-a/jobs/files.yaml", Role::Document),
            ("PAv1/files/desktop.tgz", Role::Payload),
            ("mosaic_meta.json", Role::Document),
            ("images/mosaic_meta.json", Role::Other),
        ] {
            assert_eq!(role(path), expected, "{path}");
        }
    }
}
