//! A host's SSH server, seen by a client.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::sync::Arc;

use russh::ChannelMsg;
use russh::client::{self, Handle};
use russh::keys::PublicKeyOrCertificate;
use russh_sftp::client::SftpSession;
use se_testkit::sim::Pod;
use tokio::io::AsyncWriteExt as _;

use crate::console::{pod, port};

const PROFILE: &str = "devices: {workstation: {kind: unix, login: {username: cisco, password: pw}, \
    commands: {'~ py_deploy': {output: \"deployed\\n\", exit_code: 3}}}}";

struct Anyone;

impl client::Handler for Anyone {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(true)
    }
}

async fn connect(pod: &Pod, password: &str) -> Option<Handle<Anyone>> {
    let at = ("127.0.0.1", port(pod, "workstation", "pat_port"));
    let mut handle = client::connect(Arc::default(), at, Anyone).await.unwrap();
    let answer = handle
        .authenticate_password("cisco", password)
        .await
        .unwrap();
    answer.success().then_some(handle)
}

/// What a command prints on both streams, and its exit code.
async fn run(handle: &Handle<Anyone>, command: &str) -> (String, String, Option<u32>) {
    let mut channel = handle.channel_open_session().await.unwrap();
    channel.exec(true, command).await.unwrap();
    let (mut out, mut err, mut code) = (Vec::new(), Vec::new(), None);
    while let Some(message) = channel.wait().await {
        match message {
            ChannelMsg::Data { data } => out.extend_from_slice(&data),
            ChannelMsg::ExtendedData { data, .. } => err.extend_from_slice(&data),
            ChannelMsg::ExitStatus { exit_status } => code = Some(exit_status),
            _ => {}
        }
    }
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (text(out), text(err), code)
}

#[tokio::test]
async fn commands_run_in_a_folder_of_the_host_s_own() {
    let pod = pod(PROFILE).await;
    assert!(connect(&pod, "wrong").await.is_none());
    let handle = connect(&pod, "pw").await.unwrap();
    let (out, err, code) = run(&handle, "mkdir a; ls; echo no >&2; exit 7").await;
    assert_eq!((out.as_str(), err.as_str(), code), ("a\n", "no\n", Some(7)));
    let (out, _, code) = run(&handle, "cd /home/cisco && python py_deploy.py").await;
    assert_eq!((out.as_str(), code), ("deployed\n", Some(3)));
}

#[tokio::test]
async fn files_travel_and_stay_within_the_host() {
    let pod = pod(PROFILE).await;
    let handle = connect(&pod, "pw").await.unwrap();
    let channel = handle.channel_open_session().await.unwrap();
    channel.request_subsystem(true, "sftp").await.unwrap();
    let sftp = SftpSession::new(channel.into_stream()).await.unwrap();
    let mut file = sftp.create("package.bin").await.unwrap();
    let content: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    file.write_all(&content).await.unwrap();
    file.shutdown().await.unwrap();
    assert_eq!(sftp.read("/home/cisco/package.bin").await.unwrap(), content);
    assert!(sftp.read("/etc/hostname").await.is_err());
    assert!(sftp.read("../rc").await.is_err());
    let (out, ..) = run(&handle, "wc -c < package.bin").await;
    assert_eq!(out.trim(), "1200000");
    let entries = pod.journal().entries();
    assert!(
        entries
            .iter()
            .any(|it| it.action == "put" && it.detail == "package.bin")
    );
}

#[tokio::test]
async fn nothing_is_left_of_a_host_when_its_pod_ends() {
    let pod = pod(PROFILE).await;
    let handle = connect(&pod, "pw").await.unwrap();
    let (out, ..) = run(&handle, "echo $HOME; sleep 600 > /dev/null 2>&1 & echo $!").await;
    let mut lines = out.lines();
    let (home, process) = (
        lines.next().unwrap().to_owned(),
        lines.next().unwrap().to_owned(),
    );
    assert!(std::path::Path::new(&home).exists());
    drop(handle);
    drop(pod);
    let is_there = || {
        let state = std::fs::read_to_string(format!("/proc/{process}/stat"));
        // Where nobody reaps, what has ended stays as `Z`.
        let runs = state.is_ok_and(|it| !it.contains(") Z "));
        runs || std::path::Path::new(&home).exists()
    };
    let gone = async {
        while is_there() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    let patience = std::time::Duration::from_secs(20);
    tokio::time::timeout(patience, gone)
        .await
        .expect("files and processes to go");
}
