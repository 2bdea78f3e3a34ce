//! Rest: an HTTP/1 connection that waits for its next request gives back what only requests need.
//!
//! The watch tells it to, as it does everything that takes time to notice; the connection does it when nothing of it
//! would be lost, and wakes when a byte comes. Until then it is looked at like any other.

use super::{Connection, Phase};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

/// What a connection knows about it.
#[derive(Default)]
pub(super) struct Rest {
    stage: AtomicU8,
    /// hyper waits for the first byte of a request.
    is_waiting: AtomicBool,
    /// Requests with a body that is not dropped yet; they may outlive their answers.
    bodies: AtomicUsize,
}

/// It has what it needs to serve a request. The stages belong to the door's thread alone.
const AWAKE: u8 = 0;
/// The watch told it to rest.
const TOLD: u8 = 1;
/// It has only what it needs to wait.
const RESTING: u8 = 2;

/// A request's body that somebody may still read. It keeps no socket open.
pub(in crate::door) struct OpenBody(Weak<Connection>);

impl Drop for OpenBody {
    fn drop(&mut self) {
        if let Some(connection) = self.0.upgrade() {
            connection.rest.bodies.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl Connection {
    /// A request with a body begins. While what this gives lives, the connection does not rest: hyper tells a body's
    /// end only to readers of a connection that it still has, and not at once where the answer was complete before.
    pub(in crate::door) fn body_opens(self: &Arc<Self>) -> OpenBody {
        self.rest.bodies.fetch_add(1, Ordering::AcqRel);
        OpenBody(Arc::downgrade(self))
    }

    /// Whether hyper waits for the first byte of a request.
    pub(in crate::door) fn waits(&self, is_waiting: bool) {
        self.rest.is_waiting.store(is_waiting, Ordering::Relaxed);
    }

    /// Tells a connection that has waited for a while to rest.
    pub(super) fn tell_to_rest(&self) {
        if !self.is_h2() && self.rest.stage.load(Ordering::Relaxed) == AWAKE {
            self.rest.stage.store(TOLD, Ordering::Relaxed);
            self.waker.wake();
        }
    }

    /// Whether to rest now: it was told to, and nothing is under way in either direction.
    pub(in crate::door) fn rests(&self) -> bool {
        if self.rest.stage.load(Ordering::Relaxed) != TOLD {
            return false;
        }
        // hyper writes until nothing is left or the socket takes no more.
        let is_out = self.blocked_since.load(Ordering::Relaxed) == 0;
        let is_read = self.rest.is_waiting.load(Ordering::Relaxed) && self.rest.bodies.load(Ordering::Acquire) == 0;
        let rests = self.phase() == Phase::Idle && is_read && is_out;
        // Told again at the next look, where it cannot yet.
        let stage = if rests { RESTING } else { AWAKE };
        self.rest.stage.store(stage, Ordering::Relaxed);
        rests
    }

    /// A byte came, or the end.
    pub(in crate::door) fn wakes(&self) {
        self.rest.stage.store(AWAKE, Ordering::Relaxed);
    }

    #[cfg(test)]
    pub(in crate::door) fn is_resting(&self) -> bool {
        self.rest.stage.load(Ordering::Relaxed) == RESTING
    }
}
