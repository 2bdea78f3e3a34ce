//! Moving one body on into another without blocking, so that two of them can move at once.

use support::CHUNK_BYTES;
use support::wasip2::http::types::{FutureTrailers, IncomingBody, OutgoingBody};
use support::wasip2::io::poll::{self, Pollable};
use support::wasip2::io::streams::{InputStream, OutputStream, StreamError};

/// One body on its way. Dropped before its end it leaves the outgoing one broken.
pub(crate) struct Relay {
    from: From,
    to: Option<To>,
    /// What was read and not written yet.
    held: Vec<u8>,
}

/// What a step came to.
pub(crate) enum Step {
    Moved,
    /// Nothing moves before this is ready.
    Waiting(Pollable),
    /// The body has ended, or broken off on either side.
    Over,
}

// In both, the fields stand in the order in which they have to be dropped: children before parents.
enum From {
    Bytes { stream: InputStream, body: IncomingBody },
    Trailers(FutureTrailers),
    Nothing,
}

struct To {
    stream: OutputStream,
    body: OutgoingBody,
}

impl Relay {
    /// `None` when the streams of the bodies were taken before.
    pub(crate) fn new(from: IncomingBody, to: OutgoingBody) -> Option<Self> {
        Some(Self {
            from: From::Bytes {
                stream: from.stream().ok()?,
                body: from,
            },
            to: Some(To {
                stream: to.write().ok()?,
                body: to,
            }),
            held: Vec::new(),
        })
    }

    /// Moves what can be moved now.
    pub(crate) fn step(&mut self) -> Step {
        let step = if self.held.is_empty() {
            self.read()
        } else {
            self.write()
        };
        if matches!(step, Step::Over) {
            self.from = From::Nothing;
            self.to = None;
        }
        step
    }

    fn read(&mut self) -> Step {
        match &self.from {
            From::Bytes { stream, .. } => match stream.read(CHUNK_BYTES as u64) {
                Ok(bytes) if bytes.is_empty() => Step::Waiting(stream.subscribe()),
                Ok(bytes) => {
                    self.held = bytes;
                    Step::Moved
                }
                Err(StreamError::Closed) => self.end_of_bytes(),
                Err(StreamError::LastOperationFailed(_)) => Step::Over,
            },
            From::Trailers(future) => match future.get() {
                None => Step::Waiting(future.subscribe()),
                Some(Ok(Ok(trailers))) => {
                    if let Some(To { stream, body }) = self.to.take() {
                        drop(stream);
                        // An error means that the other side gave the body up; nobody is left to tell.
                        let _ = OutgoingBody::finish(body, trailers);
                    }
                    Step::Over
                }
                Some(_) => Step::Over,
            },
            From::Nothing => Step::Over,
        }
    }

    fn end_of_bytes(&mut self) -> Step {
        if let From::Bytes { stream, body } = std::mem::replace(&mut self.from, From::Nothing) {
            drop(stream);
            self.from = From::Trailers(IncomingBody::finish(body));
        }
        Step::Moved
    }

    fn write(&mut self) -> Step {
        let Some(To { stream, .. }) = &self.to else {
            return Step::Over;
        };
        let Ok(permit) = stream.check_write() else {
            return Step::Over;
        };
        if permit == 0 {
            return Step::Waiting(stream.subscribe());
        }
        let size = usize::try_from(permit).unwrap_or(usize::MAX).min(self.held.len());
        let later = self.held.split_off(size);
        match stream.write(&self.held) {
            Ok(()) => {
                self.held = later;
                Step::Moved
            }
            Err(_) => Step::Over,
        }
    }
}

/// Suspends the guest until one of these is ready.
pub(crate) fn wait_for(ready: &[&Pollable]) {
    poll::poll(ready);
}
