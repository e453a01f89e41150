//! Where content may come from.

use std::fs;
use std::path::Path;

use se_content::{Error, Fetched, Limits, Origin, Places, Refused, fetch};

async fn get(address: &str, root: Option<&Path>, limit: u64) -> Result<Fetched, Error> {
    let places = Places {
        file_root: root.map(Path::to_path_buf),
        s3: None,
    };
    let limits = Limits {
        package_bytes: limit,
        ..Limits::default()
    };
    let scratch = tempfile::tempdir().unwrap();
    let fetched = fetch(&Origin::parse(address)?, &places, &limits, scratch.path()).await;
    if fetched.is_err() {
        let left = fs::read_dir(scratch.path()).unwrap().count();
        assert_eq!(left, 0, "nothing is left of what was not fetched");
    }
    fetched
}

#[tokio::test]
async fn files_below_the_root_are_fetched_with_their_hash() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("lab 1.zip");
    fs::write(&path, "zip").unwrap();
    let address = format!("file://{}/lab%201.zip", root.path().display());
    let fetched = get(&address, Some(root.path()), 3).await.unwrap();
    assert_eq!(fetched.size(), 3);
    assert_eq!(
        fetched.package_hash(),
        Fetched::from_file(&path).unwrap().package_hash()
    );
    let over = get(&address, Some(root.path()), 2).await;
    assert!(
        matches!(
            over,
            Err(Error::Refused(Refused::PackageTooLarge { limit: 2 }))
        ),
        "{over:?}"
    );
}

#[tokio::test]
async fn files_outside_the_root_stay_unseen() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    fs::create_dir(&root).unwrap();
    fs::write(folder.path().join("secret"), "x").unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(folder.path().join("secret"), root.join("link")).unwrap();
    let root_url = format!("file://{}", root.display());
    for address in [
        "file:///etc/passwd".to_owned(),
        "file:///no/such/file".to_owned(),
        format!("{root_url}/../secret"),
        format!("{root_url}/%2e%2e/secret"),
        format!("{root_url}/link"),
        format!("{root_url}-else/x"),
    ] {
        let refused = get(&address, Some(&root), 100).await;
        let Err(Error::Address { reason, .. }) = &refused else {
            panic!("{address}: {refused:?}")
        };
        assert!(
            reason.contains("below the configured root"),
            "{address}: {reason}"
        );
    }
    let missing = get(&format!("{root_url}/nope"), Some(&root), 100).await;
    assert!(
        matches!(missing, Err(Error::NotFound { .. })),
        "{missing:?}"
    );
    let off = get(&format!("{root_url}/x"), None, 100).await;
    let said = off.unwrap_err().to_string();
    assert!(said.contains("turned off"), "{said}");
    let s3 = get("s3://content/x.zip", Some(&root), 100).await;
    let said = s3.unwrap_err().to_string();
    assert!(said.contains("no object store is configured"), "{said}");
}
