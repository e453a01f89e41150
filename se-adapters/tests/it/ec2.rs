//! Starting and stopping a worker's instance, against the EC2 of moto.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use se_adapters::{Deadline, Ec2, Ec2Options, InstanceState};
use se_runtime::port::Progress;
use se_runtime::{FaultKind, Secret};
use se_testkit::s3::S3Server;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::bench::Wall;

#[derive(Default)]
struct Told(Mutex<Vec<(u8, String)>>);

impl Progress for Told {
    fn report(&self, percent: u8, message: &str) {
        self.0.lock().unwrap().push((percent, message.to_owned()));
    }
}

impl Told {
    fn all(&self) -> Vec<String> {
        self.0
            .lock()
            .unwrap()
            .iter()
            .map(|it| it.1.clone())
            .collect()
    }
}

fn deadline(seconds: u64) -> Deadline {
    Deadline::new(Arc::new(Wall), Duration::from_secs(seconds))
}

fn ec2(url: String, key: &str, secret: &str) -> Ec2 {
    Ec2::new(Ec2Options {
        endpoint: Some(url),
        region: "eu-west-1".to_owned(),
        access_key_id: key.to_owned(),
        secret_access_key: Secret::new(secret),
        session_token: None,
    })
    .unwrap()
}

/// Runs a script with Amazon's own client, which moto brings, and gives the JSON that it prints.
fn boto3(server: &S3Server, script: &str) -> Value {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/moto/bin/python3");
    let python = if own.exists() {
        own
    } else {
        PathBuf::from("python3")
    };
    let client = format!(
        "import json, boto3\n\
         def client(name, key='k', secret='s'):\n    \
             return boto3.client(name, endpoint_url='{}', region_name='eu-west-1', aws_access_key_id=key, aws_secret_access_key=secret)\n",
        server.url()
    );
    let said = Command::new(python)
        .arg("-c")
        .arg(client + script)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success(), "{errors}");
    serde_json::from_slice(&said.stdout).unwrap()
}

const INSTANCE: &str = "
image = 'ami-12c6146b'
made = client('ec2').run_instances(ImageId=image, MinCount=1, MaxCount=1)
instance = made['Instances'][0]['InstanceId']
";

fn instance(server: &S3Server) -> String {
    let script = format!("{INSTANCE}print(json.dumps(instance))");
    boto3(server, &script).as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_instance_is_stopped_and_started_again() {
    let server = S3Server::start().unwrap();
    let id = instance(&server);
    let ec2 = ec2(server.url(), "k", "s");
    for _ in 0..2 {
        let told = Told::default();
        ec2.stop(&id, &told, &deadline(30)).await.unwrap();
        let state = ec2.state(&id, &deadline(5)).await;
        assert_eq!(state, Ok(InstanceState::Stopped));
        assert_eq!(told.all().last().unwrap(), &format!("{id} is stopped"));
        let script = format!(
            "print(json.dumps(client('ec2').describe_instances(InstanceIds=['{id}'])['Reservations'][0]['Instances'][0]['State']['Name']))"
        );
        assert_eq!(boto3(&server, &script), "stopped");

        let told = Told::default();
        ec2.start(&id, &told, &deadline(30)).await.unwrap();
        let state = ec2.state(&id, &deadline(5)).await;
        assert_eq!(state, Ok(InstanceState::Running));
        assert_eq!(told.all().first().unwrap(), &format!("{id} is stopped"));
        assert_eq!(told.all().last().unwrap(), &format!("{id} is running"));
    }
    // What is so already is left alone.
    let told = Told::default();
    ec2.start(&id, &told, &deadline(5)).await.unwrap();
    assert_eq!(told.all(), [format!("{id} is running")]);
}

#[tokio::test]
async fn instances_that_are_not_there_and_those_that_are_gone_say_so() {
    let server = S3Server::start().unwrap();
    let ec2 = ec2(server.url(), "k", "s");
    for id in [
        "i-00000000000000000",
        "no instance&Action=TerminateInstances",
    ] {
        let fault = ec2
            .start(id, &Told::default(), &deadline(20))
            .await
            .unwrap_err();
        assert_eq!(fault.kind, FaultKind::NotFound, "{fault}");
        for part in [id, "check the worker's instance id", "eu-west-1"] {
            assert!(fault.detail.contains(part), "{part}: {fault}");
        }
    }
    let script = format!(
        "{INSTANCE}client('ec2').terminate_instances(InstanceIds=[instance])\nprint(json.dumps(instance))"
    );
    let gone = boto3(&server, &script);
    let fault = ec2
        .start(gone.as_str().unwrap(), &Told::default(), &deadline(20))
        .await
        .unwrap_err();
    assert_eq!(fault.kind, FaultKind::Conflict, "{fault}");
}

#[tokio::test]
async fn keys_that_may_not_are_told_what_they_need() {
    // An instance, a user, its policy and its key: then everybody is asked who they are.
    let server = S3Server::start_guarded(4).unwrap();
    let script = format!(
        "{INSTANCE}
iam = client('iam')
iam.create_user(UserName='se')
looks = {{'Version': '2012-10-17', 'Statement': [{{'Effect': 'Allow', 'Action': 'ec2:Describe*', 'Resource': '*'}}]}}
iam.put_user_policy(UserName='se', PolicyName='looks', PolicyDocument=json.dumps(looks))
key = iam.create_access_key(UserName='se')['AccessKey']
print(json.dumps([instance, key['AccessKeyId'], key['SecretAccessKey']]))"
    );
    let made = boto3(&server, &script);
    let [id, key, secret] = [0, 1, 2].map(|it| made[it].as_str().unwrap().to_owned());
    let may_look = ec2(server.url(), &key, &secret);
    assert_eq!(
        may_look.state(&id, &deadline(10)).await,
        Ok(InstanceState::Running)
    );
    let fault = may_look
        .stop(&id, &Told::default(), &deadline(10))
        .await
        .unwrap_err();
    assert_eq!(fault.kind, FaultKind::Authentication, "{fault}");
    assert!(fault.detail.contains("ec2:StopInstances"), "{fault}");

    // The signature is looked at, too.
    let wrong = ec2(server.url(), &key, "another-secret");
    let fault = wrong.state(&id, &deadline(10)).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Authentication, "{fault}");
    assert!(
        fault.detail.contains("check the key and its secret"),
        "{fault}"
    );
    for hidden in [secret.as_str(), "another-secret"] {
        assert!(!fault.detail.contains(hidden), "{fault}");
        assert!(!format!("{wrong:?} {may_look:?}").contains(hidden));
    }
}

/// Refuses so many requests as one that comes too often, and passes the others on.
async fn throttle(listener: TcpListener, refusals: usize, inside: String) {
    const TOO_MANY: &str = "<Response><Errors><Error><Code>RequestLimitExceeded</Code>\
        <Message>Request limit exceeded.</Message></Error></Errors></Response>";
    let mut left = refusals;
    loop {
        let (mut outer, _) = listener.accept().await.unwrap();
        if left == 0 {
            let mut inner = TcpStream::connect(&inside).await.unwrap();
            copy_bidirectional(&mut outer, &mut inner).await.ok();
            continue;
        }
        left -= 1;
        let mut request = [0; 4096];
        assert!(outer.read(&mut request).await.unwrap() > 0);
        let answer = format!(
            "HTTP/1.1 503 Service Unavailable\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{TOO_MANY}",
            TOO_MANY.len()
        );
        outer.write_all(answer.as_bytes()).await.unwrap();
        outer.shutdown().await.ok();
    }
}

#[tokio::test]
async fn what_ec2_has_no_time_for_is_asked_again() {
    let server = S3Server::start().unwrap();
    let id = instance(&server);
    for (refusals, is_well) in [(2, true), (100, false)] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let through = ec2(url, "k", "s");
        let asked = async {
            let within = deadline(20);
            through.state(&id, &within).await
        };
        let state = tokio::select! {
            () = throttle(listener, refusals, server.address().to_owned()) => panic!("it ended"),
            state = asked => state,
        };
        if is_well {
            assert_eq!(state, Ok(InstanceState::Running));
        } else {
            let fault = state.unwrap_err();
            assert_eq!(fault.kind, FaultKind::Communication, "{fault}");
            assert!(fault.detail.contains("RequestLimitExceeded"), "{fault}");
        }
    }
}

/// Says that the instance is pending, until somebody says END; gives how often it was asked.
fn always_pending(listener: &std::net::TcpListener) -> usize {
    const PENDING: &str =
        "<r><instanceState><code>0</code><name>pending</name></instanceState></r>";
    let mut asked = 0;
    loop {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let length = stream.read(&mut request).unwrap();
        if request[..length].starts_with(b"END") {
            return asked;
        }
        asked += 1;
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{PENDING}",
            PENDING.len()
        );
        stream.write_all(answer.as_bytes()).unwrap();
    }
}

#[tokio::test]
async fn an_instance_that_takes_too_long_is_given_up_in_time() {
    // It says that it is pending, whatever it is asked.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answering = std::thread::spawn(move || always_pending(&listener));
    let slow = ec2(url.clone(), "k", "s");
    let fault = slow
        .start("i-1", &Told::default(), &deadline(5))
        .await
        .unwrap_err();
    assert_eq!(fault.kind, FaultKind::Timeout, "{fault}");
    assert!(fault.detail.contains("it is still pending"), "{fault}");
    let mut end = std::net::TcpStream::connect(url.trim_start_matches("http://")).unwrap();
    end.write_all(b"END").unwrap();
    assert!(answering.join().unwrap() >= 2);
}

#[test]
fn an_endpoint_is_shown_without_who_logs_in_there() {
    for endpoint in [
        "https://key:hidden@ec2.test",
        "https://key:hidden@",
        "key:hidden@ec2.test:port",
        "ftp://key:hid@hidden@ec2.test",
    ] {
        let options = Ec2Options {
            endpoint: Some(endpoint.to_owned()),
            region: "eu-west-1".to_owned(),
            access_key_id: "key".to_owned(),
            secret_access_key: Secret::new("secret"),
            session_token: None,
        };
        let fault = Ec2::new(options).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Validation, "{fault}");
        assert!(!fault.detail.contains("hidden"), "{fault}");
    }
}
