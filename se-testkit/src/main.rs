//! `se-sim`: a simulated pod, an event sink and a database, for demonstrations and tests.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use se_testkit::postgres::Cluster;
use se_testkit::sim::{Pod, PodOptions, Profile, Sink, SinkOptions};
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};

/// Simulators that speak the real protocols on real sockets.
#[derive(Parser)]
#[command(name = "se-sim", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Stand up a pod for a package: controller, consoles, hosts.
    #[command(
        after_help = "Example:\n  se-sim pod --package examples/lab-0.1 --json > facts.json\n\n\
        The facts are `worker` and `runtime_env` of a job submission."
    )]
    Pod(PodArguments),
    /// Receive CloudEvents and print them, one JSON a line.
    #[command(
        after_help = "Example:\n  se-sim sink --listen 127.0.0.1:8099 --fail 0.2\n\n\
        Jobs then take `http://127.0.0.1:8099/events` as their callback."
    )]
    Sink(SinkArguments),
    /// Run a PostgreSQL server of its own, with nothing in it, until this ends.
    #[command(
        after_help = "Example:\n  se-sim postgres\n\nThe first line that it prints is its URL."
    )]
    Postgres,
}

#[derive(Args)]
struct PodArguments {
    /// Folder of the package.
    #[arg(long, value_name = "PATH")]
    package: PathBuf,
    /// Address to listen on.
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    listen: String,
    /// What the devices answer; default: the package's `profile.yaml`, if it has one.
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// Print the facts as one line of JSON.
    #[arg(long)]
    json: bool,
    /// Listen on the ports that the package names, not on free ones.
    #[arg(long)]
    fixed_ports: bool,
}

#[derive(Args)]
struct SinkArguments {
    /// Address and port; port 0 picks a free one.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:0")]
    listen: std::net::SocketAddr,
    /// Share of the deliveries to refuse with 503, from 0 to 1.
    #[arg(long, value_name = "RATE", default_value_t = 0.0, value_parser = share)]
    fail: f64,
}

fn share(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    let fits = (0.0..=1.0).contains(&share);
    fits.then_some(share)
        .ok_or_else(|| "not between 0 and 1".to_owned())
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let ended = runtime.and_then(|runtime| {
        runtime.block_on(async {
            match cli.command {
                Command::Pod(arguments) => pod(arguments).await,
                Command::Sink(arguments) => sink(&arguments).await,
                Command::Postgres => postgres().await,
            }
        })
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            drop(writeln!(io::stderr(), "se-sim: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn pod(arguments: PodArguments) -> io::Result<()> {
    let mut options = PodOptions::new(&arguments.package)?;
    if let Some(file) = &arguments.profile {
        let named = |error: &dyn std::fmt::Display| {
            io::Error::other(format!("{}: {error}", file.display()))
        };
        let text = std::fs::read_to_string(file).map_err(|error| named(&error))?;
        options.profile = Profile::read(&text).map_err(|error| named(&error))?;
    }
    options.listen = arguments.listen;
    options.fixed_ports = arguments.fixed_ports;
    let ended = ended()?;
    let pod = Pod::start(options).await?;
    let facts = pod.facts();
    if arguments.json {
        print(&format!("{facts}\n"))?;
        drop(writeln!(
            io::stderr(),
            "control port: {}",
            pod.control_url()
        ));
    } else {
        print(&table(&facts, &pod.control_url()))?;
    }
    ended.await;
    Ok(())
}

async fn sink(arguments: &SinkArguments) -> io::Result<()> {
    let options = SinkOptions {
        fail_rate: arguments.fail,
        print: true,
    };
    let ended = ended()?;
    let ip = arguments.listen.ip().to_string();
    let sink = Sink::start((&ip, arguments.listen.port()), options).await?;
    // The first line says where; every further one is an event.
    print(&format!("listening on {}\n", sink.url()))?;
    ended.await;
    Ok(())
}

async fn postgres() -> io::Result<()> {
    let ended = ended()?;
    let cluster = Cluster::start()?;
    print(&format!("{}\n", cluster.url()))?;
    ended.await;
    Ok(())
}

/// Ends at SIGTERM or SIGINT; heard from this call on.
fn ended() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            // Both are cancel safe.
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// The facts for people.
fn table(facts: &Value, control: &str) -> String {
    let mut text = String::new();
    let text_of = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    let worker = facts.get("worker").and_then(Value::as_object);
    for (key, value) in worker.into_iter().flatten() {
        text += &format!("{key:<14} {}\n", text_of(value));
    }
    text += &format!("{:<14} {control}/log\n\n", "control port");
    let columns = [
        "serial_port",
        "pat_port",
        "username",
        "password",
        "enable_password",
    ];
    text += &format!("{:<14}", "device");
    text += &columns.map(|it| format!(" {it:<16}")).concat();
    text.push('\n');
    let env = facts.get("runtime_env");
    let devices = env
        .and_then(|it| it.get("devices"))
        .and_then(Value::as_object);
    let control = env
        .and_then(|it| it.as_object())
        .and_then(|it| it.get_key_value("control_node"));
    for (name, device) in devices.into_iter().flatten().chain(control) {
        let cell = |key| device.get(key).map_or_else(|| "-".to_owned(), text_of);
        text += &format!("{name:<14}");
        text += &columns.map(|it| format!(" {:<16}", cell(it))).concat();
        text.push('\n');
    }
    text
}
