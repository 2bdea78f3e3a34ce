//! A connection that leaves HTTP: the client's end of it as a stream of our own, and what runs on it then.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The client's end of a connection that left HTTP, whichever version it came by.
pub struct Upgrade {
    /// What came behind the handshake, from `early_at` on.
    early: Vec<u8>,
    early_at: usize,
    io: Pin<Box<dyn Stream>>,
}

trait Stream: AsyncRead + AsyncWrite + Send {}

impl<S: AsyncRead + AsyncWrite + Send> Stream for S {}

impl Upgrade {
    /// `early` is read before anything of `io`.
    pub fn new(io: impl AsyncRead + AsyncWrite + Send + 'static, early: Vec<u8>) -> Self {
        Self {
            early,
            early_at: 0,
            io: Box::pin(io),
        }
    }
}

impl AsyncRead for Upgrade {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let early = this.early.get(this.early_at..).unwrap_or_default();
        if early.is_empty() {
            return this.io.as_mut().poll_read(cx, buf);
        }
        let bytes = early.len().min(buf.remaining());
        buf.put_slice(early.get(..bytes).unwrap_or_default());
        this.early_at += bytes;
        if this.early_at == this.early.len() {
            this.early = Vec::new();
            this.early_at = 0;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Upgrade {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.io.as_mut().poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.io.as_mut().poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.as_mut().poll_shutdown(cx)
    }
}

impl fmt::Debug for Upgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgrade").finish_non_exhaustive()
    }
}

/// What became of an upgraded connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// Bytes from the client.
    pub bytes_in: u64,
    /// Bytes to the client.
    pub bytes_out: u64,
    /// Why it ended, where neither side closed it.
    pub outcome: Option<&'static str>,
}

type Running = Pin<Box<dyn Future<Output = Carried> + Send>>;

/// What runs on a connection once its handshake is answered, until both sides are done.
pub struct AfterUpgrade(Box<dyn FnOnce(Upgrade) -> Running + Send>);

impl AfterUpgrade {
    /// Runs `what`.
    pub fn new<F>(what: impl FnOnce(Upgrade) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Carried> + Send + 'static,
    {
        Self(Box::new(move |upgrade| Box::pin(what(upgrade))))
    }

    /// Begins.
    pub fn run(self, upgrade: Upgrade) -> impl Future<Output = Carried> + Send {
        (self.0)(upgrade)
    }
}

impl fmt::Debug for AfterUpgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AfterUpgrade").finish_non_exhaustive()
    }
}
