//! A request body on its way out: watched for progress, and ended from outside when its exchange is over.

use bytes::Bytes;
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
}

impl<B: Default> Upload<B> {
    /// The body of a request that was not sent.
    pub(super) fn into_body(mut self) -> B {
        std::mem::take(&mut self.body)
    }
}

impl<B: Body> Upload<B> {
    pub(super) fn new(body: B) -> Self {
        let progress = (!body.is_end_stream()).then(|| Arc::new(Progress::new()));
        Self { body, progress }
    }

    pub(super) fn progress(&self) -> Option<Arc<Progress>> {
        self.progress.clone()
    }
}

impl<B> Body for Upload<B>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Unpin,
{
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        let Some(progress) = &this.progress else {
            return Pin::new(&mut this.body).poll_frame(cx).map_err(Into::into);
        };
        progress.sender.register(cx.waker());
        if progress.is_aborted.load(Ordering::Acquire) {
            return Poll::Ready(Some(Err(Aborted.into())));
        }
        if progress.is_held.load(Ordering::Acquire) {
            progress.is_waiting_for_body.store(true, Ordering::Relaxed);
            return Poll::Pending;
        }
        let frame = Pin::new(&mut this.body).poll_frame(cx);
        match frame {
            Poll::Pending => progress.is_waiting_for_body.store(true, Ordering::Relaxed),
            Poll::Ready(_) => progress.moved(),
        }
        frame.map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
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
