//! Tests that load the machine run alone: beside them others would miss their times for no fault of the gateway's.

use std::cell::Cell;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

static GATEWAYS: Mutex<Gateways> = Mutex::new(Gateways {
    shared: 0,
    is_taken: false,
});
static CHANGED: Condvar = Condvar::new();

struct Gateways {
    /// Running gateways of tests that may run side by side.
    shared: usize,
    /// Whether a test runs alone.
    is_taken: bool,
}

thread_local! {
    static IS_ALONE: Cell<bool> = const { Cell::new(false) };
}

fn gateways() -> MutexGuard<'static, Gateways> {
    GATEWAYS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The whole machine, until dropped.
#[must_use]
pub(crate) struct Alone(());

/// Waits until no other test has a gateway running, and keeps new ones from starting. To be taken first in a test.
pub(crate) fn alone() -> Alone {
    // Others come first as long as any runs: a test with one gateway may need a second to end.
    let mut gateways = CHANGED
        .wait_while(gateways(), |gateways| gateways.is_taken || gateways.shared > 0)
        .unwrap_or_else(PoisonError::into_inner);
    gateways.is_taken = true;
    IS_ALONE.set(true);
    Alone(())
}

impl Drop for Alone {
    fn drop(&mut self) {
        IS_ALONE.set(false);
        gateways().is_taken = false;
        CHANGED.notify_all();
    }
}

/// A running gateway's place beside others; `None` for one whose test runs alone.
pub(crate) struct Beside(());

pub(crate) fn beside() -> Option<Beside> {
    if IS_ALONE.get() {
        return None;
    }
    let mut gateways = CHANGED
        .wait_while(gateways(), |gateways| gateways.is_taken)
        .unwrap_or_else(PoisonError::into_inner);
    gateways.shared += 1;
    Some(Beside(()))
}

impl Drop for Beside {
    fn drop(&mut self) {
        gateways().shared -= 1;
        CHANGED.notify_all();
    }
}
