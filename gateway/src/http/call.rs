//! One call under way: why it has to stop, until when it may run, and whom to wake about it.

use crate::error::Fault;
use futures_util::task::AtomicWaker;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::Waker;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Why a call is stopped before it ended by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Cause {
    /// The client left.
    ClientGone = 1,
    /// The response head is overdue.
    Deadline,
    /// The guest's work is overdue.
    BodyDeadline,
    /// The client takes no bytes.
    WriteTimeout,
    /// The client sends no bytes.
    BodyTimeout,
    /// The request body is longer than allowed.
    BodyTooLarge,
    /// The request body is framed wrongly.
    BadBody,
    /// The gateway ends.
    Shutdown,
}

impl Cause {
    /// Every cause, in the order of their metric labels.
    pub const ALL: [Self; 8] = [
        Self::ClientGone,
        Self::Deadline,
        Self::BodyDeadline,
        Self::WriteTimeout,
        Self::BodyTimeout,
        Self::BodyTooLarge,
        Self::BadBody,
        Self::Shutdown,
    ];

    fn from_u8(value: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| *cause as u8 == value)
    }

    /// The fault that a request stopped for this cause ends with.
    pub fn fault(self) -> Fault {
        match self {
            Self::ClientGone => Fault::ClientGone,
            Self::Deadline => Fault::Deadline,
            Self::BodyDeadline => Fault::BodyDeadline,
            Self::WriteTimeout => Fault::WriteTimeout,
            Self::BodyTimeout => Fault::BodyTimeout,
            Self::BodyTooLarge => Fault::BodyTooLarge,
            Self::BadBody => Fault::BadBody,
            Self::Shutdown => Fault::Shutdown,
        }
    }

    /// Whether the client could still be answered.
    pub fn client_listens(self) -> bool {
        !matches!(self, Self::ClientGone | Self::WriteTimeout)
    }
}

/// The part of a request that its connection and its handler share.
///
/// The connection stops a call with [`Call::cancel`] and watches its deadlines with [`Call::overdue`]; the
/// handler registers a waker and looks at [`Call::cause`]. Nothing here locks or allocates.
#[derive(Debug)]
pub struct Call {
    started: Instant,
    cause: AtomicU8,
    head_sent: AtomicBool,
    /// Nanoseconds after `started`; zero: none.
    head_deadline: AtomicU64,
    body_deadline: AtomicU64,
    /// Since when the handler waits for request bytes, and the client for none of the answer's.
    reading_since: AtomicU64,
    writing_since: AtomicU64,
    bytes_in: AtomicU64,
    waker: AtomicWaker,
    /// Everybody else who waits for the end.
    stopped: Notify,
}

/// How long a client may make its request wait.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// No byte of the request body for this long: [`Cause::BodyTimeout`].
    pub read: Duration,
    /// Fewer bytes a second than this, over at least `read`, before the answer's head: the same.
    pub rate_bytes_min: u64,
    /// No byte of the answer taken for this long: [`Cause::WriteTimeout`].
    pub write: Duration,
}

impl Call {
    pub(crate) fn new(started: Instant) -> Self {
        Self {
            started,
            cause: AtomicU8::new(0),
            head_sent: AtomicBool::new(false),
            head_deadline: AtomicU64::new(0),
            body_deadline: AtomicU64::new(0),
            reading_since: AtomicU64::new(0),
            writing_since: AtomicU64::new(0),
            bytes_in: AtomicU64::new(0),
            waker: AtomicWaker::new(),
            stopped: Notify::const_new(),
        }
    }

    /// When the request's head was complete.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Stops the call, unless it was stopped before: the first cause stays.
    pub fn cancel(&self, cause: Cause) -> bool {
        let first = self
            .cause
            .compare_exchange(0, cause as u8, Ordering::AcqRel, Ordering::Acquire)
            .is_ok();
        if first {
            self.waker.wake();
            self.stopped.notify_waiters();
        }
        first
    }

    /// Why the call has to stop, if it has to.
    pub fn cause(&self) -> Option<Cause> {
        match self.cause.load(Ordering::Acquire) {
            0 => None,
            value => Cause::from_u8(value),
        }
    }

    /// Who is woken by [`Call::cancel`]. Register first, then look at [`Call::cause`].
    pub fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    /// Waits until the call has to stop: for any number of others than the one who is [registered](Self::register).
    pub async fn stopped(&self) -> Cause {
        let mut stopped = pin!(self.stopped.notified());
        loop {
            stopped.as_mut().enable();
            if let Some(cause) = self.cause() {
                return cause;
            }
            stopped.as_mut().await;
            stopped.set(self.stopped.notified());
        }
    }

    /// Sets the deadlines of the head and of the whole call, counted from now.
    pub fn set_deadlines(&self, head: Option<Duration>, body: Option<Duration>) {
        let elapsed = self.started.elapsed();
        let at = |limit: Option<Duration>| limit.map_or(0, |limit| nanos(elapsed.saturating_add(limit)).max(1));
        self.head_deadline.store(at(head), Ordering::Relaxed);
        self.body_deadline.store(at(body), Ordering::Relaxed);
    }

    /// The response head is out of the handler's hands: from now on only the body deadline counts.
    pub fn head_sent(&self) {
        self.head_sent.store(true, Ordering::Release);
    }

    /// Whether the response head was handed over.
    pub fn is_head_sent(&self) -> bool {
        self.head_sent.load(Ordering::Acquire)
    }

    /// The handler waits for bytes of the request body.
    pub(crate) fn waits_for_body(&self) {
        if self.reading_since.load(Ordering::Relaxed) == 0 {
            self.reading_since
                .store(nanos(self.started.elapsed()).max(1), Ordering::Relaxed);
        }
    }

    /// Bytes of the request body came.
    pub(crate) fn body_came(&self, bytes: u64) {
        self.reading_since.store(0, Ordering::Relaxed);
        self.bytes_in.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes of the request body so far.
    pub fn bytes_in(&self) -> u64 {
        self.bytes_in.load(Ordering::Relaxed)
    }

    /// A part of the answer's body went out of our hands, and more is to follow.
    pub(crate) fn waits_for_client(&self) {
        self.writing_since
            .store(nanos(self.started.elapsed()).max(1), Ordering::Relaxed);
    }

    /// The client has room for more of the answer's body.
    pub(crate) fn client_takes(&self) {
        if self.writing_since.load(Ordering::Relaxed) != 0 {
            self.writing_since.store(0, Ordering::Relaxed);
        }
    }

    /// The deadline or the patience that has run out at `now`, if one has.
    pub fn overdue(&self, now: Instant, patience: Patience) -> Option<Cause> {
        let elapsed = nanos(now.saturating_duration_since(self.started));
        let passed = |at: u64| at != 0 && elapsed >= at;
        let lasted = |since: u64, limit: Duration| since != 0 && elapsed.saturating_sub(since) >= nanos(limit);
        let reading = self.reading_since.load(Ordering::Relaxed);
        if lasted(reading, patience.read) || (reading != 0 && self.is_too_slow(elapsed, patience)) {
            return Some(Cause::BodyTimeout);
        }
        if lasted(self.writing_since.load(Ordering::Relaxed), patience.write) {
            return Some(Cause::WriteTimeout);
        }
        if !self.is_head_sent() && passed(self.head_deadline.load(Ordering::Relaxed)) {
            return Some(Cause::Deadline);
        }
        passed(self.body_deadline.load(Ordering::Relaxed)).then_some(Cause::BodyDeadline)
    }

    /// Once the head is out both sides may talk at their leisure; before, an upload has to get on.
    fn is_too_slow(&self, elapsed: u64, patience: Patience) -> bool {
        let seconds = elapsed / 1_000_000_000;
        !self.is_head_sent()
            && elapsed >= nanos(patience.read)
            && self.bytes_in() < seconds.saturating_mul(patience.rate_bytes_min)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_cause_stays() {
        let call = Call::new(Instant::now());
        assert_eq!(call.cause(), None);
        assert!(call.cancel(Cause::Deadline));
        assert!(!call.cancel(Cause::ClientGone));
        assert_eq!(call.cause(), Some(Cause::Deadline));
    }

    #[test]
    fn every_cause_survives_its_number() {
        for cause in Cause::ALL {
            assert_eq!(Cause::from_u8(cause as u8), Some(cause));
        }
        assert_eq!(Cause::from_u8(0), None);
        assert_eq!(Cause::from_u8(200), None);
    }

    const PATIENCE: Patience = Patience {
        read: Duration::from_secs(30),
        rate_bytes_min: 64,
        write: Duration::from_secs(40),
    };

    #[test]
    fn a_body_that_stops_or_trickles_is_overdue() {
        let start = Instant::now();
        let call = Call::new(start);
        let at = |seconds| call.overdue(start + Duration::from_secs(seconds), PATIENCE);
        assert_eq!(at(1000), None, "nobody waits for it");
        call.waits_for_body();
        assert_eq!(at(29), None);
        assert_eq!(at(31), Some(Cause::BodyTimeout));
        call.body_came(64 * 100);
        assert_eq!(at(1000), None);
        call.reading_since
            .store(nanos(Duration::from_secs(95)), Ordering::Relaxed);
        assert_eq!(at(99), None, "fast enough");
        assert_eq!(at(102), Some(Cause::BodyTimeout), "too slow");
        call.head_sent();
        assert_eq!(at(102), None, "a conversation");
    }

    #[test]
    fn a_client_that_takes_nothing_is_overdue() {
        let start = Instant::now();
        let call = Call::new(start);
        call.waits_for_client();
        assert_eq!(call.overdue(start + Duration::from_secs(39), PATIENCE), None);
        assert_eq!(
            call.overdue(start + Duration::from_secs(41), PATIENCE),
            Some(Cause::WriteTimeout)
        );
        call.client_takes();
        assert_eq!(call.overdue(start + Duration::from_secs(41), PATIENCE), None);
    }

    #[test]
    fn deadlines_count_from_when_they_are_set_and_the_head_ends_the_first() {
        let start = Instant::now();
        let call = Call::new(start);
        assert_eq!(call.overdue(start + Duration::from_secs(3600), PATIENCE), None);
        call.set_deadlines(Some(Duration::from_secs(5)), Some(Duration::from_secs(20)));
        assert_eq!(call.overdue(start + Duration::from_secs(4), PATIENCE), None);
        assert_eq!(
            call.overdue(start + Duration::from_secs(6), PATIENCE),
            Some(Cause::Deadline)
        );
        call.head_sent();
        assert_eq!(call.overdue(start + Duration::from_secs(6), PATIENCE), None);
        assert_eq!(
            call.overdue(start + Duration::from_secs(21), PATIENCE),
            Some(Cause::BodyDeadline)
        );
    }
}
