//! Which process an engine is, so that another on the same machine knows at once when it has ended.

use std::fs;
use std::path::Path;

/// Where the system tells of processes.
const PROC: &str = "/proc";

/// Names this process: the boot of the machine, who numbers its processes, its number, and when it began.
/// Empty where the system does not tell.
pub(crate) fn this() -> String {
    let pid = std::process::id().to_string();
    let began = stat(Path::new(PROC), &pid).and_then(|it| began(&it));
    let parts = [place(), Some(pid), began];
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
    there == here && has_ended(Path::new(PROC), pid, began_at)
}

/// Whether there is no process of that number any more that began then. One that cannot be seen has ended only where
/// others' can be seen: the system may hide those of other users (`hidepid`, `ProtectProc=`).
fn has_ended(proc: &Path, pid: &str, began_at: &str) -> bool {
    match stat(proc, pid) {
        Some(stat) => began(&stat).as_deref() != Some(began_at),
        None => stat(proc, "1").is_some(),
    }
}

/// What the system tells of a process, if it does.
fn stat(proc: &Path, pid: &str) -> Option<String> {
    fs::read_to_string(proc.join(pid).join("stat")).ok()
}

/// The boot of the machine and the namespace of its process numbers.
fn place() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let numbers = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{}/{}", boot.trim(), numbers.display()))
}

/// When a process began, in ticks since the boot; nothing if it is dead already and only waits for its parent to
/// notice.
fn began(stat: &str) -> Option<String> {
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
    use std::fs;
    use std::path::Path;

    use super::{PROC, began, has_ended, is_gone, stat, this};

    #[test]
    fn this_process_is_there_and_an_ended_one_is_gone() {
        let me = this();
        assert!(!is_gone(&me), "{me}");
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let pid = child.id().to_string();
        let began = began(&stat(Path::new(PROC), &pid).unwrap()).unwrap();
        let there = format!("{}/{pid}/{began}", super::place().unwrap());
        assert!(!is_gone(&there));
        let reborn = format!("{}/{pid}/1{began}", super::place().unwrap());
        assert!(is_gone(&reborn), "another process has its number");
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(is_gone(&there));
    }

    #[test]
    fn a_process_that_is_hidden_is_not_gone() {
        let proc = tempfile::tempdir().unwrap();
        assert!(!has_ended(proc.path(), "17", "4711"));
        fs::create_dir(proc.path().join("1")).unwrap();
        fs::write(proc.path().join("1/stat"), "1 (init) S").unwrap();
        assert!(has_ended(proc.path(), "17", "4711"), "nothing is hidden");
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
