//! A pod is shown to a candidate in one phase of a session, and not any more after another.

use se_runtime::Secret;
use se_server::config;
use se_testkit::sim::LdsSim;
use serde_json::{Value, json};

use crate::harness::{DOCUMENTS, Service, zip};

const LDS_PASSWORD: &str = "lds-password-9";
const DEVICE_PASSWORD: &str = "device-password-9";

const LIFECYCLE: &str = "apiVersion: pav1\nkind: Lifecycle\nmetadata: {lablet: TINY}\nspec:\n  phases:\n\
     \x20   - {name: show, jobs: [{definition: show@v1}]}\n\
     \x20   - {name: again, jobs: [{definition: lds_provision@v1}]}\n\
     \x20   - {name: hide, jobs: [{definition: lds_deregister@v1}]}\n";

const SHOW: &str = "apiVersion: pav1\nkind: JobDefinition\nmetadata: {name: show, version: v1}\nspec:\n\
     \x20 process_type: Initialization\n  steps:\n\
     \x20   - id: lds\n      uses: lds_provision@v1\n      with:\n\
     \x20       devices: [{device_label: r1, protocol: telnet, port: 5001, password: \"${ runtime_env.devices.r1.password }\"}]\n\
     \x20     capture: {launch_url: url}\n\
     \x20   - {id: look, uses: evaluate.regex@v1, with: {source: \"${ vars.url }\", regex: \"^https://\"}}\n";

async fn service(sim: &LdsSim) -> Service {
    let service = Service::with(|config| {
        let lds = config::Lds {
            url: sim.url(),
            username: "se".to_owned(),
            ..config::Lds::default()
        };
        config.lds.insert("default".to_owned(), lds);
        let password = Secret::new(LDS_PASSWORD);
        let secrets = &mut config.secrets.environment;
        secrets.insert("lds.default.password".to_owned(), password);
    })
    .await;
    let documents = DOCUMENTS
        .into_iter()
        .filter(|it| it.0 == "manifest.yaml")
        .chain([("lifecycle.yaml", LIFECYCLE), ("jobs/show.yaml", SHOW)]);
    let documents: Vec<(&str, &str)> = documents.collect();
    let uri = zip(service.folder.path(), "tiny.zip", &documents);
    let body = json!({"definition_id": "tiny", "version": "1", "s3_uri": uri});
    let answer = service.post("/api/v1/content/sync", body).await;
    assert_eq!(answer.1["status"], "ready", "{}", answer.1);
    service
}

fn facts() -> Value {
    json!({
        "session_id": "s1",
        "worker": {"ip": "192.0.2.10"},
        "session": {"form_qualified_name": "Exam Associate DEMO v1.0 LAB 1", "candidate_id": "c-7"},
        "runtime_env": {"devices": {"r1": {"password": DEVICE_PASSWORD, "serial_port": 5001}}},
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_shows_its_pod_and_hides_it_again() {
    let sim = LdsSim::start("se", LDS_PASSWORD).await.unwrap();
    let service = service(&sim).await;
    for phase in ["show", "again", "hide"] {
        let mut dry = facts();
        dry["definition_id"] = json!("tiny");
        dry["version"] = json!("1");
        dry["phase"] = json!(phase);
        dry["dry_run"] = json!(true);
        let (status, plan) = service.post("/api/v1/jobs", dry).await;
        assert_eq!(status, 200, "{plan:#}");
        assert!(plan.to_string().contains("lds_"), "{plan:#}");
    }
    assert!(sim.calls().is_empty(), "a plan asks nobody");

    let job = service.submit("show", facts()).await;
    let told = service.followed(&job).await;
    assert!(told.contains("io.lcm.se.job.completed"), "{told}");
    let shown = &sim.sessions()["lds-1"];
    assert_eq!(shown.devices[0]["password"], DEVICE_PASSWORD);
    assert_eq!(shown.devices[0]["host"], "192.0.2.10");
    assert_eq!(shown.made_from["candidate_id"], "c-7");
    assert_eq!(shown.made_from["auth_id"], "s1");

    // Later jobs of the session know it.
    let again = service.submit("again", facts()).await;
    let told_again = service.followed(&again).await;
    assert!(
        told_again.contains("io.lcm.se.job.completed"),
        "{told_again}"
    );
    assert_eq!(sim.sessions().len(), 1);
    assert_eq!(sim.sessions()["lds-1"].devices[0]["protocol"], "serial");
    let hidden = service.submit("hide", facts()).await;
    let told_hidden = service.followed(&hidden).await;
    assert!(
        told_hidden.contains("io.lcm.se.job.completed"),
        "{told_hidden}"
    );
    assert!(sim.sessions()["lds-1"].released);
    let once_more = service.submit("hide", facts()).await;
    service.followed(&once_more).await;
    let (_, ended) = service.get(&format!("/api/v1/jobs/{once_more}")).await;
    assert_eq!(ended["status"], "completed", "{ended:#}");

    let stored = String::from_utf8_lossy(&service.folder.stored()).into_owned();
    for secret in [LDS_PASSWORD, DEVICE_PASSWORD] {
        for told in [&told, &told_again, &told_hidden, &stored] {
            assert!(!told.contains(secret), "{secret} is told");
        }
    }
}
