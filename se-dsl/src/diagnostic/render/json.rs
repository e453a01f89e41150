//! One JSON object: `{"diagnostics": […], "errors": N, "warnings": N}`.

use serde_json::json;

use super::super::{Diagnostics, Severity};
use crate::source::Sources;

pub(super) fn render(found: &Diagnostics, sources: &Sources) -> String {
    let object = json!({
        "diagnostics": found.located(sources),
        "errors": found.count(Severity::Error),
        "warnings": found.count(Severity::Warning),
    });
    format!("{object:#}\n")
}
