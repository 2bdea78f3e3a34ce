//! When a request is sent once more, and the budget that keeps retries from becoming a second outage.

use crate::config::RetryConfig;
use crate::limits;
use crate::outbound::SendError;
use http::Method;
use std::sync::atomic::{AtomicI64, Ordering};

/// A retry costs this much; a request brings the configured percentage of it.
const COST: i64 = 100;

/// What an upstream's requests may still spend on retries. Every request brings a part of one, so that retries stay
/// in proportion to requests; a reserve lets the first ones through.
#[derive(Debug)]
pub(super) struct Budget {
    attempts: u32,
    deposit: i64,
    balance: AtomicI64,
}

impl Budget {
    pub(super) fn new(config: &RetryConfig) -> Self {
        Self {
            attempts: config.attempts,
            deposit: i64::from(config.budget.get()),
            balance: AtomicI64::new(COST * limits::UPSTREAM_RETRY_RESERVE_COUNT),
        }
    }

    /// A request begins.
    pub(super) fn deposit(&self) {
        // Between looking and adding others may add too: the bound is passed by a request's part at most.
        if self.balance.load(Ordering::Relaxed) < COST * limits::UPSTREAM_RETRY_SAVED_COUNT {
            self.balance.fetch_add(self.deposit, Ordering::Relaxed);
        }
    }

    /// Whether a request that was sent `sent` times may be sent once more as far as its own count goes.
    pub(super) fn allows(&self, sent: u32) -> bool {
        sent <= self.attempts
    }

    /// Takes one retry out of the budget, if there is one.
    pub(super) fn spend(&self) -> bool {
        self.balance
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |balance| {
                (balance >= COST).then_some(balance - COST)
            })
            .is_ok()
    }

    /// Retries that could be made at once.
    pub(super) fn left(&self) -> i64 {
        self.balance.load(Ordering::Relaxed) / COST
    }
}

/// Whether sending it twice is as good as sending it once (RFC 9110 §9.2.2).
pub(super) fn is_idempotent(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE
    )
}

/// Whether another attempt may go better. What a server took too long for would take another one as long.
pub(super) fn may_help(error: &SendError) -> bool {
    !matches!(
        error,
        SendError::RequestBody(_) | SendError::FirstByteTimeout | SendError::WriteTimeout | SendError::LimitReached
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Percent;

    fn budget(percent: u8) -> Budget {
        Budget::new(&RetryConfig {
            attempts: 2,
            budget: Percent::new(percent),
        })
    }

    fn spent(budget: &Budget) -> usize {
        std::iter::from_fn(|| budget.spend().then_some(())).count()
    }

    #[test]
    fn retries_stay_in_proportion_to_requests() {
        let budget = budget(20);
        let reserve = usize::try_from(limits::UPSTREAM_RETRY_RESERVE_COUNT).unwrap();
        assert_eq!(spent(&budget), reserve);
        for _ in 0..100 {
            budget.deposit();
        }
        assert_eq!(spent(&budget), 20);
        assert_eq!(budget.left(), 0);
    }

    #[test]
    fn a_quiet_upstream_saves_no_more_than_its_bound() {
        let budget = budget(100);
        for _ in 0..100_000 {
            budget.deposit();
        }
        assert_eq!(
            spent(&budget),
            usize::try_from(limits::UPSTREAM_RETRY_SAVED_COUNT).unwrap()
        );
    }

    #[test]
    fn a_request_has_its_own_bound() {
        let budget = budget(20);
        assert!(budget.allows(1) && budget.allows(2));
        assert!(!budget.allows(3));
    }

    #[test]
    fn only_what_may_be_repeated_is_idempotent() {
        assert!(is_idempotent(&Method::PUT) && is_idempotent(&Method::GET));
        assert!(!is_idempotent(&Method::POST) && !is_idempotent(&Method::PATCH) && !is_idempotent(&Method::CONNECT));
    }
}
