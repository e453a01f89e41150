//! Posts the same body over and over, each connection as soon as it is answered.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Host and port of the server.
    #[arg(long)]
    to: SocketAddr,
    /// Where to post.
    #[arg(long)]
    path: String,
    /// A file with what to post.
    #[arg(long)]
    body: PathBuf,
    #[arg(long)]
    connections: usize,
    #[arg(long)]
    seconds: f64,
    /// As many as this at most.
    #[arg(long, default_value_t = usize::MAX)]
    count: usize,
}

/// Prints how many were answered with 202 a second, the median of their times and the 99th percentile, in µs.
pub(crate) async fn run(options: &Options) {
    let body = std::fs::read_to_string(&options.body).expect("the body is there");
    let request: Arc<str> = format!(
        "POST {} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        options.path,
        options.to,
        body.len()
    )
    .into();
    let began = Instant::now();
    let end = began + Duration::from_secs_f64(options.seconds);
    let share = options.count.div_ceil(options.connections);
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..options.connections {
        running.spawn(post(options.to, Arc::clone(&request), end, share));
    }
    let mut times: Vec<f64> = running.join_all().await.into_iter().flatten().collect();
    let took = began.elapsed().as_secs_f64();
    times.sort_by(f64::total_cmp);
    let at = |part: f64| times[(times.len() as f64 * part) as usize];
    println!("{:.0}", times.len() as f64 / took);
    println!("{:.0}", at(0.5));
    println!("{:.0}", at(0.99));
}

/// How long each took, in µs.
async fn post(to: SocketAddr, request: Arc<str>, end: Instant, share: usize) -> Vec<f64> {
    let mut stream = TcpStream::connect(to).await.expect("it listens");
    stream.set_nodelay(true).expect("it is a socket");
    let (mut times, mut buffer) = (Vec::new(), vec![0; 16 << 10]);
    while Instant::now() < end && times.len() < share {
        let began = Instant::now();
        let sent = stream.write_all(request.as_bytes()).await;
        sent.expect("the server reads");
        answer(&mut stream, &mut buffer).await;
        times.push(began.elapsed().as_secs_f64() * 1e6);
    }
    times
}

/// Reads one answer to its end.
async fn answer(stream: &mut TcpStream, buffer: &mut [u8]) {
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..]).await;
        filled += read.expect("the server writes");
        let text = std::str::from_utf8(&buffer[..filled]).expect("answers are text");
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        assert!(head.starts_with("HTTP/1.1 202"), "{text}");
        let length = head.lines().find_map(|it| {
            it.to_ascii_lowercase()
                .strip_prefix("content-length: ")
                .map(str::to_owned)
        });
        let length: usize = length
            .and_then(|it| it.parse().ok())
            .expect("answers have a length");
        if body.len() >= length {
            return;
        }
    }
}
