//! Where a request's time went, as development shows it.

use http::HeaderValue;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The steps of one request that were measured anyway.
#[derive(Debug, Default)]
pub struct Timing {
    queue_ns: AtomicU64,
    instantiate_ns: AtomicU64,
    cpu_ns: AtomicU64,
}

impl Timing {
    /// It waited this long for a place.
    pub fn queue(&self, time: Duration) {
        store(&self.queue_ns, time);
    }

    /// Its instance took this long to make; a kept one took none.
    pub fn instantiate(&self, time: Duration) {
        store(&self.instantiate_ns, time);
    }

    /// Its guest has computed this long so far.
    pub fn cpu(&self, time: Duration) {
        store(&self.cpu_ns, time);
    }

    /// The `Server-Timing` field of a head that leaves `total` after the request's came (W3C Server Timing §3.1):
    /// the steps there were, in milliseconds.
    pub fn field(&self, total: Duration) -> HeaderValue {
        let mut text = String::new();
        let total_ns = u64::try_from(total.as_nanos()).unwrap_or(u64::MAX);
        for (name, ns) in [
            ("queue", self.queue_ns.load(Ordering::Relaxed)),
            ("instantiate", self.instantiate_ns.load(Ordering::Relaxed)),
            ("cpu", self.cpu_ns.load(Ordering::Relaxed)),
            ("total", total_ns),
        ] {
            if ns == 0 {
                continue;
            }
            let separator = if text.is_empty() { "" } else { ", " };
            // Writing to a String cannot fail.
            let _ = write!(text, "{separator}{name};dur={:.3}", ns as f64 / 1e6);
        }
        HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
    }
}

fn store(slot: &AtomicU64, time: Duration) {
    slot.store(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_that_were_are_milliseconds_in_their_order() {
        let timing = Timing::default();
        timing.instantiate(Duration::from_micros(120));
        timing.cpu(Duration::from_millis(2));
        assert_eq!(
            timing.field(Duration::from_micros(3_500)),
            "instantiate;dur=0.120, cpu;dur=2.000, total;dur=3.500"
        );
    }
}
