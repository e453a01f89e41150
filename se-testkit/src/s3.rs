//! A real S3 server: moto, on a port of its own, which `cargo xtask test` installs.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const INSTALL: &str = "needs the S3 server of moto: \
    `python3 -m venv target/moto && target/moto/bin/pip install 'moto[server]'`";

/// An S3 server with no buckets. Dropping it stops exactly this one.
#[derive(Debug)]
pub struct S3Server {
    process: Child,
    address: String,
}

impl S3Server {
    /// Starts one.
    ///
    /// # Errors
    /// If moto is not installed, or does not start; the message says how to install it.
    pub fn start() -> io::Result<Self> {
        Self::start_with(&[])
    }

    /// Starts one that asks everybody who they are after so many requests, and lets them do what their policies
    /// allow. Its services besides S3 are guarded, too.
    ///
    /// # Errors
    /// As for [`S3Server::start`].
    pub fn start_guarded(free_requests: u32) -> io::Result<Self> {
        let free = free_requests.to_string();
        Self::start_with(&[("INITIAL_NO_AUTH_ACTION_COUNT", &free)])
    }

    fn start_with(environment: &[(&str, &str)]) -> io::Result<Self> {
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/moto/bin/moto_server");
        let program = if own.exists() {
            own
        } else {
            PathBuf::from("moto_server")
        };
        let failed = |why: String| io::Error::other(format!("{INSTALL}: {why}"));
        let mut process = Command::new(program)
            .args(["-H", "127.0.0.1", "-p", "0"])
            .envs(environment.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| failed(error.to_string()))?;
        let said = process.stderr.take();
        let said = said.ok_or_else(|| failed("it has no standard error".to_owned()))?;
        let mut lines = BufReader::new(said).lines().map_while(Result::ok);
        let address =
            lines.find_map(|it| it.split_once("http://").map(|(_, it)| it.trim().to_owned()));
        // Keeps the pipe open and empty as long as the server writes.
        std::thread::spawn(move || lines.for_each(drop));
        let mut server = Self {
            process,
            address: String::new(),
        };
        server.address = address.ok_or_else(|| failed("it does not say where it is".to_owned()))?;
        Ok(server)
    }

    /// Host and port.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The address as an endpoint is configured.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Makes a bucket.
    ///
    /// # Errors
    /// If the server does not answer well.
    pub fn make_bucket(&self, name: &str) -> io::Result<()> {
        let answer = self.ask("PUT", &format!("/{name}"))?;
        if answer.starts_with("HTTP/1.1 200") {
            Ok(())
        } else {
            Err(io::Error::other(answer))
        }
    }

    /// The keys of all objects in a bucket.
    ///
    /// # Errors
    /// If the server does not answer well.
    pub fn keys(&self, bucket: &str) -> io::Result<Vec<String>> {
        let answer = self.ask("GET", &format!("/{bucket}?list-type=2"))?;
        if !answer.starts_with("HTTP/1.1 200") {
            return Err(io::Error::other(answer));
        }
        let keys = answer.split("<Key>").skip(1);
        Ok(keys
            .filter_map(|it| it.split_once("</Key>"))
            .map(|(key, _)| key.to_owned())
            .collect())
    }

    fn ask(&self, method: &str, path: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect(&self.address)?;
        let host = &self.address;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
