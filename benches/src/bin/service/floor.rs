//! Servers that do only what must be done: hand one event to all who read, and make a row durable before it is
//! answered.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::unfold;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rusqlite::Connection;
use tokio::net::TcpListener;
use tokio::sync::{broadcast, mpsc, oneshot};

/// Rows in one transaction.
const GROUP: usize = 256;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The file that rows are in.
    #[arg(long)]
    database: PathBuf,
    /// Bytes of the event that is told to all.
    #[arg(long, default_value_t = 600)]
    event: usize,
}

struct Floor {
    said: broadcast::Sender<Bytes>,
    event: Bytes,
    rows: mpsc::Sender<(String, oneshot::Sender<()>)>,
}

/// Prints where it listens.
pub(crate) async fn run(options: &Options) {
    let (rows, requests) = mpsc::channel(1024);
    let database = options.database.clone();
    std::thread::spawn(move || write(&database, requests));
    let data = "x".repeat(options.event);
    let floor = Arc::new(Floor {
        said: broadcast::Sender::new(16),
        event: Bytes::from(format!("id: 2\nevent: told\ndata: {data}\n\n")),
        rows,
    });
    let listener = TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a port is free");
    let address = listener.local_addr().expect("it listens");
    println!("listening on http://{address}");
    loop {
        let (stream, _) = listener.accept().await.expect("there are files left");
        stream.set_nodelay(true).expect("it is a socket");
        let floor = Arc::clone(&floor);
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(Arc::clone(&floor), request));
            // Who reads may go.
            hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await
                .ok();
        });
    }
}

type Body = UnsyncBoxBody<Bytes, Infallible>;

async fn answer(
    floor: Arc<Floor>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    Ok(match request.uri().path() {
        "/stream" => stream(&floor),
        "/tell" => {
            let readers = floor.said.send(floor.event.clone()).unwrap_or_default();
            Response::new(Full::new(Bytes::from(readers.to_string())).boxed_unsync())
        }
        _ => take_in(&floor, request.into_body()).await,
    })
}

fn stream(floor: &Floor) -> Response<Body> {
    let heard = floor.said.subscribe();
    let first = Bytes::from_static(b"id: 1\nevent: first\ndata: {}\n\n");
    let said = unfold((Some(first), heard), async |(first, mut heard)| {
        let bytes = match first {
            Some(first) => first,
            None => heard.recv().await.ok()?,
        };
        Some((Ok(Frame::data(bytes)), (None, heard)))
    });
    let body = StreamBody::new(said).boxed_unsync();
    let answer = Response::builder().header("content-type", "text/event-stream");
    answer.body(body).expect("a fine header")
}

async fn take_in(floor: &Floor, body: Incoming) -> Response<Body> {
    let body = body.collect().await.expect("whole bodies").to_bytes();
    let text = String::from_utf8(body.to_vec()).expect("bodies are text");
    let (done, stored) = oneshot::channel();
    floor
        .rows
        .send((text, done))
        .await
        .expect("the writer runs");
    stored.await.expect("the writer answers");
    let answer = Response::builder().status(202);
    let body = Full::new(Bytes::from_static(b"{}")).boxed_unsync();
    answer.body(body).expect("a fine status")
}

fn write(path: &std::path::Path, mut requests: mpsc::Receiver<(String, oneshot::Sender<()>)>) {
    let conn = Connection::open(path).expect("the folder can be written");
    for (name, value) in [("journal_mode", "WAL"), ("synchronous", "FULL")] {
        conn.pragma_update(None, name, value)
            .expect("SQLite knows it");
    }
    conn.execute_batch("CREATE TABLE rows (number INTEGER PRIMARY KEY, text TEXT NOT NULL)")
        .expect("tables can be made");
    let mut group = Vec::with_capacity(GROUP);
    while requests.blocking_recv_many(&mut group, GROUP) > 0 {
        let run = || -> rusqlite::Result<()> {
            conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
            for (text, _) in &group {
                conn.prepare_cached("INSERT INTO rows (text) VALUES (?1)")?
                    .execute([text])?;
            }
            conn.prepare_cached("COMMIT")?.execute([]).map(drop)
        };
        run().expect("rows can be written");
        for (_, done) in group.drain(..) {
            // Who asked may have gone.
            done.send(()).ok();
        }
    }
}
