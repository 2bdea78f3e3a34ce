//! One body type for requests and answers: empty, whole, a client's, or a stream of another kind.

use super::call::Cause;
use super::cx::RequestCx;
use crate::error::Fault;
use bytes::Bytes;
use http::HeaderValue;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Why a body ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The request this body belongs to ended with a fault.
    #[error("{0}")]
    Fault(#[from] Fault),
    /// The peer broke off.
    #[error("the connection broke: {0}")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
}

type Stream = Pin<Box<dyn HttpBody<Data = Bytes, Error = BodyError> + Send>>;

/// A request's or an answer's body.
#[derive(Default)]
pub struct Body(Kind);

#[derive(Default)]
enum Kind {
    #[default]
    Empty,
    Full(Bytes),
    Frames {
        frames: VecDeque<Frame<Bytes>>,
        bytes: u64,
    },
    Client(ClientBody),
    Stream(Stream),
}

impl Body {
    /// No bytes at all.
    pub fn empty() -> Self {
        Self(Kind::Empty)
    }

    /// All bytes at once; answered with Content-Length.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        if bytes.is_empty() {
            Self::empty()
        } else {
            Self(Kind::Full(bytes))
        }
    }

    /// Frames that are all here already: Content-Length is known unless trailers follow.
    pub fn frames(mut frames: VecDeque<Frame<Bytes>>) -> Self {
        if frames.len() == 1 && frames.front().is_some_and(Frame::is_data) {
            return frames
                .pop_front()
                .and_then(|frame| frame.into_data().ok())
                .map_or_else(Self::empty, Self::full);
        }
        let bytes = frames
            .iter()
            .filter_map(Frame::data_ref)
            .map(|data| data.len() as u64)
            .sum();
        if frames.is_empty() {
            Self::empty()
        } else {
            Self(Kind::Frames { frames, bytes })
        }
    }

    /// A client's body as it arrives.
    pub fn client(body: ClientBody) -> Self {
        if body.incoming.is_end_stream() {
            Self::empty()
        } else {
            Self(Kind::Client(body))
        }
    }

    /// Any other body.
    pub fn stream(body: impl HttpBody<Data = Bytes, Error = BodyError> + Send + 'static) -> Self {
        Self(Kind::Stream(Box::pin(body)))
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        match &mut this.0 {
            Kind::Empty => Poll::Ready(None),
            Kind::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                this.0 = Kind::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Kind::Frames { frames, bytes } => {
                let frame = frames.pop_front();
                if let Some(data) = frame.as_ref().and_then(Frame::data_ref) {
                    *bytes = bytes.saturating_sub(data.len() as u64);
                }
                Poll::Ready(frame.map(Ok))
            }
            Kind::Client(body) => body.poll_frame(cx),
            Kind::Stream(body) => body.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Empty => true,
            Kind::Full(_) => false,
            Kind::Frames { frames, .. } => frames.is_empty(),
            Kind::Client(body) => body.incoming.is_end_stream(),
            Kind::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Frames { frames, .. } if frames.iter().any(Frame::is_trailers) => SizeHint::default(),
            Kind::Frames { bytes, .. } => SizeHint::with_exact(*bytes),
            Kind::Client(body) => body.incoming.size_hint(),
            Kind::Stream(body) => body.size_hint(),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.0 {
            Kind::Empty => "empty",
            Kind::Full(_) => "full",
            Kind::Frames { .. } => "frames",
            Kind::Client(_) => "client",
            Kind::Stream(_) => "stream",
        };
        write!(f, "Body({kind})")
    }
}

impl fmt::Debug for ClientBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBody")
            .field("left", &self.left)
            .field("request", &self.cx.id())
            .finish_non_exhaustive()
    }
}

/// A client's request body: counted against its bound, and telling its request when it fails.
pub struct ClientBody {
    incoming: Incoming,
    left: u64,
    /// Whether it comes by HTTP/2.
    is_stream: bool,
    cx: RequestCx,
}

impl ClientBody {
    /// At most `bytes_max` bytes of `incoming`, which `is_stream` where it comes by HTTP/2; one more stops the call with
    /// [`Cause::BodyTooLarge`].
    pub fn new(incoming: Incoming, bytes_max: u64, is_stream: bool, cx: RequestCx) -> Self {
        Self {
            incoming,
            left: bytes_max,
            is_stream,
            cx,
        }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Pending => {
                self.cx.call().waits_for_body();
                return Poll::Pending;
            }
            // hyper takes RST_STREAM with NO_ERROR for an end. It is none: the client has not sent all of it.
            Poll::Ready(None) if self.is_stream && !self.incoming.is_end_stream() => {
                return Poll::Ready(Some(Err(self.stop(Cause::ClientGone))));
            }
            Poll::Ready(None) => {
                self.cx.call().body_came(0);
                return Poll::Ready(None);
            }
            Poll::Ready(Some(Ok(frame))) => frame,
            Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(self.failed(&error)))),
        };
        let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
        self.cx.call().body_came(bytes);
        match self.left.checked_sub(bytes) {
            Some(left) => self.left = left,
            None => return Poll::Ready(Some(Err(self.stop(Cause::BodyTooLarge)))),
        }
        if let Some(trailers) = frame.trailers_ref()
            && trailers.values().any(is_padded)
        {
            return Poll::Ready(Some(Err(self.stop(Cause::BadBody))));
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn failed(&self, error: &hyper::Error) -> BodyError {
        // The door may have said more exactly why: then that cause came first and stays.
        self.stop(if is_framed_wrongly(error) {
            Cause::BadBody
        } else {
            Cause::ClientGone
        })
    }

    fn stop(&self, cause: Cause) -> BodyError {
        self.cx.call().cancel(cause);
        BodyError::Fault(self.cx.call().cause().unwrap_or(cause).fault())
    }
}

/// A value that begins or ends with white space, which HTTP/1 could not have said (RFC 9113 §8.2.1).
pub(crate) fn is_padded(value: &HeaderValue) -> bool {
    let is_space = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let bytes = value.as_bytes();
    is_space(bytes.first()) || is_space(bytes.last())
}

/// Whether the bytes themselves are at fault. Every other error of a body is a connection or stream that ended:
/// hyper tells a length that was not reached as an unexpected end, and resets as what they are.
fn is_framed_wrongly(error: &hyper::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(error) = cause.downcast_ref::<std::io::Error>() {
            return matches!(
                error.kind(),
                std::io::ErrorKind::InvalidData | std::io::ErrorKind::InvalidInput
            );
        }
        source = cause.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;

    #[test]
    fn sizes_are_exact_unless_trailers_follow() {
        assert_eq!(Body::empty().size_hint().exact(), Some(0));
        assert_eq!(Body::full("abc").size_hint().exact(), Some(3));
        let data = |text: &'static str| Frame::data(Bytes::from_static(text.as_bytes()));
        let two = Body::frames(VecDeque::from([data("ab"), data("cde")]));
        assert_eq!(two.size_hint().exact(), Some(5));
        let trailed = Body::frames(VecDeque::from([data("ab"), Frame::trailers(HeaderMap::new())]));
        assert_eq!(trailed.size_hint().exact(), None);
        let one = Body::frames(VecDeque::from([data("ab")]));
        assert!(matches!(one.0, Kind::Full(_)));
        assert!(Body::frames(VecDeque::new()).is_end_stream());
    }
}
