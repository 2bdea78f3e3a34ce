//! Between a server's socket and hyper's client: only what the guard lets pass is read.
//!
//! A response that is followed by bytes nobody asked for is good, and its connection is not: the response is handed on
//! whole, and the connection is never used again.

use super::socket::Link;
use crate::http::guard::Verdict;
use crate::http::guard::response::{At, BadResponse, ResponseGuard, ResponseLimits};
use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, ReadBuf};

/// Bytes read at once behind a part of a head, per thread.
const SCRATCH_BYTES: usize = 16 * 1024;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH_BYTES].into_boxed_slice());
}

/// One connection's guard, and what it keeps.
#[derive(Debug)]
pub(super) struct Screen {
    guard: ResponseGuard,
    /// Read and not judged to its end yet: a part of a head or a chunk line.
    held: Vec<u8>,
    /// Passed, and not asked for yet, from `passed_at` on.
    passed: Vec<u8>,
    passed_at: usize,
    refused: Option<BadResponse>,
    /// Interim responses of the present request that were counted.
    interims: usize,
}

impl Screen {
    pub(super) fn new() -> Self {
        Self {
            guard: ResponseGuard::new(ResponseLimits::default()),
            held: Vec::new(),
            passed: Vec::new(),
            passed_at: 0,
            refused: None,
            interims: 0,
        }
    }

    /// Reads from `stream` what may be read.
    pub(super) fn poll_read<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        link: &Link,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if self.guard.state() == At::Idle
                && let Some(asked) = link.take_expected()
            {
                self.guard.expects(asked);
                self.interims = 0;
            }
            if self.deliver(buf) || buf.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            if let Some(reason) = self.refused {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, reason)));
            }
            let before = buf.filled().len();
            let is_end = if self.held.is_empty() {
                ready!(self.read(stream, link, cx, buf))?
            } else {
                ready!(self.read_behind(stream, link, cx))?
            };
            // What is cut off by the end, hyper finds out by itself.
            if is_end || buf.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Reads to where hyper wants it, and takes back what may not pass yet. Whether the stream is at its end.
    fn read<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        link: &Link,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<bool>> {
        let before = buf.filled().len();
        ready!(Pin::new(stream).poll_read(cx, buf))?;
        let bytes = buf.filled().get(before..).unwrap_or_default();
        if bytes.is_empty() {
            return Poll::Ready(Ok(true));
        }
        let scan = self.guard.scan(bytes);
        if matches!(scan.verdict, Verdict::NeedMore) {
            self.held.extend_from_slice(bytes.get(scan.pass..).unwrap_or_default());
        }
        buf.set_filled(before + scan.pass);
        self.conclude(scan.verdict, link);
        Poll::Ready(Ok(false))
    }

    /// Reads behind what is held.
    fn read_behind<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        link: &Link,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<bool>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut space = ReadBuf::new(scratch);
            ready!(Pin::new(stream).poll_read(cx, &mut space))?;
            if space.filled().is_empty() {
                return Poll::Ready(Ok(true));
            }
            self.held.extend_from_slice(space.filled());
            let scan = self.guard.scan(&self.held);
            let rest = self.held.split_off(scan.pass);
            self.passed = std::mem::replace(&mut self.held, rest);
            self.conclude(scan.verdict, link);
            Poll::Ready(Ok(false))
        })
    }

    fn conclude(&mut self, verdict: Verdict<BadResponse>, link: &Link) {
        let interims = self.guard.interims();
        if interims > self.interims {
            link.count_interims(interims - self.interims);
            self.interims = interims;
        }
        if let Verdict::Reject(reason) = verdict {
            self.held = Vec::new();
            self.refused = Some(reason);
            link.spoil();
        }
    }

    /// Hands on what has passed, as much as there is room for.
    fn deliver(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        let waiting = self.passed.get(self.passed_at..).unwrap_or_default();
        let bytes = waiting.len().min(buf.remaining());
        buf.put_slice(waiting.get(..bytes).unwrap_or_default());
        self.passed_at += bytes;
        if self.passed_at == self.passed.len() && self.passed_at > 0 {
            (self.passed, self.passed_at) = (Vec::new(), 0);
        }
        bytes > 0
    }
}
