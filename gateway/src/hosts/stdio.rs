//! wasi:cli stdout and stderr: each line a guest writes becomes a log line with its component and request.

use super::logging::LogScope;
use crate::http::RequestId;
use crate::limits;
use bytes::Bytes;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// Whose lines an instance writes now: its streams live as long as it does, its requests come and go.
#[derive(Debug)]
pub struct LogOwner(Mutex<LogScope>);

impl LogOwner {
    /// Beginning with this request.
    pub fn new(scope: LogScope) -> Arc<Self> {
        Arc::new(Self(Mutex::new(scope)))
    }

    /// From now on the lines are of this request, or of none that could be told.
    pub fn set(&self, request: Option<RequestId>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).request = request;
    }

    fn scope(&self) -> LogScope {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A guest's stdout or stderr.
#[derive(Clone, Debug)]
pub struct GuestLog {
    owner: Arc<LogOwner>,
    stream: &'static str,
}

impl GuestLog {
    /// The stream called `stream` ("stdout", "stderr") of the guest that `owner` names.
    pub fn new(owner: Arc<LogOwner>, stream: &'static str) -> Self {
        Self { owner, stream }
    }

    fn lines(&self) -> Lines {
        Lines {
            scope: self.owner.scope(),
            owner: Arc::clone(&self.owner),
            stream: self.stream,
            line: Vec::new(),
            cut: false,
        }
    }
}

impl IsTerminal for GuestLog {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for GuestLog {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.lines())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.lines())
    }
}

/// Collects bytes into lines of at most [`limits::GUEST_LOG_LINE_BYTES`].
struct Lines {
    owner: Arc<LogOwner>,
    /// Whose the unfinished line is.
    scope: LogScope,
    stream: &'static str,
    line: Vec<u8>,
    cut: bool,
}

impl Lines {
    fn push(&mut self, bytes: &[u8]) {
        let scope = self.owner.scope();
        if scope.request != self.scope.request {
            // A request ended in the middle of its line: it is its own all the same.
            if !self.line.is_empty() {
                self.emit();
            }
            self.scope = scope;
        }
        let mut parts = bytes.split(|byte| *byte == b'\n');
        if let Some(first) = parts.next() {
            self.extend(first);
        }
        for part in parts {
            self.emit();
            self.extend(part);
        }
    }

    fn extend(&mut self, part: &[u8]) {
        let room = limits::GUEST_LOG_LINE_BYTES.saturating_sub(self.line.len());
        self.cut |= part.len() > room;
        self.line.extend_from_slice(part.get(..room).unwrap_or(part));
    }

    fn emit(&mut self) {
        let text = String::from_utf8_lossy(&self.line);
        tracing::info!(
            target: "tidegate::guest",
            component = %self.scope.component,
            request = self.scope.request.map(tracing::field::display),
            stream = self.stream,
            cut = self.cut,
            "{}",
            text.trim_end_matches('\r'),
        );
        self.line.clear();
        self.cut = false;
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if !self.line.is_empty() {
            self.emit();
        }
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Lines {
    async fn ready(&mut self) {}
}

impl OutputStream for Lines {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.push(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(limits::GUEST_CHUNK_BYTES)
    }
}

impl AsyncWrite for Lines {
    fn poll_write(self: Pin<&mut Self>, _cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().push(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines() -> Lines {
        GuestLog::new(LogOwner::new(LogScope::for_tests()), "stdout").lines()
    }

    #[test]
    fn an_unfinished_line_stays_with_the_request_that_wrote_it() {
        let mut lines = lines();
        let first = lines.scope.request;
        lines.push(b"first, unfinished");
        lines.owner.set(LogScope::for_tests().request);
        lines.push(b"second");
        assert_ne!(lines.scope.request, first);
        assert_eq!(lines.line, b"second");
    }

    #[test]
    fn a_line_may_come_in_pieces() {
        let mut lines = lines();
        lines.push(b"ab");
        lines.push(b"c\nd");
        assert_eq!(lines.line, b"d");
    }

    #[test]
    fn a_line_is_cut_at_its_bound() {
        let mut lines = lines();
        lines.push(&vec![b'x'; limits::GUEST_LOG_LINE_BYTES]);
        assert!(!lines.cut);
        lines.push(b"y");
        assert!(lines.cut);
        assert_eq!(lines.line.len(), limits::GUEST_LOG_LINE_BYTES);
        lines.push(b"\nz");
        assert!(!lines.cut);
        assert_eq!(lines.line, b"z");
    }
}
