//! SSH.
use super::Host;
use std::{io, net::SocketAddr};
use tokio::net::TcpListener;
#[derive(Debug)]
pub(crate) struct Ssh {
    pub(crate) address: SocketAddr,
    _host: Host,
}
impl Ssh {
    pub(crate) fn start(listener: TcpListener, host: Host) -> io::Result<Self> {
        Ok(Self {
            address: listener.local_addr()?,
            _host: host,
        })
    }
}
