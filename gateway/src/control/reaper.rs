//! What has to go from time to time: snapshots out of force, instances and connections that nobody needs.

use super::gateway::Control;
use crate::limits;
use std::sync::Weak;

/// Works until the gateway is gone.
pub(super) async fn run(control: Weak<Control>) {
    let mut tick = tokio::time::interval(limits::REAP_INTERVAL);
    let mut ticks = 0u32;
    loop {
        tick.tick().await;
        let Some(control) = control.upgrade() else { return };
        ticks = ticks.wrapping_add(1);
        if ticks.is_multiple_of(limits::POOL_RECHECK_TICKS) {
            control.recheck_pools();
        }
        let done = control.reap();
        // Unmapping code and cleaning pools takes a while.
        if !done.is_empty() {
            tokio::task::spawn_blocking(move || drop(done));
        }
        if ticks.is_multiple_of(limits::IDLE_CHECK_TICKS) {
            let snapshot = control.snapshot();
            tokio::task::spawn_blocking(move || {
                snapshot.components.values().for_each(|one| one.retire_idle());
                snapshot.upstreams.values().for_each(|one| one.tidy());
            });
        }
    }
}
