//! A device that prints more than a row shall hold: whoever asks gets all of it, and nothing is lost on the way.

use std::io::{Cursor, Read as _};
use std::path::Path;

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

#[tokio::test(flavor = "multi_thread")]
async fn it_is_kept_outside_the_database_and_found_by_all_who_ask() {
    let stage = Stage::with(talkative()).await;
    let folder = stage.folder.path();
    let server = Server::start(&stage.folder).await;
    server.sync("lab", &folder.join("lab.zip")).await;
    let started = stage.submit(&server, "instantiate").await;
    assert_eq!(server.ended(&started).await["status"], "completed");
    let job = stage.submit(&server, "grade").await;
    let has_it = |it: &Value| {
        let mut steps = it["steps"].as_array().unwrap().iter();
        steps.any(|it| it["id"] == STEP && it["status"] == "completed")
    };
    server.when(&job, has_it).await;
    assert_eq!(server.end("-KILL").await, None);
    whole(&stage.folder);
    let server = Server::start(&stage.folder).await;
    let ended = server.ended(&job).await;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    assert!(count(&ended, "completed") > 10);
    without_holes(&server, &job).await;
    let report = server.get(&format!("/api/v1/jobs/{job}/report")).await;
    assert_eq!(report["totals"]["points_awarded"], 7);
    let printed = evidence(&server, &job).await;
    assert!(printed.len() > 300_000, "{} bytes", printed.len());
    // Several engines keep it in rows, if they have no bucket that all can read.
    let is_file = stage.folder.store().is_none();
    assert_eq!(objects(folder) > 0, is_file);
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
