//! A device that prints more than a row shall hold: whoever asks gets all of it, and nothing is lost on the way.

use std::io::{Cursor, Read as _};
use std::path::Path;

use se_testkit::s3::S3Server;
use se_testkit::sim::{Pattern, PodOptions};
use serde_json::Value;

use crate::crash::{Stage, example, told, whole, without_holes};
use crate::process::{Server, count};

const COMMAND: &str = "show ntp associations";
const STEP: &str = "c_rtr01_ntp";

/// The pod of the example, one of whose routers knows very many clocks.
fn talkative() -> PodOptions {
    let mut options = PodOptions::new(example()).unwrap();
    let router = options.profile.devices.get_mut("rtr01").unwrap();
    let more = " ~10.20.30.40     .INIT.          16      -     64     0  0.000   0.000 16000.\n";
    for (pattern, answer) in &mut router.commands.0 {
        if matches!(pattern, Pattern::Exact(text) if text == COMMAND) {
            answer.output.push_str(&more.repeat(4_000));
        }
    }
    options
}

fn objects(folder: &Path) -> usize {
    let jobs = std::fs::read_dir(folder.join("data/objects/events"));
    let jobs = jobs.into_iter().flatten();
    jobs.map(|it| it.unwrap().path().read_dir().unwrap().count())
        .sum()
}

/// What the evidence says that the device printed.
async fn evidence(server: &Server, job: &str) -> String {
    let url = format!("{}/api/v1/jobs/{job}/evidence", server.url);
    let zip = reqwest::get(url).await.unwrap().bytes().await.unwrap();
    let mut zip = zip::ZipArchive::new(Cursor::new(zip)).unwrap();
    let mut text = String::new();
    let mut file = zip.by_name(&format!("{STEP}/output.txt")).unwrap();
    file.read_to_string(&mut text).unwrap();
    text
}

/// Settings of the service that name a bucket.
type Bucket = [(&'static str, String); 4];

async fn start(stage: &Stage, bucket: Option<&Bucket>) -> Server {
    let bucket = bucket.into_iter().flatten();
    let environment: Vec<(&str, &str)> = bucket.map(|(name, it)| (*name, it.as_str())).collect();
    let home = &stage.folder;
    Server::replica(home.path(), home.store().as_deref(), "data", &environment).await
}

/// A grading that is killed after the device has said it, and ends on another start.
async fn graded(stage: &Stage, bucket: Option<&Bucket>) -> (Server, String) {
    let server = start(stage, bucket).await;
    let zip = stage.folder.path().join("lab.zip");
    server.sync("lab", &zip).await;
    let started = stage.submit(&server, "instantiate").await;
    assert_eq!(server.ended(&started).await["status"], "completed");
    let job = stage.submit(&server, "grade").await;
    let has_it = |it: &Value| {
        let mut steps = it["steps"].as_array().unwrap().iter();
        steps.any(|it| it["id"] == STEP && it["status"] == "completed")
    };
    server.when(&job, has_it).await;
    assert_eq!(server.end("-KILL").await, None);
    let server = start(stage, bucket).await;
    let ended = server.ended(&job).await;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    assert!(count(&ended, "completed") > 10);
    without_holes(&server, &job).await;
    let report = server.get(&format!("/api/v1/jobs/{job}/report")).await;
    assert_eq!(report["totals"]["points_awarded"], 7);
    (server, job)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_kept_outside_the_database_and_found_by_all_who_ask() {
    let stage = Stage::with(talkative()).await;
    let (server, job) = graded(&stage, None).await;
    let printed = evidence(&server, &job).await;
    assert!(printed.len() > 300_000, "{} bytes", printed.len());
    // Several engines keep it in rows, if they have no bucket that all can read.
    let is_file = stage.folder.store().is_none();
    assert_eq!(objects(stage.folder.path()) > 0, is_file);
    whole(&stage.folder);

    // A receiver is told where it is.
    assert_eq!(stage.received(&job).await, told(&server.stream(&job).await));
    let events = stage.sink.events();
    let is_ours =
        |it: &&Value| it["type"] == "io.lcm.se.task.completed" && it["data"]["task_name"] == STEP;
    let event = events.iter().find(is_ours).unwrap();
    let output = &event["data"]["output"]["output"];
    assert!(output["bytes"].as_u64().unwrap() > 300_000, "{output}");
    let page = server.get(output["url"].as_str().unwrap()).await;
    assert_eq!(page["events"][0]["output"]["output"], printed);
    let largest = events.iter().map(|it| it.to_string().len()).max();
    assert!(largest < Some(64 << 10), "{largest:?}");
    assert_eq!(server.end("-TERM").await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_keeps_it_for_all_engines() {
    let s3 = S3Server::start().unwrap();
    s3.make_bucket("shared").unwrap();
    let bucket = [
        ("SE_S3__ENDPOINT", s3.url()),
        ("SE_S3__BUCKET", "shared".to_owned()),
        ("SE_S3__ACCESS_KEY", "id".to_owned()),
        ("SE_S3__SECRET_KEY", "hunter2".to_owned()),
    ];
    let stage = Stage::with(talkative()).await;
    let (server, job) = graded(&stage, Some(&bucket)).await;
    let printed = evidence(&server, &job).await;
    assert!(printed.len() > 300_000, "{} bytes", printed.len());
    let keys = s3.keys("shared").unwrap();
    let is_ours = |it: &&String| it.starts_with(&format!("events/{job}/"));
    assert!(keys.iter().filter(is_ours).count() > 1, "{keys:?}");
    assert_eq!(objects(stage.folder.path()), 0);
    // Without the bucket the text is not there, and that is said.
    drop(s3);
    let missing = server.get(&format!("/api/v1/jobs/{job}/evidence")).await;
    assert_eq!(missing["status"], 503, "{missing}");
    assert_eq!(server.end("-TERM").await, Some(0));
}
