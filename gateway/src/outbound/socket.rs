//! The socket under a connection: it holds the connection's place until it is closed, and can be cut from outside.

use super::screen::Screen;
use crate::http::guard::response::Asked;
use crate::tcp::{self, Look};
use futures_util::task::AtomicWaker;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio_rustls::client::TlsStream;

/// Cuts a connection, whatever it is doing.
#[derive(Debug)]
pub(super) struct Link {
    socket: Look,
    is_cut: AtomicBool,
    /// Whether the server takes no bytes at the moment.
    is_blocked: AtomicBool,
    /// Bytes came that no request asked for, or that are no response.
    is_spoiled: AtomicBool,
    /// The request that is about to be put on the connection, as a number; zero: none.
    expected: AtomicU8,
    /// Interim responses, over all connections of a pool.
    interims: Arc<AtomicU64>,
    driver: AtomicWaker,
}

/// The bits of `expected`.
const ASKED: u8 = 1;
const IS_HEAD: u8 = 2;
const MAY_UPGRADE: u8 = 4;

impl Link {
    /// `interims` counts interim responses.
    pub(super) fn new(socket: Look, interims: Arc<AtomicU64>) -> Self {
        Self {
            socket,
            is_cut: AtomicBool::new(false),
            is_blocked: AtomicBool::new(false),
            is_spoiled: AtomicBool::new(false),
            expected: AtomicU8::new(0),
            interims,
            driver: AtomicWaker::new(),
        }
    }

    /// Whether the server has sent nothing that its driver has not read, the connection's end least of all.
    pub(super) fn is_quiet(&self) -> bool {
        self.socket.is_quiet()
    }

    /// Ends the connection at once: its driver is woken and drops the socket.
    pub(super) fn cut(&self) {
        self.is_cut.store(true, Ordering::Release);
        self.driver.wake();
    }

    /// Whether bytes are left that the server does not take.
    pub(super) fn is_blocked(&self) -> bool {
        self.is_blocked.load(Ordering::Acquire)
    }

    /// A request is about to be put on the connection.
    pub(super) fn expect(&self, asked: Asked) {
        let flag = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
        let asked = ASKED | flag(asked.is_head, IS_HEAD) | flag(asked.may_upgrade, MAY_UPGRADE);
        self.expected.store(asked, Ordering::Release);
    }

    /// The request that was put on the connection, once.
    pub(super) fn take_expected(&self) -> Option<Asked> {
        if self.expected.load(Ordering::Acquire) == 0 {
            return None;
        }
        let asked = self.expected.swap(0, Ordering::AcqRel);
        Some(Asked {
            is_head: asked & IS_HEAD != 0,
            may_upgrade: asked & MAY_UPGRADE != 0,
        })
    }

    /// The connection may end what it began and serves no other request.
    pub(super) fn spoil(&self) {
        self.is_spoiled.store(true, Ordering::Release);
    }

    pub(super) fn is_spoiled(&self) -> bool {
        self.is_spoiled.load(Ordering::Acquire)
    }

    pub(super) fn count_interims(&self, count: usize) {
        self.interims.fetch_add(count as u64, Ordering::Relaxed);
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
    Plain(tcp::Socket),
    Tls(Box<TlsStream<tcp::Socket>>),
}

impl Stream {
    pub(super) fn look(&self) -> Look {
        match self {
            Self::Plain(socket) => socket.look(),
            Self::Tls(stream) => stream.get_ref().0.look(),
        }
    }
}

/// A stream that owns its connection's place. Fields are dropped in this order: the place is free once the socket is
/// closed.
pub(super) struct Socket {
    stream: Stream,
    /// Guards the responses of HTTP/1.
    screen: Option<Screen>,
    link: Arc<Link>,
    _place: OwnedSemaphorePermit,
}

impl Socket {
    /// For HTTP/1, whose framing needs a guard, or for HTTP/2.
    pub(super) fn new(stream: Stream, link: Arc<Link>, place: OwnedSemaphorePermit, is_h1: bool) -> Self {
        Self {
            stream,
            screen: is_h1.then(Screen::new),
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
        let this = &mut *self;
        match (&mut this.stream, &mut this.screen) {
            (Stream::Plain(stream), Some(screen)) => screen.poll_read(stream, &this.link, cx, buf),
            (Stream::Tls(stream), Some(screen)) => screen.poll_read(stream, &this.link, cx, buf),
            (Stream::Plain(stream), None) => Pin::new(stream).poll_read(cx, buf),
            (Stream::Tls(stream), None) => Pin::new(stream).poll_read(cx, buf),
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
