//! A request body on its way out: watched for progress, its small pieces put together, and ended from outside when its
//! exchange is over.

use crate::limits;
use bytes::{Bytes, BytesMut};
use futures_util::task::AtomicWaker;
use http_body::{Body, Frame, SizeHint};
use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use tokio::time::{Duration, Instant};

/// What is known of a request body that is being sent.
#[derive(Debug)]
pub(super) struct Progress {
    began: Instant,
    /// When the connection last asked for more, in milliseconds since then.
    asked_ms: AtomicU64,
    is_waiting_for_body: AtomicBool,
    is_over: AtomicBool,
    is_aborted: AtomicBool,
    /// The body itself failed, so whatever became of the exchange is not the server's doing.
    has_failed: AtomicBool,
    /// The server has not asked for it yet.
    is_held: AtomicBool,
    sender: AtomicWaker,
}

impl Progress {
    fn new() -> Self {
        Self {
            began: Instant::now(),
            asked_ms: AtomicU64::new(0),
            is_waiting_for_body: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
            is_aborted: AtomicBool::new(false),
            has_failed: AtomicBool::new(false),
            is_held: AtomicBool::new(false),
            sender: AtomicWaker::new(),
        }
    }

    /// When the connection last took a piece of the body, or let go of it.
    pub(super) fn last(&self) -> Instant {
        self.began + Duration::from_millis(self.asked_ms.load(Ordering::Relaxed))
    }

    /// Whether the connection wants nothing more of the body.
    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// Whether the next piece of the body has yet to be made.
    pub(super) fn is_waiting(&self) -> bool {
        !self.is_over() && self.is_waiting_for_body.load(Ordering::Relaxed)
    }

    /// Whether the connection has a piece that it cannot send. Such a connection is not woken by [`Self::abort`].
    pub(super) fn is_stuck(&self) -> bool {
        !self.is_over() && !self.is_waiting_for_body.load(Ordering::Relaxed)
    }

    /// Whether the body failed by itself. hyper tells that of HTTP/1 alone.
    pub(super) fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Acquire)
    }

    /// Ends the body with an error.
    pub(super) fn abort(&self) {
        self.is_aborted.store(true, Ordering::Release);
        self.sender.wake();
    }

    /// Nothing of the body is asked for until [`Self::release`].
    pub(super) fn hold(&self) {
        self.is_held.store(true, Ordering::Release);
    }

    pub(super) fn release(&self) {
        if self.is_held.swap(false, Ordering::AcqRel) {
            self.sender.wake();
        }
    }

    fn moved(&self) {
        let ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.asked_ms.store(ms, Ordering::Relaxed);
        self.is_waiting_for_body.store(false, Ordering::Relaxed);
    }
}

/// The exchange this body belonged to is over.
#[derive(Debug, thiserror::Error)]
#[error("the exchange is over")]
struct Aborted;

/// A body that tells its [`Progress`]. A request without a body has nothing to tell.
#[derive(Debug)]
pub(super) struct Upload<B> {
    body: B,
    progress: Option<Arc<Progress>>,
    /// What came behind small pieces and is not one of them; the outer `None` is nothing.
    next: Option<Option<Piece>>,
}

type Piece = Result<Frame<Bytes>, Box<dyn Error + Send + Sync>>;

impl<B: Default> Upload<B> {
    /// The body of a request that was not sent.
    pub(super) fn into_body(mut self) -> B {
        std::mem::take(&mut self.body)
    }
}

impl<B: Body> Upload<B> {
    pub(super) fn new(body: B) -> Self {
        let progress = (!body.is_end_stream()).then(|| Arc::new(Progress::new()));
        Self {
            body,
            progress,
            next: None,
        }
    }

    pub(super) fn progress(&self) -> Option<Arc<Progress>> {
        self.progress.clone()
    }
}

impl<B> Upload<B>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Unpin,
{
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Piece>> {
        match self.next.take() {
            Some(next) => Poll::Ready(next),
            None => Pin::new(&mut self.body)
                .poll_frame(cx)
                .map(|piece| piece.map(|piece| piece.map_err(Into::into))),
        }
    }

    /// Puts what is ready behind a small piece to it. Servers of HTTP/2 count small frames, and end the connection of
    /// everybody who shares it when too many of them wait.
    fn gather(&mut self, first: Bytes, cx: &mut Context<'_>) -> Bytes {
        let mut gathered = BytesMut::new();
        while gathered.len() < limits::UPLOAD_PIECE_BYTES {
            match self.poll_piece(cx) {
                Poll::Pending => break,
                Poll::Ready(Some(Ok(frame))) if frame.data_ref().is_some_and(is_small) => {
                    if gathered.is_empty() {
                        gathered.extend_from_slice(&first);
                    }
                    gathered.extend_from_slice(frame.data_ref().map(|data| &**data).unwrap_or_default());
                }
                Poll::Ready(other) => {
                    self.next = Some(other);
                    break;
                }
            }
        }
        if gathered.is_empty() { first } else { gathered.freeze() }
    }
}

fn is_small(piece: &Bytes) -> bool {
    piece.len() < limits::UPLOAD_SMALL_BYTES
}

impl<B> Body for Upload<B>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Unpin,
{
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        let Some(progress) = this.progress.clone() else {
            return this.poll_piece(cx);
        };
        progress.sender.register(cx.waker());
        if progress.is_aborted.load(Ordering::Acquire) {
            return Poll::Ready(Some(Err(Aborted.into())));
        }
        if progress.is_held.load(Ordering::Acquire) {
            progress.is_waiting_for_body.store(true, Ordering::Relaxed);
            return Poll::Pending;
        }
        let piece = match this.poll_piece(cx) {
            Poll::Pending => {
                progress.is_waiting_for_body.store(true, Ordering::Relaxed);
                return Poll::Pending;
            }
            Poll::Ready(piece) => piece,
        };
        progress.moved();
        Poll::Ready(match piece {
            Some(Ok(frame)) => Some(Ok(match frame.into_data() {
                Ok(data) if is_small(&data) => Frame::data(this.gather(data, cx)),
                Ok(data) => Frame::data(data),
                Err(other) => other,
            })),
            Some(Err(error)) => {
                progress.has_failed.store(true, Ordering::Release);
                Some(Err(error))
            }
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        match &self.next {
            Some(next) => next.is_none(),
            None => self.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.body.size_hint();
        if let Some(Some(Ok(frame))) = &self.next
            && let Some(data) = frame.data_ref()
        {
            let bytes = data.len() as u64;
            let upper = hint.upper().map(|upper| upper.saturating_add(bytes));
            if let Some(upper) = upper {
                hint.set_upper(upper);
            }
            hint.set_lower(hint.lower().saturating_add(bytes));
        }
        hint
    }
}

/// A connection drops a body when it has sent all of it, or wants no more: the one sign that is sure, since a body
/// whose length was known is not asked for its end, and its last piece may be waiting when its end is known.
impl<B> Drop for Upload<B> {
    fn drop(&mut self) {
        if let Some(progress) = &self.progress {
            progress.moved();
            progress.is_over.store(true, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::task::noop_waker;
    use http::HeaderMap;
    use std::collections::VecDeque;

    type Polled = Poll<Option<Result<Frame<Bytes>, std::io::Error>>>;

    /// What is there, then nothing yet, then the end.
    #[derive(Default)]
    struct Pieces(VecDeque<Polled>);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = std::io::Error;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Polled {
            self.0.pop_front().unwrap_or(Poll::Ready(None))
        }
    }

    fn data(bytes: usize) -> Polled {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(vec![b'x'; bytes])))))
    }

    /// The lengths of the pieces that are sent; trailers and errors as words.
    fn sent(pieces: impl IntoIterator<Item = Polled>) -> (Vec<String>, bool) {
        let mut upload = Upload::new(Pieces(pieces.into_iter().collect()));
        let progress = upload.progress().unwrap();
        let waker = noop_waker();
        let mut cx = Context::from_waker(&waker);
        let mut seen = Vec::new();
        loop {
            seen.push(match Pin::new(&mut upload).poll_frame(&mut cx) {
                Poll::Pending => "pending".to_owned(),
                Poll::Ready(None) => return (seen, progress.has_failed()),
                Poll::Ready(Some(Err(_))) => "error".to_owned(),
                Poll::Ready(Some(Ok(frame))) => match frame.data_ref() {
                    Some(data) => data.len().to_string(),
                    None => "trailers".to_owned(),
                },
            });
        }
    }

    #[test]
    fn small_pieces_go_together_as_far_as_they_are_there() {
        let (small, large) = (limits::UPLOAD_SMALL_BYTES - 1, limits::UPLOAD_SMALL_BYTES);
        assert_eq!(sent([data(1), data(2), data(3)]).0, ["6"]);
        assert_eq!(sent([data(1), Poll::Pending, data(2)]).0, ["1", "2"]);
        assert_eq!(
            sent([data(1), data(large), data(2), data(3)]).0,
            ["1", &large.to_string(), "5"]
        );
        assert_eq!(sent([data(large), data(1)]).0, [large.to_string().as_str(), "1"]);
        let many = limits::UPLOAD_PIECE_BYTES / small + 1;
        let (lengths, _) = sent((0..many + 1).map(|_| data(small)));
        assert_eq!(lengths, [(many * small).to_string(), small.to_string()]);
    }

    #[test]
    fn what_is_no_data_comes_behind_them_and_failures_are_known() {
        let trailers = || Poll::Ready(Some(Ok(Frame::trailers(HeaderMap::new()))));
        assert_eq!(
            sent([data(1), data(2), trailers()]),
            (vec!["3".into(), "trailers".into()], false)
        );
        let broken = Poll::Ready(Some(Err(std::io::ErrorKind::Other.into())));
        assert_eq!(
            sent([data(1), data(2), broken]),
            (vec!["3".into(), "error".into()], true)
        );
    }
}
