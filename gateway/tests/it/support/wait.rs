//! Waiting for a condition, with an end: no test sleeps for a time it guesses.

use std::fmt::Debug;
use std::thread;
use std::time::{Duration, Instant};

/// Longer than anything here takes on a busy machine; a test that waits this long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Polls until `condition` gives a value.
#[track_caller]
pub(crate) fn until<T>(what: impl Debug, condition: impl FnMut() -> Option<T>) -> T {
    try_until(condition).unwrap_or_else(|| panic!("waited {PATIENCE:?} for {what:?}"))
}

/// Polls until `condition` gives a value; `None` where it does not.
pub(crate) fn try_until<T>(mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = condition() {
            return Some(value);
        }
        if Instant::now() >= end {
            return None;
        }
        // Nobody unparks this thread: it is the pause between two looks.
        thread::park_timeout(Duration::from_millis(5));
    }
}

/// Polls until `condition` holds.
#[track_caller]
pub(crate) fn until_true(what: impl Debug, mut condition: impl FnMut() -> bool) {
    until(what, || condition().then_some(()));
}
