//! An instance that works on several requests at a time (0.3), and the calls that share it.
//!
//! Whoever gives a worker a request polls it there and then, in the task of that request's connection: a guest that
//! answers at once costs no switch between tasks. A task of the worker's own polls it when anything else wakes it.

use super::component::Component;
use super::instance::{Instance, p3_fault, p3_request};
use super::invoke::rest_of_call;
use super::lane::Lane;
use super::pool::{Place, Slot};
use super::run::{Meter, Shared, count, fault_of};
use super::store::StoreCtx;
use super::workers::Workers;
use crate::error::Fault;
use crate::http::{Body, Cause};
use crate::telemetry::metrics::{ComponentMetrics, Retirement};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use futures_util::task::AtomicWaker;
use http::Request;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use wasmtime::component::Accessor;
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::p3::bindings::Service;

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
    guest: AtomicWaker,
    /// The worker's own task.
    task: AtomicWaker,
}

impl Desk {
    fn jobs(&self) -> MutexGuard<'_, VecDeque<Job>> {
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

    fn cause(&self) -> Retirement {
        let number = usize::from(self.closed_for.load(Ordering::Acquire)).wrapping_sub(1);
        Retirement::ALL.get(number).copied().unwrap_or(Retirement::Cancelled)
    }

    fn is_done(&self) -> bool {
        self.is_closed() && self.active() == 0
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
    pub(super) fn start(component: &Arc<Component>, workers: &Arc<Workers>, slot: Slot, first: &Arc<Shared>) -> Arc<Self> {
        let desk = Arc::new(Desk {
            jobs: Mutex::default(),
            active: AtomicUsize::new(0),
            closed_for: AtomicU8::new(0),
            is_abandoned: AtomicBool::new(false),
            is_woken: AtomicBool::new(true),
            in_lane: AtomicBool::new(false),
            guest: AtomicWaker::new(),
            task: AtomicWaker::new(),
        });
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

    /// Whether there is something for the guest to do.
    pub(super) fn is_woken(&self) -> bool {
        self.desk.is_woken.load(Ordering::Acquire)
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
        self.desk.is_woken.store(false, Ordering::Release);
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
        self.desk.close(Retirement::Lane);
        self.desk.in_lane.store(true, Ordering::Release);
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
        worker.desk.jobs().push_back(job);
        worker.desk.is_woken.store(true, Ordering::Release);
        worker.desk.guest.wake();
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
        let Some(end) = self.shared.end() else {
            return Poll::Pending;
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
            self.worker.desk.is_abandoned.store(true, Ordering::Release);
            self.worker.desk.close(Retirement::Cancelled);
        }
        count(&self.worker.metrics, end, self.worker.charge());
        self.worker.desk.leave();
        drop(place);
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

/// The guest of a worker, from its instance's start to its end.
async fn work(
    component: Arc<Component>,
    first: Arc<Shared>,
    meter: Arc<Meter>,
    desk: Arc<Desk>,
    slot: Slot,
) {
    let started = Instance::start(&component, &first, slot, Some(meter)).await;
    let name = Arc::clone(component.name());
    // A component out of force may be freed while its workers finish.
    drop((component, first));
    let instance = match started {
        Ok(instance) => instance,
        Err(fault) => return give_up(&desk, &fault),
    };
    let mut working = Working {
        instance,
        desk: Arc::clone(&desk),
    };
    let (store, Some(service)) = working.instance.parts() else {
        return give_up(&desk, &Fault::Internal("a worker of a component that is not 0.3".to_owned()));
    };
    let ended = store.run_concurrent(async |accessor| answer_all(accessor, service, &desk).await);
    if let Err(error) = ended.await.and_then(|ended| ended) {
        desk.close(fail_all(store.data_mut(), &name, &error));
    }
    give_back(&desk);
}

/// An instance that is retired for its desk's reason, also when it is dropped in the middle of its work.
struct Working {
    instance: Instance,
    desk: Arc<Desk>,
}

impl Drop for Working {
    fn drop(&mut self) {
        self.instance.retire(self.desk.cause());
    }
}

/// Takes jobs and answers them until the worker is closed and its last call is over.
async fn answer_all(accessor: &Accessor<StoreCtx>, service: &Service, desk: &Desk) -> wasmtime::Result<()> {
    let func = *service.wasi_http_handler().func_handle().func();
    let mut calls = FuturesUnordered::new();
    poll_fn(|cx| {
        loop {
            match calls.poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(()))) => continue,
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error)),
                Poll::Ready(None) | Poll::Pending => {}
            }
            desk.guest.register(cx.waker());
            // A guest that takes one call at a time says so by backpressure.
            let is_ready = accessor.poll_ready_for_concurrent_call(func, cx).is_ready();
            if is_ready && let Some(job) = desk.jobs().pop_front() {
                // It may have been given up while it waited here.
                if job.shared.end().is_none() {
                    calls.push(answer(accessor, service, job));
                }
                continue;
            }
            if desk.active() > 0 {
                return Poll::Pending;
            }
            // What a given-up call left running is not waited for.
            let is_quiet = desk.is_abandoned.load(Ordering::Acquire) || accessor.poll_no_interesting_tasks(cx).is_ready();
            if !is_quiet {
                return Poll::Pending;
            }
            accessor.with(|mut store| store.data_mut().rest());
            return if desk.is_closed() { Poll::Ready(Ok(())) } else { Poll::Pending };
        }
    })
    .await
}

/// Answers one request, up to the head: its body goes on in the guest's task.
async fn answer(accessor: &Accessor<StoreCtx>, service: &Service, job: Job) -> wasmtime::Result<()> {
    let Job { request, shared } = job;
    let handle = service.wasi_http_handler().func_handle();
    let (call, sent) = accessor.with(|mut store| -> wasmtime::Result<_> {
        let (request, sent) = p3_request(store.data_mut(), request, shared.cx.client().tls);
        let request = store.data_mut().http().table.push(request)?;
        let call = handle.start_call_concurrent(&mut store, (request,))?;
        store.data_mut().work_on(call.task(), Arc::clone(&shared));
        Ok((call, sent))
    })?;
    let (answered,) = handle.finish_call_concurrent(accessor, call).await?;
    let head = match answered {
        Ok(response) => Ok(accessor.with(|mut store| -> wasmtime::Result<_> {
            let response = store.data_mut().http().table.delete(response)?;
            response.into_http(&mut store, sent)
        })?),
        Err(code) => Err(p3_fault(&code)),
    };
    shared.set_head(head);
    Ok(())
}

/// Ends every call of an instance that failed, and says why it is retired. What it failed at is one call's fault, the
/// others share its instance and its end.
fn fail_all(store: &mut StoreCtx, component: &str, error: &wasmtime::Error) -> Retirement {
    let fault = fault_of(error, store);
    let (culprit, tasks) = match store.sharing() {
        Some(sharing) => (sharing.take_culprit(), sharing.forget().collect()),
        None => (None, Vec::new()),
    };
    let calls = tasks.len();
    for shared in tasks {
        if shared.end().is_some() {
            continue;
        }
        let is_its_own = culprit.as_ref().is_none_or(|culprit| Arc::ptr_eq(culprit, &shared));
        let neighbour = || Fault::Trap(format!("another request of the same instance was stopped: {fault}"));
        shared.set_end(Err(if is_its_own { fault.clone() } else { neighbour() }));
    }
    let request = culprit.map(|culprit| tracing::field::display(culprit.cx.id()));
    match &fault {
        Fault::Trap(why) => tracing::error!(component, calls, request, code = fault.code(), "guest trapped: {why}"),
        _ => tracing::warn!(component, calls, request, code = fault.code(), "guest stopped"),
    }
    match fault {
        Fault::Trap(_) => Retirement::Trap,
        Fault::Memory => Retirement::Memory,
        _ => Retirement::Cancelled,
    }
}

/// Gives the jobs that no guest has begun back to their callers.
fn give_back(desk: &Desk) {
    let jobs = std::mem::take(&mut *desk.jobs());
    for Job { request, shared } in jobs {
        shared.give_back(request);
    }
}

/// Ends every job of a worker that never worked.
fn give_up(desk: &Desk, fault: &Fault) {
    desk.close(Retirement::Trap);
    let jobs = std::mem::take(&mut *desk.jobs());
    for job in jobs {
        job.shared.set_end(Err(fault.clone()));
    }
}
