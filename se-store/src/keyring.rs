//! The keys of an engine: the first seals, each of them opens what it has sealed.

use se_runtime::Secret;
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::seal::{Randomness, Sealed, SealingKey};

/// The key that seals, and others that only open: former keys, or one that others seal with already.
#[derive(Clone, Debug)]
pub struct Keyring {
    first: SealingKey,
    others: Vec<SealingKey>,
}

/// Why a text is no keyring. It tells nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoKeyring {
    /// There is nothing in it.
    #[error("it holds no key; a key is 64 hexadecimal digits")]
    Empty,
    /// One of the keys is none.
    #[error("key {number} in it is not exactly 64 hexadecimal digits")]
    Key {
        /// Which, from 1.
        number: usize,
    },
}

impl From<SealingKey> for Keyring {
    fn from(first: SealingKey) -> Self {
        Self {
            first,
            others: Vec::new(),
        }
    }
}

impl Keyring {
    /// From keys of 64 hexadecimal digits with white space between them; the first seals.
    ///
    /// # Errors
    /// [`NoKeyring`] if there is none, or something else.
    pub fn parse(text: &str) -> Result<Self, NoKeyring> {
        let key = |(number, digits)| SealingKey::parse(digits).ok_or(NoKeyring::Key { number });
        let mut keys = (1..).zip(text.split_whitespace()).map(key);
        Ok(Self {
            first: keys.next().ok_or(NoKeyring::Empty)??,
            others: keys.collect::<Result<_, _>>()?,
        })
    }

    /// As [`Self::parse`] reads it, a key a line.
    pub(crate) fn text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::new());
        for key in self.keys() {
            text.push_str(&key.digits());
            text.push('\n');
        }
        text
    }

    /// With another key in front, which seals from now on.
    pub(crate) fn behind(self, first: SealingKey) -> Self {
        let others = std::iter::once(self.first).chain(self.others);
        Self {
            first,
            others: others.collect(),
        }
    }

    /// With nothing but the key that seals.
    pub(crate) fn only_first(self) -> Self {
        self.first.into()
    }

    /// Names the key that seals without telling it.
    #[must_use]
    pub fn id(&self) -> &str {
        self.first.id()
    }

    /// Names those that only open.
    pub fn others(&self) -> impl Iterator<Item = &str> {
        self.others.iter().map(SealingKey::id)
    }

    pub(crate) fn seal(
        &self,
        job: &str,
        secrets: &[Secret],
        random: &dyn Randomness,
    ) -> Result<Sealed> {
        self.first.seal(job, secrets, random)
    }

    pub(crate) fn open(&self, job: &str, it: &Sealed) -> Result<Vec<Secret>> {
        let key = self.keys().find(|key| key.id() == it.key_id);
        let key = key.ok_or_else(|| Error::WrongKey {
            job: job.to_owned(),
            sealed_with: it.key_id.clone(),
            at_hand: self
                .keys()
                .map(SealingKey::id)
                .collect::<Vec<_>>()
                .join(", "),
        })?;
        key.open(job, it)
    }

    fn keys(&self) -> impl Iterator<Item = &SealingKey> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

#[cfg(test)]
mod tests {
    use super::{Keyring, NoKeyring};

    #[test]
    fn the_first_key_seals_and_the_order_stays() {
        let (a, b) = ("0a".repeat(32), "0B".repeat(32));
        let keys = Keyring::parse(&format!(" {a}\n{b} ")).unwrap();
        let again = Keyring::parse(&keys.text()).unwrap();
        let alone = Keyring::parse(&a).unwrap();
        assert_eq!(keys.id(), alone.id());
        assert_eq!(again.id(), alone.id());
        assert_eq!(keys.others().count(), 1);
        assert!(keys.others().eq(again.others()));
        assert_eq!(keys.only_first().others().count(), 0);
    }

    #[test]
    fn what_is_no_key_is_counted_and_not_told() {
        let key = "0a".repeat(32);
        for (text, expected) in [
            (" \n", NoKeyring::Empty),
            ("abc", NoKeyring::Key { number: 1 }),
            (&"0".repeat(63), NoKeyring::Key { number: 1 }),
            (&"é".repeat(32), NoKeyring::Key { number: 1 }),
            (&format!("{key}\n{key}x"), NoKeyring::Key { number: 2 }),
        ] {
            assert_eq!(Keyring::parse(text).unwrap_err(), expected, "{text}");
        }
    }
}
