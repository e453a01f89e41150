//! What a mapping may hold. Decoders ask for the keys of a shape, and JSON Schemas are made from the
//! same shape, so neither knows a key that the other does not.

/// A mapping whose keys are known.
#[derive(Debug)]
pub(crate) struct Shape {
    /// What the mapping is, for messages: `a step`.
    pub(crate) what: &'static str,
    /// One sentence for its reader.
    pub(crate) doc: &'static str,
    pub(crate) keys: &'static [Key],
    /// Keys of which exactly one must be there, where there are such.
    pub(crate) one_of: &'static [&'static str],
    /// Whether other keys are free.
    pub(crate) is_open: bool,
}

/// One key of a [`Shape`].
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    /// One sentence for its reader.
    pub(crate) doc: &'static str,
    pub(crate) required: bool,
    pub(crate) value: Value,
}

/// What a key may hold. `null` counts as a key that is not there.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value {
    /// Anything.
    Any,
    /// Text.
    Text,
    /// Text that fits a regular expression.
    Name(&'static str),
    /// Text, or a number or word that is taken as it is written: versions, titles.
    Written,
    /// The same, of text that fits a regular expression.
    WrittenName(&'static str),
    /// One of these words.
    Words(&'static [&'static str]),
    /// One of these words in any case.
    WordsInAnyCase(&'static [&'static str]),
    /// A version with this major number, as text or a number.
    Major(u32),
    /// True or false.
    Boolean,
    /// A whole number, negative or not.
    Whole,
    /// A whole number between these.
    Count(u64, u64),
    /// A number of points: not negative, at most two decimals.
    Points,
    /// A positive number of seconds, at most a year.
    Seconds,
    /// A list.
    List(&'static Self),
    /// A list with something in it.
    Items(&'static Self),
    /// A mapping from free names.
    Map(&'static Self),
    /// A mapping from these words in any case.
    ByWord(&'static [&'static str], &'static Self),
    /// A mapping from names that fit a regular expression.
    Named(&'static str, &'static Self),
    /// A mapping from some of these names, each with a value of its own.
    Groups(&'static [(&'static str, &'static [&'static str])]),
    /// A mapping whose keys are known.
    Shape(&'static Shape),
    /// One of several.
    Either(&'static [Self]),
    /// That, or an expression that gives it.
    Input(&'static Self),
    /// That, or text with expressions in it, which is read once they are rendered.
    Rendered(&'static Self),
    /// What a step uses: a primitive of the catalogue, or a composite.
    Uses,
    /// The inputs of what a step uses.
    With,
    /// Output names of what a step uses, each with a variable.
    Capture,
}

impl Shape {
    pub(crate) const fn new(what: &'static str, doc: &'static str, keys: &'static [Key]) -> Self {
        Self {
            what,
            doc,
            keys,
            one_of: &[],
            is_open: false,
        }
    }

    /// Exactly one of these keys must be there.
    pub(crate) const fn one_of(self, keys: &'static [&'static str]) -> Self {
        Self {
            one_of: keys,
            ..self
        }
    }

    /// Other keys are free.
    pub(crate) const fn open(self) -> Self {
        Self {
            is_open: true,
            ..self
        }
    }

    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> + Clone {
        self.keys.iter().map(|key| key.name)
    }
}

/// A key that must be there.
pub(crate) const fn required(name: &'static str, value: Value, doc: &'static str) -> Key {
    Key {
        name,
        doc,
        required: true,
        value,
    }
}

/// A key that may be missing.
pub(crate) const fn optional(name: &'static str, value: Value, doc: &'static str) -> Key {
    Key {
        name,
        doc,
        required: false,
        value,
    }
}

/// The words of a table that a decoder reads by.
pub(crate) const fn words<T, const N: usize>(table: &[(&'static str, T); N]) -> [&'static str; N] {
    let mut words = [""; N];
    let mut at = 0;
    while at < N {
        words[at] = table[at].0;
        at += 1;
    }
    words
}
