//! A guest at work: its future, the account of its CPU time, and what its poller and its caller share.

use super::component::Component;
use super::engine::Clock;
use super::pool::Places;
use crate::error::Fault;
use crate::http::{Body, Cause, RequestCx};
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

/// What a guest's future, its epoch callback, its poller and its caller share.
pub(super) struct Shared {
    pub(super) cx: RequestCx,
    clock: Arc<Clock>,
    cpu_limit_ns: u64,
    /// CPU time of ended polls.
    cpu_ns: AtomicU64,
    /// When the poll under way began, on the clock; zero between polls.
    poll_began_ns: AtomicU64,
    in_lane: AtomicBool,
    wants_lane: AtomicBool,
    memory_refused: AtomicBool,
    head: Mutex<Option<Head>>,
    end: Mutex<Option<Result<(), Fault>>>,
    /// Woken when a guest in the lane has a head or has ended.
    news: AtomicWaker,
}

impl Shared {
    pub(super) fn new(cx: RequestCx, clock: Arc<Clock>, cpu: Option<Duration>) -> Arc<Self> {
        let cpu_limit_ns = cpu.map_or(u64::MAX, |cpu| u64::try_from(cpu.as_nanos()).unwrap_or(u64::MAX));
        Arc::new(Self {
            cx,
            clock,
            cpu_limit_ns,
            cpu_ns: AtomicU64::new(0),
            poll_began_ns: AtomicU64::new(0),
            in_lane: AtomicBool::new(false),
            wants_lane: AtomicBool::new(false),
            memory_refused: AtomicBool::new(false),
            head: Mutex::new(None),
            end: Mutex::new(None),
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

    pub(super) fn register(&self, cx: &Context<'_>) {
        self.news.register(cx.waker());
    }

    pub(super) fn refuse_memory(&self) {
        self.memory_refused.store(true, Ordering::Relaxed);
    }

    pub(super) fn wants_lane(&self) -> bool {
        self.wants_lane.load(Ordering::Relaxed)
    }

    pub(super) fn enter_lane(&self) {
        self.in_lane.store(true, Ordering::Relaxed);
    }

    /// CPU time so far, the poll under way included.
    pub(super) fn cpu(&self) -> Duration {
        Duration::from_nanos(self.cpu_ns.load(Ordering::Relaxed).saturating_add(self.poll_ns()))
    }

    fn poll_ns(&self) -> u64 {
        match self.poll_began_ns.load(Ordering::Relaxed) {
            0 => 0,
            began => self.clock.now().saturating_sub(began),
        }
    }

    /// Called at every epoch tick while the guest computes: may stop it, or make it yield.
    pub(super) fn on_tick(&self) -> wasmtime::Result<UpdateDeadline> {
        if let Some(cause) = self.cx.call().cause() {
            return Err(Stopped(cause.fault()).into());
        }
        let poll_ns = self.poll_ns();
        if self.cpu_ns.load(Ordering::Relaxed).saturating_add(poll_ns) > self.cpu_limit_ns {
            return Err(Stopped(Fault::Cpu).into());
        }
        if self.in_lane.load(Ordering::Relaxed) {
            return Ok(UpdateDeadline::Yield(1));
        }
        if u128::from(poll_ns) < limits::INLINE_POLL.as_nanos() {
            return Ok(UpdateDeadline::Continue(1));
        }
        self.wants_lane.store(true, Ordering::Relaxed);
        Ok(UpdateDeadline::Yield(1))
    }

    /// What a guest's error means to its client.
    pub(super) fn fault_of(&self, error: &wasmtime::Error) -> Fault {
        if let Some(Stopped(fault)) = error.downcast_ref::<Stopped>() {
            return fault.clone();
        }
        if error.is::<wasmtime::PoolConcurrencyLimitError>() {
            return Fault::Saturated;
        }
        if self.memory_refused.load(Ordering::Relaxed) {
            return Fault::Memory;
        }
        Fault::Trap(format!("{error:?}"))
    }
}

/// Ends a guest from within, with the fault its client is told.
#[derive(Debug, thiserror::Error)]
#[error("stopped: {0}")]
struct Stopped(Fault);

type Guest = Pin<Box<dyn Future<Output = Result<(), Fault>> + Send>>;

/// A guest's future with its places in the pool. Dropped before its end, the guest is stopped and counted.
pub(super) struct Run {
    /// `None` once it ended.
    guest: Option<Guest>,
    pub(super) shared: Arc<Shared>,
    pub(super) component: Arc<Component>,
    places: Option<Places>,
}

impl Run {
    pub(super) fn new(
        guest: impl Future<Output = Result<(), Fault>> + Send + 'static,
        shared: Arc<Shared>,
        component: Arc<Component>,
        places: Places,
    ) -> Self {
        Self {
            guest: Some(Box::pin(guest)),
            shared,
            component,
            places: Some(places),
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
        self.shared.clock.guest_runs();
        let began = self.shared.clock.now();
        self.shared.poll_began_ns.store(began, Ordering::Relaxed);
        let polled = guest.as_mut().poll(cx);
        let spent = self.shared.clock.now().saturating_sub(began);
        self.shared.poll_began_ns.store(0, Ordering::Relaxed);
        self.shared.cpu_ns.fetch_add(spent, Ordering::Relaxed);
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

    /// Drops the guest, gives its places back and counts how it went.
    fn finish(&mut self, end: &Result<(), Fault>) {
        let Some(guest) = self.guest.take() else { return };
        self.shared.set_end(end.clone());
        drop(guest);
        self.places = None;
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
fn count(metrics: &ComponentMetrics, end: &Result<(), Fault>, cpu: Duration) {
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
