//! The scripted part of a device: which answer comes, what goes wrong, and how often it already has.

use std::sync::{Arc, Mutex, PoisonError};

use super::profile::{
    Answer, DeviceFault, DeviceFaultKind, DeviceProfile, FaultPoint, Pattern, words,
};

/// Answers and faults of one device, shared by all its doors.
#[derive(Clone, Debug)]
pub(super) struct Script {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    answers: Vec<(Pattern, Option<Answer>)>,
    faults: Vec<DeviceFault>,
}

impl Script {
    pub(super) fn new(profile: &DeviceProfile) -> Self {
        let answers = profile.commands.0.iter();
        let answers = answers.map(|(pattern, answer)| (pattern.clone(), Some(answer.clone())));
        let inner = Inner {
            answers: answers.collect(),
            faults: profile.faults.clone(),
        };
        Self {
            inner: Arc::new(Mutex::new(inner)),
        }
    }

    /// The answer to `command`: exactly this one first, then expressions, then abbreviations where
    /// they count.
    pub(super) fn answer(&self, command: &str, abbreviations: bool) -> Option<Answer> {
        let typed = words(command);
        let normal = typed.join(" ");
        self.with(|inner| {
            let at = find(
                &inner.answers,
                |it| matches!(it, Pattern::Exact(it) if *it == normal),
            )
            .or_else(|| {
                find(
                    &inner.answers,
                    |it| matches!(it, Pattern::Like(it) if it.is_match(command)),
                )
            })
            .or_else(|| {
                find(&inner.answers, |it| match it {
                    Pattern::Exact(it) => abbreviations && is_short_for(&typed, &words(it)),
                    Pattern::Like(_) => false,
                })
            })?;
            take(&mut inner.answers.get_mut(at)?.1)
        })
    }

    /// Commands that are scripted word by word.
    pub(super) fn exact(&self) -> Vec<String> {
        self.with(|inner| {
            let exact = inner
                .answers
                .iter()
                .filter_map(|(pattern, _)| match pattern {
                    Pattern::Exact(it) => Some(it.clone()),
                    Pattern::Like(_) => None,
                });
            exact.collect()
        })
    }

    /// What goes wrong at `point`, if anything does.
    pub(super) fn fault(&self, point: FaultPoint, text: &str) -> Option<DeviceFaultKind> {
        self.with(|inner| {
            let fault = inner.faults.iter_mut().find(|it| {
                it.on == point
                    && it.times != Some(0)
                    && it.pattern.as_ref().is_none_or(|it| it.0.is_match(text))
            })?;
            fault.times = fault.times.map(|it| it - 1);
            Some(fault.kind)
        })
    }

    fn with<T>(&self, what: impl FnOnce(&mut Inner) -> T) -> T {
        what(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn find(answers: &[(Pattern, Option<Answer>)], is: impl Fn(&Pattern) -> bool) -> Option<usize> {
    answers
        .iter()
        .position(|(pattern, answer)| answer.is_some() && is(pattern))
}

/// Uses an answer once: after `times` uses the next one stands in its place.
fn take(slot: &mut Option<Answer>) -> Option<Answer> {
    let mut answer = slot.take()?;
    if answer.times == Some(0) {
        *slot = answer.then.map(|it| *it);
        return take(slot);
    }
    let given = answer.clone();
    answer.times = answer.times.map(|it| it - 1);
    *slot = match answer.times {
        Some(0) => answer.then.map(|it| *it),
        Some(_) | None => Some(answer),
    };
    Some(given)
}

/// Whether each word typed begins the word meant, as `sh ver` does `show version`.
pub(super) fn is_short_for(typed: &[&str], meant: &[&str]) -> bool {
    typed.len() == meant.len() && typed.iter().zip(meant).all(|(it, full)| begins(full, it))
}

/// Whether `full` begins with `part`, letters of any size.
pub(super) fn begins(full: &str, part: &str) -> bool {
    full.get(..part.len())
        .is_some_and(|it| it.eq_ignore_ascii_case(part))
}

#[cfg(test)]
mod tests {
    use super::Script;
    use crate::sim::profile::Profile;

    fn check(commands: &str, asked: &[(&str, Option<&str>)]) {
        let yaml = format!("devices: {{r1: {{commands: {commands}}}}}");
        let script = Script::new(&Profile::read(&yaml).unwrap().device("r1"));
        for (command, expected) in asked {
            let answer = script.answer(command, true).map(|it| it.output);
            assert_eq!(answer.as_deref(), *expected, "{command}");
        }
    }

    #[test]
    fn exact_goes_before_expressions_and_abbreviations() {
        check(
            "{'~ show': like, show version: exact}",
            &[
                ("show  version", Some("exact")),
                ("show ver", Some("like")),
                ("nothing", None),
            ],
        );
        check(
            "{show version: exact}",
            &[("sh VER", Some("exact")), ("sh", None)],
        );
    }

    #[test]
    fn an_answer_is_given_so_many_times_and_then_another() {
        check(
            "{a: {output: one, times: 2, then: {output: two, times: 1}}}",
            &[
                ("a", Some("one")),
                ("a", Some("one")),
                ("a", Some("two")),
                ("a", None),
            ],
        );
    }
}
