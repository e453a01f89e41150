//! Whole packages, generated: as a model, and as documents in every style.

mod build;
pub(crate) mod model;
mod print;
mod raw;
pub(crate) mod resolve;
mod style;

use std::fmt;
use std::sync::Arc;

use proptest::prelude::{Just, Strategy, any, prop_oneof};
use se_dsl::{Checked, Options, Sources};

pub(crate) use build::Wanted;
use model::Package;

/// A package in a style. Shrinks towards few steps in the plain style; shown as the documents it is.
#[derive(Clone)]
pub(crate) struct Sample {
    pub(crate) package: Package,
    style: u64,
}

impl Sample {
    /// Each document with its path.
    pub(crate) fn documents(&self) -> Vec<(String, String)> {
        print::documents(&self.package, self.style)
    }

    pub(crate) fn sources(&self) -> Sources {
        print::sources(&self.documents())
    }

    pub(crate) fn checked(&self) -> Arc<Checked> {
        let sources = self.sources();
        let outcome = se_dsl::check(&sources, Options::default());
        let found = outcome.diagnostics.located(&sources);
        Arc::new(outcome.checked.unwrap_or_else(|| panic!("{found:#?}")))
    }
}

impl fmt::Debug for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (path, text) in self.documents() {
            write!(f, "\n# {path}\n{text}")?;
        }
        Ok(())
    }
}

/// Packages in every style.
pub(crate) fn a_sample(wanted: Wanted) -> impl Strategy<Value = Sample> {
    let style = prop_oneof![Just(0), any::<u64>()];
    (raw::a_package(), style).prop_map(move |(raw, style)| Sample {
        package: build::package(&raw, wanted),
        style,
    })
}

/// Packages in the plain style: where it is not about what is written.
pub(crate) fn a_plain_sample(wanted: Wanted) -> impl Strategy<Value = Sample> {
    raw::a_package().prop_map(move |raw| Sample {
        package: build::package(&raw, wanted),
        style: 0,
    })
}
