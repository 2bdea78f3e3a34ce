//! An answer's body while its guest still works: polling the body is what drives the guest.

use super::component::Component;
use super::invoke::rest_of_call;
use super::pool::Place;
use super::run::{Run, Shared};
use super::worker::Call;
use crate::error::Fault;
use crate::http::{Body, BodyError, Cause};
use bytes::Bytes;
use http::Request;
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use wasmtime_wasi_http::WasiBody;

/// Where a guest is being polled.
pub(super) enum Guest {
    /// By whoever holds this: the connection's task.
    Here(Run),
    /// In the lane; its news come through what it shares.
    Lane(InLane),
    /// In an instance that works on other requests too.
    Worker(Call),
    /// Nowhere: it ended, and so.
    Ended(Result<(), Fault>),
}

impl Guest {
    /// Drives the guest where it is ours to drive, and says whether it has ended. One that computes for longer
    /// than a tick moves to the lane here.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        let end = match self {
            Self::Ended(end) => return Poll::Ready(end.clone()),
            Self::Lane(lane) => {
                lane.shared.register(cx);
                lane.shared.end()
            }
            Self::Here(run) => match run.poll(cx) {
                Poll::Ready(end) => Some(end),
                Poll::Pending if run.shared.meter.wants_lane() => return self.move_to_lane(cx),
                Poll::Pending => None,
            },
            Self::Worker(call) => match call.poll(cx) {
                Poll::Ready(end) => Some(end),
                // It ends here, and goes on elsewhere: see `take_back`.
                Poll::Pending if call.was_given_back() => return Poll::Ready(Err(Fault::Saturated)),
                Poll::Pending => None,
            },
        };
        let Some(end) = end else { return Poll::Pending };
        if let Self::Lane(lane) = self {
            lane.is_released = true;
        }
        *self = Self::Ended(end.clone());
        Poll::Ready(end)
    }

    fn move_to_lane(&mut self, cx: &Context<'_>) -> Poll<Result<(), Fault>> {
        let Self::Here(run) = std::mem::replace(self, Self::Ended(Ok(()))) else {
            return Poll::Pending;
        };
        let shared = Arc::clone(&run.shared);
        shared.register(cx);
        let component = Arc::clone(&run.component);
        match component.lane.take(run) {
            Ok(()) => {
                component.metrics.lane_moves.increment(1);
                *self = Self::Lane(InLane {
                    shared,
                    component,
                    is_released: false,
                });
                Poll::Pending
            }
            Err(fault) => {
                *self = Self::Ended(Err(fault.clone()));
                Poll::Ready(Err(fault))
            }
        }
    }

    /// The request and its place, when it was given to a worker that ended before it began.
    pub(super) fn take_back(&mut self) -> Option<(Request<Body>, Place)> {
        match self {
            Self::Worker(call) => call.take_back(),
            _ => None,
        }
    }

    /// Lets the guest finish what it does after its answer, as a task of the lane, until its deadline. What it still
    /// writes to `body` is taken and thrown away: a guest that is asked by HEAD is not told from one asked by GET.
    pub(super) fn detach(self, body: Option<WasiBody>) {
        match self {
            Self::Here(run) => {
                let (lane, time) = (Arc::clone(&run.component.lane), rest_of_call(&run.component));
                lane.finish(run, body, time);
            }
            // The lane owns it already: the wish to stop it is given up, and its time is bounded.
            Self::Lane(mut lane) => {
                lane.is_released = true;
                lane.component
                    .lane
                    .end_after(&lane.shared, body, rest_of_call(&lane.component));
            }
            Self::Worker(mut call) => match body {
                Some(body) => {
                    let (lane, rest) = call.rest();
                    lane.finish_call(call, body, rest);
                }
                None => call.complete(),
            },
            Self::Ended(_) => {}
        }
    }
}

/// A guest in the lane: stopped when this is dropped, unless it ended or was let go.
pub(super) struct InLane {
    shared: Arc<Shared>,
    component: Arc<Component>,
    is_released: bool,
}

impl Drop for InLane {
    fn drop(&mut self) {
        if !self.is_released {
            self.shared.cx.call().cancel(Cause::ClientGone);
        }
    }
}

/// A guest's answer body.
pub(super) struct GuestBody {
    body: WasiBody,
    /// Frames taken from `body` already.
    ahead: VecDeque<Frame<Bytes>>,
    guest: Guest,
    /// Bytes still to come by the answer's own Content-Length; `None` where it has none.
    left: Option<u64>,
    done: bool,
    /// A fault that is told at the next poll, so that what came before it reaches the client first.
    failed: Option<Fault>,
}

impl GuestBody {
    /// The body of an answer whose head says this length, if it says one.
    pub(super) fn new(body: WasiBody, guest: Guest, length: Option<u64>) -> Self {
        Self {
            body,
            ahead: VecDeque::new(),
            guest,
            left: length,
            done: false,
            failed: None,
        }
    }

    /// Whether all of the body may be here already: its guest has ended, or it tells nobody when it does.
    pub(super) fn may_be_whole(&self) -> bool {
        matches!(self.guest, Guest::Ended(Ok(())) | Guest::Worker(_))
    }

    /// Whether polling once more could bring more at once.
    pub(super) fn goes_on(&self) -> bool {
        matches!(&self.guest, Guest::Worker(call) if call.worker.is_woken())
    }

    /// The fault that the next poll would tell.
    pub(super) fn take_failure(&mut self) -> Option<Fault> {
        self.failed.take()
    }

    /// Frames that were taken and are to be taken again.
    pub(super) fn put_back(&mut self, frames: VecDeque<Frame<Bytes>>) {
        let bytes: u64 = frames.iter().map(length).sum();
        self.left = self.left.map(|left| left.saturating_add(bytes));
        self.ahead = frames;
    }

    fn took(&mut self, frame: &Frame<Bytes>) {
        self.left = self.left.map(|left| left.saturating_sub(length(frame)));
    }

    /// The body ended: well only if its guest did not fail. A guest that still runs may finish by itself.
    fn end(&mut self) -> Option<Fault> {
        self.done = true;
        match std::mem::replace(&mut self.guest, Guest::Ended(Ok(()))) {
            Guest::Ended(Ok(())) => None,
            Guest::Ended(Err(fault)) => Some(fault),
            guest => {
                guest.detach(None);
                None
            }
        }
    }

    /// Ends with a fault, one poll later: hyper drops what it has not flushed when a body fails.
    fn fail(&mut self, fault: Fault, cx: &Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.done = true;
        self.failed = Some(fault);
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl HttpBody for GuestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        if let Some(frame) = this.ahead.pop_front() {
            this.took(&frame);
            return Poll::Ready(Some(Ok(frame)));
        }
        if this.done {
            return Poll::Ready(this.failed.take().map(|fault| Err(fault.into())));
        }
        // The guest first: what it writes now is read now, and how it ended is known before its body ends.
        let _ = this.guest.poll(cx);
        // tokio's cooperative budget would let a full channel look empty after 128 frames in one poll.
        let frame = std::pin::pin!(tokio::task::coop::unconstrained(next_frame(&mut this.body))).poll(cx);
        match frame {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Ok(frame))) => {
                this.took(&frame);
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                // In the lane the end is said before the store is dropped, so it is there by now.
                let _ = this.guest.poll(cx);
                let fault = match &this.guest {
                    Guest::Ended(Err(fault)) => fault.clone(),
                    _ => Fault::GuestError(error.to_string()),
                };
                this.fail(fault, cx)
            }
            Poll::Ready(None) => {
                // As above.
                let _ = this.guest.poll(cx);
                match this.end() {
                    Some(fault) => this.fail(fault, cx),
                    None => Poll::Ready(None),
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.done && self.failed.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(|| self.body.size_hint(), SizeHint::with_exact)
    }
}

impl Drop for GuestBody {
    /// hyper asks for no end once it has as many bytes as the head says: then the guest finishes by itself too.
    fn drop(&mut self) {
        if self.left == Some(0) && !self.done {
            std::mem::replace(&mut self.guest, Guest::Ended(Ok(()))).detach(None);
        }
    }
}

/// Its bytes of body.
fn length(frame: &Frame<Bytes>) -> u64 {
    frame.data_ref().map_or(0, |data| data.len() as u64)
}

/// The next frame there is something in: guests of 0.3 write empty ones, and HTTP/2 clients end a connection that
/// brings them many.
async fn next_frame(body: &mut WasiBody) -> Option<Result<Frame<Bytes>, wasmtime_wasi_http::Error>> {
    loop {
        match http_body_util::BodyExt::frame(body).await {
            Some(Ok(frame)) if frame.data_ref().is_some_and(Bytes::is_empty) => {}
            next => return next,
        }
    }
}
