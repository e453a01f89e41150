//! Fetching from a real S3 server: moto, on a port of its own.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;

use object_store::ObjectStoreExt;
use object_store::aws::AmazonS3Builder;
use object_store::path::Path as Key;
use se_content::{Error, Fetched, Limits, Origin, Places, Refused, S3, Shelf, fetch, ingest, pack};
use se_testkit::s3::S3Server;

fn places(address: &str) -> Places {
    Places {
        file_root: None,
        s3: Some(S3 {
            endpoint: Some(format!("http://{address}")),
            access_key_id: Some("id".to_owned()),
            secret_access_key: Some("hunter2".to_owned()),
            ..S3::default()
        }),
    }
}

async fn get(address: &str, uri: &str, limits: &Limits) -> Result<Fetched, Error> {
    let scratch = tempfile::tempdir().unwrap();
    let origin = Origin::parse(uri)?;
    let fetched = fetch(&origin, &places(address), limits, scratch.path()).await?;
    let root = scratch.path().join("content");
    ingest(&fetched, limits, &root).map(|_| fetched)
}

#[tokio::test]
async fn packages_are_fetched_from_an_object_store() {
    let moto = S3Server::start().unwrap();
    moto.make_bucket("content").unwrap();
    let limits = Limits::default();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/lab-0.1");
    let package = pack(&example, &limits).unwrap();
    let size = package.len() as u64;
    let store = AmazonS3Builder::new()
        .with_endpoint(format!("http://{}", moto.address()))
        .with_allow_http(true)
        .with_region("us-east-1")
        .with_bucket_name("content")
        .with_access_key_id("id")
        .with_secret_access_key("hunter2")
        .build()
        .unwrap();
    let key = Key::from("labs/LAB-0.1 v1.zip");
    store.put(&key, package.into()).await.unwrap();

    let fetched = get(moto.address(), "s3://content/labs/LAB-0.1 v1.zip", &limits)
        .await
        .unwrap();
    assert_eq!(fetched.size(), size);
    let tight = Limits {
        package_bytes: size - 1,
        ..limits
    };
    let over = get(moto.address(), "s3://content/labs/LAB-0.1 v1.zip", &tight).await;
    assert!(
        matches!(over, Err(Error::Refused(Refused::PackageTooLarge { .. }))),
        "{over:?}"
    );
    for missing in ["s3://content/nope.zip", "s3://no-bucket/nope.zip"] {
        let outcome = get(moto.address(), missing, &limits).await;
        assert!(
            matches!(outcome, Err(Error::NotFound { .. })),
            "{outcome:?}"
        );
    }
    store
        .delete(&Key::from("labs/LAB-0.1 v1.zip"))
        .await
        .unwrap();
}

/// moto takes every key: what a refusal looks like comes from a server of one answer.
#[tokio::test]
async fn a_refused_key_is_told_without_showing_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = BufReader::new(stream.try_clone().unwrap()).lines();
        while request.next().unwrap().unwrap() != "" {}
        let body = "<Error><Code>SignatureDoesNotMatch</Code></Error>";
        write!(
            stream,
            "HTTP/1.1 403 Forbidden\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
    });
    let outcome = get(&address, "s3://content/x.zip", &Limits::default()).await;
    server.join().unwrap();
    let error = outcome.unwrap_err();
    assert!(matches!(error, Error::Denied { .. }), "{error:?}");
    assert!(error.to_string().contains("credentials"), "{error}");
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    let shown = format!("{:?}", places(&address));
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[tokio::test]
async fn what_one_engine_puts_on_the_shelf_another_fetches() {
    let moto = S3Server::start().unwrap();
    moto.make_bucket("shared").unwrap();
    let limits = Limits::default();
    let scratch = tempfile::tempdir().unwrap();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/lab-0.1");
    let package = pack(&example, &limits).unwrap();
    let package = Fetched::from_bytes(&package, scratch.path()).unwrap();
    let root = scratch.path().join("content");
    let hash = ingest(&package, &limits, &root).unwrap().content_hash;
    let places = places(moto.address());
    let shelf = |bucket: &str| Shelf {
        s3: places.s3.clone().unwrap(),
        bucket: bucket.to_owned(),
    };
    // Twice: whoever syncs the same content puts it there again.
    for _ in 0..2 {
        shelf("shared").put(&hash, &package).await.unwrap();
    }
    let place = shelf("shared").place(&hash);
    assert_eq!(
        place.to_string(),
        format!("s3://shared/packages/{hash}.zip")
    );
    let fetched = fetch(&place, &places, &limits, scratch.path())
        .await
        .unwrap();
    assert_eq!(fetched.package_hash(), package.package_hash());
    let nowhere = shelf("no-bucket").put(&hash, &package).await;
    assert!(
        matches!(nowhere, Err(Error::NotFound { .. })),
        "{nowhere:?}"
    );
}
