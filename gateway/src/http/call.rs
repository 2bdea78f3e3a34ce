//! One call under way: why it has to stop, until when it may run, and whom to wake about it.

use crate::error::Fault;
use futures_util::task::AtomicWaker;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::Waker;
use std::time::{Duration, Instant};

/// Why a call is stopped before it ended by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Cause {
    ClientGone = 1,
    Deadline,
    BodyDeadline,
    WriteTimeout,
    BodyTimeout,
    BodyTooLarge,
    BadBody,
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
    waker: AtomicWaker,
}

impl Call {
    pub(crate) fn new(started: Instant) -> Self {
        Self {
            started,
            cause: AtomicU8::new(0),
            head_sent: AtomicBool::new(false),
            head_deadline: AtomicU64::new(0),
            body_deadline: AtomicU64::new(0),
            waker: AtomicWaker::new(),
        }
    }

    /// When the request's head was complete.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Stops the call, unless it was stopped before: the first cause stays.
    pub fn cancel(&self, cause: Cause) -> bool {
        let first = self.cause.compare_exchange(0, cause as u8, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if first {
            self.waker.wake();
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

    /// The deadline that has passed at `now`, if one has.
    pub fn overdue(&self, now: Instant) -> Option<Cause> {
        let elapsed = nanos(now.saturating_duration_since(self.started));
        let passed = |at: u64| at != 0 && elapsed >= at;
        if !self.is_head_sent() && passed(self.head_deadline.load(Ordering::Relaxed)) {
            return Some(Cause::Deadline);
        }
        passed(self.body_deadline.load(Ordering::Relaxed)).then_some(Cause::BodyDeadline)
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

    #[test]
    fn deadlines_count_from_when_they_are_set_and_the_head_ends_the_first() {
        let start = Instant::now();
        let call = Call::new(start);
        assert_eq!(call.overdue(start + Duration::from_secs(3600)), None);
        call.set_deadlines(Some(Duration::from_secs(5)), Some(Duration::from_secs(20)));
        assert_eq!(call.overdue(start + Duration::from_secs(4)), None);
        assert_eq!(call.overdue(start + Duration::from_secs(6)), Some(Cause::Deadline));
        call.head_sent();
        assert_eq!(call.overdue(start + Duration::from_secs(6)), None);
        assert_eq!(call.overdue(start + Duration::from_secs(21)), Some(Cause::BodyDeadline));
    }
}
