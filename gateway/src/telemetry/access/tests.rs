mod lines;
mod worker;

use std::io;
use std::sync::LazyLock;
use std::sync::atomic::AtomicUsize;

use serde_json::Value;

use super::*;
use crate::limits;
use crate::per_core;
use crate::telemetry::metrics::Registry;

const SOON: Duration = Duration::from_secs(10);
const DOORS: usize = 2;

/// A target that lives as long as the tests.
fn target(text: &str) -> &'static Uri {
    Box::leak(Box::new(text.parse().expect("a target")))
}

fn record() -> Record<'static> {
    static URI: LazyLock<Uri> = LazyLock::new(|| Uri::from_static("/a/b?token=secret"));
    Record {
        time: SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123),
        id: 0xab,
        trace: None,
        client: "127.0.0.1:5000".parse().expect("an address"),
        method: "GET",
        scheme: "https",
        version: Version::HTTP_2,
        host: Some(b"example.com"),
        uri: &URI,
        user_agent: None,
        status: 200,
        bytes_in: 1,
        bytes_out: 2,
        head: None,
        duration: Duration::from_micros(1500),
        route: None,
        component: None,
        server: None,
        outcome: "complete",
    }
}

fn line(record: &Record<'_>, query: Query) -> Vec<u8> {
    let mut out = Vec::new();
    format::line(&mut out, &mut format::Clock::default(), record, query);
    out
}

/// The ids of lines, in their order.
fn ids(text: &str) -> Vec<u128> {
    let id = |line: &str| serde_json::from_str::<Value>(line).expect("JSON")["id"].to_string();
    text.lines()
        .map(|line| u128::from_str_radix(id(line).trim_matches('"'), 16).expect("hex"))
        .collect()
}

/// A sink that keeps what it gets, lets nothing through while its gate is held, and fails on demand.
#[derive(Clone, Default)]
struct Kept {
    bytes: Arc<Mutex<Vec<u8>>>,
    gate: Arc<Mutex<()>>,
    entered: Arc<AtomicUsize>,
    /// Bytes taken before every further write fails.
    room: Arc<Mutex<Option<usize>>>,
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.entered.fetch_add(1, Ordering::SeqCst);
        let _gate = self.gate.lock().unwrap();
        let mut room = self.room.lock().unwrap();
        let taken = room.map_or(bytes.len(), |room| room.min(bytes.len()));
        if taken == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if let Some(room) = &mut *room {
            *room -= taken;
        }
        self.bytes.lock().unwrap().extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Kept {
    fn text(&self) -> String {
        String::from_utf8(self.bytes.lock().unwrap().clone()).expect("UTF-8")
    }
}

fn start(sink: Sink) -> (AccessLog, AccessLogWriter, Registry) {
    let registry = Registry::new();
    let metrics = registry.gateway().access_log.clone();
    let (log, writer) = AccessLog::start(sink, Query::Redacted, DOORS, metrics).expect("a log");
    (log, writer, registry)
}

fn count(registry: &Registry, what: &str) -> u64 {
    let series = format!("tidegate_access_log_{what}_total ");
    let text = registry.render();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(&series))
        .expect("a counter");
    line.parse().expect("a number")
}

/// Polls until `done`, and fails when it never is.
fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !done() {
        assert!(Instant::now() < deadline, "never: {what}");
        thread::yield_now();
    }
}

#[test]
fn a_flush_waits_for_every_line_before_it() {
    let kept = Kept::default();
    let (log, writer, registry) = start(Sink::Writer(Box::new(kept.clone())));
    for n in 1..=50 {
        log.write(&Record { id: n, ..record() });
        writer.flush(SOON).expect("flushed");
        assert_eq!(kept.text().lines().count(), n as usize);
    }
    assert_eq!(count(&registry, "lines"), 50);
}

#[test]
fn a_quiet_log_is_woken_by_a_line() {
    let kept = Kept::default();
    let (log, _writer, _registry) = start(Sink::Writer(Box::new(kept.clone())));
    let queue = log.queue.as_ref().expect("on");
    let began = Instant::now();
    for n in 1..=10 {
        until("asleep", || queue.shared.asleep.load(Ordering::SeqCst));
        log.write(&record());
        until("written", || kept.text().lines().count() == n);
    }
    // Unwoken, it looks once a second.
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn lines_of_many_doors_are_whole_and_each_doors_in_order() {
    let kept = Kept::default();
    let (log, writer, registry) = start(Sink::Writer(Box::new(kept.clone())));
    thread::scope(|scope| {
        // Two have doors of their own, two share what is for all other threads.
        for n in 0..4 {
            let log = log.clone();
            scope.spawn(move || {
                per_core::enter(n);
                for m in 0..2_000 {
                    let id = n as u128 * 10_000 + m;
                    log.write(&Record { id, ..record() });
                }
            });
        }
    });
    writer.shutdown(SOON).expect("ended");
    let ids = ids(&kept.text());
    assert_eq!(ids.len(), 8_000);
    for n in 0..4 {
        let own: Vec<u128> = ids.iter().copied().filter(|id| id / 10_000 == n).collect();
        let expected: Vec<u128> = (0..2_000).map(|m| n * 10_000 + m).collect();
        assert_eq!(own, expected, "thread {n}");
    }
    assert_eq!((count(&registry, "lines"), count(&registry, "dropped")), (8_000, 0));
}

#[test]
fn a_full_buffer_drops_and_counts_and_never_waits() {
    let kept = Kept::default();
    let (log, writer, registry) = start(Sink::Writer(Box::new(kept.clone())));
    let gate = kept.gate.lock().unwrap();
    log.write(&record());
    until("the sink blocks", || kept.entered.load(Ordering::SeqCst) == 1);
    let expected = line(&record(), Query::Redacted);
    let (room, extra) = (limits::ACCESS_LOG_DOOR_BYTES.div_ceil(expected.len()), 100);
    for _ in 0..room + extra {
        log.write(&record());
    }
    assert_eq!(count(&registry, "dropped"), extra as u64);
    thread::scope(|scope| {
        let other = || {
            per_core::enter(1);
            log.write(&record());
        };
        scope.spawn(other);
    });
    assert_eq!(count(&registry, "dropped"), extra as u64, "other doors have room");
    assert_eq!(
        writer.flush(Duration::ZERO),
        Err(AccessLogError::Stalled(Duration::ZERO))
    );
    drop(gate);
    writer.shutdown(SOON).expect("ended");
    let text = kept.text();
    assert_eq!(text.lines().count(), 1 + room + 1);
    assert!(
        text.lines()
            .all(|written| written.as_bytes() == &expected[..expected.len() - 1])
    );
}

#[test]
fn a_sink_that_fails_is_counted_and_used_again() {
    let kept = Kept::default();
    let (log, writer, registry) = start(Sink::Writer(Box::new(kept.clone())));
    let whole = line(&record(), Query::Redacted).len();
    // Room for one line and half of the next.
    *kept.room.lock().unwrap() = Some(whole + whole / 2);
    for _ in 0..3 {
        log.write(&record());
        writer.flush(SOON).expect("flushed");
    }
    assert_eq!((count(&registry, "lines"), count(&registry, "failed")), (1, 2));
    *kept.room.lock().unwrap() = None;
    log.write(&record());
    writer.shutdown(SOON).expect("ended");
    assert_eq!((count(&registry, "lines"), count(&registry, "failed")), (2, 2));
    let text = kept.text();
    let readable: Vec<bool> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).is_ok())
        .collect();
    assert_eq!(
        readable,
        [true, false, true],
        "the torn line must not spoil the next\n{text}"
    );
}

#[test]
fn a_sink_that_would_block_is_asked_again() {
    struct Busy(Kept, u32);
    impl Write for Busy {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.1 += 1;
            match self.1 % 3 {
                0 => self.0.write(bytes),
                1 => Err(io::ErrorKind::WouldBlock.into()),
                _ => Err(io::ErrorKind::Interrupted.into()),
            }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let kept = Kept::default();
    let (log, writer, registry) = start(Sink::Writer(Box::new(Busy(kept.clone(), 0))));
    log.write(&record());
    writer.shutdown(SOON).expect("ended");
    assert_eq!(kept.text().lines().count(), 1);
    assert_eq!(count(&registry, "failed"), 0);
}

#[test]
fn a_rotated_file_is_followed_after_reopen() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("access.log");
    let (log, writer, _registry) = start(Sink::File(path.clone()));
    let read = |path: &std::path::Path| std::fs::read_to_string(path).expect("a file");
    for round in 0..20u128 {
        let old = folder.path().join(format!("access.log.{round}"));
        let id = 2 * round;
        log.write(&Record { id, ..record() });
        writer.flush(SOON).expect("flushed");
        std::fs::rename(&path, &old).expect("rotated");
        writer.reopen();
        log.write(&Record { id: id + 1, ..record() });
        writer.flush(SOON).expect("flushed");
        let before: Vec<u128> = (id.saturating_sub(1)..=id).collect();
        assert_eq!(ids(&read(&old)), before);
        assert_eq!(ids(&read(&path)), [id + 1]);
    }
}

#[test]
fn a_file_that_cannot_be_reopened_leaves_the_old_one_in_use() {
    let folder = tempfile::tempdir().expect("a folder");
    let logs = folder.path().join("logs");
    std::fs::create_dir(&logs).expect("a folder");
    let (log, writer, registry) = start(Sink::File(logs.join("access.log")));
    std::fs::rename(&logs, folder.path().join("moved")).expect("moved");
    writer.reopen();
    log.write(&record());
    writer.shutdown(SOON).expect("ended");
    let text = std::fs::read_to_string(folder.path().join("moved/access.log")).expect("a file");
    assert_eq!(text.lines().count(), 1);
    assert_eq!(count(&registry, "failed"), 0);
}

#[test]
fn a_new_file_is_not_readable_by_others() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("access.log");
    let (_log, writer, _registry) = start(Sink::File(path.clone()));
    writer.shutdown(SOON).expect("ended");
    let mode = std::fs::metadata(&path).expect("a file").permissions().mode();
    assert_eq!(mode & 0o007, 0, "{mode:o}");
}

#[test]
fn a_file_that_cannot_be_opened_is_an_error_that_names_it() {
    let metrics = Registry::new().gateway().access_log.clone();
    let sink = Sink::File("/nonexistent/access.log".into());
    let error = AccessLog::start(sink, Query::Redacted, DOORS, metrics).expect_err("refused");
    assert!(error.to_string().contains("/nonexistent/access.log"), "{error}");
}

#[test]
fn lines_after_the_end_are_counted_as_dropped() {
    let kept = Kept::default();
    let (log, writer, registry) = start(Sink::Writer(Box::new(kept.clone())));
    log.write(&record());
    writer.shutdown(SOON).expect("ended");
    log.write(&record());
    assert_eq!(kept.text().lines().count(), 1);
    assert_eq!(count(&registry, "dropped"), 1);
}

#[test]
fn a_stalled_sink_does_not_hold_up_the_end() {
    let kept = Kept::default();
    let (log, writer, _registry) = start(Sink::Writer(Box::new(kept.clone())));
    let _gate = kept.gate.lock().unwrap();
    log.write(&record());
    let timeout = Duration::from_millis(20);
    assert_eq!(writer.shutdown(timeout), Err(AccessLogError::Stalled(timeout)));
}

#[test]
fn the_thread_ends_with_its_last_handle() {
    let kept = Kept::default();
    let (log, writer, _registry) = start(Sink::Writer(Box::new(kept.clone())));
    let shared = Arc::downgrade(&writer.running.as_ref().expect("running").shared);
    log.write(&record());
    drop(log);
    drop(writer);
    until("the thread let go", || shared.strong_count() == 0);
    assert_eq!(kept.text().lines().count(), 1);
}

#[test]
fn a_sink_that_panics_ends_the_log_and_nobody_waits_for_it() {
    struct Bad;
    impl Write for Bad {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            panic!("a sink of an embedder")
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (log, writer, registry) = start(Sink::Writer(Box::new(Bad)));
    log.write(&record());
    writer.flush(SOON).expect("not stalled");
    log.write(&record());
    assert_eq!(count(&registry, "dropped"), 1, "nobody is left to write it");
    writer.shutdown(SOON).expect("ended");
}

#[test]
fn off_is_off() {
    let (log, writer, _registry) = start(Sink::Off);
    assert!(!log.is_on());
    log.write(&record());
    writer.reopen();
    writer.flush(Duration::ZERO).expect("nothing to wait for");
    writer.shutdown(Duration::ZERO).expect("nothing to wait for");
}
