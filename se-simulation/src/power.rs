//! What the simulation finds: each planted bug, and how many seeds it takes.

use std::process::ExitCode;

use se_runtime::planted::{Bug, plant as plant_in_core};
use se_simulation::{Planted, run};

use crate::say;

/// Plants each bug in turn; fails if one is not found within `most` seeds.
pub(crate) fn measure(from: u64, most: u64) -> ExitCode {
    let core = Bug::ALL.iter().map(|it| (Some(*it), None));
    let around = Planted::ALL.iter().map(|it| (None, Some(*it)));
    let all: Vec<(Option<Bug>, Option<Planted>)> = core.chain(around).collect();
    let mut missed = 0;
    for (core, around) in &all {
        plant_in_core(*core);
        let broken = |seed| run(seed, *around, false).broken.map(|what| (seed, what));
        let found = (from..from + most).find_map(broken);
        plant_in_core(None);
        let name = core.map_or_else(|| format!("{around:?}"), |it| format!("{it:?}"));
        let name = name.trim_start_matches("Some(").trim_end_matches(')');
        match found {
            Some((seed, what)) => {
                let what: String = what.chars().take(90).collect();
                say(&format!("{name:<26} {:>5}  {what}", seed - from + 1));
            }
            None => {
                missed += 1;
                say(&format!("{name:<26}     -  not found"));
            }
        }
    }
    say(&format!(
        "{} of {} planted bugs found within {most} seeds",
        all.len() - missed,
        all.len()
    ));
    if missed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Plants the bug of that name in the core, or gives it if it is one around the core.
pub(crate) fn plant(name: &str) -> Result<Option<Planted>, String> {
    let is_it = |it: &dyn std::fmt::Debug| format!("{it:?}") == name;
    if let Some(bug) = Bug::ALL.iter().find(|it| is_it(it)) {
        plant_in_core(Some(*bug));
        return Ok(None);
    }
    let around = Planted::ALL.iter().find(|it| is_it(it));
    around
        .copied()
        .map(Some)
        .ok_or_else(|| format!("no bug is called `{name}`"))
}
