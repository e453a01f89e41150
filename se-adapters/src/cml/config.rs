//! How to reach a controller.

use std::time::Duration;

use reqwest::Url;
use se_runtime::{Fault, FaultKind, Secret};

use crate::worker::{Trust, Worker};

/// Everything the client needs to know.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// Root of the API, with `/` at its end.
    pub(crate) api: Url,
    /// Login name.
    pub(crate) username: String,
    /// Login password.
    pub(crate) password: Secret,
    /// Which certificate is believed.
    pub(crate) trust: Trust,
    /// Where the console server is.
    pub(crate) console_host: String,
    /// Its port.
    pub(crate) console_port: u16,
    /// The longest a connection may take to stand.
    pub(crate) connect_timeout: Duration,
    /// The longest one request may take.
    pub(crate) request_timeout: Duration,
    /// The largest answer, in bytes.
    pub(crate) max_body: usize,
    /// How often a request that may be repeated is sent at most.
    pub(crate) max_tries: u32,
    /// Time before the second try; doubled before each further one.
    pub(crate) first_backoff: Duration,
    /// The longest time between tries.
    pub(crate) max_backoff: Duration,
}

impl Config {
    /// Of a worker.
    ///
    /// # Errors
    /// `validation` if the address is none a controller can have.
    pub(crate) fn new(worker: &Worker) -> Result<Self, Fault> {
        Ok(Self {
            api: api_url(worker)?,
            username: worker.cml_username.clone(),
            password: worker.cml_password.clone(),
            trust: worker.trust.clone(),
            console_host: console_host(worker),
            console_port: worker.console_port,
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            max_body: 16 << 20,
            max_tries: 6,
            first_backoff: Duration::from_millis(250),
            max_backoff: Duration::from_secs(5),
        })
    }
}

/// The controller's host, without the port of its API.
fn console_host(worker: &Worker) -> String {
    let api = worker.cml_url.as_deref().and_then(|it| Url::parse(it).ok());
    let host = api.and_then(|it| it.host_str().map(str::to_owned));
    host.unwrap_or_else(|| worker.ip.clone())
}

fn api_url(worker: &Worker) -> Result<Url, Fault> {
    let (field, text) = match &worker.cml_url {
        Some(url) => ("worker.cml_url", url.clone()),
        None => ("worker.ip", format!("https://{}", bracketed(&worker.ip))),
    };
    let refuse = |why: &str| {
        let detail = format!(
            "`{field}` gives no address of a controller: {why}; write it as https://203.0.113.7"
        );
        Fault::new(FaultKind::Validation, detail)
    };
    let url = Url::parse(&text).map_err(|error| refuse(&error.to_string()))?;
    // Never shown from here on: it may hold a password.
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refuse(
            "it holds a login, which belongs into `cml_username` and `cml_password`",
        ));
    }
    let host = url.host_str().unwrap_or_default();
    if host.is_empty() {
        return Err(refuse("it names no host"));
    }
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(host) => {}
        "http" => return Err(refuse("the password would travel unencrypted")),
        other => return Err(refuse(&format!("`{other}` is not https"))),
    }
    let root = url.as_str().trim_end_matches('/');
    let root = root.strip_suffix("/api/v0").unwrap_or(root);
    Url::parse(&format!("{root}/api/v0/")).map_err(|error| refuse(&error.to_string()))
}

fn bracketed(ip: &str) -> String {
    match ip.parse() {
        Ok(std::net::IpAddr::V6(address)) => format!("[{address}]"),
        Ok(std::net::IpAddr::V4(_)) | Err(_) => ip.to_owned(),
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let address: Result<std::net::IpAddr, _> = bare.parse();
    host == "localhost" || address.is_ok_and(|it| it.is_loopback())
}

#[cfg(test)]
mod tests {
    use se_runtime::Secret;

    use super::Config;
    use crate::worker::{CONSOLE_PORT, ConsoleWay, Trust, Worker};

    fn api(ip: &str, cml_url: Option<&str>) -> Result<String, String> {
        let worker = Worker {
            ip: ip.to_owned(),
            cml_url: cml_url.map(str::to_owned),
            cml_username: "admin".to_owned(),
            cml_password: Secret::new("pw"),
            region: None,
            adapter: None,
            trust: Trust::System,
            capabilities: Vec::new(),
            consoles: ConsoleWay::ALL.to_vec(),
            console_port: CONSOLE_PORT,
        };
        let config = Config::new(&worker);
        config
            .map(|it| it.api.to_string())
            .map_err(|fault| fault.detail)
    }

    #[test]
    fn the_controller_is_at_the_worker_or_where_cml_url_says() {
        for (ip, url, expected) in [
            ("10.0.0.7", None, "https://10.0.0.7/api/v0/"),
            ("10.0.0.7:8443", None, "https://10.0.0.7:8443/api/v0/"),
            ("::1", None, "https://[::1]/api/v0/"),
            (
                "x",
                Some("https://cml.test:444"),
                "https://cml.test:444/api/v0/",
            ),
            ("x", Some("https://a/cml/"), "https://a/cml/api/v0/"),
            ("x", Some("https://a/api/v0"), "https://a/api/v0/"),
            ("x", Some("http://127.0.0.1:80"), "http://127.0.0.1/api/v0/"),
        ] {
            assert_eq!(api(ip, url).as_deref(), Ok(expected), "{ip} {url:?}");
        }
    }

    #[test]
    fn a_controller_that_cannot_be_one_is_refused_without_showing_a_login() {
        for (url, why) in [
            ("http://10.0.0.7", "unencrypted"),
            ("ftp://10.0.0.7", "not https"),
            ("https://", "host"),
            ("https://u:hunter2@10.0.0.7", "holds a login"),
        ] {
            let detail = api("x", Some(url)).unwrap_err();
            assert!(detail.contains(why), "{detail}");
            assert!(!detail.contains("hunter2"), "{detail}");
        }
    }
}
