//! What becomes of good packages.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::{ProptestConfig, Strategy, any, prop};
use proptest::{prop_assert, prop_assert_eq, proptest};
use se_content::{
    Error, Fetched, Ingested, Limits, file_in, from_dir, ingest, locate, open, pack, sweep,
};
use sha2::{Digest, Sha256};

use crate::zips::{Raw, file, folder, manifest, write};

fn ingest_entries(root: &Path, entries: &[Raw]) -> Ingested {
    let scratch = tempfile::tempdir().unwrap();
    let path = write(scratch.path(), entries);
    ingest(
        &Fetched::from_file(&path).unwrap(),
        &Limits::default(),
        root,
    )
    .unwrap()
}

/// Every name below a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let mut all = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                all.push(path.strip_prefix(folder).unwrap().display().to_string());
            }
        }
    }
    all.sort();
    all
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    let digest = Sha256::digest(bytes.as_ref());
    digest.iter().map(|it| format!("{it:02x}")).collect()
}

#[test]
fn only_the_content_is_unpacked_to_a_folder_named_by_it() {
    let root = tempfile::tempdir().unwrap();
    let ingested = ingest_entries(
        root.path(),
        &[
            file("images/disk.qcow2", "large"),
            folder("PAv1/"),
            manifest(),
            file("PAv1/files/tool.tgz", "tgz"),
            file("RCUv1/x.yaml", "left alone"),
        ],
    );
    let lines = format!(
        "PAv1/files/tool.tgz\x003\x00{}\nPAv1/manifest.yaml\x008\x00{}\n",
        hex("tgz"),
        hex("name: x\n")
    );
    assert_eq!(ingested.content_hash, hex(lines));
    assert_eq!(ingested.folder, root.path().join(&ingested.content_hash));
    assert_eq!(
        names(&ingested.folder),
        ["PAv1/files/tool.tgz", "PAv1/manifest.yaml"]
    );
    assert_eq!(ingested.warnings, []);
    let listed: Vec<&str> = ingested.listing.iter().map(|it| it.path.as_str()).collect();
    assert_eq!(
        listed,
        [
            "PAv1/files/tool.tgz",
            "PAv1/manifest.yaml",
            "RCUv1/x.yaml",
            "images/disk.qcow2"
        ]
    );
    let sources = &ingested.sources;
    let manifest = sources.find("PAv1/manifest.yaml").unwrap();
    assert_eq!(sources.text(manifest), "name: x\n");
    assert_eq!(sources.files().count(), 1);
    assert_eq!(
        sources.assets().collect::<Vec<_>>(),
        [("PAv1/files/tool.tgz", 3)]
    );
}

#[test]
fn a_wrapping_folder_changes_nothing_but_is_warned_of() {
    let root = tempfile::tempdir().unwrap();
    let plain = ingest_entries(root.path(), &[manifest()]);
    let wrapped = ingest_entries(
        root.path(),
        &[
            file("LAB-1/PAv1/manifest.yaml", "name: x\n"),
            file("LAB-1/images/x", "x"),
            file("__MACOSX/PAv1/._manifest.yaml", "x"),
        ],
    );
    assert_eq!(plain.folder, wrapped.folder);
    let warnings: Vec<String> = wrapped.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        ["`PAv1/` stands in the folder `LAB-1/`; pack what is in that folder instead"]
    );
}

#[test]
fn documents_beside_the_content_tell_packages_of_one_content_apart() {
    let root = tempfile::tempdir().unwrap();
    let plain = ingest_entries(root.path(), &[manifest()]);
    let form = |name: &str| {
        let meta = file("mosaic_meta.json", format!("{{\"FormName\":\"{name}\"}}"));
        ingest_entries(root.path(), &[manifest(), meta])
    };
    let (one, other) = (form("one"), form("other"));
    assert_eq!(one.content_hash, plain.content_hash);
    assert_eq!(one.content_hash, other.content_hash);
    assert!(one.folder != other.folder && one.folder != plain.folder);
    for (ingested, name) in [(&one, "one"), (&other, "other")] {
        let sources = open(&ingested.folder, &Limits::default()).unwrap().sources;
        let meta = sources.find("mosaic_meta.json").unwrap();
        assert!(sources.text(meta).contains(name));
    }
    assert_eq!(
        locate(root.path(), &one.content_hash),
        Some(plain.folder.clone())
    );
    std::fs::remove_dir_all(&plain.folder).unwrap();
    assert!(locate(root.path(), &one.content_hash).is_some());
    assert_eq!(locate(root.path(), "../x"), None);
}

#[test]
fn a_folder_opened_again_gives_the_same_package() {
    let root = tempfile::tempdir().unwrap();
    let ingested = ingest_entries(
        root.path(),
        &[
            file("PAv1/jobs/z.yaml", "z: 1"),
            manifest(),
            file("PAv1/jobs/a.json", "{}"),
        ],
    );
    let again = open(&ingested.folder, &Limits::default()).unwrap();
    assert_eq!(
        again.content_hash.as_deref(),
        Some(ingested.content_hash.as_str())
    );
    let paths = |sources: &se_dsl::Sources| -> Vec<String> {
        sources
            .files()
            .map(|it| sources.path(it).to_owned())
            .collect()
    };
    assert_eq!(paths(&again.sources), paths(&ingested.sources));
    assert_eq!(
        paths(&again.sources),
        ["PAv1/jobs/a.json", "PAv1/jobs/z.yaml", "PAv1/manifest.yaml"]
    );
    let manifest = file_in(&ingested.folder, "PAv1/manifest.yaml").unwrap();
    assert_eq!(std::fs::read(manifest).unwrap(), b"name: x\n");
    for (path, refused) in [
        ("../x", true),
        ("/etc/passwd", true),
        ("PAv1", false),
        ("nope", false),
    ] {
        let outcome = file_in(&ingested.folder, path);
        assert_eq!(
            matches!(outcome, Err(Error::Refused(_))),
            refused,
            "{path}: {outcome:?}"
        );
        assert_eq!(
            matches!(outcome, Err(Error::NotFound { .. })),
            !refused,
            "{path}: {outcome:?}"
        );
    }
}

#[test]
fn the_same_content_may_be_ingested_by_many_at_once() {
    let scratch = tempfile::tempdir().unwrap();
    let root = scratch.path().join("content");
    let many: Vec<Raw> = (0..40)
        .map(|n| file(&format!("PAv1/jobs/{n}.yaml"), format!("n: {n}")))
        .collect();
    let fetched = Fetched::from_file(&write(scratch.path(), &many)).unwrap();
    let folders: Vec<_> = std::thread::scope(|scope| {
        let ingest = || ingest(&fetched, &Limits::default(), &root).unwrap().folder;
        let threads: Vec<_> = (0..6).map(|_| scope.spawn(ingest)).collect();
        threads.into_iter().map(|it| it.join().unwrap()).collect()
    });
    assert!(folders.iter().all(|it| *it == folders[0]));
    assert_eq!(std::fs::read_dir(&root).unwrap().count(), 1);
    assert_eq!(names(&folders[0]).len(), 40);
}

#[test]
fn ingesting_again_mends_a_folder_that_was_damaged() {
    let root = tempfile::tempdir().unwrap();
    let good = ingest_entries(root.path(), &[manifest()]);
    std::fs::write(good.folder.join("PAv1/manifest.yaml"), "name: y\n").unwrap();
    let again = ingest_entries(root.path(), &[manifest()]);
    assert_eq!(again.folder, good.folder);
    let manifest = again.folder.join("PAv1/manifest.yaml");
    assert_eq!(std::fs::read(manifest).unwrap(), b"name: x\n");
    assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 1);
}

#[test]
fn what_a_killed_engine_left_is_swept_away() {
    let root = tempfile::tempdir().unwrap();
    let ready = ingest_entries(root.path(), &[manifest()]).folder;
    let made = || {
        let half = root.path().join(".incoming-abc/PAv1");
        std::fs::create_dir_all(&half).unwrap();
        std::fs::write(half.join("x"), "x").unwrap();
        let zip = root.path().join(".fetch-abc");
        std::fs::write(&zip, "x").unwrap();
        [half, zip]
    };
    let all = made();
    sweep(root.path(), None).unwrap();
    assert_eq!(all.map(|it| it.exists()), [false; 2]);
    // Where others may be at work, only what is old.
    let all = made();
    let changed = |path: &Path| std::fs::metadata(path).unwrap().modified().unwrap();
    let [half, zip] = &all;
    let first = changed(half.parent().unwrap()).min(changed(zip));
    sweep(root.path(), Some(first)).unwrap();
    assert_eq!(all.each_ref().map(|it| it.exists()), [true; 2]);
    sweep(root.path(), Some(first + Duration::from_secs(60))).unwrap();
    assert_eq!(all.map(|it| it.exists()), [false; 2]);
    assert!(ready.exists());
    sweep(&root.path().join("never made"), None).unwrap();
}

/// Files of a package in a random order, each packed in its own way.
fn package() -> impl Strategy<Value = Vec<(String, Vec<u8>, bool)>> {
    let path = "PAv1/(jobs|files|parts/01-a/jobs)/[a-z]{1,3}\\.(yaml|json|tgz)";
    let bytes = prop::collection::vec(any::<u8>(), 0..300);
    let files = prop::collection::btree_map(path, (bytes, any::<bool>()), 1..12);
    let flat = files.prop_map(|all: BTreeMap<String, (Vec<u8>, bool)>| {
        let one = |(path, (bytes, deflate))| (path, bytes, deflate);
        all.into_iter().map(one).collect::<Vec<_>>()
    });
    flat.prop_shuffle()
}

fn zipped(files: &[(String, Vec<u8>, bool)], wrapper: &str) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (path, bytes, deflate) in files {
        let method = if *deflate {
            zip::CompressionMethod::Deflated
        } else {
            zip::CompressionMethod::Stored
        };
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        zip.start_file(format!("{wrapper}{path}"), options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_hash_depends_on_the_content_alone(files in package(), wrap in any::<bool>()) {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path().join("content");
        let limits = Limits::default();
        let wrapper = if wrap { "LAB/" } else { "" };
        let fetched = Fetched::from_bytes(&zipped(&files, wrapper), scratch.path()).unwrap();
        let ingested = ingest(&fetched, &limits, &root).unwrap();
        for (path, bytes, _) in &files {
            prop_assert_eq!(&std::fs::read(ingested.folder.join(path)).unwrap(), bytes);
        }
        let packed = pack(&ingested.folder, &limits).unwrap();
        prop_assert_eq!(&packed, &pack(&ingested.folder, &limits).unwrap());
        let repacked = Fetched::from_bytes(&packed, scratch.path()).unwrap();
        let again = ingest(&repacked, &limits, &scratch.path().join("other")).unwrap();
        prop_assert_eq!(&again.content_hash, &ingested.content_hash);
        let read = from_dir(&again.folder, &limits).unwrap();
        prop_assert_eq!(read.content_hash.as_deref(), Some(again.content_hash.as_str()));

        let mut changed = files.clone();
        changed[0].1.push(b'!');
        let changed = Fetched::from_bytes(&zipped(&changed, wrapper), scratch.path()).unwrap();
        let other = ingest(&changed, &limits, &root).unwrap();
        prop_assert!(other.content_hash != ingested.content_hash);
    }
}
