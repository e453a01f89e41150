//! How far a clock is from the steady one, kept for the next process: what was set while this one ran does not
//! jump for that one either.

use std::fs;
use std::path::{Path, PathBuf};

/// Of the machine since it was started; the steady clock begins with it.
const BOOT: &str = "/proc/sys/kernel/random/boot_id";
/// A difference that matters to nobody, in microseconds.
const NEAR: i64 = 100_000;
/// It is written at most this often, in microseconds.
const OFTEN: i64 = 1_000_000;

/// A file in the data folder: the start of the machine, and how far the clock is ahead.
#[derive(Debug)]
pub(super) struct Kept {
    file: PathBuf,
    boot: String,
    written: Option<i64>,
    /// When it was tried last, by the steady clock.
    tried: Option<i64>,
}

impl Kept {
    /// In this folder; nothing where the machine does not tell its starts apart.
    pub(super) fn at(folder: &Path) -> Option<Self> {
        let boot = fs::read_to_string(BOOT).ok()?;
        Some(Self::of_boot(folder, boot.trim()))
    }

    fn of_boot(folder: &Path, boot: &str) -> Self {
        Self {
            file: folder.join("clock"),
            boot: boot.to_owned(),
            written: None,
            tried: None,
        }
    }

    /// What a process before has kept since the machine was started.
    pub(super) fn ahead(&mut self) -> Option<i64> {
        let text = fs::read_to_string(&self.file).ok()?;
        let (boot, ahead) = text.trim().split_once(' ')?;
        self.written = ahead.parse().ok().filter(|_| boot == self.boot);
        self.written
    }

    /// Keeps it where it has moved. A file that cannot be written is tried again: nothing but the next process
    /// needs it.
    pub(super) fn keep(&mut self, ahead: i64, steady: i64) {
        let is_near = |it: i64| it.saturating_sub(ahead).saturating_abs() < NEAR;
        let is_soon = |it: i64| steady.saturating_sub(it) < OFTEN;
        if self.written.is_some_and(is_near) || self.tried.is_some_and(is_soon) {
            return;
        }
        self.tried = Some(steady);
        match self.write(ahead) {
            Ok(()) => self.written = Some(ahead),
            Err(error) => tracing::debug!(%error, "the clock is not kept"),
        }
    }

    fn write(&self, ahead: i64) -> std::io::Result<()> {
        let beside = self.file.with_extension("new");
        fs::write(&beside, format!("{} {ahead}\n", self.boot))?;
        fs::rename(beside, &self.file)
    }
}

#[cfg(test)]
mod tests {
    use super::{Kept, NEAR, OFTEN};

    #[test]
    fn the_next_process_of_the_same_start_goes_on_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut kept = Kept::of_boot(folder.path(), "one");
        assert_eq!(kept.ahead(), None);
        kept.keep(5, 0);
        assert_eq!(Kept::of_boot(folder.path(), "one").ahead(), Some(5));
        assert_eq!(Kept::of_boot(folder.path(), "two").ahead(), None);
        // What matters to nobody is not written, nor anything too often.
        kept.keep(5 + NEAR - 1, OFTEN);
        kept.keep(5 + NEAR, 0);
        assert_eq!(Kept::of_boot(folder.path(), "one").ahead(), Some(5));
        kept.keep(5 + NEAR, OFTEN);
        assert_eq!(Kept::of_boot(folder.path(), "one").ahead(), Some(5 + NEAR));
    }

    #[test]
    fn what_makes_no_sense_or_cannot_be_written_is_as_nothing() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("clock"), "one far").unwrap();
        let mut kept = Kept::of_boot(folder.path(), "one");
        assert_eq!(kept.ahead(), None);
        kept.keep(7, 0);
        assert_eq!(Kept::of_boot(folder.path(), "one").ahead(), Some(7));
        let nowhere = folder.path().join("none");
        let mut kept = Kept::of_boot(&nowhere, "one");
        kept.keep(7, 0);
        std::fs::create_dir(&nowhere).unwrap();
        kept.keep(7, OFTEN);
        assert_eq!(Kept::of_boot(&nowhere, "one").ahead(), Some(7));
    }
}
