//! The access log: one JSON line a request, formatted where the request ends and written by a thread of its own.
//!
//! The request's side appends the line to a buffer of its door, and keeps nothing of the request: what a head was
//! read into is free for the next one. The thread collects the buffers and writes them, one write for each door. The
//! lines of one door are in the order in which its requests ended; those of different doors are ordered only by the
//! batches they came in. Nobody waits for a sink: when it is slower than the requests, lines are dropped and counted,
//! because a log that can stall a gateway is an outage waiting.

mod format;
#[cfg(test)]
mod tests;
mod waiting;
mod writer;

use std::fmt;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant, SystemTime};

use http::{Uri, Version};

use self::waiting::{Pushed, Waiting};
use self::writer::{Output, Worker};
use super::metrics::AccessLogMetrics;
use crate::config::AccessLogConfig;
use crate::per_core::PerCore;

/// One request, as its line says it. Text is borrowed: it is written before [`AccessLog::write`] returns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    /// When the request was over.
    pub(crate) time: SystemTime,
    pub(crate) id: u128,
    /// The W3C trace id, where there is a trace.
    pub(crate) trace: Option<u128>,
    pub(crate) client: SocketAddr,
    pub(crate) method: &'a str,
    /// `http` or `https`.
    pub(crate) scheme: &'static str,
    pub(crate) version: Version,
    pub(crate) host: Option<&'a [u8]>,
    pub(crate) uri: &'a Uri,
    pub(crate) user_agent: Option<&'a [u8]>,
    /// What was answered; 0 when the connection ended before an answer.
    pub(crate) status: u16,
    /// Body bytes received and sent.
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    /// From the request's head to the response's, where there was one.
    pub(crate) head: Option<Duration>,
    /// From the request's head to the last byte of the response, or to the end of trying.
    pub(crate) duration: Duration,
    pub(crate) route: Option<&'a str>,
    pub(crate) component: Option<&'a str>,
    /// The server behind the gateway that answered.
    pub(crate) server: Option<&'a str>,
    /// How it ended, as one word: `complete`, `client_gone`, `deadline`, `trap`, ...
    pub(crate) outcome: &'static str,
}

/// Where lines go.
pub(crate) enum Sink {
    /// Nowhere: no buffers and no thread.
    Off,
    Stdout,
    Stderr,
    /// Appended to, made with mode 0640 where it is missing.
    File(PathBuf),
    /// An embedder's own, or a test's.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "sinks of an embedder's own come with its issue")
    )]
    Writer(Box<dyn Write + Send>),
}

impl From<&AccessLogConfig> for Sink {
    fn from(config: &AccessLogConfig) -> Self {
        match config {
            AccessLogConfig::Stdout => Self::Stdout,
            AccessLogConfig::Stderr => Self::Stderr,
            AccessLogConfig::Off => Self::Off,
            AccessLogConfig::File(path) => Self::File(path.clone()),
        }
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("Off"),
            Self::Stdout => f.write_str("Stdout"),
            Self::Stderr => f.write_str("Stderr"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Writer(_) => f.write_str("Writer"),
        }
    }
}

/// What of a request's query is written. Queries carry tokens and addresses, so the default hides them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Query {
    /// `/path?redacted`: that there was one.
    #[default]
    Redacted,
    /// As it came.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "the key that asks for it comes with the issue on telemetry")
    )]
    Full,
}

/// Why the access log could not start, or not end in time.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AccessLogError {
    #[error("cannot open the access log {path}: {reason}; check that its folder exists and may be written to")]
    Open { path: PathBuf, reason: String },
    #[error("cannot start the access-log thread: {0}")]
    Thread(String),
    #[error("the access log's sink took no more lines within {0:?}; what was waiting is lost")]
    Stalled(Duration),
}

/// The request's side: a cheap clone for whoever ends requests.
#[derive(Clone, Debug)]
pub(crate) struct AccessLog {
    queue: Option<Arc<Queue>>,
}

#[derive(Debug)]
struct Queue {
    shared: Arc<Shared>,
    thread: Thread,
}

/// The owner's side: flushes, reopens, and ends the thread.
#[derive(Debug)]
pub(crate) struct AccessLogWriter {
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

/// What both sides and the thread see.
#[derive(Debug)]
struct Shared {
    metrics: AccessLogMetrics,
    query: Query,
    /// The lines of each door that are not yet with the thread.
    doors: PerCore<Waiting>,
    /// Set by the thread before it sleeps for long; a request whose line is the first of its door wakes it then.
    /// While lines keep coming the thread sleeps for moments instead, so that no request pays for a wake-up.
    asleep: AtomicBool,
    closing: AtomicBool,
    reopen: AtomicBool,
    /// Flushes asked for so far.
    flushes: AtomicU64,
    /// Lines dropped by the request's side since the last report.
    dropped: AtomicU64,
    progress: Mutex<Progress>,
    progressed: Condvar,
}

#[derive(Debug, Default)]
struct Progress {
    /// Every line written before this flush was asked for has been handed to the sink.
    flushed: u64,
    ended: bool,
}

impl AccessLog {
    /// Opens the sink and starts the thread, for this many door runtimes. A file that cannot be opened is an error
    /// here, not later.
    pub(crate) fn start(
        sink: Sink,
        query: Query,
        doors: usize,
        metrics: AccessLogMetrics,
    ) -> Result<(Self, AccessLogWriter), AccessLogError> {
        let Some(output) = Output::open(sink)? else {
            return Ok((Self::off(), AccessLogWriter { running: None }));
        };
        let shared = Arc::new(Shared::new(metrics, query, doors));
        let worker = Worker::new(output, Arc::clone(&shared));
        let thread = thread::Builder::new()
            .name("access-log".into())
            .spawn(move || worker.run())
            .map_err(|error| AccessLogError::Thread(error.to_string()))?;
        let queue = Queue {
            shared: Arc::clone(&shared),
            thread: thread.thread().clone(),
        };
        let log = Self {
            queue: Some(Arc::new(queue)),
        };
        Ok((
            log,
            AccessLogWriter {
                running: Some(Running { shared, thread }),
            },
        ))
    }

    /// A log that writes nothing.
    pub(crate) const fn off() -> Self {
        Self { queue: None }
    }

    /// Whether a record would be written at all: where not, the caller need not make one.
    pub(crate) const fn is_on(&self) -> bool {
        self.queue.is_some()
    }

    /// Writes one line into the buffer of this thread's door, or drops and counts it. Never waits for the sink.
    pub(crate) fn write(&self, record: &Record<'_>) {
        let Some(queue) = &self.queue else { return };
        if queue.shared.push(record) {
            queue.thread.unpark();
        }
    }
}

impl AccessLogWriter {
    /// Opens a file sink anew, for log rotation: lines written from now on go to the new file. A file that cannot
    /// be opened leaves the old one in use, with a warning. Other sinks take no notice.
    pub(crate) fn reopen(&self) {
        if let Some(running) = &self.running {
            running.shared.reopen.store(true, Ordering::Release);
            running.wake();
        }
    }

    /// Waits until every line written before this call was handed to the sink. Blocks the calling thread.
    #[cfg(test)]
    pub(crate) fn flush(&self, timeout: Duration) -> Result<(), AccessLogError> {
        let Some(running) = &self.running else { return Ok(()) };
        let wanted = running.shared.flushes.fetch_add(1, Ordering::AcqRel) + 1;
        running.wake();
        running.wait(timeout, |progress| progress.flushed >= wanted || progress.ended)
    }

    /// Writes what is waiting and ends the thread; lines written later are dropped and counted. A sink that does
    /// not take them in time is left behind with its thread. Blocks the calling thread.
    pub(crate) fn shutdown(mut self, timeout: Duration) -> Result<(), AccessLogError> {
        let Some(running) = self.running.take() else {
            return Ok(());
        };
        running.close();
        running.wait(timeout, |progress| progress.ended)?;
        // It has said that it ended, so this does not wait; a panic of its was reported by its own hook.
        let _ = running.thread.join();
        Ok(())
    }
}

/// Without a [`shutdown`](AccessLogWriter::shutdown) the thread still ends, unwaited for.
impl Drop for AccessLogWriter {
    fn drop(&mut self) {
        if let Some(running) = &self.running {
            running.close();
        }
    }
}

impl Running {
    fn wake(&self) {
        self.thread.thread().unpark();
    }

    fn close(&self) {
        self.shared.closing.store(true, Ordering::Release);
        self.wake();
    }

    fn wait(&self, timeout: Duration, done: impl Fn(&Progress) -> bool) -> Result<(), AccessLogError> {
        let deadline = Instant::now() + timeout;
        let mut progress = self.shared.progress.lock().unwrap_or_else(PoisonError::into_inner);
        while !done(&progress) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(AccessLogError::Stalled(timeout));
            }
            let waited = self.shared.progressed.wait_timeout(progress, left);
            progress = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }
}

impl Shared {
    fn new(metrics: AccessLogMetrics, query: Query, doors: usize) -> Self {
        Self {
            metrics,
            query,
            doors: PerCore::new(doors),
            asleep: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            reopen: AtomicBool::new(false),
            flushes: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            progress: Mutex::default(),
            progressed: Condvar::new(),
        }
    }

    /// Writes one line into the buffer of this thread's door. Whether the thread is to be woken for it.
    fn push(&self, record: &Record<'_>) -> bool {
        let pushed = self.doors.at(self.doors.here(), |door| door.push(record, self.query));
        match pushed {
            Some(Pushed::More) => false,
            // The buffer's lock orders the two: the thread says that it sleeps before it looks whether this buffer is
            // empty, so either it saw this line, or this sees it asleep.
            Some(Pushed::First) => self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::Relaxed),
            Some(Pushed::Batch) => true,
            Some(Pushed::Refused) | None => {
                self.count_dropped(1);
                false
            }
        }
    }

    fn count_dropped(&self, lines: u64) {
        self.metrics.dropped.increment(lines);
        self.dropped.fetch_add(lines, Ordering::Relaxed);
    }
}
