//! The thread's steps one at a time, where a race or a minute would otherwise be needed to see them.

use super::*;
use crate::telemetry::access::waiting::BATCH_BYTES;
use crate::telemetry::access::writer::{KEPT_BYTES, REPORT_INTERVAL};

fn worker(sink: Sink) -> (Worker, Arc<Shared>) {
    let metrics = Registry::new().gateway().access_log.clone();
    let shared = Arc::new(Shared::new(metrics, Query::Redacted, DOORS));
    let output = Output::open(sink).expect("a sink").expect("on");
    (Worker::new(output, Arc::clone(&shared)), shared)
}

#[test]
fn a_line_taken_after_reopen_is_in_the_new_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, old) = (folder.path().join("access.log"), folder.path().join("access.log.1"));
    let (mut worker, shared) = worker(Sink::File(path.clone()));
    shared.push(&record());
    assert!(worker.round());
    std::fs::rename(&path, &old).expect("rotated");
    shared.reopen.store(true, Ordering::SeqCst);
    shared.push(&record());
    shared.push(&record());
    assert!(worker.round());
    assert!(!worker.round());
    let lines = |path| std::fs::read_to_string(path).expect("a file").lines().count();
    assert_eq!((lines(&old), lines(&path)), (1, 2));
}

#[test]
fn the_thread_is_woken_once_for_each_batch() {
    let kept = Kept::default();
    let (mut worker, shared) = worker(Sink::Writer(Box::new(kept.clone())));
    let lines = 2 * BATCH_BYTES / line(&record(), Query::Redacted).len();
    for round in 1..=3 {
        let woken = (0..lines).filter(|_| shared.push(&record())).count();
        assert_eq!(woken, 1);
        worker.round();
        assert_eq!(kept.text().lines().count(), round * lines);
    }
    // Asleep, it is woken by the first line, and by that one only.
    shared.asleep.store(true, Ordering::SeqCst);
    let woken: Vec<bool> = (0..3).map(|_| shared.push(&record())).collect();
    assert_eq!(woken, [true, false, false]);
}

#[test]
fn a_buffer_is_used_again_and_gives_back_what_a_slow_sink_made_of_it() {
    let (mut worker, shared) = worker(Sink::Writer(Box::new(Kept::default())));
    let place = shared.doors.here();
    let room = || shared.doors.at(place, |door| door.lines.capacity()).expect("a part");
    while shared.doors.at(place, |door| door.lines.len()) < Some(2 * KEPT_BYTES) {
        shared.push(&record());
    }
    // It goes to the thread, and back to the door that has lines again.
    worker.round();
    assert_eq!(room(), 0);
    shared.push(&record());
    worker.round();
    let again = room();
    assert!((BATCH_BYTES..=KEPT_BYTES).contains(&again), "{again}");
    worker.round();
    assert_eq!(room(), again, "a round without lines leaves it where it is");
}

#[test]
fn losses_are_reported_at_once_and_then_once_a_minute() {
    let said = Kept::default();
    let writer = said.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let (mut worker, shared) = worker(Sink::Writer(Box::new(Kept::default())));
    tracing::subscriber::with_default(subscriber, || {
        worker.report(false);
        assert_eq!(said.text(), "", "nothing was lost");
        shared.count_dropped(1);
        worker.report(false);
        assert!(said.text().contains("dropped=1 failed=0"), "{}", said.text());
        shared.count_dropped(1);
        shared.count_dropped(1);
        worker.report(false);
        assert_eq!(said.text().lines().count(), 1, "{}", said.text());
        worker.reported = Instant::now().checked_sub(REPORT_INTERVAL);
        assert!(worker.reported.is_some());
        worker.report(false);
        assert!(said.text().contains("dropped=2 failed=0"), "{}", said.text());
        shared.count_dropped(1);
        worker.report(true);
        assert_eq!(said.text().lines().count(), 3, "the last report is not held back");
    });
}
