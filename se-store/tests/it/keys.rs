//! The keys of secrets at rest: their file, and how one follows another.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use se_runtime::EventLog as _;
use se_store::{Error, KeyFile, Keyring, Options, Resealed, SealingKey, Store};

use crate::bench::{Bench, Counter, HandClock, SECRET, batch, completed, job, options};
use crate::sqlite::{sql, url};

/// More than two batches.
const JOBS: usize = 250;

async fn with(folder: &Path, keys: Keyring) -> Store {
    let options = Options {
        keys,
        ..options(&Arc::new(HandClock::default()), 7)
    };
    Store::open(&url(folder), options).await.unwrap()
}

fn key(byte: u8) -> SealingKey {
    SealingKey::new([byte; 32])
}

/// The first key of these bytes seals.
fn keys(bytes: &[u8]) -> Keyring {
    let text: Vec<String> = bytes
        .iter()
        .map(|it| format!("{it:02x}").repeat(32))
        .collect();
    Keyring::parse(&text.join("\n")).unwrap()
}

/// A database with that many running jobs, sealed with key 7.
async fn filled(folder: &Path, jobs: usize) {
    let bench = Bench::open(&url(folder)).await;
    let all = (0..jobs).map(|n| bench.store.submit(job(&n.to_string())));
    for submitted in futures_util::future::join_all(all).await {
        submitted.unwrap();
    }
    bench.store.close().await;
}

/// Whether every one of so many jobs has its secret.
async fn all_open(store: &Store, jobs: usize) -> bool {
    for n in 0..jobs {
        match store.secrets(&n.to_string()).await {
            Ok(secrets) => assert_eq!(secrets[0].expose(), SECRET),
            Err(Error::WrongKey { .. }) => return false,
            Err(error) => panic!("{error}"),
        }
    }
    true
}

#[tokio::test]
async fn another_key_is_told_from_damage_and_named() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 1).await;
    let store = with(folder.path(), keys(&[8, 9])).await;
    let error = store.secrets("0").await.unwrap_err();
    assert!(matches!(error, Error::WrongKey { .. }), "{error}");
    for expected in [key(7).id(), key(8).id(), key(9).id(), "former key back"] {
        assert!(error.to_string().contains(expected), "{expected}: {error}");
    }
    store.close().await;
    let store = with(folder.path(), keys(&[8, 9, 7])).await;
    assert!(all_open(&store, 1).await);
    store.close().await;
}

#[tokio::test]
async fn what_former_keys_sealed_is_sealed_again() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), JOBS).await;
    let store = with(folder.path(), keys(&[8, 7])).await;
    let done = store.reseal(&keys(&[8, 7])).await.unwrap();
    assert_eq!(done.jobs, u64::try_from(JOBS).unwrap());
    assert_eq!(
        store.reseal(&keys(&[8, 7])).await.unwrap(),
        Resealed::default()
    );
    store.close().await;
    let store = with(folder.path(), keys(&[8])).await;
    assert!(all_open(&store, JOBS).await);
    store.close().await;
}

/// At every point where a rotation may be cut short: the file is there and the database is not begun,
/// and after each batch.
#[tokio::test]
async fn a_rotation_that_is_cut_short_leaves_every_secret_open() {
    for batches in 0..4 {
        let folder = tempfile::tempdir().unwrap();
        filled(folder.path(), JOBS).await;
        let file = KeyFile::at(folder.path().join("sealing.key"));
        fs::write(folder.path().join("sealing.key"), "07".repeat(32)).unwrap();
        let store = with(folder.path(), file.read().unwrap()).await;
        let fresh = file.rotate(&Counter::default()).unwrap();
        let mut next = Some(0);
        for _ in 0..batches {
            let after = next.expect("there is more");
            next = store.reseal_batch(&fresh, after).await.unwrap().next;
        }
        assert_eq!(next.is_none(), batches == 3);
        store.close().await;
        // The next engine knows what the file says, and goes on.
        let keys = file.read().unwrap();
        let store = with(folder.path(), keys.clone()).await;
        assert!(all_open(&store, JOBS).await, "after {batches} batches");
        let rest = store.reseal(&keys).await.unwrap();
        assert_eq!(
            usize::try_from(rest.jobs).unwrap(),
            JOBS.saturating_sub(batches * 100)
        );
        store.close().await;
        let alone = file.retire_others().unwrap();
        assert_eq!(alone.others().count(), 0);
        let store = with(folder.path(), file.read().unwrap()).await;
        assert!(all_open(&store, JOBS).await);
        store.close().await;
    }
}

#[tokio::test]
async fn what_no_key_opens_is_counted_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 3).await;
    sql(
        folder.path(),
        "UPDATE job_secrets SET sealed = x'00' WHERE job = 1",
    )
    .await;
    let strange = with(folder.path(), keys(&[8])).await;
    let done = strange.reseal(&keys(&[8])).await.unwrap();
    assert_eq!((done.jobs, done.damaged), (0, 0));
    assert_eq!(done.locked[key(7).id()], 3);
    strange.close().await;
    let store = with(folder.path(), keys(&[8, 7])).await;
    let done = store.reseal(&keys(&[8, 7])).await.unwrap();
    assert_eq!((done.jobs, done.damaged, done.locked.len()), (2, 1, 0));
    store.close().await;
}

#[tokio::test]
async fn a_job_that_ends_during_a_rotation_keeps_nothing() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 2).await;
    let store = with(folder.path(), keys(&[8, 7])).await;
    store.claim_one("0").await.unwrap().unwrap();
    let log = store.log("0").await.unwrap();
    let fresh = keys(&[8, 7]);
    let (ended, done) =
        futures_util::join!(log.append(batch(1, [completed()])), store.reseal(&fresh));
    ended.unwrap();
    done.unwrap();
    assert_eq!(store.secrets("0").await.unwrap(), []);
    assert_eq!(store.secrets("1").await.unwrap()[0].expose(), SECRET);
    store.close().await;
}

#[test]
fn the_file_is_made_once_for_its_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/sealing.key");
    let file = KeyFile::at(&path);
    let random = Counter::default();
    let missing = file.read().unwrap_err();
    assert!(missing.to_string().contains("new/sealing.key"), "{missing}");
    let first = file.read_or_make(&random).unwrap();
    let second = file.read_or_make(&random).unwrap();
    assert_eq!(first.id(), second.id());
    #[cfg(unix)]
    assert_eq!(mode(&path), 0o600);
    for broken in ["", "abc", &"0".repeat(63), &"g".repeat(64)] {
        fs::write(&path, broken).unwrap();
        let opened = file.read_or_make(&random);
        assert!(matches!(opened, Err(Error::KeyFile { .. })), "{broken}");
    }
}

#[test]
fn a_rotation_puts_a_key_in_front_and_keeps_the_rights_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sealing.key");
    let file = KeyFile::at(&path);
    let random = Counter::default();
    let first = file.read_or_make(&random).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::{PermissionsExt as _, chown};
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        // Tests run as root; the service does not.
        chown(&path, Some(1234), Some(1235)).unwrap();
    }
    let second = file.rotate(&random).unwrap();
    assert_ne!(second.id(), first.id());
    let third = file.rotate(&random).unwrap();
    let ids: Vec<&str> = third.others().collect();
    assert_eq!(ids, [second.id(), first.id()]);
    assert_eq!(file.retire_others().unwrap().id(), third.id());
    assert_eq!(file.read().unwrap().others().count(), 0);
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let it = fs::metadata(&path).unwrap();
        assert_eq!((mode(&path), it.uid(), it.gid()), (0o640, 1234, 1235));
    }
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn keys_are_never_shown() {
    let digits = "0a".repeat(32);
    let keys = Keyring::parse(&format!("{digits} {}", "0b".repeat(32))).unwrap();
    let shown = format!("{keys:?}");
    assert!(shown.contains(keys.id()), "{shown}");
    assert!(
        !shown.contains("0a0a") && !shown.contains("0b0b"),
        "{shown}"
    );
}
