//! The workers of one component, and which of them takes the next request.

use super::component::Component;
use super::pool::{Idle, Pool, Slot};
use super::run::Shared;
use super::worker::Worker;
use crate::config::ReuseConfig;
use crate::per_core::PerCore;
use crate::telemetry::metrics::Retirement;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// Workers that take requests. A worker is polled by the runtime it was started on, so each core has its own.
pub(super) struct Workers {
    open: PerCore<Vec<Open>>,
    pool: Pool,
    reuse: ReuseConfig,
    is_closed: AtomicBool,
}

struct Open {
    worker: Arc<Worker>,
    used: Instant,
}

/// A place on a worker's desk, counted there; left again when it is dropped unused.
pub(super) struct Desked(Option<Arc<Worker>>);

impl Desked {
    fn new(worker: &Arc<Worker>) -> Self {
        worker.desk.join();
        Self(Some(Arc::clone(worker)))
    }

    /// The worker; whoever has it answers for the place.
    pub(super) fn take(mut self) -> Option<Arc<Worker>> {
        self.0.take()
    }
}

impl Drop for Desked {
    fn drop(&mut self) {
        if let Some(worker) = self.0.take() {
            worker.desk.leave();
        }
    }
}

impl Workers {
    /// None yet, for this many door runtimes; the pool may ask for their places.
    pub(super) fn new(doors: usize, pool: &Pool, reuse: &ReuseConfig) -> Arc<Self> {
        let workers = Arc::new(Self {
            open: PerCore::new(doors),
            pool: pool.clone(),
            reuse: reuse.clone(),
            is_closed: AtomicBool::new(false),
        });
        let idle: Weak<dyn Idle> = Arc::downgrade(&(Arc::clone(&workers) as Arc<dyn Idle>));
        pool.lend(idle);
        workers
    }

    /// This core's first worker with room: the fewer there are, the less memory they take.
    pub(super) fn find(&self) -> Option<Desked> {
        self.open
            .at(self.open.here(), |open| {
                let at = open.iter().position(|one| self.is_free(&one.worker))?;
                self.assign(open, at)
            })
            .flatten()
    }

    fn is_free(&self, worker: &Worker) -> bool {
        !worker.desk.is_closed() && worker.desk.active() < self.reuse.concurrent
    }

    /// A worker has room again. Where calls wait for places in the pool, one without calls gives its own up, and one
    /// with some may be what they wait for.
    pub(super) fn has_room(&self, worker: &Arc<Worker>) {
        if !self.pool.is_wanted() || worker.desk.is_closed() {
            return;
        }
        if worker.desk.active() == 0 {
            self.remove(worker);
            worker.desk.close(Retirement::Reclaimed);
        } else {
            self.pool.has_room();
        }
    }

    /// Workers without a call.
    pub(super) fn idle(&self) -> usize {
        let idle = |open: &mut Vec<Open>| open.iter().filter(|one| one.worker.desk.active() == 0).count();
        self.open.places().filter_map(|place| self.open.at(place, idle)).sum()
    }

    /// Gives the worker at `at` one more request; with its last one it leaves the list.
    fn assign(&self, open: &mut Vec<Open>, at: usize) -> Option<Desked> {
        let one = open.get_mut(at)?;
        one.used = Instant::now();
        let desked = Desked::new(&one.worker);
        let taken = one.worker.taken.fetch_add(1, Ordering::Relaxed) + 1;
        if taken >= self.reuse.requests as usize {
            one.worker.desk.close(Retirement::Requests);
            open.remove(at);
        }
        Some(desked)
    }

    /// Starts a worker on this thread's runtime, for this first request.
    pub(super) fn start(
        self: &Arc<Self>,
        component: &Arc<Component>,
        slot: Slot,
        first: &Arc<Shared>,
    ) -> Option<Desked> {
        let worker = Worker::start(component, self, slot, first);
        self.open
            .at(self.open.here(), |open| {
                open.push(Open {
                    worker,
                    used: Instant::now(),
                });
                let desked = self.assign(open, open.len().saturating_sub(1));
                if self.is_closed.load(Ordering::Acquire) {
                    close(open, Retirement::Replaced, |_| true);
                }
                desked
            })
            .flatten()
    }

    /// Takes a worker off the list.
    pub(super) fn remove(&self, worker: &Arc<Worker>) {
        for place in self.open.places() {
            self.open
                .at(place, |open| open.retain(|one| !Arc::ptr_eq(&one.worker, worker)));
        }
    }

    /// Retires workers that had no request for this long, and has the other idle ones let go of their last requests.
    pub(super) fn expire(&self, age: Duration) {
        let now = Instant::now();
        for place in self.open.places() {
            self.open
                .at(place, |open| open.iter().for_each(|one| one.worker.desk.look()));
        }
        self.close_those(Retirement::Idle, |one| {
            one.worker.desk.active() == 0 && now.saturating_duration_since(one.used) >= age
        });
    }

    /// Retires all, now and from now on: the component is out of force. Their calls are finished.
    pub(super) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        self.close_those(Retirement::Replaced, |_| true);
    }

    fn close_those(&self, cause: Retirement, is_due: impl Fn(&Open) -> bool) {
        for place in self.open.places() {
            self.open.at(place, |open| close(open, cause, &is_due));
        }
    }
}

fn close(open: &mut Vec<Open>, cause: Retirement, is_due: impl Fn(&Open) -> bool) {
    for one in open.extract_if(.., |one| is_due(one)) {
        one.worker.desk.close(cause);
    }
}

impl Idle for Workers {
    fn give_up_one(&self) -> bool {
        let idle = self.open.find(|open| {
            let at = open.iter().position(|one| one.worker.desk.active() == 0)?;
            Some(open.remove(at).worker)
        });
        // Off the list nobody gives it a request any more.
        if let Some(worker) = &idle {
            worker.desk.close(Retirement::Reclaimed);
            worker.end();
        }
        idle.is_some()
    }
}
