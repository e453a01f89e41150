//! HTTP servers of simulators: plain or TLS, and able to hang up in the middle.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::{Extension, Router};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// A handler cancels this to have its connection closed without an answer.
#[derive(Clone, Debug)]
pub(super) struct HangUp(pub(super) CancellationToken);

/// A server; stops when dropped.
#[derive(Debug)]
pub(super) struct Serving {
    pub(super) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A self-signed certificate for this machine.
pub(super) struct Identity {
    pub(super) certificate_pem: String,
    pub(super) certificate: CertificateDer<'static>,
    acceptor: TlsAcceptor,
}

impl Identity {
    /// A fresh one.
    ///
    /// # Errors
    /// If the key cannot be made.
    pub(super) fn new(address: &str) -> io::Result<Self> {
        let names = vec!["localhost".to_owned(), address.to_owned()];
        let made = rcgen::generate_simple_self_signed(names).map_err(io::Error::other)?;
        let certificate = made.cert.der().clone();
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key.into())
            .map_err(io::Error::other)?;
        Ok(Self {
            certificate_pem: made.cert.pem(),
            certificate,
            acceptor: TlsAcceptor::from(Arc::new(config)),
        })
    }
}

/// Serves `router` on `listener` until the answer is dropped.
///
/// # Errors
/// If the listener has no address.
pub(super) fn serve(
    listener: TcpListener,
    identity: Option<&Identity>,
    router: Router,
) -> io::Result<Serving> {
    let address = listener.local_addr()?;
    let tls = identity.map(|it| it.acceptor.clone());
    #[expect(clippy::disallowed_methods, reason = "a simulator owns its tasks")]
    let task = tokio::spawn(accept(listener, tls, router));
    Ok(Serving { address, task })
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, router: Router) {
    // Dropped with this task: no connection outlives its server.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            // Both are cancel safe.
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(connection(stream, tls.clone(), router.clone()));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, tls: Option<TlsAcceptor>, router: Router) {
    match tls {
        None => speak(stream, router).await,
        Some(acceptor) => {
            // A client that does not believe the certificate ends here.
            if let Ok(stream) = acceptor.accept(stream).await {
                speak(stream, router).await;
            }
        }
    }
}

async fn speak(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, router: Router) {
    let hang_up = CancellationToken::new();
    let router = router.layer(Extension(HangUp(hang_up.clone())));
    let builder = Builder::new(TokioExecutor::new());
    let service = TowerToHyperService::new(router);
    let served = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    tokio::select! {
        // Dropping the connection is what is wanted here; how it ended concerns nobody.
        _ = served => {}
        () = hang_up.cancelled() => {}
    }
}
