//! The access log's thread: collects the lines of every door and hands them to the sink.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::waiting::BATCH_BYTES;
use super::{AccessLogError, Shared, Sink};

/// While lines keep coming they are collected this long, or until a door has a batch: few writes, and this thread
/// seldom takes the core from a door.
const LINGER: Duration = Duration::from_millis(20);
/// A buffer that grew beyond this while the sink was slow gives the rest back once it is written.
pub(super) const KEPT_BYTES: usize = 4 * BATCH_BYTES;
/// How often a quiet thread looks around by itself.
const LOOK: Duration = Duration::from_secs(1);
/// A sink that would block (a pipe somebody made non-blocking) is asked again for this long.
const PATIENCE: Duration = Duration::from_secs(1);
/// Lost lines are reported in the log at most this often.
pub(super) const REPORT_INTERVAL: Duration = Duration::from_secs(60);

/// An open sink.
pub(super) struct Output {
    writer: Box<dyn Write + Send>,
    /// For a file: where to open it anew.
    path: Option<PathBuf>,
    /// The last write ended inside a line: the next one starts on a new line.
    torn: bool,
}

impl Output {
    /// Nothing for [`Sink::Off`].
    pub(super) fn open(sink: Sink) -> Result<Option<Self>, AccessLogError> {
        // The standard streams are written through their descriptors: std's own handles add a buffer and a lock.
        let stream = |fd: io::Result<_>, name: &str| {
            fd.map(|fd| Box::new(File::from(fd)) as Box<dyn Write + Send>)
                .map_err(|error| open_error(Path::new(name), &error))
        };
        let (writer, path) = match sink {
            Sink::Off => return Ok(None),
            Sink::Stdout => (stream(io::stdout().as_fd().try_clone_to_owned(), "stdout")?, None),
            Sink::Stderr => (stream(io::stderr().as_fd().try_clone_to_owned(), "stderr")?, None),
            Sink::File(path) => (open_file(&path)?, Some(path)),
            Sink::Writer(writer) => (writer, None),
        };
        Ok(Some(Self {
            writer,
            path,
            torn: false,
        }))
    }

    fn reopen(&mut self) {
        let Some(path) = &self.path else { return };
        match open_file(path) {
            Ok(writer) => {
                self.writer = writer;
                self.torn = false;
            }
            Err(error) => tracing::warn!(%error, "the access log stays in the file it has"),
        }
    }

    /// Writes whole lines. On failure: how many of them are lost, counting one that is torn.
    fn write(&mut self, lines: &[u8]) -> Result<(), (u64, io::Error)> {
        if self.torn {
            self.write_all(b"\n")
                .map_err(|(_, error)| (count_lines(lines), error))?;
            self.torn = false;
        }
        self.write_all(lines).map_err(|(written, error)| {
            let (done, lost) = lines.split_at_checked(written).unwrap_or((&[], lines));
            self.torn = done.last().is_some_and(|byte| *byte != b'\n');
            (count_lines(lost), error)
        })
    }

    /// `Write::write_all`, but a failure says how many bytes went out before it.
    fn write_all(&mut self, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
        let mut written = 0;
        let mut blocked_since = None;
        while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            match self.writer.write(rest) {
                Ok(0) => return Err((written, ErrorKind::WriteZero.into())),
                Ok(n) => {
                    written += n;
                    blocked_since = None;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let since = *blocked_since.get_or_insert_with(Instant::now);
                    if since.elapsed() >= PATIENCE {
                        return Err((written, error));
                    }
                    // A pause, which a wake-up meant for something else may cut short.
                    thread::park_timeout(Duration::from_millis(1));
                }
                Err(error) => return Err((written, error)),
            }
        }
        Ok(())
    }
}

fn open_file(path: &Path) -> Result<Box<dyn Write + Send>, AccessLogError> {
    // Appending, so that a rotation that copies and truncates leaves no hole of zeros.
    let file = OpenOptions::new().append(true).create(true).mode(0o640).open(path);
    file.map(|file| Box::new(file) as Box<dyn Write + Send>)
        .map_err(|error| open_error(path, &error))
}

fn open_error(path: &Path, error: &io::Error) -> AccessLogError {
    AccessLogError::Open {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

fn count_lines(lines: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', lines).count() as u64
}

/// The thread's state.
pub(super) struct Worker {
    output: Output,
    shared: Arc<Shared>,
    /// What is being written. Between two writes it is the empty buffer that the next door gets for its full one.
    batch: Vec<u8>,
    batch_lines: u64,
    /// Lines the sink lost since the last report, and why it lost the latest.
    failed: u64,
    failure: Option<io::Error>,
    pub(super) reported: Option<Instant>,
}

impl Worker {
    pub(super) fn new(output: Output, shared: Arc<Shared>) -> Self {
        Self {
            output,
            shared,
            batch: Vec::new(),
            batch_lines: 0,
            failed: 0,
            failure: None,
            reported: None,
        }
    }

    pub(super) fn run(mut self) {
        // Also when a sink panics: whoever waits for this thread must not wait in vain.
        let _ended = Ended(Arc::clone(&self.shared));
        while !self.shared.closing.load(Ordering::Acquire) {
            if self.round() {
                thread::park_timeout(LINGER);
            } else {
                self.sleep();
            }
            self.report(false);
        }
        for place in self.shared.doors.places() {
            self.shared.doors.at(place, |door| door.close());
        }
        self.round();
        self.report(true);
    }

    /// Writes what every door has, and settles the flushes asked for before that. Whether there was anything.
    pub(super) fn round(&mut self) -> bool {
        let flushes = self.shared.flushes.load(Ordering::Acquire);
        let mut is_any = false;
        for place in self.shared.doors.places() {
            let batch = &mut self.batch;
            let lines = self.shared.doors.at(place, |door| door.take(batch));
            self.batch_lines = lines.unwrap_or_default();
            // Asked between taking and writing, so that a line that came after `reopen` returned is never in the old
            // file: whoever took it sees what was asked before it.
            self.reopen_if_asked();
            is_any |= self.batch_lines > 0;
            self.write();
        }
        self.settle(flushes);
        is_any
    }

    fn write(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let outcome = self.output.write(&self.batch).and_then(|()| {
            // What a buffering sink loses here cannot be told line by line; it is counted as this batch.
            self.output.writer.flush().map_err(|error| (self.batch_lines, error))
        });
        let lost = match outcome {
            Ok(()) => 0,
            Err((lost, error)) => {
                self.failure = Some(error);
                lost
            }
        };
        self.failed += lost;
        self.shared.metrics.failed.increment(lost);
        self.shared
            .metrics
            .written
            .increment(self.batch_lines.saturating_sub(lost));
        self.batch.clear();
        self.batch.shrink_to(KEPT_BYTES);
        self.batch_lines = 0;
    }

    fn reopen_if_asked(&mut self) {
        if self.shared.reopen.swap(false, Ordering::AcqRel) {
            self.output.reopen();
        }
    }

    fn settle(&self, flushes: u64) {
        let mut progress = self.shared.progress.lock().unwrap_or_else(PoisonError::into_inner);
        if progress.flushed < flushes {
            progress.flushed = flushes;
            self.shared.progressed.notify_all();
        }
    }

    /// Sleeps until a request or the owner wakes it.
    fn sleep(&self) {
        // Before the look at the buffers, whose locks make it seen: see `Shared::push`.
        self.shared.asleep.store(true, Ordering::Relaxed);
        let is_any = self.shared.doors.find(|door| door.is_any().then_some(()));
        if is_any.is_none() {
            thread::park_timeout(LOOK);
        }
        self.shared.asleep.store(false, Ordering::Relaxed);
    }

    /// Says in the log what was lost. Done here and not where a line is dropped: the log itself may be what
    /// blocks, and a request may not wait for it.
    pub(super) fn report(&mut self, last: bool) {
        if !last && self.reported.is_some_and(|at| at.elapsed() < REPORT_INTERVAL) {
            return;
        }
        let dropped = self.shared.dropped.swap(0, Ordering::Relaxed);
        if dropped == 0 && self.failed == 0 {
            return;
        }
        let failure = self.failure.take().map(|error| error.to_string());
        tracing::warn!(
            dropped,
            failed = self.failed,
            error = failure,
            "access-log lines were lost: dropped while too many were waiting, failed in the sink"
        );
        self.failed = 0;
        self.reported = Some(Instant::now());
    }
}

/// Says that the thread ended, however it did, and that nobody will write what comes now.
struct Ended(Arc<Shared>);

impl Drop for Ended {
    fn drop(&mut self) {
        for place in self.0.doors.places() {
            // Lines are left only where a sink panicked.
            let left = self.0.doors.at(place, |door| {
                door.close();
                door.take(&mut Vec::new())
            });
            self.0.count_dropped(left.unwrap_or_default());
        }
        let mut progress = self.0.progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.ended = true;
        self.0.progressed.notify_all();
    }
}
