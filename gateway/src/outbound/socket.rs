//! The socket under a connection: it holds the connection's place until it is closed, and can be cut from outside.

use futures_util::task::AtomicWaker;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio_rustls::client::TlsStream;

/// Cuts a connection, whatever it is doing.
#[derive(Debug, Default)]
pub(super) struct Link {
    is_cut: AtomicBool,
    /// Whether the server takes no bytes at the moment.
    is_blocked: AtomicBool,
    driver: AtomicWaker,
}

impl Link {
    /// Ends the connection at once: its driver is woken and drops the socket.
    pub(super) fn cut(&self) {
        self.is_cut.store(true, Ordering::Release);
        self.driver.wake();
    }

    /// Whether bytes are left that the server does not take.
    pub(super) fn is_blocked(&self) -> bool {
        self.is_blocked.load(Ordering::Acquire)
    }

    /// Remembers whether a write went through.
    fn wrote<T>(&self, written: Poll<T>) -> Poll<T> {
        if written.is_pending() != self.is_blocked.load(Ordering::Relaxed) {
            self.is_blocked.store(written.is_pending(), Ordering::Release);
        }
        written
    }

    /// Whether it was cut; wakes `cx` when it is.
    pub(super) fn poll_cut(&self, cx: &Context<'_>) -> bool {
        self.driver.register(cx.waker());
        self.is_cut.load(Ordering::Acquire)
    }
}

/// With or without TLS.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A stream that owns its connection's place. Fields are dropped in this order: the place is free once the socket is
/// closed.
pub(super) struct Socket {
    stream: Stream,
    link: Arc<Link>,
    _place: OwnedSemaphorePermit,
}

impl Socket {
    pub(super) fn new(stream: Stream, link: Arc<Link>, place: OwnedSemaphorePermit) -> Self {
        Self {
            stream,
            link,
            _place: place,
        }
    }

    fn check(&self, cx: &Context<'_>) -> io::Result<()> {
        if self.link.poll_cut(cx) {
            Err(io::ErrorKind::ConnectionAborted.into())
        } else {
            Ok(())
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        };
        self.link.wrote(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Stream::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        };
        self.link.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let written = match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        };
        self.link.wrote(written)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
