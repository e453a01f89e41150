//! Readers of one stream, each with a connection of its own.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Notify;

use crate::process::now;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Host and port of the server.
    #[arg(long)]
    to: SocketAddr,
    /// The stream.
    #[arg(long)]
    path: String,
    /// What is waited for.
    #[arg(long)]
    event: String,
    /// How many read.
    #[arg(long)]
    count: usize,
    /// The address they come from: one has about 28,000 ports.
    #[arg(long)]
    from: IpAddr,
}

#[derive(Default)]
struct Heard {
    last: AtomicU64,
    count: AtomicUsize,
    all: Notify,
}

/// Prints a line when all follow the stream, and another with the time at which the last got the event.
pub(crate) async fn run(options: &Options) {
    let heard = Arc::new(Heard::default());
    let marker: Arc<[u8]> = format!("event: {}\n", options.event).into_bytes().into();
    for _ in 0..options.count {
        let stream = open(options).await;
        let (heard, marker, count) = (Arc::clone(&heard), Arc::clone(&marker), options.count);
        tokio::spawn(async move {
            until(stream, &marker).await;
            heard.last.fetch_max(now(), Ordering::SeqCst);
            if heard.count.fetch_add(1, Ordering::SeqCst) + 1 == count {
                heard.all.notify_one();
            }
        });
    }
    println!("ready");
    heard.all.notified().await;
    println!("{}", heard.last.load(Ordering::SeqCst));
}

/// A connection on which the first event has come.
async fn open(options: &Options) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("there are files left");
    let from = SocketAddr::new(options.from, 0);
    socket.bind(from).expect("an address of this machine");
    let mut stream = socket.connect(options.to).await.expect("it listens");
    let head = format!(
        "GET {} HTTP/1.1\r\nhost: {}\r\naccept: text/event-stream\r\n\r\n",
        options.path, options.to
    );
    let sent = stream.write_all(head.as_bytes()).await;
    sent.expect("the server reads");
    until(&mut stream, b"\n\n").await;
    stream
}

/// Reads until that has come.
async fn until(mut stream: impl std::borrow::BorrowMut<TcpStream>, marker: &[u8]) {
    let mut buffer = [0; 2048];
    let mut kept = 0;
    loop {
        let read = stream.borrow_mut().read(&mut buffer[kept..]).await;
        let read = read.expect("the server writes");
        assert!(read > 0, "the stream ended before the event came");
        let all = kept + read;
        if buffer[..all].windows(marker.len()).any(|it| it == marker) {
            return;
        }
        // The marker may come in pieces.
        kept = all.min(marker.len() - 1);
        buffer.copy_within(all - kept..all, 0);
    }
}
