//! A connection's bytes between the socket and hyper, past the guard.
//!
//! hyper never sees a head that the guard did not pass. Where the guard refuses one, hyper is given a harmless head
//! in its place and the service answers that request with the refusal: so the answer keeps its order behind those
//! before it, and goes out by the same path.

use super::shared::{Connection, Order, Phase};
use crate::http::guard::{Guard, Phase as Part, Rejection, Verdict, Where};
use hyper::rt::{Read, ReadBufCursor, Write};
use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes read at once, per door thread.
pub(super) const SCRATCH_BYTES: usize = 64 * 1024;

/// Of these, before there is a hyper connection that could take them: as many as it takes at once.
const EARLY_BYTES: usize = 8 * 1024;

/// Stands for a refused head.
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nhost: refused.invalid\r\nconnection: close\r\n\r\n";

/// The refusal of a head that stopped in its middle (RFC 9110 §15.5.9).
const HEAD_TIMEOUT: Rejection = Rejection {
    status: 408,
    code: "header-timeout",
    reason: "the request head did not come in time",
    phase: Part::Head,
};

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH_BYTES].into_boxed_slice());
}

/// Reads what there is behind `early`, and says how much that was; zero at the stream's end. A connection that waits
/// here needs no buffer to wait with.
pub(super) fn poll_more<S: AsyncRead + Unpin>(
    stream: &mut S,
    early: &mut Vec<u8>,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    SCRATCH.with_borrow_mut(|scratch| {
        let mut space = ReadBuf::new(scratch.get_mut(..EARLY_BYTES).unwrap_or_default());
        ready!(Pin::new(stream).poll_read(cx, &mut space))?;
        early.extend_from_slice(space.filled());
        Poll::Ready(Ok(space.filled().len()))
    })
}

/// The stream hyper reads and writes.
pub(super) struct DoorIo<S> {
    stream: S,
    connection: Arc<Connection>,
    /// `None` on HTTP/2, whose framing needs no guard.
    guard: Option<Guard>,
    /// How many bytes of HTTP/2's preface have come.
    opening: usize,
    /// Bytes read and not judged to their end yet: a partial head or chunk line, or what came with a head that may leave
    /// HTTP. A partial head has the guard's bounds; nothing is read behind one that may leave HTTP before it is
    /// answered, so of that there is no more than one read brings ([`SCRATCH_BYTES`]).
    held: Vec<u8>,
    /// Bytes passed that hyper had no room for, from `passed_at` on.
    passed: Vec<u8>,
    passed_at: usize,
    is_refused: bool,
    /// Why a body is framed wrongly. Told when hyper asks for more: by then it has taken the head before it.
    broken: Option<&'static str>,
}

impl<S> DoorIo<S> {
    /// `early` was read already, when the protocol was found out.
    pub(super) fn new(stream: S, connection: Arc<Connection>, guard: Option<Guard>, early: Vec<u8>) -> Self {
        let mut io = Self {
            stream,
            connection,
            guard,
            opening: 0,
            held: Vec::new(),
            passed: Vec::new(),
            passed_at: 0,
            is_refused: false,
            broken: None,
        };
        if io.guard.is_some() {
            io.held = early;
        } else {
            match io.open(&early) {
                Ok(()) => io.passed = early,
                wrong => io.broken = wrong.err(),
            }
        }
        io
    }

    /// The stream of a connection that leaves HTTP, and what came behind the head that asked for it.
    ///
    /// To be called when hyper is done with the connection and has written 101 behind a head at which the guard waits
    /// ([`Where::MayUpgrade`]): nothing behind another head is the other protocol's as it came.
    pub(super) fn into_tunnel(self) -> (S, Vec<u8>) {
        debug_assert_eq!(self.guard.as_ref().map(Guard::state), Some(Where::MayUpgrade));
        let mut early = self.passed;
        early.drain(..self.passed_at);
        early.extend_from_slice(&self.held);
        (self.stream, early)
    }

    /// Looks at the first frame behind HTTP/2's preface, which has to be SETTINGS (RFC 9113 §3.4). h2 takes any.
    fn open(&mut self, bytes: &[u8]) -> Result<(), &'static str> {
        for byte in bytes {
            let is_right = match self.opening {
                // Behind the preface and the frame's length: its type, its flags, and its stream.
                27 => *byte == 4,
                28 => byte & 1 == 0,
                29 => byte & 0x7f == 0,
                30..=32 => *byte == 0,
                33.. => break,
                _ => true,
            };
            if !is_right {
                return Err("an HTTP/2 connection that does not begin with SETTINGS");
            }
            self.opening += 1;
        }
        Ok(())
    }

    /// Hands bytes that have passed to hyper, as many as it has room for.
    fn deliver(&mut self, buf: &mut ReadBufCursor<'_>) -> bool {
        let waiting = self.passed.get(self.passed_at..).unwrap_or_default();
        if waiting.is_empty() {
            return false;
        }
        let bytes = waiting.len().min(buf.remaining());
        buf.put_slice(waiting.get(..bytes).unwrap_or_default());
        self.passed_at += bytes;
        if self.passed_at == self.passed.len() {
            // An idle connection keeps no buffer.
            self.passed = Vec::new();
            self.passed_at = 0;
        }
        bytes > 0
    }

    /// Judges what is held; what passes goes to `passed`.
    fn judge_held(&mut self) -> io::Result<()> {
        let Some(guard) = &mut self.guard else { return Ok(()) };
        if self.held.is_empty() {
            return Ok(());
        }
        let scan = guard.scan(&self.held);
        let rest = self.held.split_off(scan.pass);
        let pass = std::mem::replace(&mut self.held, rest);
        if self.passed.is_empty() {
            self.passed = pass
        } else {
            self.passed.extend_from_slice(&pass)
        }
        if self.held.is_empty() {
            self.held = Vec::new();
        }
        self.conclude(scan.verdict)
    }

    /// Judges bytes that were just read and gives hyper what passes, without a copy of our own where all of it does.
    fn judge(&mut self, bytes: &[u8], buf: &mut ReadBufCursor<'_>) -> io::Result<()> {
        if self.guard.is_none() {
            self.open(bytes)
                .map_err(|wrong| io::Error::new(io::ErrorKind::InvalidData, wrong))?;
        }
        let Some(guard) = &mut self.guard else {
            buf.put_slice(bytes);
            return Ok(());
        };
        if !self.held.is_empty() || self.is_refused {
            if !self.is_refused {
                self.held.extend_from_slice(bytes);
            }
            return self.judge_held();
        }
        let scan = guard.scan(bytes);
        let (pass, rest) = bytes.split_at_checked(scan.pass).unwrap_or((bytes, &[]));
        buf.put_slice(pass);
        if matches!(scan.verdict, Verdict::NeedMore) {
            self.held.extend_from_slice(rest);
        }
        self.conclude(scan.verdict)
    }

    fn conclude(&mut self, verdict: Verdict) -> io::Result<()> {
        let Some(guard) = &self.guard else { return Ok(()) };
        if let Verdict::Reject(rejection) = verdict {
            return self.refuse(rejection);
        }
        // While another answer is under way the next head may take its time.
        let waits = !matches!(self.connection.phase(), Phase::Head | Phase::Busy);
        if waits && guard.state() == Where::InHead {
            self.connection.enter(Phase::Head);
        }
        Ok(())
    }

    fn refuse(&mut self, rejection: Rejection) -> io::Result<()> {
        if self.is_refused {
            return Ok(());
        }
        self.is_refused = true;
        self.held = Vec::new();
        self.connection.listener.metrics.rejected(rejection.code);
        if matches!(rejection.phase, Part::Body) {
            self.broken = Some(rejection.reason);
            return Ok(());
        }
        let ordinal = self.guard.as_ref().map_or(1, Guard::heads) + 1;
        self.connection.refuse(ordinal, rejection);
        self.passed.extend_from_slice(STAND_IN);
        Ok(())
    }
}

impl<S: AsyncRead + Unpin> DoorIo<S> {
    /// Waits for the next byte of a connection at rest, or its end.
    pub(super) fn poll_wake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        poll_more(&mut self.stream, &mut self.held, cx).map_ok(drop)
    }

    /// Whether a request's body is not complete.
    pub(super) fn is_in_body(&self) -> bool {
        let state = self.guard.as_ref().map(Guard::state);
        matches!(state, Some(Where::InBody { .. }))
    }

    /// Reads and forgets, to the end of the body or of the stream.
    pub(super) fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.is_in_body() {
            if ready!(poll_more(&mut self.stream, &mut self.held, cx))? == 0 {
                break;
            }
            if let Some(guard) = &mut self.guard {
                // What is left is a part of a chunk's framing.
                let passed = guard.scan(&self.held).pass;
                self.held.drain(..passed);
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Whether the next byte would begin a request.
    fn is_between_requests(&self) -> bool {
        self.held.is_empty()
            && self
                .guard
                .as_ref()
                .is_some_and(|guard| guard.state() == Where::BetweenRequests)
    }

    fn poll_read_some(&mut self, cx: &mut Context<'_>, buf: &mut ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        if let Some(guard) = &mut self.guard
            && self.passed.is_empty()
        {
            // hyper asks for more when it wants the next head, never while a request without a body is under way: so
            // one that might have left HTTP is answered, and did not.
            guard.resume();
        }
        loop {
            if self.connection.ordered() == Order::RefuseHead && !self.is_refused {
                self.refuse(HEAD_TIMEOUT)?;
            }
            self.judge_held()?;
            if self.deliver(buf) || buf.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            if let Some(reason) = self.broken {
                // Its request is under way: the fault is told there, and hyper reads no further.
                self.connection.cancel(crate::http::Cause::BadBody);
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, reason)));
            }
            let room = buf.remaining();
            let read = SCRATCH.with_borrow_mut(|scratch| {
                let most = scratch.len();
                let mut space = ReadBuf::new(scratch.get_mut(..room.min(most)).unwrap_or_default());
                ready!(Pin::new(&mut self.stream).poll_read(cx, &mut space))?;
                let bytes = space.filled();
                if bytes.is_empty() {
                    return Poll::Ready(Ok(true));
                }
                self.judge(bytes, buf)?;
                Poll::Ready(io::Result::Ok(false))
            });
            let is_end = ready!(read)?;
            if is_end || buf.remaining() < room {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncRead + Unpin> Read for DoorIo<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, mut buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let read = this.poll_read_some(cx, &mut buf);
        // hyper asks for a head only when the request before is read and answered.
        this.connection.waits(read.is_pending() && this.is_between_requests());
        read
    }
}

impl<S: AsyncWrite + Unpin> DoorIo<S> {
    fn wrote(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.connection.blocked(written.is_pending());
        written
    }
}

impl<S: AsyncWrite + Unpin> Write for DoorIo<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wrote(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        // Under TLS the last bytes of an answer wait here, not in a write: once they are out nothing is blocked.
        self.connection.blocked(flushed.is_pending());
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
