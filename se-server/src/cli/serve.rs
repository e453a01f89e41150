//! `serve`: the service.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use axum::serve::ListenerExt as _;
use clap::Args;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Ended, Failure, LogOptions, runtime};
use crate::clock::World;
use crate::config::{self, Config, Given};
use crate::engine::Engine;
use crate::error::Error;
use crate::tasks::TaskKind;
use crate::{http, telemetry};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The configuration [default: se.toml, if it is there].
    #[arg(long)]
    config: Option<PathBuf>,
    /// Address and port; port 0 picks one [default: 127.0.0.1:8084].
    #[arg(long)]
    listen: Option<String>,
    /// Folder of the database, the sealing key and the content [default: ./data].
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// The database [default: sqlite://<data-dir>/se.db].
    #[arg(long)]
    store: Option<String>,
    /// `file://` addresses of content must lie below this folder.
    #[arg(long)]
    content_root: Option<PathBuf>,
    /// Listen on an address that others can reach, though nobody is asked who they are.
    #[arg(long)]
    insecure: bool,
    #[command(flatten)]
    log: LogOptions,
}

pub(super) fn serve(options: Options) -> Ended {
    let config = configured(options)?;
    telemetry::start(&config.log);
    runtime()?.block_on(service(config))
}

fn configured(options: Options) -> Result<Config, Failure> {
    let path = |it: Option<PathBuf>| it.map(|it| it.to_string_lossy().into_owned());
    let flags = [
        ("server", "listen", options.listen),
        ("store", "data_dir", path(options.data_dir)),
        ("store", "url", options.store),
        ("content", "root", path(options.content_root)),
        (
            "server",
            "insecure",
            options.insecure.then(|| "true".to_owned()),
        ),
        (
            "log",
            "format",
            options.log.log_format.map(|it| it.to_string()),
        ),
        ("log", "level", options.log.log_level),
    ];
    let said = flags
        .into_iter()
        .filter_map(|(section, key, it)| Some((section, key, it?)));
    let given = Given {
        file: options.config,
        environment: config::environment(),
        flags: said.collect(),
    };
    config::load(&given).map_err(|error| Failure::new(2, error))
}

async fn service(config: Config) -> Ended {
    let listen = config.server.listen;
    let failed = |what: &str, error: io::Error| Failure::new(2, format!("{what}: {error}"));
    // Bound before anything else: an address that is taken must not make a job run.
    let listener = TcpListener::bind(listen).await.map_err(|error| {
        failed(
            &format!("cannot listen on {listen}; choose another with --listen"),
            error,
        )
    })?;
    let address = listener
        .local_addr()
        .map_err(|error| failed("no local address", error))?;
    let terminate = signal(SignalKind::terminate())
        .map_err(|error| failed("cannot wait for signals", error))?;
    let world = World::system_in(&config.store.data_dir);
    let engine = Engine::open(config, world).await?;
    engine.start();
    let server = serving(Arc::clone(&engine), listener);
    engine.tasks.spawn(TaskKind::Http, "http", server, |_| {});
    let ready = writeln!(io::stdout(), "listening on http://{address}");
    ready
        .and_then(|()| io::stdout().flush())
        .map_err(|error| failed("cannot write", error))?;
    asked_to_stop(terminate).await?;
    tracing::info!("stopping: no new jobs, running ones end their step");
    engine.stop().await;
    tracing::info!("stopped");
    Ok(0)
}

async fn asked_to_stop(mut terminate: Signal) -> Result<(), Failure> {
    // Both can be dropped: either ends the service.
    let interrupted = tokio::select! {
        _ = terminate.recv() => Ok(()),
        interrupted = tokio::signal::ctrl_c() => interrupted,
    };
    interrupted.map_err(|error| Failure::new(2, format!("cannot wait for signals: {error}")))
}

async fn serving(engine: Arc<Engine>, listener: TcpListener) {
    let app = http::app(Arc::clone(&engine));
    let stopping = async move { engine.tasks.stopping().await };
    // An event that is told must not wait for the one after it.
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps small answers back");
        }
    });
    if let Err(error) = axum::serve(listener, app)
        .with_graceful_shutdown(stopping)
        .await
    {
        let error = Error::Internal(error.to_string());
        tracing::error!(%error, "no requests are answered any more");
    }
}
