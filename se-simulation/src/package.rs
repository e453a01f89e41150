//! A job that is drawn: as a model, and as the documents that say the same.

use std::fmt::Write as _;

use se_dsl::{Checked, Options, Sources};

use crate::chance::Chance;

/// The connectors there are.
pub(crate) const DEVICES: [&str; 3] = ["a", "b", "c"];
/// What every device is logged in with, and says now and then.
pub(crate) const PASSWORD: &str = "correct-horse-battery";
/// Longer than this no attempt takes.
pub(crate) const TIMEOUT: u64 = 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Does {
    /// Reads from a device; may be repeated.
    Look,
    /// Changes a device; may not be repeated.
    Change,
    /// Judges a text, inside the engine.
    Judge,
    Pause {
        long: bool,
    },
    /// Reads from every device.
    LookAtAll {
        together: bool,
    },
    /// A composite: reads from a device, then changes it by what it said.
    Both,
}

/// Who may be tried so often is tried again at once: the next attempt is due when the one before has failed.
pub(crate) const AT_ONCE: u32 = 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnError {
    Fail,
    Continue,
    Retry(u32),
}

#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) id: String,
    pub(crate) does: Does,
    pub(crate) device: &'static str,
    /// A variable that an earlier step may have written.
    pub(crate) reads: Option<String>,
    pub(crate) when: Option<String>,
    /// Few names, so that captures meet.
    pub(crate) captures: Option<String>,
    /// A step that comes before, though nothing of it is read.
    pub(crate) needs: Option<String>,
    pub(crate) on_error: OnError,
}

/// The step of the package that a run belongs to: `s3` of `s3[1]` and `s3#2/set`.
pub(crate) fn outer(run: &str) -> &str {
    run.split(['[', '#', '/']).next().unwrap_or(run)
}

impl Step {
    /// Whether a run that belongs to it changes a device.
    pub(crate) fn changes_in(&self, run: &str) -> bool {
        match self.does {
            Does::Change => true,
            Does::Both => run.ends_with("/set"),
            Does::Look | Does::LookAtAll { .. } | Does::Judge | Does::Pause { .. } => false,
        }
    }

    /// The output that is captured.
    pub(crate) fn output(&self) -> &'static str {
        match self.does {
            Does::Look | Does::LookAtAll { .. } => "output",
            Does::Change => "stdout",
            Does::Judge => "passed",
            Does::Both => "done",
            Does::Pause { .. } => "",
        }
    }

    /// What its text begins with.
    pub(crate) fn says(&self) -> &'static str {
        match self.does {
            Does::Look | Does::LookAtAll { .. } => "show",
            Does::Change => "set",
            Does::Judge => "of",
            Does::Both => "both",
            Does::Pause { .. } => "",
        }
    }
}

/// Draws the steps of a job.
pub(crate) fn steps(chance: &Chance) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for at in 0..2 + chance.place(8) {
        let does = match chance.below(14) {
            0..=4 => Does::Look,
            5..=7 => Does::Change,
            8 | 9 => Does::Judge,
            10 => Does::Pause {
                long: chance.one_in(3),
            },
            11 => Does::LookAtAll {
                together: chance.one_in(2),
            },
            _ => Does::Both,
        };
        let earlier: Vec<String> = steps.iter().filter_map(|it| it.captures.clone()).collect();
        let pick = |one_in| {
            let name = earlier.get(chance.place(earlier.len())).cloned();
            name.filter(|_| chance.one_in(one_in))
        };
        let (reads, when) = (pick(2), pick(4));
        let captures = format!("n{}", chance.below(4));
        let on_error = match chance.below(8) {
            0 => OnError::Fail,
            1 | 2 => OnError::Continue,
            it => OnError::Retry(u32::try_from(it).unwrap_or_default() - 2),
        };
        let needs = steps.get(chance.place(steps.len())).map(|it| it.id.clone());
        let pauses = matches!(does, Does::Pause { .. });
        steps.push(Step {
            // Of what touches devices, it would take the order away that the reference goes by.
            needs: needs
                .filter(|_| chance.one_in(2) && matches!(does, Does::Judge | Does::Pause { .. })),
            id: format!("s{at}"),
            does,
            device: DEVICES.get(chance.place(3)).copied().unwrap_or("a"),
            reads: reads.filter(|_| !pauses),
            when,
            captures: (!pauses).then_some(captures),
            on_error,
        });
    }
    steps
}

/// The package with one phase `main` of one job with these steps.
///
/// # Panics
/// If it does not check: a defect of the generator.
pub(crate) fn checked(steps: &[Step]) -> Checked {
    let mut sources = Sources::new();
    sources.add(
        "PAv1/manifest.yaml",
        "format_version: PAv1\nname: t\nversion: '1'\ncontent_id: t\npod_type: none\n",
    );
    let mut connectors = "apiVersion: pav1\nkind: ConnectorModel\nmetadata: { name: t }\n\
                          spec:\n  connectors:\n"
        .to_owned();
    for (port, name) in DEVICES.iter().enumerate() {
        let port = port + 1;
        writeln!(
            connectors,
            "    - {{ name: {name}, class: cisco_common, transport: telnet, port: {port} }}"
        )
        .ok();
    }
    sources.add("PAv1/connectors.yaml", connectors);
    sources.add("PAv1/composites/both.yaml", composite());
    sources.add(
        "PAv1/lifecycle.yaml",
        "apiVersion: pav1\nkind: Lifecycle\nmetadata: { lablet: t }\nspec:\n  phases:\n    \
         - name: main\n      jobs:\n        - definition: job@v1\n",
    );
    let mut job = "apiVersion: pav1\nkind: JobDefinition\nspec:\n  steps:\n".to_owned();
    for step in steps {
        job += &text(step);
    }
    sources.add("PAv1/jobs/job.yaml", job);
    let outcome = se_dsl::check(&sources, Options::default());
    match outcome.checked {
        Some(checked) => checked,
        None => unreachable!("{:#?}", outcome.diagnostics.located(&sources)),
    }
}

fn composite() -> String {
    format!(
        "apiVersion: pav1\nkind: CompositeScenario\nspec:\n  description: Reads, then changes.\n  \
         parameters: {{ text: string }}\n  export: [done]\n  steps:\n    \
         - {{ id: see, uses: collect@v1, timeout: {TIMEOUT}, with: {{ command: \"show ${{ parameters.text }}\" }}, \
         capture: {{ output: seen }} }}\n    \
         - {{ id: set, uses: exec@v1, timeout: {TIMEOUT}, with: {{ command: \"set ${{ vars.seen }}\" }}, \
         capture: {{ stdout: done }} }}\n"
    )
}

fn text(step: &Step) -> String {
    let id = &step.id;
    let read = step.reads.as_ref();
    let read = read.map_or_else(|| id.clone(), |it| format!("${{ vars.{it} }}"));
    let said = format!("{} {read}", step.says());
    let device = step.device;
    let mut text = match step.does {
        Does::Look => {
            format!("uses: collect@v1, target: {device}, with: {{ command: \"{said}\" }}")
        }
        Does::Change => {
            format!("uses: exec@v1, target: {device}, with: {{ command: \"{said}\" }}")
        }
        Does::Judge => {
            format!("uses: evaluate.regex@v1, with: {{ source: \"{said}\", regex: \"[02468]$\" }}")
        }
        Does::Both => {
            format!("uses: composite:both@v1, target: {device}, with: {{ text: \"{said}\" }}")
        }
        Does::Pause { long } => {
            let seconds = if long { 30 } else { 3 };
            format!("uses: pause@v1, with: {{ seconds: {seconds} }}")
        }
        Does::LookAtAll { together } => {
            let mode = if together { ", mode: concurrent" } else { "" };
            format!(
                "uses: collect@v1, target: '@it', for_each: {{ var: it, in: [a, b, c]{mode} }}, \
                 with: {{ command: \"{said}\" }}"
            )
        }
    };
    if matches!(
        step.does,
        Does::Look | Does::Change | Does::LookAtAll { .. }
    ) {
        write!(text, ", timeout: {TIMEOUT}").ok();
    }
    if let Some(name) = &step.captures {
        write!(text, ", capture: {{ {}: {name} }}", step.output()).ok();
    }
    if let Some(needs) = &step.needs {
        write!(text, ", needs: [{needs}]").ok();
    }
    if let Some(when) = &step.when {
        write!(text, ", when: \"${{ vars.{when} }}\"").ok();
    }
    match step.on_error {
        OnError::Fail => {}
        OnError::Continue => text += ", on_error: { action: continue }",
        OnError::Retry(count) => {
            let backoff = if count == AT_ONCE {
                ", backoff: 0.000001"
            } else {
                ""
            };
            write!(
                text,
                ", on_error: {{ action: retry, retries: {count}{backoff} }}"
            )
            .ok();
        }
    }
    format!("    - {{ id: {id}, {text} }}\n")
}
