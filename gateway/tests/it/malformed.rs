//! Requests that must not pass, and odd ones that must, as bytes on a real socket.

use crate::golden::malformed::Case;
use crate::golden::{bodies, malformed, unusual};
use crate::support::{End, Gateway, Response};

/// All hosts and paths go to one component, whose calls are counted.
fn gateway() -> Gateway {
    Gateway::with()
        .component_with("hello-min", |hello| hello.named("counted").without_route())
        .route("{ component = 'counted' }")
        .start()
}

fn calls(gateway: &Gateway) -> f64 {
    gateway.metric("tidegate_component_calls_total", &[("component", "counted")])
}

/// Sends all of it and reads the answers to the end of the connection, which has to come.
pub(crate) fn answers(gateway: &Gateway, bytes: &[u8]) -> Vec<Response> {
    let mut raw = gateway.connect();
    raw.write(bytes);
    std::iter::from_fn(|| raw.try_response()).collect()
}

/// What is wrong with the answers to a case, if something is.
pub(crate) fn judge(case: &Case, answers: &[Response], expected: usize) -> Option<String> {
    let statuses = answers.iter().map(|answer| answer.status).collect::<Vec<_>>();
    let last = answers.last();
    let is_right = statuses.len() == expected
        && last.is_some_and(|last| last.status == case.status && last.field("connection") == Some("close"));
    (!is_right).then(|| {
        format!(
            "{}: expected {} after {} good, got {statuses:?} {last:?}",
            case.name,
            case.status,
            expected - 1
        )
    })
}

#[test]
fn nothing_malformed_reaches_a_handler() {
    let gateway = gateway();
    let mut wrong = Vec::new();
    for case in malformed::CASES {
        wrong.extend(judge(case, &answers(&gateway, case.bytes), 1));
        if calls(&gateway) != 0.0 {
            panic!("{} reached the handler; before it: {}", case.name, wrong.join("\n"));
        }
    }
    assert!(
        malformed::CASES.len() >= 80,
        "the table has {} cases",
        malformed::CASES.len()
    );
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        malformed::CASES.len(),
        wrong.join("\n")
    );
    let rejected = gateway.metric("tidegate_rejected_total", &[("listener", "public")]);
    assert_eq!(rejected, malformed::CASES.len() as f64);
}

#[test]
fn a_malformed_second_request_does_not_touch_the_first() {
    let gateway = gateway();
    let mut wrong = Vec::new();
    for (at, case) in malformed::PIPELINED.iter().enumerate() {
        let answers = answers(&gateway, case.bytes);
        wrong.extend(judge(case, &answers, 2));
        if answers.first().is_none_or(|first| first.status != 200) {
            wrong.push(format!("{}: the first request is good", case.name));
        }
        let calls = calls(&gateway);
        if calls != (at + 1) as f64 {
            wrong.push(format!("{}: {calls} calls, expected {}", case.name, at + 1));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn malformed_bodies_are_refused_or_cut() {
    let gateway = Gateway::with()
        .component_with("echo-stream", |echo| echo.named("counted").without_route())
        .route("{ component = 'counted' }")
        .start();
    let mut wrong = Vec::new();
    for case in bodies::CASES {
        let answers = answers(&gateway, case.bytes);
        // The guest sends its head before it reads: then only a cut body can say what happened.
        let is_right =
            |answer: &Response| answer.status == case.status || (answer.status == 200 && answer.end == End::Cut);
        if !matches!(answers.as_slice(), [answer] if is_right(answer)) {
            wrong.push(format!("{}: {answers:?}", case.name));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        bodies::CASES.len(),
        wrong.join("\n")
    );
    // The gateway is as good as before.
    let answer = gateway.send(
        "any",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\nconnection: close\r\n\r\ngood",
    );
    assert_eq!(answer.is(200).body, b"good");
    let rejected = gateway.metric("tidegate_rejected_total", &[("listener", "public")]);
    assert_eq!(rejected, bodies::CASES.len() as f64);
}

#[test]
fn malformed_bodies_end_with_400_where_no_head_is_out() {
    // This guest answers when it has read the whole body: the fault always comes first.
    let gateway = Gateway::with()
        .component_with("env-and-config", |guest| guest.named("counted").without_route())
        .route("{ component = 'counted' }")
        .start();
    let mut wrong = Vec::new();
    for case in bodies::CASES {
        let bytes = [
            b"POST /log",
            case.bytes.strip_prefix(b"POST /").expect("the cases are POST /"),
        ]
        .concat();
        let answers = answers(&gateway, &bytes);
        if !matches!(answers.as_slice(), [answer] if answer.status == case.status) {
            wrong.push(format!("{}: {answers:?}", case.name));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        bodies::CASES.len(),
        wrong.join("\n")
    );
}

#[test]
fn odd_and_valid_requests_pass() {
    let gateway = gateway();
    let mut wrong = Vec::new();
    let mut expected = 0;
    for case in unusual::CASES {
        // Valid, and about no path: there is nothing that a route could match.
        let is_nobodys = case.name == "options-star";
        expected += if is_nobodys { 0 } else { case.requests };
        let status = if is_nobodys { 404 } else { 200 };
        let mut raw = gateway.connect();
        raw.write(case.bytes);
        for _ in 0..case.requests {
            match raw.try_response() {
                Some(answer) if answer.status == status => {}
                other => wrong.push(format!("{}: {other:?}", case.name)),
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        unusual::CASES.len(),
        wrong.join("\n")
    );
    assert_eq!(calls(&gateway), expected as f64);
}

#[test]
fn a_head_may_come_byte_by_byte() {
    let gateway = gateway();
    let mut raw = gateway.connect();
    for byte in b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" {
        raw.write([*byte]);
    }
    raw.response().is(200);
    raw.is_closed();
}
