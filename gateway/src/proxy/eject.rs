//! Passive health: a server that fails request after request is left out for a while.

use crate::config::EjectionConfig;
use crate::limits;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// One server's record. All of it is one word, so that no reader meets half of a change.
#[derive(Debug)]
pub(crate) struct Ejection {
    /// What [`Record`] says, packed; zero is a server that nothing is held against.
    word: AtomicU64,
    /// Where the record's clock begins.
    since: Instant,
}

/// A record, unpacked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Record {
    /// Failures in a row.
    failures: u16,
    /// How often in a row it was left out.
    times: u8,
    /// The millisecond at which it is back. It stays when that has passed, until a request succeeds: a server that
    /// came back is on trial.
    until_ms: u64,
}

impl Record {
    const FAILURES_BITS: u32 = u16::BITS;
    const TIMES_BITS: u32 = u8::BITS;
    /// Thirty-four years, in milliseconds.
    const UNTIL_MS_MAX: u64 = u64::MAX >> (Self::FAILURES_BITS + Self::TIMES_BITS);

    fn of(word: u64) -> Self {
        Self {
            failures: word as u16,
            times: (word >> Self::FAILURES_BITS) as u8,
            until_ms: word >> (Self::FAILURES_BITS + Self::TIMES_BITS),
        }
    }

    fn word(self) -> u64 {
        let until_ms = self.until_ms.min(Self::UNTIL_MS_MAX) << (Self::FAILURES_BITS + Self::TIMES_BITS);
        until_ms | u64::from(self.times) << Self::FAILURES_BITS | u64::from(self.failures)
    }

    fn is_out(self, now_ms: u64) -> bool {
        self.until_ms > now_ms
    }

    /// With one more failure; `None` where that changes nothing, because it is out already.
    fn failed(self, now_ms: u64) -> Option<Self> {
        (!self.is_out(now_ms)).then_some(Self {
            failures: self.failures.saturating_add(1),
            ..self
        })
    }

    /// Whether its failures are enough to be left out: while it is on trial, one is.
    fn suffices(self, failures: u32) -> bool {
        self.until_ms > 0 || u32::from(self.failures) >= failures
    }

    fn left_out(self, now_ms: u64, time: Duration) -> Self {
        let growth = 1_u32
            .checked_shl(u32::from(self.times))
            .map_or(limits::UPSTREAM_EJECTION_GROWTH, |growth| {
                growth.min(limits::UPSTREAM_EJECTION_GROWTH)
            });
        let time_ms = millis(time.saturating_mul(growth)).max(1);
        Self {
            failures: 0,
            times: self.times.saturating_add(1),
            until_ms: now_ms.saturating_add(time_ms).min(Self::UNTIL_MS_MAX),
        }
    }
}

impl Default for Ejection {
    fn default() -> Self {
        Self {
            word: AtomicU64::new(0),
            since: Instant::now(),
        }
    }
}

impl Ejection {
    /// Holds one failed attempt against the server: the way to it or its answer broke, or took too long. An answer
    /// with an error status is an answer. Whether that leaves it out from now on, for which `has_room` is asked when
    /// its failures are enough.
    pub(super) fn failed(&self, now: Instant, config: &EjectionConfig, has_room: impl FnOnce() -> bool) -> bool {
        if config.failures == 0 {
            return false;
        }
        let now_ms = self.millis(now);
        let failed = |word| Record::of(word).failed(now_ms).map(Record::word);
        let Ok(before) = self.word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, failed) else {
            return false;
        };
        let Some(record) = Record::of(before).failed(now_ms) else {
            return false;
        };
        if !record.suffices(config.failures) || !has_room() {
            return false;
        }
        // Where it changed meanwhile a request succeeded, or the next failure decides.
        let out = record.left_out(now_ms, config.time);
        self.word
            .compare_exchange(record.word(), out.word(), Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }

    /// Forgets what is held against the server, which has answered. While it is left out that is no news: the request
    /// is from before, or went to it for want of another.
    pub(super) fn succeeded(&self) {
        let word = self.word.load(Ordering::Relaxed);
        if word == 0 || self.is_out_now() {
            return;
        }
        // Where it changed meanwhile something failed after this success.
        let _ = self
            .word
            .compare_exchange(word, 0, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Whether the server is left out at `now`.
    pub(super) fn is_out(&self, now: Instant) -> bool {
        Record::of(self.word.load(Ordering::Relaxed)).is_out(self.millis(now))
    }

    /// The same at this moment; the clock is read only where it matters.
    pub(super) fn is_out_now(&self) -> bool {
        Record::of(self.word.load(Ordering::Relaxed)).until_ms > 0 && self.is_out(Instant::now())
    }

    /// For how long it is left out from now on; `None` where it is not.
    pub(super) fn left(&self) -> Option<Duration> {
        let until_ms = Record::of(self.word.load(Ordering::Relaxed)).until_ms;
        let left_ms = until_ms.saturating_sub(self.millis(Instant::now()));
        (left_ms > 0).then(|| Duration::from_millis(left_ms))
    }

    fn millis(&self, at: Instant) -> u64 {
        millis(at.saturating_duration_since(self.since))
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Percent;

    const TIME: Duration = Duration::from_secs(10);

    fn after(failures: u32) -> EjectionConfig {
        EjectionConfig {
            failures,
            time: TIME,
            most: Percent::new(50),
        }
    }

    /// How long the server is out from `now` on.
    fn out_for(ejection: &Ejection, now: Instant) -> Duration {
        let mut time = Duration::ZERO;
        while ejection.is_out(now + time) {
            time += Duration::from_secs(1);
        }
        time
    }

    #[test]
    fn failures_in_a_row_leave_a_server_out_for_a_while() {
        let (ejection, now) = (Ejection::default(), Instant::now());
        for _ in 0..4 {
            assert!(!ejection.failed(now, &after(5), || true));
            assert!(!ejection.is_out(now));
        }
        assert!(ejection.failed(now, &after(5), || true));
        assert!(ejection.is_out(now));
        assert!(ejection.is_out(now + TIME - Duration::from_millis(1)));
        assert!(!ejection.is_out(now + TIME));
    }

    #[test]
    fn a_success_between_them_begins_the_count_again() {
        let (ejection, now) = (Ejection::default(), Instant::now());
        for _ in 0..3 {
            for _ in 0..4 {
                assert!(!ejection.failed(now, &after(5), || true));
            }
            ejection.succeeded();
        }
        assert_eq!(ejection.word.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn one_that_fails_when_it_is_back_is_out_for_twice_as_long_up_to_a_bound() {
        let (ejection, mut now) = (Ejection::default(), Instant::now());
        assert!(ejection.failed(now, &after(1), || true));
        for growth in [1, 2, 4, 8, 16, 16, 16] {
            assert_eq!(out_for(&ejection, now), TIME * growth);
            now += TIME * growth;
            assert!(ejection.failed(now, &after(5), || true), "one failure is enough now");
        }
    }

    #[test]
    fn one_that_succeeds_when_it_is_back_begins_anew() {
        let (ejection, now) = (Ejection::default(), Instant::now());
        assert!(ejection.failed(now, &after(1), || true));
        // The test's clock is ahead of the real one: for it the server is back.
        let back = now + TIME;
        assert!(!ejection.is_out(back));
        let word = ejection.word.load(Ordering::Relaxed);
        ejection.succeeded();
        assert_eq!(
            ejection.word.load(Ordering::Relaxed),
            word,
            "out, as the real clock has it"
        );

        let passed = Record {
            until_ms: 1,
            ..Record::of(word)
        };
        let ejection = Ejection {
            word: AtomicU64::new(passed.word()),
            since: now - TIME,
        };
        assert!(!ejection.is_out(now));
        ejection.succeeded();
        assert_eq!(ejection.word.load(Ordering::Relaxed), 0);
        assert!(!ejection.failed(now, &after(2), || true));
        assert!(ejection.failed(now, &after(2), || true));
        assert_eq!(out_for(&ejection, now), TIME);
    }

    #[test]
    fn failures_while_it_is_out_change_nothing() {
        let (ejection, now) = (Ejection::default(), Instant::now());
        assert!(ejection.failed(now, &after(1), || true));
        for _ in 0..100 {
            assert!(!ejection.failed(now + TIME / 2, &after(1), || true));
        }
        assert_eq!(out_for(&ejection, now), TIME);
    }

    #[test]
    fn without_room_it_stays_and_is_asked_about_again() {
        let (ejection, now) = (Ejection::default(), Instant::now());
        for _ in 0..10 {
            assert!(!ejection.failed(now, &after(2), || false));
            assert!(!ejection.is_out(now));
        }
        assert!(ejection.failed(now, &after(2), || true));
    }

    #[test]
    fn zero_failures_is_off() {
        let (ejection, now) = (Ejection::default(), Instant::now());
        for _ in 0..100 {
            assert!(!ejection.failed(now, &after(0), || true));
        }
        assert_eq!(ejection.word.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn records_survive_their_packing_at_every_bound() {
        let largest = Record {
            failures: u16::MAX,
            times: u8::MAX,
            until_ms: Record::UNTIL_MS_MAX,
        };
        assert_eq!(largest.word(), u64::MAX);
        for record in [
            largest,
            Record::default(),
            Record {
                times: 3,
                failures: 7,
                until_ms: 12_345,
            },
        ] {
            assert_eq!(Record::of(record.word()), record);
        }
        let absurd = largest.left_out(u64::MAX - 1, limits::CONFIG_DURATION_MAX);
        assert_eq!(Record::of(absurd.word()), absurd);
    }

    #[test]
    fn of_many_at_once_exactly_one_leaves_it_out() {
        let (ejection, now) = (Ejection::default(), Instant::now());
        let out: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| (0..1000).filter(|_| ejection.failed(now, &after(1), || true)).count()))
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(out, 1);
    }
}
