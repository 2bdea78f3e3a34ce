//! What a worker's guest, its pollers and its calls share: the jobs, who is to be woken, and whether it takes more.

use super::run::Shared;
use crate::error::Fault;
use crate::http::Body;
use crate::telemetry::metrics::Retirement;
use futures_util::task::AtomicWaker;
use http::Request;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Wake;

/// One request for a worker.
pub(super) struct Job {
    pub(super) request: Request<Body>,
    pub(super) shared: Arc<Shared>,
}

/// What a worker's guest, its pollers and its calls share.
pub(super) struct Desk {
    jobs: Mutex<VecDeque<Job>>,
    /// Calls whose answers are not complete.
    active: AtomicUsize,
    /// It takes no further request, and why; zero while it does.
    closed_for: AtomicU8,
    /// A call was given up while its guest task goes on: nobody waits for that.
    is_abandoned: AtomicBool,
    /// Something has happened since the guest was polled last.
    is_woken: AtomicBool,
    in_lane: AtomicBool,
    /// The guest's own interest in news.
    pub(super) guest: AtomicWaker,
    /// The worker's own task.
    pub(super) task: AtomicWaker,
}

impl Desk {
    /// An empty desk, whose guest has yet to be polled for the first time.
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            jobs: Mutex::default(),
            active: AtomicUsize::new(0),
            closed_for: AtomicU8::new(0),
            is_abandoned: AtomicBool::new(false),
            is_woken: AtomicBool::new(true),
            in_lane: AtomicBool::new(false),
            guest: AtomicWaker::new(),
            task: AtomicWaker::new(),
        })
    }

    /// One more job, for whoever polls the guest next.
    pub(super) fn put(&self, job: Job) {
        self.jobs().push_back(job);
        self.is_woken.store(true, Ordering::Release);
        self.guest.wake();
    }

    /// Whether there is something for the guest to do.
    pub(super) fn is_woken(&self) -> bool {
        self.is_woken.load(Ordering::Acquire)
    }

    /// It is being polled: what happens from here on is news.
    pub(super) fn polls(&self) {
        self.is_woken.store(false, Ordering::Release);
    }

    /// A call is given up while its guest task goes on.
    pub(super) fn abandon(&self) {
        self.is_abandoned.store(true, Ordering::Release);
        self.close(Retirement::Cancelled);
    }

    /// The guest goes on in the lane, for the requests it has.
    pub(super) fn move_to_lane(&self) {
        self.close(Retirement::Lane);
        self.in_lane.store(true, Ordering::Release);
    }

    pub(super) fn jobs(&self) -> MutexGuard<'_, VecDeque<Job>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn active(&self) -> usize {
        self.active.load(Ordering::Acquire)
    }

    /// One more call is on its way.
    pub(super) fn join(&self) {
        self.active.fetch_add(1, Ordering::AcqRel);
    }

    /// A call is over; the last one lets a closed worker end.
    pub(super) fn leave(&self) {
        if self.active.fetch_sub(1, Ordering::AcqRel) == 1 && self.is_closed() {
            self.guest.wake();
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed_for.load(Ordering::Acquire) != 0
    }

    /// No further request; the first cause stays.
    pub(super) fn close(&self, cause: Retirement) {
        let closed = self
            .closed_for
            .compare_exchange(0, cause as u8 + 1, Ordering::AcqRel, Ordering::Acquire);
        if closed.is_ok() && self.active() == 0 {
            self.guest.wake();
        }
    }

    /// Why it takes no further request.
    pub(super) fn cause(&self) -> Retirement {
        let number = usize::from(self.closed_for.load(Ordering::Acquire)).wrapping_sub(1);
        Retirement::ALL.get(number).copied().unwrap_or(Retirement::Cancelled)
    }

    /// Whether it may end.
    pub(super) fn is_done(&self) -> bool {
        self.is_closed() && self.active() == 0
    }

    /// Whether no call has begun that is not over.
    pub(super) fn is_at_rest(&self) -> bool {
        self.active() == self.jobs().len()
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.is_abandoned.load(Ordering::Acquire)
    }

    /// Gives the jobs that no guest has begun back to their callers.
    pub(super) fn give_back(&self) {
        let jobs = std::mem::take(&mut *self.jobs());
        for Job { request, shared } in jobs {
            shared.give_back(request);
        }
    }

    /// Ends every job: the worker never worked.
    pub(super) fn give_up(&self, fault: &Fault) {
        self.close(Retirement::Trap);
        let jobs = std::mem::take(&mut *self.jobs());
        for job in jobs {
            job.shared.set_end(Err(fault.clone()));
        }
    }

    /// Has a worker without calls look at what the last ones left.
    pub(super) fn look(&self) {
        if self.active() == 0 {
            self.guest.wake();
        }
    }

    pub(super) fn is_in_lane(&self) -> bool {
        self.in_lane.load(Ordering::Acquire)
    }
}

impl Wake for Desk {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_woken.store(true, Ordering::Release);
        self.task.wake();
    }
}
