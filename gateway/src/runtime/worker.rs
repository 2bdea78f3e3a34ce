//! An instance that works on several requests at a time (0.3), and the calls that share it.
//!
//! Whoever gives a worker a request polls it there and then, in the task of that request's connection: a guest that
//! answers at once costs no switch between tasks. A task of the worker's own polls it when anything else wakes it.

use super::component::Component;
use super::desk::{Desk, Job};
use super::invoke::rest_of_call;
use super::lane::Lane;
use super::pool::{Place, Slot};
use super::run::{Meter, Shared, count};
use super::work::work;
use super::workers::Workers;
use crate::error::Fault;
use crate::http::{Body, Cause};
use crate::telemetry::metrics::ComponentMetrics;
use http::Request;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

type Guest = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One instance and its guest's future.
pub(super) struct Worker {
    pub(super) desk: Arc<Desk>,
    /// Requests it was given so far; changed under the lock of its list only.
    pub(super) taken: AtomicUsize,
    /// `None` once it has ended.
    guest: Mutex<Option<Guest>>,
    meter: Arc<Meter>,
    lane: Arc<Lane>,
    metrics: Arc<ComponentMetrics>,
    workers: Arc<Workers>,
    rest: Duration,
    /// CPU time that calls have been charged with.
    charged_ns: AtomicU64,
}

impl Worker {
    /// A worker whose first job is `job`'s; its own task runs on this thread's runtime.
    pub(super) fn start(
        component: &Arc<Component>,
        workers: &Arc<Workers>,
        slot: Slot,
        first: &Arc<Shared>,
    ) -> Arc<Self> {
        let desk = Desk::new();
        let meter = component.meter();
        let guest = work(
            Arc::clone(component),
            Arc::clone(first),
            Arc::clone(&meter),
            Arc::clone(&desk),
            slot,
        );
        let worker = Arc::new(Self {
            desk,
            taken: AtomicUsize::new(0),
            guest: Mutex::new(Some(Box::pin(guest))),
            meter,
            lane: Arc::clone(&component.lane),
            metrics: Arc::clone(&component.metrics),
            workers: Arc::clone(workers),
            rest: rest_of_call(component),
            charged_ns: AtomicU64::new(0),
        });
        tokio::spawn(own_task(Arc::clone(&worker)));
        worker
    }

    fn guest(&self) -> MutexGuard<'_, Option<Guest>> {
        self.guest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the guest has ended; while somebody polls it, it has not.
    fn has_ended(&self) -> bool {
        self.guest.try_lock().is_ok_and(|guest| guest.is_none())
    }

    /// Whether there is something for the guest to do.
    pub(super) fn is_woken(&self) -> bool {
        self.desk.is_woken()
    }

    /// Polls the guest here, unless it has nothing to do or somebody else is at it.
    fn drive(self: &Arc<Self>) {
        if self.desk.is_in_lane() || !self.is_woken() {
            return;
        }
        let Ok(mut guest) = self.guest.try_lock() else { return };
        let waker = Waker::from(Arc::clone(&self.desk));
        // Once more when it woke itself: a guest that answers at once does so here.
        for _ in 0..2 {
            let _ = self.poll(&mut guest, &mut Context::from_waker(&waker));
            if !self.is_woken() {
                break;
            }
        }
        let wants_lane = guest.is_some() && self.meter.wants_lane();
        drop(guest);
        if wants_lane {
            self.move_to_lane();
        }
    }

    fn poll(self: &Arc<Self>, guest: &mut Option<Guest>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(future) = guest else { return Poll::Ready(()) };
        self.desk.polls();
        // Channels of tokio would look empty after many frames in one poll of the connection's task.
        let polled = self
            .meter
            .measure(|| Pin::new(&mut tokio::task::coop::unconstrained(future.as_mut())).poll(cx));
        if polled.is_ready() {
            *guest = None;
            self.workers.remove(self);
        }
        polled
    }

    /// A guest that computes for long goes on in the lane, for the requests it has.
    fn move_to_lane(self: &Arc<Self>) {
        self.workers.remove(self);
        self.desk.move_to_lane();
        self.meter.enter_lane();
        let worker = Arc::clone(self);
        let mut rest = None;
        let work = poll_fn(move |cx| {
            let mut guest = worker.guest();
            let polled = worker.poll(&mut guest, cx);
            if polled.is_pending() && worker.is_overdue(&mut rest, cx) {
                *guest = None;
                return Poll::Ready(());
            }
            polled
        });
        self.metrics.lane_moves.increment(1);
        if self.lane.work(Arc::as_ptr(&self.workers) as usize, work).is_err() {
            self.end();
        }
        // Its own task ends.
        self.desk.task.wake();
    }

    /// Whether what is left of a worker without calls takes too long; `rest` counts from when it was first looked at.
    fn is_overdue(&self, rest: &mut Option<Pin<Box<tokio::time::Sleep>>>, cx: &mut Context<'_>) -> bool {
        if !self.desk.is_done() {
            return false;
        }
        let rest = rest.get_or_insert_with(|| Box::pin(tokio::time::sleep(self.rest)));
        rest.as_mut().poll(cx).is_ready()
    }

    /// The CPU time since the last call ended: that of all calls together is right, that of one is its share where
    /// it was alone.
    fn charge(&self) -> Duration {
        let cpu = self.meter.cpu_ns();
        let before = self.charged_ns.swap(cpu, Ordering::Relaxed);
        Duration::from_nanos(cpu.saturating_sub(before))
    }

    /// Drops the instance where it stands.
    pub(super) fn end(&self) {
        let ended = self.guest().take();
        drop(ended);
        self.desk.task.wake();
    }
}

/// Polls a worker whenever it is woken, until it has ended or moved away.
async fn own_task(worker: Arc<Worker>) {
    let mut rest = None;
    poll_fn(|cx| {
        worker.desk.task.register(cx.waker());
        worker.drive();
        if worker.desk.is_in_lane() {
            return Poll::Ready(());
        }
        if worker.is_overdue(&mut rest, cx) {
            worker.end();
        }
        if worker.guest().is_none() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

/// One call of a worker, on the side of its connection.
pub(super) struct Call {
    pub(super) shared: Arc<Shared>,
    pub(super) worker: Arc<Worker>,
    /// `None` once the call is over.
    place: Option<Place>,
}

impl Call {
    /// Puts a job on the worker's desk, which counts it already.
    pub(super) fn new(worker: Arc<Worker>, job: Job, place: Place) -> Self {
        let shared = Arc::clone(&job.shared);
        worker.desk.put(job);
        Self {
            shared,
            worker,
            place: Some(place),
        }
    }

    /// Lets the guest go on, and says whether the call has ended.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        let call = self.shared.cx.call();
        call.register(cx.waker());
        if let Some(cause) = call.cause() {
            let fault = cause.fault();
            self.over(&Err(fault.clone()));
            return Poll::Ready(Err(fault));
        }
        self.shared.register(cx);
        self.worker.drive();
        let end = match self.shared.end() {
            Some(end) => end,
            None if self.worker.has_ended() => {
                // It ended before it saw this one, which is then given back, or found no place to go on.
                self.worker.desk.give_back();
                if self.was_given_back() {
                    return Poll::Pending;
                }
                self.shared.end().unwrap_or(Err(Fault::Saturated))
            }
            None => return Poll::Pending,
        };
        self.over(&end);
        Poll::Ready(end)
    }

    /// The answer is complete.
    pub(super) fn complete(&mut self) {
        self.over(&Ok(()));
    }

    /// Ends the call once: a worker that keeps a task of a call given up takes no further ones.
    fn over(&mut self, end: &Result<(), Fault>) {
        let Some(place) = self.place.take() else { return };
        let ended_by_itself = self.shared.end().is_some();
        if !ended_by_itself {
            self.shared.set_end(end.clone());
        }
        if end.is_err() && !ended_by_itself {
            self.worker.workers.remove(&self.worker);
            self.worker.desk.abandon();
        }
        count(&self.worker.metrics, end, self.worker.charge());
        self.worker.desk.leave();
        drop(place);
        self.worker.workers.has_room(&self.worker);
    }

    /// Whether its worker has ended before it began with the request.
    pub(super) fn was_given_back(&self) -> bool {
        self.worker.desk.is_closed() && self.shared.was_given_back()
    }

    /// The request of a call that no guest has begun, when its worker has ended before.
    pub(super) fn take_back(&mut self) -> Option<(Request<Body>, Place)> {
        let place = self.place.take()?;
        let Some(request) = self.shared.take_back() else {
            self.place = Some(place);
            return None;
        };
        self.worker.desk.leave();
        Some((request, place))
    }

    /// What finishes the rest of it, and how long that may take.
    pub(super) fn rest(&self) -> (Arc<Lane>, Duration) {
        (Arc::clone(&self.worker.lane), self.worker.rest)
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if self.place.is_none() {
            return;
        }
        // Whoever waited for the answer is gone without a word: so is the client.
        let call = self.shared.cx.call();
        call.cancel(Cause::ClientGone);
        let fault = call.cause().unwrap_or(Cause::ClientGone).fault();
        self.over(&Err(fault));
    }
}
