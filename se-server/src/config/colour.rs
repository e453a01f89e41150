//! Whether text for people has colours.

use clap::ValueEnum;

/// When text has colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Colour {
    /// On a terminal, unless `NO_COLOR` is set; with `CLICOLOR_FORCE` everywhere.
    #[default]
    Auto,
    /// Everywhere.
    Always,
    /// Nowhere.
    Never,
}

impl Colour {
    /// Whether text to a place has colours.
    #[must_use]
    pub fn applies(self, is_terminal: bool) -> bool {
        self.applies_in(&super::environment(), is_terminal)
    }

    fn applies_in(self, environment: &[(String, String)], is_terminal: bool) -> bool {
        let is_set = |name: &str, off: &str| {
            let mut all = environment.iter();
            all.any(|(it, value)| it == name && !value.is_empty() && value != off)
        };
        let is_dumb = environment
            .iter()
            .any(|(it, value)| it == "TERM" && value == "dumb");
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto if is_set("NO_COLOR", "") => false,
            Self::Auto if is_set("CLICOLOR_FORCE", "0") => true,
            Self::Auto => is_terminal && !is_dumb,
        }
    }
}

/// The width of the terminal where the shell says it; 0 where it does not.
#[must_use]
pub fn columns() -> usize {
    let environment = super::environment();
    let columns = environment.iter().find(|(name, _)| name == "COLUMNS");
    columns
        .and_then(|(_, value)| value.parse().ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::Colour;

    #[test]
    fn flags_come_before_the_environment_and_that_before_the_terminal() {
        let set = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
        for (colour, environment, is_terminal, expected) in [
            (Colour::Auto, vec![], true, true),
            (Colour::Auto, vec![], false, false),
            (Colour::Auto, set("NO_COLOR", "1"), true, false),
            (Colour::Auto, set("NO_COLOR", ""), true, true),
            (Colour::Auto, set("CLICOLOR_FORCE", "1"), false, true),
            (Colour::Auto, set("CLICOLOR_FORCE", "0"), false, false),
            (Colour::Auto, set("TERM", "dumb"), true, false),
            (Colour::Always, set("NO_COLOR", "1"), false, true),
            (Colour::Never, set("CLICOLOR_FORCE", "1"), true, false),
        ] {
            let applies = colour.applies_in(&environment, is_terminal);
            assert_eq!(applies, expected, "{colour:?} {environment:?}");
        }
    }
}
