//! How many calls at a time, how many wait, and how long.

use crate::support::raw::Raw;
use crate::support::{Gateway, Response};
use std::time::{Duration, Instant};

/// A gateway whose component takes one call at a time, with one such call under way.
fn busy(queue: u32, queue_time: &str) -> (Gateway, Raw) {
    let gateway = Gateway::with()
        .component_with("silent-stream", |guest| {
            guest
                .named("narrow")
                .limit("concurrency", 1)
                .limit("queue", i64::from(queue))
                .limit("queue_time", queue_time)
        })
        .component("hello")
        .start();
    let mut first = gateway.connect();
    first.write("GET / HTTP/1.1\r\nhost: narrow.test\r\n\r\n");
    let mut answer = first.head().unwrap();
    assert!(answer.status == 200 && first.chunk(&mut answer), "{answer:?}");
    (gateway, first)
}

fn is_saturated(answer: &Response) {
    answer.is_fault(503, "saturated");
    assert_eq!(answer.field("retry-after"), Some("1"), "{answer:?}");
}

#[test]
fn without_a_queue_the_next_call_is_refused_at_once() {
    let (gateway, first) = busy(0, "10s");
    let began = Instant::now();
    is_saturated(&gateway.get("narrow", "/"));
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "it waited {:?}",
        began.elapsed()
    );
    gateway.get("hello", "/").is(200);
    gateway.wait_metric("tidegate_component_saturated_total", &[("component", "narrow")], 1.0);
    // The place comes back when the client of the first call leaves.
    drop(first);
    gateway.wait_metric("tidegate_component_instances", &[("component", "narrow")], 0.0);
    let mut next = gateway.connect();
    next.write("GET / HTTP/1.1\r\nhost: narrow.test\r\n\r\n");
    assert_eq!(next.head().unwrap().status, 200);
}

#[test]
fn a_full_queue_refuses_and_a_place_goes_to_who_waits() {
    let (gateway, first) = busy(1, "60s");
    let mut second = gateway.connect();
    second.write("GET / HTTP/1.1\r\nhost: narrow.test\r\n\r\n");
    gateway.wait_metric("tidegate_component_queue_length", &[("component", "narrow")], 1.0);
    is_saturated(&gateway.get("narrow", "/"));
    drop(first);
    assert_eq!(second.head().unwrap().status, 200);
    gateway.wait_metric("tidegate_component_queue_length", &[("component", "narrow")], 0.0);
}

#[test]
fn nobody_waits_longer_than_the_queue_time() {
    let (gateway, _first) = busy(8, "300ms");
    let began = Instant::now();
    is_saturated(&gateway.get("narrow", "/"));
    let waited = began.elapsed();
    assert!(
        waited >= Duration::from_millis(300) && waited < Duration::from_secs(4),
        "{waited:?}"
    );
}

#[test]
fn a_client_that_leaves_the_queue_leaves_its_place() {
    let (gateway, _first) = busy(1, "60s");
    let mut second = gateway.connect();
    second.write("GET / HTTP/1.1\r\nhost: narrow.test\r\n\r\n");
    gateway.wait_metric("tidegate_component_queue_length", &[("component", "narrow")], 1.0);
    drop(second);
    gateway.wait_metric("tidegate_component_queue_length", &[("component", "narrow")], 0.0);
}
