//! The floor: a socket, a command, and everything up to the next prompt.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Instant;

use se_testkit::testbed::ROUTER_PASSWORD;

use super::since;

/// `count` commands one after the other, logged in.
pub(super) fn one(port: u16, command: &str, count: usize) -> f64 {
    let (mut stream, prompt) = log_in(port);
    let start = Instant::now();
    for _ in 0..count {
        ask(&mut stream, command, &prompt);
    }
    since(start)
}

/// The commands in turn on each of the devices, a thread each, with logging in.
pub(super) fn many(ports: &[u16], commands: &[&str]) -> f64 {
    let start = Instant::now();
    std::thread::scope(|scope| {
        for (at, port) in ports.iter().enumerate() {
            let commands = commands.iter().skip(at).step_by(ports.len());
            scope.spawn(move || visit(*port, commands));
        }
    });
    since(start)
}

fn visit<'a>(port: u16, commands: impl Iterator<Item = &'a &'a str>) {
    let (mut stream, prompt) = log_in(port);
    for command in commands {
        ask(&mut stream, command, &prompt);
    }
}

fn log_in(port: u16) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_nodelay(true).unwrap();
    until(&mut stream, "Password: ");
    stream
        .write_all(format!("{ROUTER_PASSWORD}\r").as_bytes())
        .unwrap();
    until(&mut stream, "> ");
    ask(&mut stream, "enable", "Password: ");
    stream
        .write_all(format!("{ROUTER_PASSWORD}\r").as_bytes())
        .unwrap();
    let shown = until(&mut stream, "# ");
    let prompt = format!("\n{}", shown.rsplit('\n').next().unwrap_or_default());
    (stream, prompt)
}

fn ask(stream: &mut TcpStream, line: &str, end: &str) {
    stream.write_all(format!("{line}\r").as_bytes()).unwrap();
    until(stream, end);
}

fn until(stream: &mut TcpStream, end: &str) -> String {
    let mut shown = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    while !shown.ends_with(end.as_bytes()) {
        let read = stream.read(&mut buffer).unwrap();
        assert!(read > 0, "it hung up before {end:?}");
        shown.extend_from_slice(buffer.get(..read).unwrap_or_default());
    }
    String::from_utf8_lossy(&shown).into_owned()
}
