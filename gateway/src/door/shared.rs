//! What a connection, its requests and its door's watch share, and the watch itself.
//!
//! No connection has a timer of its own. Each door looks at all of its connections every
//! [`limits::WATCH_INTERVAL`]: handshakes, heads, idleness, deadlines, bodies that stop, clients that are gone.
//! A request pays two stores for it, and an idle connection nothing.

mod rest;

#[cfg(test)]
pub(super) use self::rest::OpenBody;

use self::rest::Rest;
use super::answer::Leaving;
use super::listener::Listener;
use crate::http::{Cause, Client, Patience, Peer, Provenance, RequestCx};
use crate::limits;
use crate::tcp::Look;
use crate::telemetry::access::AccessLog;
use crate::telemetry::metrics::TimeoutKind;
use futures_util::task::AtomicWaker;
use http::HeaderMap;
use smallvec::SmallVec;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::AbortHandle;

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    /// The TLS handshake.
    Handshake,
    /// The first byte, or an HTTP/2 preface.
    First,
    /// The rest of a head.
    Head,
    /// The next request.
    Idle,
    /// An answer.
    Busy,
    /// Nothing of HTTP any more.
    Tunnel,
}

impl Phase {
    fn from_u8(value: u8) -> Self {
        match value {
            0 => Self::Handshake,
            1 => Self::First,
            2 => Self::Head,
            3 => Self::Idle,
            4 => Self::Busy,
            _ => Self::Tunnel,
        }
    }
}

/// What the watch tells a connection to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Order {
    /// Nothing.
    GoOn,
    /// Answer the head that does not come with 408.
    RefuseHead,
    /// Finish what is under way and take nothing new.
    Finish,
    /// End at once.
    Kill,
}

/// A request on a connection.
#[derive(Clone)]
struct UnderWay {
    cx: RequestCx,
    /// The task of its HTTP/2 stream.
    stream: Option<AbortHandle>,
}

/// One connection.
pub(super) struct Connection {
    pub(super) peer: Arc<Peer>,
    pub(super) listener: Arc<Listener>,
    pub(super) socket: Look,
    /// Where its requests are written down; a clone of its own, since all doors share what it counts its clones with.
    pub(super) access: AccessLog,
    clock: Arc<Clock>,
    phase: AtomicU8,
    /// When the phase began, on the door's clock.
    since: AtomicU32,
    /// When the socket last refused bytes, on the door's clock; zero: it takes them.
    blocked_since: AtomicU32,
    order: AtomicU8,
    waker: AtomicWaker,
    requests: Mutex<SmallVec<[UnderWay; 1]>>,
    /// The tasks of HTTP/2 streams whose request has not begun.
    spawned: Mutex<SmallVec<[AbortHandle; 1]>>,
    /// Which request, counted from one, is answered by the guard, and how; the ordinal is zero where none is.
    refused_at: AtomicU64,
    refusal: Mutex<Option<crate::http::guard::Rejection>>,
    is_h2: AtomicBool,
    rest: Rest,
    leaving: Mutex<Option<Leaving>>,
}

impl Connection {
    pub(super) fn new(client: Client, listener: Arc<Listener>, socket: Look, clock: Arc<Clock>) -> Self {
        let phase = if client.tls { Phase::Handshake } else { Phase::First };
        let since = AtomicU32::new(clock.now());
        Self {
            peer: Arc::new(Peer::new(client)),
            listener,
            socket,
            access: AccessLog::off(),
            clock,
            phase: AtomicU8::new(phase as u8),
            since,
            blocked_since: AtomicU32::new(0),
            order: AtomicU8::new(Order::GoOn as u8),
            waker: AtomicWaker::new(),
            requests: Mutex::new(SmallVec::new()),
            spawned: Mutex::new(SmallVec::new()),
            refused_at: AtomicU64::new(0),
            refusal: Mutex::new(None),
            is_h2: AtomicBool::new(false),
            rest: Rest::default(),
            leaving: Mutex::new(None),
        }
    }

    pub(super) fn with_access(self, access: AccessLog) -> Self {
        Self { access, ..self }
    }

    fn requests(&self) -> MutexGuard<'_, SmallVec<[UnderWay; 1]>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
        self.since.store(self.clock.now(), Ordering::Relaxed);
    }

    /// Counts the phase from now. From another thread: the phase itself is only its door's to set.
    pub(super) fn restart(&self) {
        self.since.store(self.clock.now(), Ordering::Relaxed);
    }

    pub(super) fn phase(&self) -> Phase {
        Phase::from_u8(self.phase.load(Ordering::Relaxed))
    }

    pub(super) fn set_h2(&self) {
        self.is_h2.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_h2(&self) -> bool {
        self.is_h2.load(Ordering::Relaxed)
    }

    /// Whom the peer speaks for in a request with these fields.
    pub(super) fn provenance(&self, headers: &HeaderMap) -> Provenance {
        self.listener.provenance(self.peer.client(), headers)
    }

    /// A request began.
    pub(super) fn begin(&self, cx: RequestCx) {
        let stream = if self.is_h2() { self.own_stream() } else { None };
        self.requests().push(UnderWay { cx, stream });
        self.enter(Phase::Busy);
    }

    /// A request ended: its answer is out, or nobody wants it.
    pub(super) fn end(&self, cx: &RequestCx) {
        let mut requests = self.requests();
        if let Some(at) = requests.iter().position(|other| other.cx.is(cx)) {
            requests.swap_remove(at);
        }
        let idle = requests.is_empty();
        drop(requests);
        if idle && self.phase() == Phase::Busy {
            self.enter(Phase::Idle);
        }
    }

    /// Behind the present answer, which is 101, this goes on.
    pub(super) fn leave(&self, leaving: Leaving) {
        *self.leaving.lock().unwrap_or_else(PoisonError::into_inner) = Some(leaving);
    }

    /// What goes on, now that HTTP is done.
    pub(super) fn take_leaving(&self) -> Option<Leaving> {
        self.leaving.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Stops every request under way.
    pub(super) fn cancel(&self, cause: Cause) {
        let requests = self.requests().clone();
        for request in requests {
            request.cx.call().cancel(cause);
        }
    }

    /// A task was made for an HTTP/2 stream.
    pub(super) fn spawned(&self, stream: AbortHandle) {
        let mut spawned = self.spawned.lock().unwrap_or_else(PoisonError::into_inner);
        // A stream that became a tunnel has a second task, which no request takes out.
        spawned.retain(|known| !known.is_finished());
        spawned.push(stream);
    }

    /// The stream whose task this is called in.
    fn own_stream(&self) -> Option<AbortHandle> {
        let task = tokio::task::try_id()?;
        let mut spawned = self.spawned.lock().unwrap_or_else(PoisonError::into_inner);
        let at = spawned.iter().position(|stream| stream.id() == task)?;
        Some(spawned.swap_remove(at))
    }

    pub(super) fn blocked(&self, is_blocked: bool) {
        if !is_blocked {
            if self.blocked_since.load(Ordering::Relaxed) != 0 {
                self.blocked_since.store(0, Ordering::Relaxed);
            }
        } else if self.blocked_since.load(Ordering::Relaxed) == 0 {
            self.blocked_since.store(self.clock.now(), Ordering::Relaxed);
        }
    }

    /// Makes the request with this ordinal one that the guard answers.
    pub(super) fn refuse(&self, ordinal: u64, rejection: crate::http::guard::Rejection) {
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(rejection);
        self.refused_at.store(ordinal, Ordering::Release);
    }

    /// How the guard answers this request, if it does.
    pub(super) fn refusal(&self, ordinal: u64) -> Option<crate::http::guard::Rejection> {
        if self.refused_at.load(Ordering::Acquire) != ordinal {
            return None;
        }
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn order(&self, order: Order) {
        let _ = self.order.fetch_max(order as u8, Ordering::AcqRel);
        self.waker.wake();
    }

    pub(super) fn ordered(&self) -> Order {
        match self.order.load(Ordering::Acquire) {
            0 => Order::GoOn,
            1 => Order::RefuseHead,
            2 => Order::Finish,
            _ => Order::Kill,
        }
    }

    pub(super) fn register(&self, waker: &std::task::Waker) {
        self.waker.register(waker);
    }

    /// Whether answers should ask for the connection to be closed after them.
    pub(super) fn is_draining(&self) -> bool {
        self.ordered() >= Order::Finish || self.listener.is_draining()
    }

    fn kill(&self, cause: Cause, kind: Option<TimeoutKind>) {
        if let Some(kind) = kind {
            self.listener.metrics.timed_out(kind);
        }
        self.cancel(cause);
        self.order(Order::Kill);
    }

    /// One look of the watch.
    fn look(&self, now: Instant) {
        // Accepted from the kernel's queue after its listener closed, it has not heard yet.
        if self.listener.is_draining() && self.ordered() == Order::GoOn {
            self.order(Order::Finish);
        }
        let limits = self.listener.limits();
        let lasted =
            |since: u32, limit: Duration| u128::from(self.clock.now().saturating_sub(since)) >= limit.as_millis();
        let since = self.since.load(Ordering::Relaxed);
        match self.phase() {
            Phase::Handshake if lasted(since, limits.handshake_timeout) => {
                return self.kill(Cause::ClientGone, Some(TimeoutKind::Handshake));
            }
            Phase::First if lasted(since, limits.header_timeout) => {
                return self.kill(Cause::ClientGone, Some(TimeoutKind::Header));
            }
            Phase::Head if lasted(since, limits.header_timeout) && self.ordered() == Order::GoOn => {
                self.listener.metrics.timed_out(TimeoutKind::Header);
                return self.order(Order::RefuseHead);
            }
            Phase::Head if lasted(since, limits.header_timeout * 2) => {
                return self.kill(Cause::ClientGone, Some(TimeoutKind::Header));
            }
            Phase::First | Phase::Idle if self.is_draining() && lasted(since, limits::DRAIN_IDLE) => {
                return self.kill(Cause::Shutdown, None);
            }
            Phase::Idle if lasted(since, limits.idle_timeout) => {
                self.listener.metrics.timed_out(TimeoutKind::Idle);
                // An HTTP/2 client is told with GOAWAY; HTTP/1 has no word for it.
                return if self.is_h2() && self.ordered() == Order::GoOn {
                    self.order(Order::Finish);
                } else {
                    self.order(Order::Kill);
                };
            }
            Phase::Idle if lasted(since, limits::IDLE_REST) => self.tell_to_rest(),
            // Its ends and its silence are its own to see.
            Phase::Tunnel => return,
            _ => {}
        }
        let blocked = self.blocked_since.load(Ordering::Relaxed);
        if blocked != 0 && lasted(blocked, limits.write_timeout) {
            return self.kill(Cause::WriteTimeout, Some(TimeoutKind::Write));
        }
        self.look_at_requests(now, &limits);
    }

    fn look_at_requests(&self, now: Instant, limits: &crate::config::ListenerLimits) {
        let requests = {
            let requests = self.requests();
            let is_old = |request: &UnderWay| {
                now.saturating_duration_since(request.cx.call().started()) >= limits::WATCH_INTERVAL
            };
            if !requests.iter().any(is_old) {
                return;
            }
            requests.clone()
        };
        if self.socket.is_ended() {
            return self.kill(Cause::ClientGone, None);
        }
        let patience = Patience {
            read: limits.body_idle_timeout,
            rate_bytes_min: limits::BODY_RATE_BYTES_MIN,
            write: limits.write_timeout,
        };
        for request in requests {
            let call = request.cx.call();
            // Stopped at an earlier look and still here: nothing polls its answer, so only this ends it.
            if call.is_head_sent() && call.cause().is_some() {
                let Some(stream) = &request.stream else {
                    return self.kill(Cause::ClientGone, None);
                };
                // Its neighbours on the connection go on: dropped before its end, the stream is reset.
                stream.abort();
                continue;
            }
            let Some(cause) = call.overdue(now, patience) else {
                continue;
            };
            if call.cancel(cause) {
                match cause {
                    Cause::BodyTimeout => self.listener.metrics.timed_out(TimeoutKind::BodyIdle),
                    Cause::WriteTimeout => self.listener.metrics.timed_out(TimeoutKind::Write),
                    _ => {}
                }
            }
        }
    }
}

impl PartialOrd for Order {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some((*self as u8).cmp(&(*other as u8)))
    }
}

/// Milliseconds since a door opened, moved by its watch: reading it costs a load.
#[derive(Debug)]
pub(super) struct Clock {
    began: Instant,
    now_ms: AtomicU32,
}

impl Clock {
    fn tick(&self) {
        let ms = u32::try_from(self.began.elapsed().as_millis()).unwrap_or(u32::MAX);
        // Zero means never in the stamps.
        self.now_ms.store(ms.max(1), Ordering::Relaxed);
    }

    pub(super) fn now(&self) -> u32 {
        self.now_ms.load(Ordering::Relaxed)
    }
}

/// The connections of one door.
pub(super) struct Registry {
    pub(super) clock: Arc<Clock>,
    connections: Mutex<Slots>,
    /// The watch sleeps while there is no connection.
    wake: tokio::sync::Notify,
}

#[derive(Default)]
struct Slots {
    all: Vec<Option<Arc<Connection>>>,
    free: Vec<usize>,
    open: usize,
}

impl Registry {
    pub(super) fn new() -> Self {
        let clock = Clock {
            began: Instant::now(),
            now_ms: AtomicU32::new(1),
        };
        Self {
            clock: Arc::new(clock),
            connections: Mutex::new(Slots::default()),
            wake: tokio::sync::Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(self: &Arc<Self>, connection: Arc<Connection>) -> Registered {
        let mut slots = self.lock();
        let at = slots.free.pop().unwrap_or_else(|| {
            slots.all.push(None);
            slots.all.len() - 1
        });
        if let Some(slot) = slots.all.get_mut(at) {
            *slot = Some(Arc::clone(&connection));
        }
        slots.open += 1;
        let first = slots.open == 1;
        drop(slots);
        if first {
            // The clock stood still while there was none to look at.
            self.clock.tick();
            connection.restart();
            self.wake.notify_one();
        }
        Registered {
            registry: Arc::clone(self),
            at,
        }
    }

    pub(super) fn open(&self) -> usize {
        self.lock().open
    }

    /// Does `what` with every connection, outside the lock.
    pub(super) fn each(&self, what: impl Fn(&Arc<Connection>)) {
        let connections: Vec<_> = self.lock().all.iter().flatten().cloned().collect();
        for connection in &connections {
            what(connection);
        }
    }

    /// Watches until the door's runtime ends.
    pub(super) async fn watch(self: Arc<Self>) {
        loop {
            if self.open() == 0 {
                self.wake.notified().await;
            }
            tokio::time::sleep(limits::WATCH_INTERVAL).await;
            self.clock.tick();
            let now = Instant::now();
            self.each(|connection| connection.look(now));
        }
    }
}

/// A connection's place in the registry.
pub(super) struct Registered {
    registry: Arc<Registry>,
    at: usize,
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut slots = self.registry.lock();
        let taken = slots.all.get_mut(self.at).and_then(Option::take);
        slots.free.push(self.at);
        slots.open = slots.open.saturating_sub(1);
        drop(slots);
        drop(taken);
    }
}
