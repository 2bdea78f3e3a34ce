//! An open connection, of either version, and who may use it.

use super::destination::Destination;
use super::pool::Pool;
use super::socket::Link;
use super::upload::Upload;
use crate::limits;
use http::HeaderValue;
use hyper::client::conn::{http1, http2};
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use tokio::time::{Instant, Sleep};

/// A timer that is kept from one use to the next.
pub(super) type Timer = Pin<Box<Sleep>>;

/// An HTTP/1 connection. Whoever has it uses it alone.
pub(super) struct H1<B> {
    pub(super) sender: http1::SendRequest<Upload<B>>,
    pub(super) link: Arc<Link>,
    pub(super) to: Arc<Destination<'static>>,
    /// What Host says when the request does not.
    pub(super) host: HeaderValue,
    /// The timer of its exchanges.
    pub(super) timer: Option<Timer>,
    pub(super) idle_since: Instant,
    pub(super) home: Weak<Pool<B>>,
    /// The core that drives it.
    pub(super) place: usize,
}

/// Its driver closes it in good order when nobody can send on it any more. With bytes left that the server does not take
/// it would never come to that.
impl<B> Drop for H1<B> {
    fn drop(&mut self) {
        if self.link.is_blocked() || self.link.is_spoiled() || !self.sender.is_ready() {
            self.link.cut();
        }
    }
}

/// An HTTP/2 connection, shared by the requests of one core.
pub(super) struct H2<B> {
    pub(super) sender: http2::SendRequest<Upload<B>>,
    pub(super) link: Arc<Link>,
    pub(super) to: Arc<Destination<'static>>,
    pub(super) home: Weak<Pool<B>>,
    began: Instant,
    streams: AtomicUsize,
    /// What the server allows, as its driver last saw it.
    streams_max: Arc<AtomicUsize>,
    is_retired: AtomicBool,
    /// When its last stream ended, in milliseconds since it began.
    used_ms: AtomicU64,
}

/// A connection to send one request on.
pub(super) enum Connection<B> {
    H1(Box<H1<B>>),
    H2(Stream<B>),
}

impl<B> H2<B> {
    pub(super) fn new(
        sender: http2::SendRequest<Upload<B>>,
        link: Arc<Link>,
        to: Arc<Destination<'static>>,
        home: Weak<Pool<B>>,
        streams_max: Arc<AtomicUsize>,
    ) -> Self {
        Self {
            sender,
            link,
            to,
            home,
            began: Instant::now(),
            streams: AtomicUsize::new(0),
            streams_max,
            is_retired: AtomicBool::new(false),
            used_ms: AtomicU64::new(0),
        }
    }

    /// A stream on it, as long as it has room for one.
    pub(super) fn stream(self: &Arc<Self>) -> Option<Stream<B>> {
        if !self.is_open() {
            return None;
        }
        let streams_max = self
            .streams_max
            .load(Ordering::Relaxed)
            .clamp(1, limits::OUTGOING_H2_STREAMS_COUNT);
        self.streams
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |streams| {
                (streams < streams_max).then_some(streams + 1)
            })
            .ok()
            .map(|_| Stream(Some(Arc::clone(self))))
    }

    pub(super) fn is_open(&self) -> bool {
        !self.is_retired.load(Ordering::Acquire) && !self.sender.is_closed()
    }

    fn stream_ended(&self) {
        let used = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.used_ms.store(used, Ordering::Release);
        let is_last = self.streams.fetch_sub(1, Ordering::AcqRel) == 1;
        if is_last && self.is_retired.load(Ordering::Acquire) {
            // What still hangs on it is a request body of which the server takes no more.
            self.link.cut();
        }
        if let Some(home) = self.home.upgrade() {
            home.came_free();
        }
    }

    /// Since when nobody uses it.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let used = std::time::Duration::from_millis(self.used_ms.load(Ordering::Acquire));
        (self.streams.load(Ordering::Acquire) == 0).then_some(self.began + used)
    }
}

/// One request's part of an HTTP/2 connection.
pub(super) struct Stream<B>(Option<Arc<H2<B>>>);

impl<B> Stream<B> {
    /// What to send on.
    pub(super) fn sender(&self) -> Option<http2::SendRequest<Upload<B>>> {
        self.0.as_ref().map(|connection| connection.sender.clone())
    }

    /// Hands this stream's count over to [`SharedLease::ended`].
    pub(super) fn into_connection(mut self) -> Option<Arc<H2<B>>> {
        self.0.take()
    }
}

impl<B> Drop for Stream<B> {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            connection.stream_ended();
        }
    }
}

/// What a response holds of its connection, whatever the type of request bodies is.
pub(super) trait Lease: Send + Sync {
    /// The exchange is complete: the connection may serve another.
    fn complete(self: Box<Self>, timer: Option<Timer>);
    /// The exchange is not, and nobody waits for it any more.
    fn abort(self: Box<Self>);
}

impl<B: Send + 'static> Lease for H1<B> {
    fn complete(mut self: Box<Self>, timer: Option<Timer>) {
        self.timer = timer;
        // The server may have answered without reading: the next request would only wait behind the rest of this one.
        // And what it has sent without being asked would be taken for the next answer.
        if !self.link.is_blocked()
            && !self.link.is_spoiled()
            && let Some(home) = self.home.upgrade()
        {
            home.give_back(self);
        }
    }

    fn abort(self: Box<Self>) {
        self.link.cut();
    }
}

/// The same for a stream, which costs no box of its own.
pub(super) trait SharedLease: Send + Sync {
    /// One stream fewer.
    fn ended(self: Arc<Self>);
    /// No further requests: the server does not keep up with this one.
    fn retire(&self);
}

impl<B: Send + 'static> SharedLease for H2<B> {
    fn ended(self: Arc<Self>) {
        self.stream_ended();
    }

    fn retire(&self) {
        self.is_retired.store(true, Ordering::Release);
    }
}

impl<B> fmt::Debug for H1<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("H1").field("to", &self.to).finish_non_exhaustive()
    }
}

impl<B> fmt::Debug for H2<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("H2").field("to", &self.to).finish_non_exhaustive()
    }
}
