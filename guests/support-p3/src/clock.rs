//! Waiting, which lets other tasks of the instance run, and burning, which does not.

use std::hint::black_box;
use std::time::Duration;

use wasip3::clocks::monotonic_clock;

/// Awaits this long.
pub async fn sleep(duration: Duration) {
    monotonic_clock::wait_for(nanos(duration)).await;
}

/// Awaits until the host ends it.
pub async fn sleep_forever() -> ! {
    loop {
        sleep(Duration::from_secs(24 * 60 * 60)).await;
    }
}

/// Burns CPU for this long and awaits nothing.
pub fn burn(duration: Duration) {
    let start = monotonic_clock::now();
    while monotonic_clock::now() - start < nanos(duration) {
        // Most of the time is spent in the guest, not in asking for the time.
        for step in 0..100_000_u32 {
            black_box(step);
        }
    }
}

/// Burns CPU and never calls the host.
pub fn burn_forever() -> ! {
    loop {
        black_box(0);
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
