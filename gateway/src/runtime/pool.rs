//! Places for calls: the pool's own size, and each component's concurrency with its bounded queue.

use crate::error::Fault;
use crate::http::Timing;
use crate::telemetry::metrics::{ComponentMetrics, GaugeGuard};
use futures_util::future::{Either, select};
use std::fmt;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, TryAcquireError};

/// Instances that hold places without a call, and can give them up for one.
pub(super) trait Idle: Send + Sync {
    /// Drops the instance that has been idle for longest; `false` when there is none.
    fn give_up_one(&self) -> bool;
}

/// Guards an engine pool: as many permits as it has memories.
#[derive(Clone)]
pub struct Pool(Arc<Inner>);

struct Inner {
    permits: Arc<Semaphore>,
    is_open: AtomicBool,
    /// Calls that wait for a permit now.
    waiting: AtomicUsize,
    /// Told while calls wait: an instance that is not given up may take one more of them.
    room: Notify,
    /// Looked at only when no permit is free.
    idle: Mutex<Vec<Weak<dyn Idle>>>,
}

impl Pool {
    /// A pool of `instances` places.
    pub fn new(instances: u32) -> Self {
        Self(Arc::new(Inner {
            permits: Arc::new(Semaphore::new(instances as usize)),
            is_open: AtomicBool::new(true),
            waiting: AtomicUsize::new(0),
            room: Notify::const_new(),
            idle: Mutex::default(),
        }))
    }

    /// Places free now.
    pub fn free(&self) -> usize {
        self.0.permits.available_permits()
    }

    /// Lets calls in, or none until it is opened again. Says whether that is a change.
    pub(super) fn set_open(&self, is_open: bool) -> bool {
        self.0.is_open.swap(is_open, Ordering::AcqRel) != is_open
    }

    /// Whether calls are waiting for a place: then no instance is kept idle.
    pub(super) fn is_wanted(&self) -> bool {
        self.0.waiting.load(Ordering::Relaxed) > 0
    }

    /// An instance that calls may share has room for one more.
    pub(super) fn has_room(&self) {
        self.0.room.notify_waiters();
    }

    /// Makes the places of `idle` instances available to whoever finds the pool empty.
    pub(super) fn lend(&self, idle: Weak<dyn Idle>) {
        let mut all = self.idle();
        all.retain(|other| other.strong_count() > 0);
        all.push(idle);
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Weak<dyn Idle>>> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has one idle instance dropped, of whichever component has one; components take turns.
    fn reclaim(&self) -> bool {
        let mut all: Vec<_> = {
            let mut all = self.idle();
            // Whoever is asked first now is asked last next time.
            if !all.is_empty() {
                all.rotate_left(1);
            }
            all.clone()
        };
        all.reverse();
        // Outside the lock: dropping an instance cleans its memory.
        all.iter()
            .any(|idle| idle.upgrade().is_some_and(|idle| idle.give_up_one()))
    }

    fn try_slot(&self, weight: u32) -> Result<Slot, TryAcquireError> {
        loop {
            match Arc::clone(&self.0.permits).try_acquire_many_owned(weight) {
                Ok(permit) => return Ok(Slot { _permit: permit }),
                Err(TryAcquireError::NoPermits) if self.reclaim() => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// What `warm` has, or places for a new instance, whichever is there first.
    async fn seat<W>(&self, weight: u32, warm: &mut impl FnMut() -> Option<W>) -> Result<Seat<W>, Fault> {
        let _waiting = Counted::enter(&self.0.waiting, usize::MAX);
        let mut permit = pin!(Arc::clone(&self.0.permits).acquire_many_owned(weight));
        loop {
            let mut room = pin!(self.0.room.notified());
            room.as_mut().enable();
            // What came free before this call was counted is still to be had.
            if let Some(warm) = warm() {
                return Ok(Seat::Warm(warm));
            }
            if let Ok(slot) = self.try_slot(weight) {
                return Ok(Seat::New(slot));
            }
            if let Either::Left((permit, _)) = select(permit.as_mut(), room).await {
                let permit = permit.map_err(|_| Fault::Shutdown)?;
                return Ok(Seat::New(Slot { _permit: permit }));
            }
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("free", &self.free())
            .finish_non_exhaustive()
    }
}

/// The right to one more call of a component; given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    _component: OwnedSemaphorePermit,
    _busy: GaugeGuard,
}

/// An instance's places in the pool; given back when dropped.
#[derive(Debug)]
pub(super) struct Slot {
    _permit: OwnedSemaphorePermit,
}

/// What a call gets to run on.
#[derive(Debug)]
pub(super) enum Seat<W> {
    /// Something that was there already.
    Warm(W),
    /// The places of a new instance.
    New(Slot),
}

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

    /// Takes the place of one call, and what `warm` has or places for a new instance: at once where they are free,
    /// else in the queue.
    ///
    /// # Errors
    /// [`Fault::Saturated`] when the queue is full or a place did not come free in time, [`Fault::PoolClosed`] while
    /// the pool cannot be cleaned safely.
    pub(super) async fn enter<W>(
        &self,
        metrics: &ComponentMetrics,
        timing: &Timing,
        mut warm: impl FnMut() -> Option<W>,
    ) -> Result<(Place, Seat<W>), Fault> {
        if !self.pool.0.is_open.load(Ordering::Acquire) {
            return Err(Fault::PoolClosed);
        }
        let (component, seat) = match self.try_enter(&mut warm) {
            Ok(entered) => entered,
            Err(TryAcquireError::Closed) => return Err(Fault::Shutdown),
            Err(TryAcquireError::NoPermits) => self.wait(metrics, timing, &mut warm).await?,
        };
        let place = Place {
            _component: component,
            _busy: metrics.instance(),
        };
        Ok((place, seat))
    }

    fn try_enter<W>(
        &self,
        warm: &mut impl FnMut() -> Option<W>,
    ) -> Result<(OwnedSemaphorePermit, Seat<W>), TryAcquireError> {
        let component = Arc::clone(&self.calls).try_acquire_owned()?;
        if let Some(warm) = warm() {
            return Ok((component, Seat::Warm(warm)));
        }
        Ok((component, Seat::New(self.pool.try_slot(self.weight)?)))
    }

    async fn wait<W>(
        &self,
        metrics: &ComponentMetrics,
        timing: &Timing,
        warm: &mut impl FnMut() -> Option<W>,
    ) -> Result<(OwnedSemaphorePermit, Seat<W>), Fault> {
        let Some(_waiting) = Counted::enter(&self.waiting, self.queue) else {
            return Err(Fault::Saturated);
        };
        let _queued = metrics.waiting();
        let began = Instant::now();
        let both = async {
            let component = Arc::clone(&self.calls)
                .acquire_owned()
                .await
                .map_err(|_| Fault::Shutdown)?;
            Ok((component, self.pool.seat(self.weight, warm).await?))
        };
        let entered = tokio::time::timeout(self.queue_time, both)
            .await
            .unwrap_or(Err(Fault::Saturated));
        let took = began.elapsed();
        metrics.queue_seconds.record(took);
        timing.queue(took);
        entered
    }

    /// Another instance for a call that has its place already and lost its first.
    pub(super) async fn seat<W>(&self, mut warm: impl FnMut() -> Option<W>) -> Result<Seat<W>, Fault> {
        let seat = tokio::time::timeout(self.queue_time, self.pool.seat(self.weight, &mut warm)).await;
        seat.unwrap_or(Err(Fault::Saturated))
    }
}

/// One more in a bounded count, until dropped: also when the client leaves while waiting.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn enter(count: &'a AtomicUsize, max: usize) -> Option<Self> {
        let join = |now| (now < max).then_some(now + 1);
        count.fetch_update(Ordering::AcqRel, Ordering::Acquire, join).ok()?;
        Some(Self(count))
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
