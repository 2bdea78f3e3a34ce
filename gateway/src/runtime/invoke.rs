//! One call of a component: from a request to the head of its answer.
//!
//! The guest is polled here, in the task of its connection. It moves to the lane only when it computes for longer
//! than a tick; it is boxed and shared with nobody until then.

use super::component::{Component, Deadlines};
use super::desk::Job;
use super::instance::Instance;
use super::pool::{Place, Seat};
use super::run::{Answer, Run, Shared};
use super::stream::{Guest, GuestBody};
use super::worker::Call;
use super::workers::{Desked, Workers};
use crate::error::Fault;
use crate::http::{Body, RequestCx};
use crate::limits;
use http::{Method, Request, StatusCode, header};
use http_body::{Body as HttpBody, Frame};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use wasmtime_wasi_http::WasiBody;

/// Calls `component` with `request`.
///
/// The answer's body may still be in the making: it drives the guest when it is polled, and stops it when it is
/// dropped before its end.
///
/// # Errors
/// A [`Fault`] that says what the client is to be told, when no head was produced.
pub async fn invoke(
    component: &Arc<Component>,
    request: Request<Body>,
    cx: RequestCx,
    deadlines: Deadlines,
) -> Result<Answer, Fault> {
    cx.call().set_deadlines(deadlines.head, deadlines.body);
    component.metrics.calls.increment(1);
    let method = request.method().clone();
    let shared = component.shared(cx, Some(request.headers()))?;
    if let Some(workers) = &component.workers {
        return share(component, workers, request, shared, &method).await;
    }
    let warm = || component.warm.as_ref()?.take();
    let (place, seat) = enter(component, &shared.cx, warm).await?;
    let home = component.warm.as_ref().map_or(0, |warm| warm.here());
    let work = guest(seat, request, Arc::clone(&shared), Arc::clone(component), home);
    let guest = Run::new(work, Arc::clone(&shared), Arc::clone(component), place);
    let answer = Answering {
        guest: &mut Guest::Here(guest),
        shared: &shared,
        method: &method,
    }
    .await;
    shared.cx.call().head_sent();
    answer
}

/// Calls a component whose instances work on several requests at a time.
async fn share(
    component: &Arc<Component>,
    workers: &Arc<Workers>,
    mut request: Request<Body>,
    shared: Arc<Shared>,
    method: &Method,
) -> Result<Answer, Fault> {
    let (mut place, mut seat) = enter(component, &shared.cx, || workers.find()).await?;
    loop {
        let desked = match seat {
            Seat::Warm(desked) => Some(desked),
            Seat::New(slot) => workers.start(component, slot, &shared),
        };
        let Some(worker) = desked.and_then(Desked::take) else {
            return Err(Fault::Internal("a component without a core to run on".to_owned()));
        };
        let job = Job {
            request,
            shared: Arc::clone(&shared),
        };
        let mut guest = Guest::Worker(Call::new(worker, job, place));
        let answering = Answering {
            guest: &mut guest,
            shared: &shared,
            method,
        };
        let answer = answering.await;
        match guest.take_back() {
            Some((unanswered, its_place)) => {
                (request, place) = (unanswered, its_place);
                seat = component.gate.seat(|| workers.find()).await?;
            }
            None => {
                shared.cx.call().head_sent();
                return answer;
            }
        }
    }
}

/// Waits for the place of a call and an instance, for no longer than the call may go on.
async fn enter<W>(
    component: &Component,
    cx: &RequestCx,
    warm: impl FnMut() -> Option<W>,
) -> Result<(Place, Seat<W>), Fault> {
    let mut entering = pin!(component.gate.enter(&component.metrics, cx.timing(), warm));
    let entered = poll_fn(|task| {
        if let Poll::Ready(entered) = entering.as_mut().poll(task) {
            return Poll::Ready(entered);
        }
        let call = cx.call();
        call.register(task.waker());
        call.cause()
            .map_or(Poll::Pending, |cause| Poll::Ready(Err(cause.fault())))
    });
    let entered = entered.await;
    if matches!(entered, Err(Fault::Saturated)) {
        component.metrics.saturated.increment(1);
    }
    entered
}

/// Waits for the head of a guest's answer.
struct Answering<'a> {
    guest: &'a mut Guest,
    shared: &'a Arc<Shared>,
    method: &'a Method,
}

impl Future for Answering<'_> {
    type Output = Result<Answer, Fault>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let polled = this.guest.poll(cx);
        if let Some(head) = this.shared.take_head() {
            this.shared.cx.timing().cpu(this.shared.cpu());
            // A guest may answer the error of a request body itself; the client is told what really happened.
            if let Some(cause) = this.shared.cx.call().cause() {
                return Poll::Ready(Err(cause.fault()));
            }
            return Poll::Ready(answer(head?, this.guest, this.method, cx));
        }
        match ready!(polled) {
            Ok(()) => Poll::Ready(Err(Fault::NoResponse)),
            Err(fault) => Poll::Ready(Err(fault)),
        }
    }
}

/// Makes the answer from its head and whatever of its body is here already.
fn answer(
    head: http::Response<WasiBody>,
    guest: &mut Guest,
    method: &Method,
    cx: &mut Context<'_>,
) -> Result<Answer, Fault> {
    let (parts, body) = head.into_parts();
    let guest = std::mem::replace(guest, Guest::Ended(Ok(())));
    if is_bodiless(method, parts.status) {
        guest.detach(Some(body));
        return Ok(http::Response::from_parts(parts, Body::empty()));
    }
    let length = parts
        .headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok());
    let mut body = GuestBody::new(body, guest, length);
    let body = match body.gather(cx) {
        Some(frames) => Body::frames(frames?),
        None => Body::stream(body),
    };
    Ok(http::Response::from_parts(parts, body))
}

/// Whether the answer carries no body whatever the guest sends (RFC 9110 §6.4.1).
fn is_bodiless(method: &Method, status: StatusCode) -> bool {
    *method == Method::HEAD || status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED
}

impl GuestBody {
    /// All frames of an answer whose guest has ended, so that it can go out in one write with its length;
    /// `None` where more is to come.
    fn gather(&mut self, cx: &mut Context<'_>) -> Option<Result<VecDeque<Frame<bytes::Bytes>>, Fault>> {
        if !self.may_be_whole() {
            return None;
        }
        let mut frames = VecDeque::with_capacity(1);
        // What a 0.2 guest can have left behind; a longer answer is streamed.
        for _ in 0..=limits::GUEST_CHUNKS_COUNT.saturating_mul(2) {
            match Pin::new(&mut *self).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => frames.push_back(frame),
                Poll::Ready(None) => return Some(Ok(frames)),
                Poll::Ready(Some(Err(error))) => return Some(Err(Fault::GuestError(error.to_string()))),
                Poll::Pending => {
                    // It broke its own answer off, and none of that is out yet.
                    if let Some(fault) = self.take_failure() {
                        return Some(Err(fault));
                    }
                    if !self.goes_on() {
                        break;
                    }
                }
            }
        }
        self.put_back(frames);
        None
    }
}

/// A guest from its instance's start, where it has none yet, to its end.
async fn guest(
    seat: Seat<Box<Instance>>,
    request: Request<Body>,
    shared: Arc<Shared>,
    component: Arc<Component>,
    home: usize,
) -> Result<(), Fault> {
    let started = match seat {
        Seat::Warm(mut instance) => {
            instance.begin(&shared);
            Ok(instance)
        }
        Seat::New(slot) => Instance::start(&component, &shared, slot, None).await,
    };
    let (instance, end) = match started {
        Ok(mut instance) => {
            let end = instance.call(request, &shared).await;
            (Some(instance), end)
        }
        Err(fault) => (None, Err(fault)),
    };
    // A guest may notice first what its call is stopped for, and end on it in its own way.
    let end = shared.cx.call().cause().map_or(end, |cause| Err(cause.fault()));
    // Before the store goes: whoever sees the answer's body end can then tell a finished guest from a trapped one.
    shared.set_end(end.clone());
    if let Some(mut instance) = instance
        && instance.is_reusable_after(&end)
        && let Some(warm) = &component.warm
    {
        warm.give(home, instance);
    }
    end
}

/// How long a guest may go on after its answer is complete, where it has no body deadline.
pub(super) fn rest_of_call(component: &Component) -> Duration {
    let limits = &component.limits;
    limits.body_deadline.or(limits.deadline).unwrap_or(limits::DEADLINE)
}
