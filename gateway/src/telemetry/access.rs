//! The access log: one JSON line a request, formatted and written by a thread of its own.
//!
//! The request's side is a move into a bounded queue. It never waits: when the sink is slower than the
//! requests, lines are dropped and counted, because a log that can stall a gateway is an outage waiting.

mod format;
#[cfg(test)]
mod tests;
mod writer;

use std::fmt;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant, SystemTime};

use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Uri, Version};
use tokio::sync::mpsc;

use self::writer::{Output, Worker};
use super::metrics::AccessLogMetrics;
use crate::limits;

/// A host or user agent is cut here, so that one request cannot write a page.
const FIELD_BYTES: usize = 1024;
/// Up to this many waiting lines share the buffers their requests came in. Beyond it a line takes copies, so
/// that a stalled sink does not keep a head buffer alive for every place in the queue.
const SHARED_LINES_COUNT: usize = 1024;

/// One request, as it is moved to the log. Every field is a number, a name or a reference count.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// When the head was read.
    pub(crate) time: SystemTime,
    pub(crate) id: u128,
    /// The W3C trace id, where there is a trace.
    pub(crate) trace: Option<u128>,
    pub(crate) client: SocketAddr,
    pub(crate) method: Method,
    /// `http` or `https`.
    pub(crate) scheme: &'static str,
    pub(crate) version: Version,
    pub(crate) host: Option<HeaderValue>,
    pub(crate) uri: Uri,
    pub(crate) user_agent: Option<HeaderValue>,
    /// What was answered; 0 when the connection ended before an answer.
    pub(crate) status: u16,
    /// Body bytes received and sent.
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    /// From the request's head to the response's, where there was one.
    pub(crate) head: Option<Duration>,
    /// From the request's head to the last byte of the response, or to the end of trying.
    pub(crate) duration: Duration,
    pub(crate) route: Option<Arc<str>>,
    pub(crate) component: Option<Arc<str>>,
    /// The server behind the gateway that answered.
    pub(crate) server: Option<Arc<str>>,
    /// How it ended, as one word: `complete`, `client_gone`, `deadline`, `trap`, ...
    pub(crate) outcome: &'static str,
}

/// Where lines go.
pub(crate) enum Sink {
    /// Nowhere: no queue and no thread.
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
    sender: mpsc::Sender<Record>,
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
    /// Set by the thread before it sleeps without an alarm; a producer that finds it set wakes the thread. While
    /// lines keep coming the thread sleeps with an alarm instead, so that no request pays for a wake-up.
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
    /// Every line queued before this flush was asked for has been handed to the sink.
    flushed: u64,
    ended: bool,
}

impl AccessLog {
    /// Opens the sink and starts the thread. A file that cannot be opened is an error here, not later.
    pub(crate) fn start(
        sink: Sink,
        query: Query,
        metrics: AccessLogMetrics,
    ) -> Result<(Self, AccessLogWriter), AccessLogError> {
        let Some(output) = Output::open(sink)? else {
            return Ok((Self::off(), AccessLogWriter { running: None }));
        };
        let (sender, receiver) = mpsc::channel(limits::ACCESS_LOG_LINES_COUNT);
        let shared = Arc::new(Shared::new(metrics, query));
        let worker = Worker::new(receiver, output, Arc::clone(&shared));
        let thread = thread::Builder::new()
            .name("access-log".into())
            .spawn(move || worker.run())
            .map_err(|error| AccessLogError::Thread(error.to_string()))?;
        let queue = Queue {
            sender,
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

    /// Queues one line, or drops and counts it. Never waits.
    pub(crate) fn write(&self, mut record: Record) {
        let Some(queue) = &self.queue else { return };
        let shared = &*queue.shared;
        let waiting = queue.sender.max_capacity() - queue.sender.capacity();
        if waiting >= SHARED_LINES_COUNT {
            if waiting >= queue.sender.max_capacity() {
                shared.drop_one();
                return;
            }
            record.detach(shared.query);
        }
        if queue.sender.try_send(record).is_err() {
            shared.drop_one();
            return;
        }
        // Pairs with the fence in the thread: either it sees the line, or this sees it asleep.
        fence(Ordering::SeqCst);
        if shared.asleep.load(Ordering::Relaxed) && shared.asleep.swap(false, Ordering::Relaxed) {
            queue.thread.unpark();
        }
    }
}

impl AccessLogWriter {
    /// Opens a file sink anew, for log rotation: lines taken from now on go to the new file. A file that cannot
    /// be opened leaves the old one in use, with a warning. Other sinks take no notice.
    pub(crate) fn reopen(&self) {
        if let Some(running) = &self.running {
            running.shared.reopen.store(true, Ordering::Release);
            running.wake();
        }
    }

    /// Waits until every line queued before this call was handed to the sink. Blocks the calling thread.
    #[cfg(test)]
    pub(crate) fn flush(&self, timeout: Duration) -> Result<(), AccessLogError> {
        let Some(running) = &self.running else { return Ok(()) };
        let wanted = running.shared.flushes.fetch_add(1, Ordering::AcqRel) + 1;
        running.wake();
        running.wait(timeout, |progress| progress.flushed >= wanted || progress.ended)
    }

    /// Writes what is queued and ends the thread; lines written later are dropped and counted. A sink that does
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
    fn new(metrics: AccessLogMetrics, query: Query) -> Self {
        Self {
            metrics,
            query,
            asleep: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            reopen: AtomicBool::new(false),
            flushes: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            progress: Mutex::default(),
            progressed: Condvar::new(),
        }
    }

    fn drop_one(&self) {
        self.metrics.dropped.increment(1);
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

impl Record {
    /// Exchanges what shares the request's buffers for copies of just what will be written.
    fn detach(&mut self, query: Query) {
        for field in [&mut self.host, &mut self.user_agent] {
            // One byte more than is written, so that the writer still sees that it is cut.
            *field = field.take().and_then(|value| {
                let bytes = value.as_bytes();
                HeaderValue::from_bytes(bytes.get(..=FIELD_BYTES).unwrap_or(bytes)).ok()
            });
        }
        let mut target = format::target(&self.uri, Query::Full).into_owned();
        if query == Query::Redacted
            && let Some(mark) = target.find('?')
        {
            // An empty query is written as redacted, as a full one is.
            target.truncate(mark + 1);
        }
        self.uri = match self.uri.path_and_query() {
            Some(_) => PathAndQuery::try_from(target).map(Uri::from).unwrap_or_default(),
            // The authority form of CONNECT.
            None => Uri::try_from(target).unwrap_or_default(),
        };
    }
}
