//! WebSocket tunnels: the handshake translated between versions of HTTP, then bytes both ways, untouched.
//!
//! Towards servers the handshake is always HTTP/1.1's Upgrade (RFC 6455 §4). A client's may be the same, which then
//! passes as it is, or HTTP/2's extended CONNECT (RFC 8441), for which this side makes a key and checks the accept.

use super::server::{Load, Server};
use super::upstream::InFlight;
use crate::error::{Fault, UpstreamFault};
use crate::http::{AfterUpgrade, Body, Carried, Cause, RequestCx, Upgrade};
use crate::limits;
use crate::outbound::Tunnel;
use http::header::{
    CONNECTION, HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, TE, UPGRADE,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Version, request};
use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");

/// A client's wish for a WebSocket.
#[derive(Debug)]
pub(super) enum Handshake {
    /// HTTP/1.1: the client checks the server's answer itself.
    Upgrade,
    /// HTTP/2: the key is ours.
    Connect { key: HeaderValue, accept: String },
}

impl Handshake {
    /// What the head asks for, if it is a WebSocket and `may` be one. Every other upgrade is left to be taken out: an
    /// upstream that changed to HTTP/2 in a tunnel would answer requests that nobody checks.
    ///
    /// # Errors
    /// CONNECT for anything else: it asks a server to be a proxy.
    pub(super) fn of(head: &request::Parts, may: bool) -> Result<Option<Self>, Fault> {
        if head.method == Method::CONNECT {
            let protocol = head.extensions.get::<hyper::ext::Protocol>();
            if !may || protocol.is_none_or(|protocol| protocol.as_str() != "websocket") {
                return Err(Fault::Refused {
                    status: 501,
                    code: "connect",
                });
            }
            let key = generate_key();
            let accept = derive_accept_key(key.as_bytes());
            let key = HeaderValue::try_from(key).map_err(|_| Fault::Internal("a key is a field value".to_owned()))?;
            return Ok(Some(Self::Connect { key, accept }));
        }
        let is_websocket = may
            && head.version == Version::HTTP_11
            && head.method == Method::GET
            && names(&head.headers, &UPGRADE, "websocket")
            && names(&head.headers, &CONNECTION, "upgrade");
        Ok(is_websocket.then_some(Self::Upgrade))
    }

    /// Makes it HTTP/1.1's, in a head from which everything that concerns one connection was taken.
    pub(super) fn prepare(&self, head: &mut request::Parts) {
        // Trailers are HTTP's.
        head.headers.remove(TE);
        head.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        head.headers.insert(UPGRADE, WEBSOCKET);
        if let Self::Connect { key, .. } = self {
            head.method = Method::GET;
            head.headers.insert(SEC_WEBSOCKET_KEY, key.clone());
            if !head.headers.contains_key(SEC_WEBSOCKET_VERSION) {
                head.headers
                    .insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
            }
        }
    }

    /// Judges an answer that is not 101. To an extended CONNECT any 2xx would say that the WebSocket is open.
    pub(super) fn check_refusal(&self, status: StatusCode, server: &Server) -> Result<(), Fault> {
        if matches!(self, Self::Connect { .. }) && status.is_success() {
            return Err(Fault::Upstream {
                kind: UpstreamFault::Protocol,
                why: format!("{}: it answered a WebSocket handshake with {status}", server.name),
            });
        }
        Ok(())
    }

    /// The client's answer to the server's 101.
    pub(super) fn answer(&self, response: Response<()>, server: &Server) -> Result<Response<Body>, Fault> {
        let wrong = |why: &str| Fault::Upstream {
            kind: UpstreamFault::Protocol,
            why: format!("{}: {why}", server.name),
        };
        let mut answer = response.map(|()| Body::empty());
        if !names(answer.headers(), &UPGRADE, "websocket") {
            return Err(wrong("it switched to another protocol than WebSocket"));
        }
        if let Self::Connect { accept, .. } = self {
            let given = answer.headers_mut().remove(SEC_WEBSOCKET_ACCEPT);
            if given.is_none_or(|given| given.as_bytes() != accept.as_bytes()) {
                return Err(wrong("its Sec-WebSocket-Accept is not the answer to our key"));
            }
            *answer.status_mut() = StatusCode::OK;
        }
        Ok(answer)
    }

    /// Makes the answer's fields what the client's version of HTTP wants, when those of the server's connection are
    /// out of it.
    pub(super) fn finish(&self, headers: &mut HeaderMap) {
        if matches!(self, Self::Upgrade) {
            headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(UPGRADE, WEBSOCKET);
        }
    }
}

/// Whether a list field has this member, in any case.
fn names(headers: &HeaderMap, field: &HeaderName, member: &str) -> bool {
    headers
        .get_all(field)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|one| one.trim().eq_ignore_ascii_case(member))
}

/// What runs on the client's connection: both directions until both have ended, neither had a byte for too long, or the
/// request has to stop. Its bytes are counted as they pass: it may last for days.
pub(super) fn after(tunnel: Tunnel, load: Load, in_flight: InFlight, of: RequestCx) -> AfterUpgrade {
    let idle = in_flight.upstream().config().timeout.tunnel;
    AfterUpgrade::new(move |client: Upgrade| async move {
        let (metrics, call) = (&in_flight.upstream().metrics, of.call());
        let _open = metrics.tunnel();
        let mut joined = Joined::new(client, tunnel, idle);
        let mut before = Carried::default();
        let carried = poll_fn(|cx| {
            let ended = Pin::new(&mut joined).poll(cx);
            let now = joined.carried(None);
            metrics.tunnel_bytes(now.bytes_in - before.bytes_in, now.bytes_out - before.bytes_out);
            before = now;
            if ended.is_ready() {
                return ended;
            }
            call.register(cx.waker());
            let stopped = |cause: Cause| Poll::Ready(joined.carried(Some(cause.fault().code())));
            call.cause().map_or(Poll::Pending, stopped)
        });
        let carried = carried.await;
        drop(load);
        carried
    })
}

/// Bytes read at once, per thread: an idle tunnel has no buffer of its own.
const SCRATCH_BYTES: usize = 32 * 1024;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH_BYTES].into_boxed_slice());
}

/// Two connections that are one.
struct Joined<A, B> {
    client: A,
    server: B,
    inward: Pump,
    outward: Pump,
    idle: Duration,
    timer: Pin<Box<Sleep>>,
    moved: Instant,
}

/// One direction of it.
#[derive(Default)]
struct Pump {
    /// What was read and not taken yet, from `at` on.
    waiting: Vec<u8>,
    at: usize,
    bytes: u64,
    is_flushed: bool,
    is_read: bool,
    is_over: bool,
}

/// Which of the two failed.
enum Side {
    Reader,
    Writer,
}

impl<A, B> Joined<A, B> {
    fn new(client: A, server: B, idle: Duration) -> Self {
        Self {
            client,
            server,
            inward: Pump::default(),
            outward: Pump::default(),
            idle,
            timer: Box::pin(tokio::time::sleep(idle)),
            moved: Instant::now(),
        }
    }

    fn carried(&self, outcome: Option<&'static str>) -> Carried {
        Carried {
            bytes_in: self.inward.bytes,
            bytes_out: self.outward.bytes,
            outcome,
        }
    }

    /// Whether neither direction moved for as long as it may.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.timer.as_mut().poll(cx).is_ready() {
            let due = self.moved + self.idle;
            if due <= Instant::now() {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(due);
        }
        Poll::Pending
    }
}

impl<A, B> Future for Joined<A, B>
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    type Output = Carried;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Carried> {
        let this = self.get_mut();
        let before = this.inward.bytes + this.outward.bytes;
        let inward = this.inward.poll(&mut this.client, &mut this.server, cx);
        let outward = this.outward.poll(&mut this.server, &mut this.client, cx);
        if this.inward.bytes + this.outward.bytes != before {
            this.moved = Instant::now();
        }
        let outcome = match (inward, outward) {
            (Err(Side::Reader), _) | (_, Err(Side::Writer)) => Some("client-gone"),
            (Err(Side::Writer), _) | (_, Err(Side::Reader)) => Some(UpstreamFault::Closed.code()),
            (Ok(Poll::Ready(())), Ok(Poll::Ready(()))) => None,
            _ => {
                ready!(this.poll_idle(cx));
                Some("tunnel-idle")
            }
        };
        Poll::Ready(this.carried(outcome))
    }
}

impl Pump {
    /// Moves what there is; ready when the reader has ended and the writer was told so.
    fn poll<R, W>(&mut self, reader: &mut R, writer: &mut W, cx: &mut Context<'_>) -> Result<Poll<()>, Side>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        // As much as a task may do at a time; then others have their turn.
        for _ in 0..limits::TUNNEL_PIECES_COUNT {
            if self.is_over {
                return Ok(Poll::Ready(()));
            }
            let moved = if self.waiting.is_empty() && !self.is_read {
                self.poll_move(reader, writer, cx)?
            } else {
                self.poll_rest(writer, cx)?
            };
            if moved.is_pending() {
                return Ok(Poll::Pending);
            }
        }
        cx.waker().wake_by_ref();
        Ok(Poll::Pending)
    }

    /// Reads once and writes it; what is not taken waits.
    fn poll_move<R, W>(&mut self, reader: &mut R, writer: &mut W, cx: &mut Context<'_>) -> Result<Poll<()>, Side>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut space = ReadBuf::new(scratch);
            match Pin::new(reader).poll_read(cx, &mut space) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Err(Side::Reader),
                Poll::Pending => return self.poll_flush(writer, cx).map(|_| Poll::Pending),
            }
            let mut bytes = space.filled();
            self.bytes += bytes.len() as u64;
            self.is_read = bytes.is_empty();
            self.is_flushed = false;
            while !bytes.is_empty() {
                match Pin::new(&mut *writer).poll_write(cx, bytes) {
                    Poll::Ready(Ok(0)) | Poll::Ready(Err(_)) => return Err(Side::Writer),
                    Poll::Ready(Ok(taken)) => bytes = bytes.get(taken..).unwrap_or_default(),
                    Poll::Pending => {
                        self.waiting.extend_from_slice(bytes);
                        return Ok(Poll::Pending);
                    }
                }
            }
            Ok(Poll::Ready(()))
        })
    }

    /// Writes what waits; then, behind the reader's end, ends the writer's.
    fn poll_rest<W: AsyncWrite + Unpin>(&mut self, writer: &mut W, cx: &mut Context<'_>) -> Result<Poll<()>, Side> {
        let rest = self.waiting.get(self.at..).unwrap_or_default();
        if rest.is_empty() {
            let over = Pin::new(writer).poll_shutdown(cx);
            // A writer that is gone already is as over as one that was told.
            self.is_over = over.is_ready();
            return Ok(over.map(drop));
        }
        match Pin::new(writer).poll_write(cx, rest) {
            Poll::Ready(Ok(0)) | Poll::Ready(Err(_)) => Err(Side::Writer),
            Poll::Ready(Ok(taken)) => {
                self.at += taken;
                if self.at == self.waiting.len() {
                    (self.waiting, self.at) = (Vec::new(), 0);
                }
                Ok(Poll::Ready(()))
            }
            Poll::Pending => Ok(Poll::Pending),
        }
    }

    fn poll_flush<W: AsyncWrite + Unpin>(&mut self, writer: &mut W, cx: &mut Context<'_>) -> Result<Poll<()>, Side> {
        if self.is_flushed {
            return Ok(Poll::Ready(()));
        }
        match Pin::new(writer).poll_flush(cx) {
            Poll::Ready(Ok(())) => {
                self.is_flushed = true;
                Ok(Poll::Ready(()))
            }
            Poll::Ready(Err(_)) => Err(Side::Writer),
            Poll::Pending => Ok(Poll::Pending),
        }
    }
}

#[cfg(test)]
mod tests;
