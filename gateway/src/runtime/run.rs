//! A guest at work: its future, the account of its CPU time, and what its poller and its caller share.

use super::component::Component;
use super::engine::Clock;
use super::pool::Place;
use super::store::StoreCtx;
use crate::error::Fault;
use crate::http::{Body, Caller, Cause, RequestCx};
use crate::limits;
use crate::telemetry::metrics::{CancelCause, ComponentMetrics};
use futures_util::task::AtomicWaker;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use wasmtime::UpdateDeadline;

/// The head of a guest's answer, its body still in the making.
pub(super) type Head = Result<http::Response<wasmtime_wasi_http::WasiBody>, Fault>;

/// An account of CPU time, which waiting, in a poll or between polls, adds nothing to.
///
/// Asking a thread for its CPU time costs a system call, and most polls are shorter than a few of them: a poll counts
/// by the clock until a tick finds it, for no longer than [`limits::INLINE_POLL`], and from there, as in the lane, by
/// what its thread has computed. On a busy machine a poll may take ten times as long as it computes.
pub(super) struct Meter {
    clock: Arc<Clock>,
    cpu_ns: AtomicU64,
    /// When the poll under way began, on the clock.
    poll_began_ns: AtomicU64,
    /// The thread's CPU time at the last charge of the poll under way; zero while it counts by the clock.
    charged_at_ns: AtomicU64,
    /// The thread's CPU time at the first tick of the poll under way; zero before it.
    first_tick_ns: AtomicU64,
    in_lane: AtomicBool,
    wants_lane: AtomicBool,
}

impl Meter {
    pub(super) fn new(clock: Arc<Clock>) -> Self {
        Self {
            clock,
            cpu_ns: AtomicU64::new(0),
            poll_began_ns: AtomicU64::new(0),
            charged_at_ns: AtomicU64::new(0),
            first_tick_ns: AtomicU64::new(0),
            in_lane: AtomicBool::new(false),
            wants_lane: AtomicBool::new(false),
        }
    }

    /// Runs one poll of a guest on this account.
    pub(super) fn measure<R>(&self, poll: impl FnOnce() -> R) -> R {
        self.clock.guest_runs();
        self.poll_began_ns.store(self.clock.now(), Ordering::Relaxed);
        let charged_at = if self.is_in_lane() { thread_cpu_ns() } else { 0 };
        self.charged_at_ns.store(charged_at, Ordering::Relaxed);
        self.first_tick_ns.store(0, Ordering::Relaxed);
        let polled = poll();
        match self.charged_at_ns.load(Ordering::Relaxed) {
            0 => self.add(self.poll_ns().min(INLINE_POLL_NS)),
            _ => self.charge(thread_cpu_ns()),
        }
        polled
    }

    pub(super) fn wants_lane(&self) -> bool {
        self.wants_lane.load(Ordering::Relaxed)
    }

    pub(super) fn enter_lane(&self) {
        self.in_lane.store(true, Ordering::Relaxed);
    }

    fn is_in_lane(&self) -> bool {
        self.in_lane.load(Ordering::Relaxed)
    }

    /// CPU time so far in nanoseconds; of the poll under way, what its ticks have charged.
    pub(super) fn cpu_ns(&self) -> u64 {
        self.cpu_ns.load(Ordering::Relaxed)
    }

    /// CPU time that was measured elsewhere.
    pub(super) fn add(&self, ns: u64) {
        self.cpu_ns.fetch_add(ns, Ordering::Relaxed);
    }

    /// How long the poll under way has taken, by the clock.
    fn poll_ns(&self) -> u64 {
        self.clock
            .now()
            .saturating_sub(self.poll_began_ns.load(Ordering::Relaxed))
    }

    /// Adds what the poll under way has computed since the last charge; `now` is its thread's CPU time.
    fn charge(&self, now: u64) {
        let spent = match self.charged_at_ns.swap(now, Ordering::Relaxed) {
            0 => self.poll_ns().min(INLINE_POLL_NS),
            charged_at => now.saturating_sub(charged_at),
        };
        self.add(spent);
    }

    /// Called on the thread of the poll, at each tick: charges it, and says what the guest does. It goes on, or
    /// yields; after a whole tick it yields for the lane.
    ///
    /// The tick is one of the thread's CPU time. Where the machine is busy with others the clock alone would send
    /// every guest away, and make the more new instances the less time there is for them.
    pub(super) fn turn(&self) -> UpdateDeadline {
        if self.is_in_lane() {
            self.charge(thread_cpu_ns());
            return UpdateDeadline::Yield(1);
        }
        // A guest that waited is found past its deadline at once: only the clock is asked then, which costs less.
        if self.poll_ns() < INLINE_POLL_NS / 2 {
            return UpdateDeadline::Continue(1);
        }
        let now = thread_cpu_ns();
        self.charge(now);
        let first = self.first_tick_ns.load(Ordering::Relaxed);
        if first == 0 {
            self.first_tick_ns.store(now, Ordering::Relaxed);
            return UpdateDeadline::Continue(1);
        }
        // Ticks come early and late; half of one was surely computed.
        if now.saturating_sub(first) < INLINE_POLL_NS / 2 {
            return UpdateDeadline::Continue(1);
        }
        self.wants_lane.store(true, Ordering::Relaxed);
        UpdateDeadline::Yield(1)
    }
}

const INLINE_POLL_NS: u64 = limits::INLINE_POLL.as_nanos() as u64;

/// CPU time of this thread; never zero.
fn thread_cpu_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0).saturating_mul(1_000_000_000);
    seconds.saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0)).max(1)
}

/// What a guest's future, its epoch callback, its poller and its caller share.
pub(super) struct Shared {
    pub(super) cx: RequestCx,
    pub(super) meter: Meter,
    pub(super) cpu_limit_ns: u64,
    /// What its outgoing requests pass on, where it may make any.
    pub(super) caller: Option<Arc<Caller>>,
    head: Mutex<Option<Head>>,
    end: Mutex<Option<Result<(), Fault>>>,
    /// The request, when a worker ended before it began with it.
    returned: Mutex<Option<Box<http::Request<Body>>>>,
    /// Woken when a guest in the lane has a head or has ended.
    news: AtomicWaker,
}

impl Shared {
    pub(super) fn new(
        cx: RequestCx,
        clock: Arc<Clock>,
        cpu: Option<Duration>,
        caller: Option<Arc<Caller>>,
    ) -> Arc<Self> {
        let cpu_limit_ns = cpu.map_or(u64::MAX, |cpu| u64::try_from(cpu.as_nanos()).unwrap_or(u64::MAX));
        Arc::new(Self {
            cx,
            meter: Meter::new(clock),
            cpu_limit_ns,
            caller,
            head: Mutex::new(None),
            end: Mutex::new(None),
            returned: Mutex::new(None),
            news: AtomicWaker::new(),
        })
    }

    /// The guest has handed over the head of its answer.
    pub(super) fn set_head(&self, head: Head) {
        *self.head.lock().unwrap_or_else(PoisonError::into_inner) = Some(head);
        self.news.wake();
    }

    pub(super) fn take_head(&self) -> Option<Head> {
        self.head.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The guest has ended. Called before its store is dropped, so that whoever sees the answer's body end can
    /// tell a finished guest from a trapped one.
    pub(super) fn set_end(&self, end: Result<(), Fault>) {
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) = Some(end);
        self.news.wake();
    }

    pub(super) fn end(&self) -> Option<Result<(), Fault>> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// No guest has begun with the request: another may.
    pub(super) fn give_back(&self, request: http::Request<Body>) {
        *self.returned.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(request));
        self.news.wake();
    }

    pub(super) fn was_given_back(&self) -> bool {
        self.returned.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    pub(super) fn take_back(&self) -> Option<http::Request<Body>> {
        let returned = self.returned.lock().unwrap_or_else(PoisonError::into_inner).take();
        returned.map(|request| *request)
    }

    pub(super) fn register(&self, cx: &Context<'_>) {
        self.news.register(cx.waker());
    }

    /// CPU time so far; of the poll under way, what its ticks have charged.
    pub(super) fn cpu(&self) -> Duration {
        Duration::from_nanos(self.meter.cpu_ns())
    }

    /// Called at every epoch tick while the guest computes: may stop it, or make it yield.
    pub(super) fn on_tick(&self) -> wasmtime::Result<UpdateDeadline> {
        if let Some(cause) = self.cx.call().cause() {
            return Err(Stopped(cause.fault()).into());
        }
        let turn = self.meter.turn();
        if self.meter.cpu_ns() > self.cpu_limit_ns {
            return Err(Stopped(Fault::Cpu).into());
        }
        Ok(turn)
    }
}

/// What a guest's error means to its client.
pub(super) fn fault_of(error: &wasmtime::Error, store: &StoreCtx) -> Fault {
    if let Some(Stopped(fault)) = error.downcast_ref::<Stopped>() {
        return fault.clone();
    }
    if error.is::<wasmtime::PoolConcurrencyLimitError>() {
        return Fault::Saturated;
    }
    if store.memory_was_refused() {
        return Fault::Memory;
    }
    Fault::Trap(format!("{error:?}"))
}

/// Ends a guest from within, with the fault its client is told.
#[derive(Debug, thiserror::Error)]
#[error("stopped: {0}")]
pub(super) struct Stopped(pub(super) Fault);

type Guest = Pin<Box<dyn Future<Output = Result<(), Fault>> + Send>>;

/// A guest's future with its component's place. Dropped before its end, the guest is stopped and counted.
pub(super) struct Run {
    /// `None` once it ended.
    guest: Option<Guest>,
    pub(super) shared: Arc<Shared>,
    pub(super) component: Arc<Component>,
    place: Option<Place>,
}

impl Run {
    pub(super) fn new(
        guest: impl Future<Output = Result<(), Fault>> + Send + 'static,
        shared: Arc<Shared>,
        component: Arc<Component>,
        place: Place,
    ) -> Self {
        Self {
            guest: Some(Box::pin(guest)),
            shared,
            component,
            place: Some(place),
        }
    }

    /// Polls the guest for as long as it can go on, at most about [`limits::INLINE_POLL`].
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        let Some(guest) = &mut self.guest else {
            return Poll::Ready(Ok(()));
        };
        let call = self.shared.cx.call();
        call.register(cx.waker());
        if let Some(cause) = call.cause() {
            let fault = cause.fault();
            self.finish(&Err(fault.clone()));
            return Poll::Ready(Err(fault));
        }
        let polled = self.shared.meter.measure(|| guest.as_mut().poll(cx));
        let Poll::Ready(end) = polled else {
            return Poll::Pending;
        };
        self.finish(&end);
        Poll::Ready(end)
    }

    /// Ends the guest for a reason of the gateway's own.
    pub(super) fn stop(mut self, fault: Fault) {
        self.finish(&Err(fault));
    }

    /// Drops the guest, gives its place back and counts how it went.
    fn finish(&mut self, end: &Result<(), Fault>) {
        let Some(guest) = self.guest.take() else { return };
        self.shared.set_end(end.clone());
        drop(guest);
        self.place = None;
        let cpu = self.shared.cpu();
        count(&self.component.metrics, end, cpu);
        let Err(fault) = end else { return };
        let (component, request) = (self.component.name(), self.shared.cx.id());
        let (cpu_ms, code) = (u64::try_from(cpu.as_millis()).unwrap_or(u64::MAX), fault.code());
        match fault {
            Fault::Trap(why) => tracing::error!(%component, %request, cpu_ms, code, "guest trapped: {why}"),
            _ => tracing::warn!(%component, %request, cpu_ms, code, "guest stopped"),
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if self.guest.is_none() {
            return;
        }
        // Whoever held the guest is gone without a word: so is the client.
        let call = self.shared.cx.call();
        call.cancel(Cause::ClientGone);
        let fault = call.cause().unwrap_or(Cause::ClientGone).fault();
        self.finish(&Err(fault));
    }
}

/// One ended call in its component's metrics.
pub(super) fn count(metrics: &ComponentMetrics, end: &Result<(), Fault>, cpu: Duration) {
    metrics.cpu_seconds.record(cpu);
    let cause = match end {
        Ok(()) => return,
        Err(Fault::Trap(_)) => return metrics.traps.increment(1),
        Err(Fault::Memory) => return metrics.memory_failures.increment(1),
        Err(Fault::Saturated) => return metrics.saturated.increment(1),
        Err(Fault::Deadline) => CancelCause::Deadline,
        Err(Fault::BodyDeadline) => CancelCause::BodyDeadline,
        Err(Fault::Cpu) => CancelCause::Cpu,
        Err(Fault::WriteTimeout) => CancelCause::WriteTimeout,
        Err(Fault::Shutdown) => CancelCause::Shutdown,
        Err(_) => CancelCause::ClientGone,
    };
    metrics.cancelled(cause);
}

/// An answer's head with our own body type.
pub(super) type Answer = http::Response<Body>;
