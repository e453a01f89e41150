//! Which process an engine is, so that another on the same machine knows at once when it has ended.

use std::fs;

/// Names this process: the boot of the machine, who numbers its processes, its number, and when it began.
/// Empty where the system does not tell.
pub(crate) fn this() -> String {
    let pid = std::process::id().to_string();
    let parts = [place(), Some(pid.clone()), began(&pid)];
    let parts: Option<Vec<String>> = parts.into_iter().collect();
    parts.map_or_else(String::new, |it| it.join("/"))
}

/// Whether the process of that name has ended. A process of another machine, or in another container, may
/// be alive for all that is known here.
pub(crate) fn is_gone(name: &str) -> bool {
    let (Some(here), Some((there, began_at))) = (place(), name.rsplit_once('/')) else {
        return false;
    };
    let Some((there, pid)) = there.rsplit_once('/') else {
        return false;
    };
    there == here && began(pid).as_deref() != Some(began_at)
}

/// The boot of the machine and the namespace of its process numbers.
fn place() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let numbers = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{}/{}", boot.trim(), numbers.display()))
}

/// When a process began, in ticks since the boot; nothing if there is none, or if it is dead already and
/// only waits for its parent to notice.
fn began(pid: &str) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Its name stands in parentheses and may contain anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::{is_gone, this};

    #[test]
    fn this_process_is_there_and_an_ended_one_is_gone() {
        let me = this();
        assert!(!is_gone(&me), "{me}");
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let pid = child.id().to_string();
        let began = super::began(&pid).unwrap();
        let there = format!("{}/{pid}/{began}", super::place().unwrap());
        assert!(!is_gone(&there));
        let reborn = format!("{}/{pid}/1{began}", super::place().unwrap());
        assert!(is_gone(&reborn), "another process has its number");
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(is_gone(&there));
    }

    #[test]
    fn of_other_machines_and_nonsense_nothing_is_known() {
        let me = this();
        let elsewhere = format!("x{me}");
        for name in ["", "1", "a/b", "a/b/c/d", &elsewhere] {
            assert!(!is_gone(name), "{name}");
        }
    }
}
