//! Packages as authors have them.

use std::fs;
use std::path::{Path, PathBuf};

use se_content::{Error, Limits, Refused, from_dir, pack, read};

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/lab-0.1")
}

fn paths(package: &se_content::Package) -> Vec<String> {
    let sources = &package.sources;
    sources
        .files()
        .map(|it| sources.path(it).to_owned())
        .collect()
}

#[test]
fn the_example_reads_alike_as_folder_zip_and_content_folder() {
    let limits = Limits::default();
    let scratch = tempfile::tempdir().unwrap();
    let zip = scratch.path().join("lab.zip");
    fs::write(&zip, pack(&example(), &limits).unwrap()).unwrap();
    let folder = read(&example(), &limits).unwrap();
    assert!(paths(&folder).contains(&"PAv1/manifest.yaml".to_owned()));
    assert!(
        folder
            .sources
            .assets()
            .any(|it| it.0 == "PAv1/files/desktop_package.tgz")
    );
    for other in [zip, example().join("PAv1")] {
        let package = read(&other, &limits).unwrap();
        assert_eq!(
            package.content_hash,
            folder.content_hash,
            "{}",
            other.display()
        );
        assert_eq!(paths(&package), paths(&folder));
        assert!(package.sources.assets().eq(folder.sources.assets()));
    }
}

#[test]
fn one_document_is_known_by_its_place_in_the_package() {
    let limits = Limits::default();
    let document = read(&example().join("PAv1/jobs/grade.yaml"), &limits).unwrap();
    assert_eq!(paths(&document), ["PAv1/jobs/grade.yaml"]);
    assert_eq!(document.content_hash, None);
    let scratch = tempfile::tempdir().unwrap();
    let alone = scratch.path().join("job.yaml");
    fs::write(&alone, "name: x").unwrap();
    assert_eq!(paths(&read(&alone, &limits).unwrap()), ["job.yaml"]);
    let missing = read(&scratch.path().join("nope.yaml"), &limits);
    assert!(
        matches!(missing, Err(Error::NotFound { .. })),
        "{missing:?}"
    );
}

#[test]
fn packing_gives_the_same_bytes_whatever_the_disk_says() {
    let limits = Limits::default();
    let make = |order: [&str; 3], noise: bool| {
        let folder = tempfile::tempdir().unwrap();
        for name in order {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, name).unwrap();
        }
        if noise {
            fs::write(folder.path().join(".hidden"), "x").unwrap();
            fs::write(folder.path().join("LAB.zip"), "an older pack").unwrap();
            let path = folder.path().join("PAv1/manifest.yaml");
            let file = fs::File::options().write(true).open(path).unwrap();
            file.set_modified(std::time::UNIX_EPOCH).unwrap();
        }
        pack(folder.path(), &limits).unwrap()
    };
    let one = make(
        ["PAv1/manifest.yaml", "PAv1/jobs/a.yaml", "cml.yaml"],
        false,
    );
    let other = make(["cml.yaml", "PAv1/jobs/a.yaml", "PAv1/manifest.yaml"], true);
    assert_eq!(one, other);
}

#[test]
fn folders_keep_the_rules_of_zips() {
    let limits = Limits::default();
    let folder = tempfile::tempdir().unwrap();
    let empty = from_dir(folder.path(), &limits);
    assert!(
        matches!(empty, Err(Error::Refused(Refused::NoContent { .. }))),
        "{empty:?}"
    );
    fs::create_dir(folder.path().join("PAv1")).unwrap();
    fs::write(folder.path().join("PAv1/manifest.yaml"), "name: x").unwrap();
    assert!(from_dir(folder.path(), &limits).is_ok());
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("PAv1/link")).unwrap();
        for refused in [
            from_dir(folder.path(), &limits).map(drop),
            pack(folder.path(), &limits).map(drop),
        ] {
            let Err(Error::Refused(Refused::NotAFile { entry, .. })) = refused else {
                panic!("{refused:?}")
            };
            assert_eq!(entry, "PAv1/link");
        }
    }
}
