//! What lies between a controller's ways to a console and the console itself.

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use se_adapters::connect::telnet::{Frame, Negotiation, Telnet};
use tokio::net::TcpStream;
use tokio_util::codec::Framed;

/// A connection with a console, telnet taken out.
pub(super) struct Bridge {
    framed: Framed<TcpStream, Telnet>,
    negotiation: Negotiation,
}

impl Bridge {
    /// To the console at `address`.
    ///
    /// # Errors
    /// If nothing listens there.
    pub(super) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        Ok(Self {
            framed: Framed::new(stream, Telnet::default()),
            negotiation: Negotiation::default(),
        })
    }

    /// What the console says; nothing when it has hung up. Cancel safe but for what is answered to options.
    pub(super) async fn say(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            match self.framed.next().await.transpose()? {
                Some(Frame::Data(data)) => return Ok(Some(data)),
                Some(other) => self.answer(&other).await?,
                None => return Ok(None),
            }
        }
    }

    async fn answer(&mut self, option: &Frame) -> io::Result<()> {
        for answer in self.negotiation.answer(option) {
            self.framed.send(answer).await?;
        }
        Ok(())
    }

    /// Types.
    ///
    /// # Errors
    /// If the console has hung up.
    pub(super) async fn keys(&mut self, keys: Bytes) -> io::Result<()> {
        self.framed.send(Frame::Data(keys)).await
    }
}
