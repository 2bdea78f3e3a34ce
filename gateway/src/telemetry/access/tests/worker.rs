//! The thread's steps one at a time, where a race or a minute would otherwise be needed to see them.

use super::*;
use crate::telemetry::access::writer::REPORT_INTERVAL;

fn worker(sink: Sink) -> (mpsc::Sender<Record>, Worker, Arc<Shared>) {
    let metrics = Registry::new().gateway().access_log.clone();
    let shared = Arc::new(Shared::new(metrics, Query::Redacted));
    let (sender, receiver) = mpsc::channel(8);
    let output = Output::open(sink).expect("a sink").expect("on");
    (sender, Worker::new(receiver, output, Arc::clone(&shared)), shared)
}

#[test]
fn a_line_taken_after_reopen_is_in_the_new_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, old) = (folder.path().join("access.log"), folder.path().join("access.log.1"));
    let (sender, mut worker, shared) = worker(Sink::File(path.clone()));
    std::fs::rename(&path, &old).expect("rotated");
    // As when the request comes while a round is under way, past the look at the start of the loop.
    shared.reopen.store(true, Ordering::SeqCst);
    sender.try_send(record()).expect("room");
    worker.round();
    let lines = |path| std::fs::read_to_string(path).expect("a file").lines().count();
    assert_eq!((lines(&old), lines(&path)), (0, 1));
}

#[test]
fn losses_are_reported_at_once_and_then_once_a_minute() {
    let said = Kept::default();
    let writer = said.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let (_sender, mut worker, shared) = worker(Sink::Writer(Box::new(Kept::default())));
    tracing::subscriber::with_default(subscriber, || {
        worker.report(false);
        assert_eq!(said.text(), "", "nothing was lost");
        shared.drop_one();
        worker.report(false);
        assert!(said.text().contains("dropped=1 failed=0"), "{}", said.text());
        shared.drop_one();
        shared.drop_one();
        worker.report(false);
        assert_eq!(said.text().lines().count(), 1, "{}", said.text());
        worker.reported = Instant::now().checked_sub(REPORT_INTERVAL);
        assert!(worker.reported.is_some());
        worker.report(false);
        assert!(said.text().contains("dropped=2 failed=0"), "{}", said.text());
        shared.drop_one();
        worker.report(true);
        assert_eq!(said.text().lines().count(), 3, "the last report is not held back");
    });
}
