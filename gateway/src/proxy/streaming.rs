//! A server's answer on its way to the client.

use super::server::Load;
use super::upstream::InFlight;
use crate::http::{BodyError, RequestCx};
use crate::outbound::{ResponseBody, SendError};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};

/// The body of an answer. While it lives its server has the request's load; dropped before its end, the exchange is
/// broken off.
pub(super) struct Streaming {
    body: ResponseBody,
    cx: RequestCx,
    load: Load,
    in_flight: InFlight,
    /// Told with the next poll.
    failure: Option<BodyError>,
}

impl Streaming {
    pub(super) fn new(body: ResponseBody, cx: RequestCx, load: Load, in_flight: InFlight) -> Self {
        Self {
            body,
            cx,
            load,
            in_flight,
            failure: None,
        }
    }

    /// The server broke off in its middle: the client has to see that the answer is not whole.
    fn failed(&self, error: &SendError) -> BodyError {
        let upstream = self.in_flight.upstream();
        BodyError::Fault(upstream.failed(self.load.server(), error, self.cx.call()))
    }
}

impl Body for Streaming {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        if let Some(failure) = this.failure.take() {
            return Poll::Ready(Some(Err(failure)));
        }
        match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Pending => {
                let call = this.cx.call();
                call.register(cx.waker());
                match call.cause() {
                    Some(cause) => Poll::Ready(Some(Err(BodyError::Fault(cause.fault())))),
                    None => Poll::Pending,
                }
            }
            Poll::Ready(Some(Err(error))) => {
                // A failed body makes hyper's server drop what it has not written yet, the head of the answer among it.
                // It writes when there is nothing more to take, and asks again.
                this.failure = Some(this.failed(&error));
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Ready(Some(Ok(frame))) => Poll::Ready(Some(Ok(frame))),
            Poll::Ready(None) => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
