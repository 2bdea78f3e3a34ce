//! Log lines about what may happen thousands of times a second: said once in a while, and the others counted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// When something was said last, and how often it was not said since.
#[derive(Debug)]
pub(crate) struct Seldom {
    interval: Duration,
    anchor: Instant,
    /// Milliseconds after the anchor at which it may be said again.
    next_ms: AtomicU64,
    unsaid: AtomicU64,
}

impl Seldom {
    /// Once in each `interval` at most.
    pub(crate) fn every(interval: Duration) -> Self {
        Self {
            interval,
            anchor: Instant::now(),
            next_ms: AtomicU64::new(0),
            unsaid: AtomicU64::new(0),
        }
    }

    /// How many were not said before this one, which is. `None`: this one is not.
    pub(crate) fn say(&self) -> Option<u64> {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let now = ms(self.anchor.elapsed());
        let next = now.saturating_add(ms(self.interval));
        let is_due = |at: u64| (now >= at).then_some(next);
        let said = self.next_ms.fetch_update(Ordering::Relaxed, Ordering::Relaxed, is_due);
        if said.is_ok() {
            return Some(self.unsaid.swap(0, Ordering::Relaxed));
        }
        self.unsaid.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_said_and_the_others_are_counted() {
        let seldom = Seldom::every(Duration::from_secs(3600));
        assert_eq!(seldom.say(), Some(0));
        assert_eq!((seldom.say(), seldom.say()), (None, None));
        let always = Seldom::every(Duration::ZERO);
        assert_eq!((always.say(), always.say()), (Some(0), Some(0)));
    }
}
