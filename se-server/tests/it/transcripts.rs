//! What went over connectors is kept with the job, whatever happened to the service.

use std::io::{Cursor, Read as _};

use serde_json::Value;

use crate::crash::Stage;
use crate::process::Server;

async fn text(server: &Server, path: &str) -> (u16, String) {
    let answer = reqwest::get(format!("{}{path}", server.url)).await.unwrap();
    let status = answer.status().as_u16();
    (status, answer.text().await.unwrap())
}

async fn json(server: &Server, path: &str) -> Value {
    let (status, text) = text(server, path).await;
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).unwrap()
}

async fn zipped(server: &Server, job: &str, file: &str) -> String {
    let url = format!("{}/api/v1/jobs/{job}/evidence", server.url);
    let zip = reqwest::get(url).await.unwrap().bytes().await.unwrap();
    let mut zip = zip::ZipArchive::new(Cursor::new(zip)).unwrap();
    let mut text = String::new();
    let mut file = zip.by_name(file).unwrap();
    file.read_to_string(&mut text).unwrap();
    text
}

/// Those that devices are logged in to with.
fn passwords(stage: &Stage) -> Vec<String> {
    let facts = stage.pod.facts();
    let devices = facts["runtime_env"]["devices"].as_object().unwrap();
    let secrets = ["password", "enable_password"];
    let of = |it: &Value| secrets.map(|key| it[key].as_str().map(str::to_owned));
    let all: Vec<String> = devices.values().flat_map(of).flatten().collect();
    assert!(!all.is_empty());
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn every_session_leaves_a_transcript() {
    let stage = Stage::set().await;
    let server = Server::start(&stage.folder).await;
    let zip = stage.folder.path().join("lab.zip");
    server.sync("lab", &zip).await;
    let started = stage.submit(&server, "instantiate").await;
    assert_eq!(server.ended(&started).await["status"], "completed");
    let job = stage.submit(&server, "grade").await;
    // Killed in the middle: what steps have told of is there afterwards.
    let has_one = |it: &Value| {
        let mut steps = it["steps"].as_array().unwrap().iter();
        steps.any(|it| it["id"] == "c_rtr01_ntp" && it["status"] == "completed")
    };
    server.when(&job, has_one).await;
    assert_eq!(server.end("-KILL").await, None);
    let server = Server::start(&stage.folder).await;
    let ended = server.ended(&job).await;
    assert_eq!(ended["status"], "completed", "{ended:#}");

    // A job that nobody disturbs; stopping waits until its sessions have logged out.
    let whole = stage.submit(&server, "grade").await;
    assert_eq!(server.ended(&whole).await["status"], "completed");
    assert_eq!(server.end("-TERM").await, Some(0));
    let server = Server::start(&stage.folder).await;
    let (_, shown) = text(&server, &format!("/api/v1/jobs/{whole}/transcripts/rtr01")).await;
    assert!(
        shown.contains(" > exit\n") && shown.contains(" | closed\n"),
        "{shown}"
    );

    let listed = json(&server, &format!("/api/v1/jobs/{job}/transcripts")).await;
    let listed = listed["transcripts"].as_array().unwrap();
    let names: Vec<&str> = listed
        .iter()
        .map(|it| it["connector"].as_str().unwrap())
        .collect();
    assert!(names.contains(&"rtr01") && names.len() > 2, "{names:?}");
    for it in listed {
        let (status, text) = text(&server, it["url"].as_str().unwrap()).await;
        assert_eq!(status, 200);
        assert_eq!(it["bytes"], text.len());
        let connector = it["connector"].as_str().unwrap();
        assert_eq!(
            zipped(&server, &job, &format!("transcripts/{connector}.txt")).await,
            text
        );
        for password in passwords(&stage) {
            assert!(!text.contains(&password), "{connector} shows a password");
        }
    }
    let (_, shown) = text(&server, &format!("/api/v1/jobs/{job}/transcripts/rtr01")).await;
    for part in [" | connected to", " > show ntp associations\n", " > ***\n"] {
        assert!(shown.contains(part), "{part:?} is not in\n{shown}");
    }
    let (status, problem) = text(&server, &format!("/api/v1/jobs/{job}/transcripts/rtr9")).await;
    assert_eq!(status, 404);
    assert!(problem.contains("it used: "), "{problem}");
    let (status, _) = text(&server, "/api/v1/jobs/none/transcripts").await;
    assert_eq!(status, 404);
    server.end("-TERM").await;
}
