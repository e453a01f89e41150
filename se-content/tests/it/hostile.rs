//! Zips that must not get in. Each is refused by both ways in, and leaves nothing behind.

use se_content::{Error, Fetched, Limits, Refused, from_zip, ingest};

use crate::zips::{Raw, crc32, deflated, file, folder, manifest, write, zeros, zip};

fn small() -> Limits {
    Limits {
        package_bytes: 4 << 20,
        unpacked_bytes: 3 << 20,
        ratio: 200,
        entries: 8,
        document_bytes: 1000,
    }
}

/// Refused with exactly this message.
fn check(entries: &[Raw], expected: &str) {
    check_bytes(&zip(entries), expected);
}

fn check_bytes(bytes: &[u8], expected: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lab.zip");
    std::fs::write(&path, bytes).unwrap();
    let root = folder.path().join("content");
    let fetched = Fetched::from_file(&path).unwrap();
    let ingested = ingest(&fetched, &small(), &root).map(|it| it.folder);
    let read = from_zip(&path, &small()).map(|it| it.content_hash);
    for refused in [ingested.map(drop), read.map(drop)] {
        let Err(Error::Refused(refused)) = refused else {
            panic!("{expected}: {refused:?}")
        };
        let said = refused.to_string();
        assert!(
            said.starts_with(expected),
            "expected {expected}\nsaid {said}"
        );
    }
    let left: Vec<_> = std::fs::read_dir(&root).into_iter().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}

fn with_mode(name: &str, mode: u32) -> Raw {
    Raw {
        mode,
        ..file(name, "/etc/passwd")
    }
}

#[test]
fn names_that_lead_out_are_refused_wherever_they_stand() {
    for name in [
        "/PAv1/x",
        "../x",
        "PAv1/../../x",
        "PAv1/./x",
        "PAv1//x",
        "C:\\x",
        "C:/x",
        "PAv1\\x.yaml",
        "images/../../x",
    ] {
        let printed: String = name.escape_default().collect();
        check(
            &[manifest(), file(name, "x")],
            &format!("`{printed}` is no usable name"),
        );
    }
    check(
        &[manifest(), file("PAv1/a\0b", "x")],
        "`PAv1/a\\u{0}b` is no usable name",
    );
    let long = format!("PAv1/{}", "x".repeat(1020));
    check(&[manifest(), file(&long, "x")], "`PAv1/xxxx");
}

#[test]
fn links_and_devices_are_refused() {
    for (mode, kind) in [
        (0o120_777, "a symbolic link"),
        (0o060_644, "a device"),
        (0o020_644, "a device"),
        (0o010_644, "a pipe"),
        (0o140_644, "a socket"),
    ] {
        let expected = format!("`PAv1/x` is {kind}");
        check(&[manifest(), with_mode("PAv1/x", mode)], &expected);
        let expected = format!("`images/x` is {kind}");
        check(&[manifest(), with_mode("images/x", mode)], &expected);
    }
}

#[test]
fn names_that_are_one_on_some_system_are_refused() {
    let two = |one: &str, other: &str| [manifest(), file(one, "1"), file(other, "2")];
    check(
        &two("PAv1/a.yaml", "PAv1/a.yaml"),
        "`PAv1/a.yaml` stands in the package twice",
    );
    check(
        &two("PAv1/a", "PAv1/a/b"),
        "`PAv1/a` stands in the package twice",
    );
    check(
        &[manifest(), folder("PAv1/"), folder("PAv1/")],
        "`PAv1` stands in the package twice",
    );
    check(
        &two("PAv1/jobs/a.yaml", "PAv1/Jobs/b.yaml"),
        "`PAv1/Jobs` and `PAv1/jobs` differ by case",
    );
    check(
        &two("PAv1/caf\u{e9}", "PAv1/cafe\u{301}"),
        "`PAv1/cafe\u{301}` and `PAv1/caf\u{e9}` differ by case or Unicode form",
    );
}

#[test]
fn encrypted_entries_are_refused() {
    let encrypted = Raw {
        flags: 0x0801,
        ..file("PAv1/x", "sixteen bytes ok")
    };
    check(&[manifest(), encrypted], "`PAv1/x` is encrypted");
}

#[test]
fn sizes_that_lie_are_refused() {
    for entry in [
        file("PAv1/x", "0123456789"),
        deflated("PAv1/x", b"0123456789"),
    ] {
        for declared in [0, 9, 11, 4000] {
            let entry = Raw {
                declared,
                ..entry.clone()
            };
            let expected = format!("`PAv1/x` does not have the {declared} bytes");
            check(&[manifest(), entry], &expected);
        }
    }
}

#[test]
fn damaged_bytes_are_refused() {
    let wrong = Raw {
        crc: crc32(b"another"),
        ..file("PAv1/x", "content")
    };
    check(
        &[manifest(), wrong],
        "`PAv1/x` is damaged: Invalid checksum",
    );
    let no_deflate = Raw {
        method: 8,
        ..file("PAv1/x", [0xff; 20])
    };
    check(&[manifest(), no_deflate], "`PAv1/x` is damaged");
    let unknown = Raw {
        method: 99,
        ..file("PAv1/x", "content")
    };
    check(&[manifest(), unknown], "`PAv1/x` is damaged");
}

#[test]
fn bombs_are_refused() {
    check(
        &[manifest(), zeros("PAv1/files/x", 2 << 20)],
        "`PAv1/files/x` unpacks to more than 200",
    );
    let half = || vec![7; 2 << 20];
    check(
        &[
            manifest(),
            deflated("PAv1/files/a", &half()),
            deflated("PAv1/files/b", &half()),
        ],
        "the zip is larger than 4194304 bytes",
    );
    // The whole is declared small, and is not.
    let liar = |name: &str| Raw {
        declared: 10,
        ..zeros(name, 1 << 20)
    };
    check(
        &[manifest(), liar("PAv1/files/a")],
        "`PAv1/files/a` does not have the 10 bytes",
    );
    let declared = Raw {
        declared: 4 << 20,
        ..file("images/disk.qcow2", "x")
    };
    check(
        &[manifest(), declared],
        "`images/disk.qcow2` brings the unpacked size over 3145728",
    );
}

#[test]
fn too_much_of_anything_is_refused() {
    let many: Vec<Raw> = (0..9).map(|n| file(&format!("PAv1/{n}"), "x")).collect();
    check(&many, "it has 9 entries and 8 are allowed");
    let document = file("PAv1/jobs/a.yaml", vec![b'#'; 1001]);
    check(
        &[manifest(), document],
        "the document `PAv1/jobs/a.yaml` is larger than 1000 bytes",
    );
    let payload = file("PAv1/files/a.yaml", vec![b'#'; 1001]);
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), &[manifest(), payload]);
    assert!(from_zip(&path, &small()).is_ok());
}

#[test]
fn what_is_no_package_is_refused_with_what_was_found() {
    check(
        &[file("lab.yaml", "x")],
        "it has no `PAv1/` folder at its top; pack",
    );
    check(
        &[file("pav1/manifest.yaml", "x")],
        "it has no `PAv1/` folder at its top, but one spelled `pav1/`",
    );
    check(
        &[file("a/b/PAv1/x", "x")],
        "it has no `PAv1/` folder at its top, but one deeper down",
    );
    check(
        &[file("a/PAv1/x", "x"), file("b/PAv1/x", "x")],
        "it has no `PAv1/` folder at its top, and both `a/` and `b/` have one",
    );
    check_bytes(b"", "it cannot be read as a zip");
    check_bytes(
        b"PK\x05\x06 and so on, but no zip",
        "it cannot be read as a zip",
    );
    let mut cut = zip(&[manifest()]);
    cut.truncate(cut.len() - 30);
    check_bytes(&cut, "it cannot be read as a zip");
}

#[test]
fn every_prefix_of_a_zip_is_refused_without_a_panic() {
    let whole = zip(&[manifest(), deflated("PAv1/files/x", b"some bytes")]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lab.zip");
    for length in 0..whole.len() {
        std::fs::write(&path, &whole[..length]).unwrap();
        let outcome = from_zip(&path, &small());
        assert!(
            matches!(outcome, Err(Error::Refused(Refused::NotAZip { .. }))),
            "{length}: {outcome:?}"
        );
    }
}
