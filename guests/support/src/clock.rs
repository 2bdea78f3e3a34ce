//! Waiting on wasi:clocks, which suspends the guest instead of spinning.

use std::time::Duration;

use wasip2::clocks::monotonic_clock;

/// Suspends the guest for this long.
pub fn sleep(duration: Duration) {
    let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    monotonic_clock::subscribe_duration(nanos).block();
}

/// Suspends the guest until the host ends it.
pub fn sleep_forever() -> ! {
    loop {
        sleep(Duration::from_secs(24 * 60 * 60));
    }
}
