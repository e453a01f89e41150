//! Sealing keys from everywhere, and rotation as an operator does it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use serde_json::json;

use crate::harness::{Home, Service};
use crate::secrets::Log;

const SECRET: &str = "s3cr3t-of-the-job";
const FIRST: &str = "1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f";
const SECOND: &str = "2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e";

/// A job that waits and has a secret.
async fn waiting(service: &Service) -> String {
    let secret = json!({"secrets": {"name": SECRET}});
    let id = service.submit("wait", secret).await;
    service.reaches(&id, "step_started", "long").await;
    id
}

async fn opens(service: &Service, id: &str) {
    let secrets = service.engine.store().secrets(id).await.unwrap();
    let texts: Vec<&str> = secrets.iter().map(|it| it.expose()).collect();
    assert_eq!(texts, [SECRET]);
}

async fn again(folder: &Arc<Home>, keys: &str) -> Service {
    let keys = se_runtime::Secret::new(keys);
    Service::again(Arc::clone(folder), |config| config.sealing.key = Some(keys)).await
}

fn store(folder: &Path, command: &str) -> (Option<i32>, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(env!("CARGO_BIN_EXE_se-server"))
        .args(["store", command, "--data-dir", "data"])
        .current_dir(folder)
        .env_clear()
        .output()
        .unwrap();
    let said = [stdout, stderr].concat();
    (status.code(), String::from_utf8(said).unwrap())
}

fn lines(folder: &Path) -> Vec<String> {
    let text = fs::read_to_string(folder.join("data/sealing.key")).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_key_is_rotated_while_the_service_is_down_and_its_jobs_go_on() {
    let service = Service::ready(|_| {}).await;
    let id = waiting(&service).await;
    let folder = Arc::clone(&service.folder);
    let before = lines(folder.path());
    let (code, said) = store(folder.path(), "rotate-key");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("in use by another engine"), "{said}");
    assert_eq!(lines(folder.path()), before);
    service.engine.stop().await;
    drop(service);

    let (code, said) = store(folder.path(), "rotate-key");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("jobs sealed again with it: 1"), "{said}");
    assert!(said.contains("only opens"), "{said}");
    let after = lines(folder.path());
    assert_eq!((after.len(), &after[1]), (2, &before[0]));
    let (code, retired) = store(folder.path(), "retire-keys");
    assert_eq!(code, Some(0), "{retired}");
    assert_eq!(lines(folder.path()), after[..1]);
    for key in &after {
        assert!(!said.contains(key) && !retired.contains(key));
    }
    let service = Service::again(folder, |_| {}).await;
    opens(&service, &id).await;
    assert_eq!(
        service.get(&format!("/api/v1/jobs/{id}")).await.1["status"],
        "running"
    );
    service.engine.stop().await;
}

#[tokio::test]
async fn former_keys_are_not_taken_out_while_a_job_cannot_be_opened() {
    let service = Service::ready(|_| {}).await;
    waiting(&service).await;
    service.engine.stop().await;
    let folder = Arc::clone(&service.folder);
    let path = folder.path().join("data/sealing.key");
    fs::write(&path, format!("{SECOND}\n{FIRST}\n")).unwrap();
    let (code, said) = store(folder.path(), "retire-keys");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("which is not here: 1"), "{said}");
    assert_eq!(lines(folder.path()), [SECOND, FIRST]);
}

#[tokio::test]
async fn a_key_that_is_given_is_rotated_by_giving_another_in_front() {
    let log = Log::of_this_process();
    let first = se_runtime::Secret::new(FIRST);
    let service = Service::ready(|config| config.sealing.key = Some(first)).await;
    let id = waiting(&service).await;
    let folder = Arc::clone(&service.folder);
    assert!(!folder.path().join("data/sealing.key").exists());
    service.engine.stop().await;
    drop(service);
    // Without the former key it waits, and the log says for which.
    let service = again(&folder, SECOND).await;
    let needed = service.engine.store().secrets(&id).await.unwrap_err();
    let se_store::Error::WrongKey { sealed_with, .. } = &needed else {
        panic!("{needed}")
    };
    let told = "no key at hand opens the secrets of these jobs";
    assert!(log.text().contains(told) && log.text().contains(sealed_with));
    service.engine.stop().await;
    drop(service);
    for keys in [&format!("{SECOND} {FIRST}"), SECOND] {
        let service = again(&folder, keys).await;
        opens(&service, &id).await;
        service.engine.stop().await;
    }
    assert!(log.text().contains("secrets sealed again"));
    let mut stored = Vec::new();
    for entry in fs::read_dir(folder.path().join("data")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            stored.extend(fs::read(path).unwrap());
        }
    }
    let everywhere = format!("{}{needed}{}", log.text(), String::from_utf8_lossy(&stored));
    assert!(everywhere.contains("job_accepted"), "it is all looked at");
    for hidden in [SECRET, FIRST, SECOND, &FIRST[..16], &SECOND[..16]] {
        assert!(!everywhere.contains(hidden), "{hidden}");
    }
}

#[tokio::test]
async fn keys_that_a_program_prints_are_used() {
    let own = tempfile::tempdir().unwrap();
    let printed = own.path().join("keys");
    fs::write(&printed, format!("{FIRST}\n")).unwrap();
    let command = vec!["cat".to_owned(), printed.display().to_string()];
    let service = Service::ready(|config| config.sealing.command.clone_from(&command)).await;
    let id = waiting(&service).await;
    service.engine.stop().await;
    let folder = Arc::clone(&service.folder);
    drop(service);
    fs::write(&printed, format!("{SECOND}\n{FIRST}\n")).unwrap();
    let service =
        Service::again(folder, |config| config.sealing.command.clone_from(&command)).await;
    opens(&service, &id).await;
    service.engine.stop().await;
}

#[test]
fn what_is_not_in_a_file_is_not_rotated_here() {
    let folder = tempfile::tempdir().unwrap();
    for (config, expected) in [
        ("key = \"x\"", "come from sealing.key"),
        ("command = [\"x\"]", "come from sealing.command"),
        ("file = \"none\"", "cannot use the sealing key none"),
        ("", "cannot use the sealing key data/sealing.key"),
    ] {
        fs::write(
            folder.path().join("se.toml"),
            format!("[sealing]\n{config}"),
        )
        .unwrap();
        for command in ["rotate-key", "retire-keys"] {
            let (code, said) = store(folder.path(), command);
            assert_eq!(code, Some(2), "{said}");
            assert!(said.contains(expected), "{said}");
        }
    }
    // Nothing was made on the way.
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[cfg(unix)]
#[tokio::test]
async fn a_key_file_that_everybody_can_read_is_warned_of() {
    use std::os::unix::fs::PermissionsExt as _;
    let log = Log::of_this_process();
    let folder = Arc::new(Home::of(tempfile::tempdir().unwrap()));
    let path = folder.path().join("data/sealing.key");
    fs::create_dir(folder.path().join("data")).unwrap();
    fs::write(&path, FIRST).unwrap();
    for (mode, warned) in [(0o600, false), (0o640, false), (0o644, true)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let service = Service::again(Arc::clone(&folder), |_| {}).await;
        service.engine.stop().await;
        assert_eq!(log.text().contains("chmod 600"), warned, "{mode:o}");
    }
    assert!(!log.text().contains(FIRST));
}
