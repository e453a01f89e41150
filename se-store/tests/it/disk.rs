//! A disk that is full, or that nobody may write to.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use se_runtime::EventLog as _;
use se_store::{Audit, Error, Objects, Store};

use crate::bench::{Bench, batch, completed, job, options};
use crate::sqlite::url;

/// A file system of its own in memory, of that many kB; unmounted when dropped.
struct Disk {
    folder: tempfile::TempDir,
}

impl Disk {
    fn of(kilobytes: u32) -> Self {
        let disk = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let size = format!("size={kilobytes}k");
        disk.mount(&["-t", "tmpfs", "-o", &size, "tmpfs"]);
        disk
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn mount(&self, arguments: &[&str]) {
        let mut mount = Command::new("mount");
        let done = mount.args(arguments).arg(self.path()).output().unwrap();
        assert!(done.status.success(), "mounting needs root: {done:?}");
    }

    /// Leaves no room; what takes it up can be deleted.
    fn fill(&self) -> PathBuf {
        let path = self.path().join("filler");
        let bytes = vec![0; 4096];
        let mut file = fs::File::create(&path).unwrap();
        while std::io::Write::write_all(&mut file, &bytes).is_ok() {}
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // A mount that stays behind is seen by whoever runs the tests next; there is nobody to tell.
        Command::new("umount").arg(self.path()).status().ok();
    }
}

/// Whether the database is whole, and how many events each of its jobs has.
async fn whole(folder: &Path) -> Vec<usize> {
    let mut audit = Audit::open(&url(folder), Objects::default()).await.unwrap();
    assert_eq!(audit.tables().await.unwrap(), []);
    let (mut after, mut all) = (0, Vec::new());
    while let Some(found) = audit.next_job(&mut after).await.unwrap() {
        let (_, records) = found
            .whole
            .unwrap_or_else(|| panic!("{:?}", found.findings));
        all.push(records.len());
    }
    audit.close().await;
    all
}

#[tokio::test]
async fn a_full_disk_loses_nothing_and_is_used_again_once_there_is_room() {
    let disk = Disk::of(2_048);
    let bench = Bench::open(&url(disk.path())).await;
    let log = bench.submit(job("a")).await;
    let filler = disk.fill();
    // What fits into pages that are there may still be written; then there is no more.
    let mut stored = 1;
    let refused = loop {
        match log.append(batch(stored, [learned()])).await {
            Ok(()) => stored += 1,
            Err(error) => break error,
        }
        assert!(stored < 1_000, "the disk is never full");
    };
    assert!(
        matches!(&refused, se_runtime::LogError::Unavailable(_)),
        "{refused}"
    );
    let submitted = bench.store.submit(job("b")).await;
    assert!(
        matches!(&submitted, Err(Error::Unavailable { .. })),
        "{submitted:?}"
    );
    fs::remove_file(filler).unwrap();
    log.append(batch(stored, [completed()])).await.unwrap();
    bench.submit(job("c")).await;
    let events = usize::try_from(stored).unwrap() + 1;
    assert_eq!(whole(disk.path()).await, [events, 1]);
    bench.store.close().await;
}

#[tokio::test]
async fn a_disk_that_cannot_be_written_is_told_at_once() {
    let disk = Disk::of(2_048);
    let bench = Bench::open(&url(disk.path())).await;
    bench.submit(job("a")).await;
    bench.store.close().await;
    let clock = std::sync::Arc::clone(&bench.clock);
    drop(bench);
    disk.mount(&["-o", "remount,ro"]);
    let opened = Store::open(&url(disk.path()), options(&clock, 7)).await;
    let error = opened.expect_err("nothing can be stored");
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    disk.mount(&["-o", "remount,rw"]);
    assert_eq!(whole(disk.path()).await, [1]);
}

fn learned() -> se_runtime::Event {
    crate::bench::learned(serde_json::json!({"text": "x".repeat(2_000)}))
}
