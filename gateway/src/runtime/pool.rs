//! Places for calls: the pool's own size, and each component's concurrency with its bounded queue.

use crate::error::Fault;
use crate::telemetry::metrics::{ComponentMetrics, GaugeGuard};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

/// Guards an engine pool: as many permits as it has memories.
#[derive(Clone, Debug)]
pub struct Pool {
    permits: Arc<Semaphore>,
    is_open: Arc<AtomicBool>,
}

impl Pool {
    /// A pool of `instances` places.
    pub fn new(instances: u32) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(instances as usize)),
            is_open: Arc::new(AtomicBool::new(true)),
        }
    }

    /// Places free now.
    pub fn free(&self) -> usize {
        self.permits.available_permits()
    }

    /// Lets calls in, or none until it is opened again. Says whether that is a change.
    pub(super) fn set_open(&self, is_open: bool) -> bool {
        self.is_open.swap(is_open, Ordering::AcqRel) != is_open
    }
}

/// A call's places; given back when dropped.
#[derive(Debug)]
pub(super) struct Places {
    _component: OwnedSemaphorePermit,
    _pool: OwnedSemaphorePermit,
    _instance: GaugeGuard,
}

type Permits = (OwnedSemaphorePermit, OwnedSemaphorePermit);

/// The calls of one component: how many at a time, how many wait, how long.
#[derive(Debug)]
pub(super) struct Gate {
    calls: Arc<Semaphore>,
    pool: Pool,
    weight: u32,
    waiting: AtomicUsize,
    queue: usize,
    queue_time: Duration,
}

impl Gate {
    pub(super) fn new(pool: Pool, weight: u32, concurrency: usize, queue: usize, queue_time: Duration) -> Self {
        Self {
            calls: Arc::new(Semaphore::new(concurrency)),
            pool,
            weight,
            waiting: AtomicUsize::new(0),
            queue,
            queue_time,
        }
    }

    /// Takes the places of one call, at once where they are free, else in the queue.
    ///
    /// # Errors
    /// [`Fault::Saturated`] when the queue is full or a place did not come free in time, [`Fault::PoolClosed`] while
    /// the pool cannot be cleaned safely.
    pub(super) async fn enter(&self, metrics: &ComponentMetrics) -> Result<Places, Fault> {
        if !self.pool.is_open.load(Ordering::Acquire) {
            return Err(Fault::PoolClosed);
        }
        let (component, pool) = match self.try_enter() {
            Ok(permits) => permits,
            Err(TryAcquireError::Closed) => return Err(Fault::Shutdown),
            Err(TryAcquireError::NoPermits) => self.wait(metrics).await?,
        };
        Ok(Places {
            _component: component,
            _pool: pool,
            _instance: metrics.instance(),
        })
    }

    fn try_enter(&self) -> Result<Permits, TryAcquireError> {
        let component = Arc::clone(&self.calls).try_acquire_owned()?;
        let pool = Arc::clone(&self.pool.permits).try_acquire_many_owned(self.weight)?;
        Ok((component, pool))
    }

    async fn wait(&self, metrics: &ComponentMetrics) -> Result<Permits, Fault> {
        let Some(_waiting) = Waiting::enter(&self.waiting, self.queue) else {
            return Err(Fault::Saturated);
        };
        let _queued = metrics.waiting();
        let began = Instant::now();
        let both = async {
            let component = Arc::clone(&self.calls)
                .acquire_owned()
                .await
                .map_err(|_| Fault::Shutdown)?;
            let pool = Arc::clone(&self.pool.permits)
                .acquire_many_owned(self.weight)
                .await
                .map_err(|_| Fault::Shutdown)?;
            Ok((component, pool))
        };
        let permits = tokio::time::timeout(self.queue_time, both)
            .await
            .unwrap_or(Err(Fault::Saturated));
        metrics.queue_seconds.record(began.elapsed());
        permits
    }
}

/// One place in the queue, left when dropped: also when the client leaves while waiting.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(waiting: &'a AtomicUsize, max: usize) -> Option<Self> {
        let join = |now| (now < max).then_some(now + 1);
        waiting.fetch_update(Ordering::AcqRel, Ordering::Acquire, join).ok()?;
        Some(Self(waiting))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
