//! The response as it is handed on: its head without what concerns one connection only, and its body.

use super::exchange::Flight;
use super::{SendError, length};
use crate::http::hop;
use bytes::Bytes;
use http::{Version, response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// Removes the fields that concern this connection alone (RFC 9110 §7.6.1), and writes the length plainly. Whether the
/// server keeps it open.
pub(super) fn clean(head: &mut response::Parts) -> bool {
    let said = hop::strip(&mut head.headers, |_| false);
    // The guard, or HTTP/2, has seen to it that it is a number.
    let _ = length::make_plain(&mut head.headers);
    head.version != Version::HTTP_10 && !said.closes
}

/// The body of a response. At its end its connection serves others again; dropped before, the exchange is broken off.
#[derive(Debug)]
pub(crate) struct ResponseBody {
    incoming: Incoming,
    flight: Flight,
    between_bytes: Duration,
    is_timed: bool,
}

impl ResponseBody {
    pub(super) fn new(incoming: Incoming, mut flight: Flight, between_bytes: Duration) -> Self {
        if incoming.is_end_stream() {
            flight.complete();
        }
        Self {
            incoming,
            flight,
            between_bytes,
            is_timed: false,
        }
    }

    /// Pending, or too long so: the time runs from the first poll that found nothing.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let due = || Instant::now() + self.between_bytes;
        let timer = match &mut self.flight.timer {
            Some(timer) => {
                if !self.is_timed {
                    timer.as_mut().reset(due());
                }
                timer
            }
            none => none.insert(Box::pin(tokio::time::sleep_until(due()))),
        };
        self.is_timed = true;
        timer.as_mut().poll(cx)
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = SendError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, SendError>>> {
        let this = self.get_mut();
        let frame = Pin::new(&mut this.incoming).poll_frame(cx);
        match frame {
            Poll::Pending => match this.poll_late(cx) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(()) => {
                    this.flight.abort();
                    Poll::Ready(Some(Err(SendError::BetweenBytesTimeout)))
                }
            },
            Poll::Ready(Some(Ok(frame))) => {
                this.is_timed = false;
                // Nobody need ask for what comes behind trailers.
                if frame.is_trailers() || this.incoming.is_end_stream() {
                    this.flight.complete();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                let error = this.flight.blame(error, SendError::of_body);
                this.flight.abort();
                Poll::Ready(Some(Err(error)))
            }
            Poll::Ready(None) if this.flight.is_stream() && !this.incoming.is_end_stream() => {
                // hyper takes RST_STREAM with NO_ERROR for an end. It is one for requests only (RFC 9113 §8.1).
                this.flight.abort();
                Poll::Ready(Some(Err(SendError::Cut)))
            }
            Poll::Ready(None) => {
                this.flight.complete();
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
