//! Instances between two calls, of a component that allows reuse.

use super::instance::Instance;
use super::pool::{Idle, Pool};
use crate::per_core::PerCore;
use crate::telemetry::metrics::{ComponentMetrics, GaugeGuard, Retirement};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The idle instances of one component, those of each core together: the one used last is used next, while the
/// processor's caches still have it.
pub(super) struct Warm {
    idle: PerCore<Vec<Resting>>,
    pool: Pool,
    metrics: Arc<ComponentMetrics>,
    is_closed: AtomicBool,
}

struct Resting {
    instance: Box<Instance>,
    since: Instant,
    _counted: GaugeGuard,
}

impl Resting {
    fn retire(mut self, cause: Retirement) {
        self.instance.retire(cause);
    }
}

impl Warm {
    /// None yet, for this many door runtimes; the pool may ask for their places.
    pub(super) fn new(doors: usize, pool: &Pool, metrics: &Arc<ComponentMetrics>) -> Arc<Self> {
        let warm = Arc::new(Self {
            idle: PerCore::new(doors),
            pool: pool.clone(),
            metrics: Arc::clone(metrics),
            is_closed: AtomicBool::new(false),
        });
        let idle: std::sync::Weak<dyn Idle> = Arc::downgrade(&(Arc::clone(&warm) as Arc<dyn Idle>));
        pool.lend(idle);
        warm
    }

    /// Which part [`Self::give`] takes an instance back to when it was called from this thread.
    pub(super) fn here(&self) -> usize {
        self.idle.here()
    }

    /// An idle instance: this core's, else another's, which is still ten times cheaper than a new one.
    pub(super) fn take(&self) -> Option<Box<Instance>> {
        self.idle.find(Vec::pop).map(|resting| resting.instance)
    }

    /// Keeps an instance for the next call, unless its place is wanted elsewhere.
    pub(super) fn give(&self, place: usize, mut instance: Box<Instance>) {
        if self.is_closed.load(Ordering::Acquire) {
            return instance.retire(Retirement::Replaced);
        }
        if self.pool.is_wanted() {
            return instance.retire(Retirement::Reclaimed);
        }
        let resting = Resting {
            instance,
            since: Instant::now(),
            _counted: self.metrics.idle_instance(),
        };
        self.idle.at(place, |idle| idle.push(resting));
        // Closed meanwhile: nobody would come for it.
        if self.is_closed.load(Ordering::Acquire) {
            self.close();
        }
    }

    /// Retires what has been idle for this long.
    pub(super) fn expire(&self, age: Duration) {
        let now = Instant::now();
        self.retire(Retirement::Idle, |resting| {
            now.saturating_duration_since(resting.since) >= age
        });
    }

    /// Retires everything, now and from now on: the component is out of force.
    pub(super) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        self.retire(Retirement::Replaced, |_| true);
    }

    fn retire(&self, cause: Retirement, is_due: impl Fn(&Resting) -> bool) {
        for place in self.idle.places() {
            // Longest idle first; dropped outside the lock, because cleaning their memory takes a while.
            let due = self.idle.at(place, |idle| {
                let end = idle.iter().position(|resting| !is_due(resting)).unwrap_or(idle.len());
                idle.drain(..end).collect::<Vec<_>>()
            });
            due.into_iter().flatten().for_each(|resting| resting.retire(cause));
        }
    }
}

impl Idle for Warm {
    fn give_up_one(&self) -> bool {
        let oldest = self.idle.find(|idle| (!idle.is_empty()).then(|| idle.remove(0)));
        let found = oldest.is_some();
        if let Some(resting) = oldest {
            resting.retire(Retirement::Reclaimed);
        }
        found
    }
}
