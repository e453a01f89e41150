//! The console of a node, through its controller.

use std::any::Any;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

trait Both: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Both for T {}

/// The bytes of a console, both ways; closed when dropped.
pub struct ConsoleStream {
    inner: Pin<Box<dyn Both>>,
    /// What it lives as long as.
    held: Option<Box<dyn Any + Send>>,
}

impl ConsoleStream {
    /// Of whatever carries them.
    #[must_use]
    pub fn new(inner: impl AsyncRead + AsyncWrite + Send + 'static) -> Self {
        Self {
            inner: Box::pin(inner),
            held: None,
        }
    }

    /// Keeps something that the bytes need until they end.
    #[must_use]
    pub fn holding(self, it: impl Any + Send) -> Self {
        let held = Some(Box::new(it) as Box<dyn Any + Send>);
        Self { held, ..self }
    }
}

impl AsyncRead for ConsoleStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.inner.as_mut().poll_read(context, buffer)
    }
}

impl AsyncWrite for ConsoleStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.inner.as_mut().poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.as_mut().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.as_mut().poll_shutdown(context)
    }
}

impl fmt::Debug for ConsoleStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "ConsoleStream({})",
            if self.held.is_some() { "held" } else { "bare" }
        )
    }
}
