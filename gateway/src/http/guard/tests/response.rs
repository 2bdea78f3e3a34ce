//! The guard of responses: its bounds, its states, and where a connection may end.

mod golden;
mod oracle;
mod properties;

use super::super::fault::Fault;
use super::super::response::*;
use super::super::{Scan, Verdict};
use oracle::{Outcome, agreed, outcome};

const SMALL: ResponseLimits = ResponseLimits {
    head_bytes: 64,
    header_count: 3,
    interim_count: 2,
    chunk_line_bytes: 10,
    trailer_bytes: 24,
};

const GET: Asked = Asked {
    is_head: false,
    may_upgrade: false,
};

/// What a caller learns of bytes that come in one read.
fn whole(asked: Asked, bytes: &[u8]) -> Outcome {
    outcome(ResponseLimits::default(), asked, bytes, [])
}

fn scan(pass: usize, verdict: Verdict<BadResponse>) -> Scan<BadResponse> {
    Scan { pass, verdict }
}

/// Asserts that `bytes` passes under [`SMALL`], and is refused for `reason` with one more of `fill` at `place`.
#[track_caller]
fn bound(bytes: &str, place: &str, fill: &str, reason: impl Into<BadResponse>) {
    let reason = reason.into();
    let exact = outcome(SMALL, GET, bytes.as_bytes(), []);
    assert_eq!((exact.passed, exact.verdict), (bytes.len(), Verdict::Ok), "{exact:?}");
    let over = bytes.replacen(place, &format!("{fill}{place}"), 1);
    for ends in [vec![], (0..over.len()).collect()] {
        let outcome = outcome(SMALL, GET, over.as_bytes(), ends);
        assert_eq!(outcome.verdict, Verdict::Reject(reason), "{outcome:?}");
    }
}

#[test]
fn bounds_are_inclusive() {
    let head = format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "b".repeat(64 - 24));
    assert_eq!(head.len(), 64);
    bound(&head, "bb", "b", Fault::HeadBytes);
    let reason = format!("HTTP/1.1 200 {}\r\n\r\n", "b".repeat(64 - 17));
    bound(&reason, "bb", "b", Fault::HeadBytes);
    bound(
        "HTTP/1.1 200\r\nA:\r\nB:\r\nC:\r\n\r\n",
        "B:",
        "D:\r\n",
        Fault::FieldCount,
    );
    let interim = "HTTP/1.1 103\r\n\r\n";
    let last = "HTTP/1.1 200\r\nA:\r\n\r\n";
    bound(&[interim, interim, last].concat(), last, interim, BadResponse::Interims);
    let chunked = "HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n";
    bound(
        &format!("{chunked}1;abcdef\r\nx\r\n0\r\n\r\n"),
        "abcdef",
        "g",
        Fault::ChunkLineBytes,
    );
    let extensions = "1;abcde\r\nx\r\n".repeat(4);
    bound(
        &format!("{chunked}{extensions}0\r\n\r\n"),
        "0\r\n\r\n",
        "1;a\r\nx\r\n",
        Fault::ChunkExtensionBytes,
    );
    bound(
        &format!("{chunked}0\r\nA: {}\r\n\r\n", "5".repeat(24 - 7)),
        "5",
        "5",
        Fault::TrailerBytes,
    );
    bound(
        &format!("{chunked}0\r\nA:\r\nB:\r\nC:\r\n\r\n"),
        "A:",
        "D:\r\n",
        Fault::TrailerCount,
    );
}

#[test]
fn bounds_are_told_at_the_first_byte_beyond() {
    let chunked = "HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n";
    let unfinished = [
        (format!("HTTP/1.1 200 {}", "a".repeat(64 - 13)), Fault::HeadBytes),
        (format!("HTTP/1.1 200 OK\r\nA{}", "a".repeat(64 - 18)), Fault::HeadBytes),
        (format!("{chunked}1;abcdefgh"), Fault::ChunkLineBytes),
        (format!("{chunked}0\r\nA: {}", "b".repeat(24 - 3)), Fault::TrailerBytes),
    ];
    for (exact, fault) in unfinished {
        let verdict = |bytes: &str| outcome(SMALL, GET, bytes.as_bytes(), []).verdict;
        assert_eq!(verdict(&exact), Verdict::NeedMore, "{exact}");
        assert_eq!(verdict(&format!("{exact}x")), Verdict::Reject(fault.into()), "{exact}");
    }
}

/// What the guard passes at its own bounds hyper must not refuse at its.
#[test]
fn hyper_bears_what_is_within_the_bounds() {
    let limits = ResponseLimits::default();
    let front = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: ";
    let filling = "a".repeat(limits.head_bytes - front.len() - 4);
    let long_head = format!("{front}{filling}\r\n\r\nok");
    let interims = format!("HTTP/1.1 103\r\nX: {}\r\n\r\n", "a".repeat(limits.head_bytes - 21));
    let many_long = format!("{}{long_head}", interims.repeat(limits.interim_count));
    let fields = "x: y\r\n".repeat(limits.header_count - 1);
    let many_fields = format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 2\r\n\r\nok");
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let line = format!("2;{}\r\nok\r\n", "a".repeat(limits.chunk_line_bytes - 4));
    let long_line = format!("{chunked}{line}0\r\n\r\n");
    let extensions = "1;234567\r\nx\r\n".repeat(limits.trailer_bytes / 7);
    let many_extensions = format!("{chunked}{extensions}0\r\n\r\n");
    let filling = "a".repeat(limits.trailer_bytes - "X: \r\n\r\n".len());
    let long_trailers = format!("{chunked}2\r\nok\r\n0\r\nX: {filling}\r\n\r\n");
    let trailers = "x: y\r\n".repeat(limits.header_count);
    let many_trailers = format!("{chunked}2\r\nok\r\n0\r\n{trailers}\r\n");
    for bytes in [
        long_head,
        many_long,
        many_fields,
        long_line,
        many_extensions,
        long_trailers,
        many_trailers,
    ] {
        let outcome = outcome(limits, GET, bytes.as_bytes(), []);
        let front = &bytes[..64];
        assert_eq!((outcome.passed, outcome.state), (bytes.len(), At::Idle), "{front}");
        let seen = agreed(GET, bytes.as_bytes()).expect("a response");
        assert!(seen.body.is_some(), "{front}");
    }
}

#[test]
fn states_follow_the_bytes() {
    let mut guard = ResponseGuard::new(ResponseLimits::default());
    assert_eq!(guard.state(), At::Idle);
    guard.expects(GET);
    assert_eq!(guard.state(), At::BeforeHead);
    assert_eq!(guard.scan(b""), scan(0, Verdict::Ok));
    assert_eq!(guard.scan(b"H"), scan(0, Verdict::NeedMore));
    assert_eq!(guard.state(), At::InHead);
    let interim = b"HTTP/1.1 100\r\n\r\n";
    assert_eq!(guard.scan(interim), scan(interim.len(), Verdict::Ok));
    assert_eq!(guard.state(), At::BeforeHead);
    let head = b"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhe";
    assert_eq!(guard.scan(head), scan(head.len(), Verdict::Ok));
    assert_eq!(guard.state(), At::InBody { left: Some(3) });
    assert_eq!(guard.scan(b"llo"), scan(3, Verdict::Ok));
    assert_eq!(guard.state(), At::Idle);

    guard.expects(GET);
    let head = b"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(guard.scan(head), scan(head.len(), Verdict::Ok));
    assert_eq!(guard.scan(b"5\r\nhello\r"), scan(8, Verdict::NeedMore));
    assert_eq!(guard.state(), At::InBody { left: None });
    assert_eq!(guard.scan(b"\r\n0\r\nX: y\r\n"), scan(5, Verdict::NeedMore));
    assert_eq!(guard.scan(b"X: y\r\n\r\n"), scan(8, Verdict::Ok));
    assert_eq!(guard.state(), At::Idle);

    guard.expects(GET);
    let head = b"HTTP/1.1 200\r\n\r\n";
    assert_eq!(guard.scan(head), scan(head.len(), Verdict::Ok));
    assert_eq!(guard.state(), At::UntilClose);
    // Only its end ends it: no other response can follow.
    guard.expects(GET);
    assert_eq!(guard.state(), At::UntilClose);
}

#[test]
fn nothing_is_passed_that_was_not_asked_for() {
    let ok = b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n";
    let unasked = scan(0, Verdict::Reject(BadResponse::Unasked));
    // Before the first request; a request that comes later is not answered by it.
    let mut guard = ResponseGuard::new(ResponseLimits::default());
    assert_eq!(guard.scan(ok), unasked);
    guard.expects(GET);
    assert_eq!(guard.scan(ok), unasked);
    assert_eq!(guard.state(), At::Refused);
    // Behind an answer.
    let mut guard = ResponseGuard::new(ResponseLimits::default());
    for _ in 0..3 {
        guard.expects(GET);
        assert_eq!(guard.scan(ok), scan(ok.len(), Verdict::Ok));
    }
    assert_eq!(guard.scan(ok), unasked);
    // Two requests at once.
    let mut guard = ResponseGuard::new(ResponseLimits::default());
    guard.expects(GET);
    guard.expects(GET);
    let two = [&ok[..], ok].concat();
    assert_eq!(
        guard.scan(&two),
        Scan {
            pass: ok.len(),
            ..unasked
        }
    );
}

/// A request's kind and its interim responses are forgotten with it.
#[test]
fn each_request_is_answered_by_itself() {
    let mut guard = ResponseGuard::new(SMALL);
    let interims = b"HTTP/1.1 103\r\n\r\nHTTP/1.1 103\r\n\r\n";
    let length = b"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\n";
    let kinds = [
        (true, false, At::Idle),
        (false, false, At::InBody { left: Some(5) }),
        (true, false, At::Idle),
        (false, true, At::InBody { left: Some(5) }),
    ];
    for (is_head, may_upgrade, state) in kinds {
        guard.expects(Asked { is_head, may_upgrade });
        assert_eq!(guard.scan(interims), scan(interims.len(), Verdict::Ok));
        assert_eq!(guard.scan(length), scan(length.len(), Verdict::Ok));
        assert_eq!((guard.state(), guard.interims()), (state, 2));
        if state != At::Idle {
            assert_eq!(guard.scan(b"hello"), scan(5, Verdict::Ok));
        }
    }
    let switch = b"HTTP/1.1 101\r\nUpgrade: b\r\n\r\n";
    guard.expects(GET);
    assert_eq!(guard.scan(switch), scan(0, Verdict::Reject(BadResponse::Upgrade)));
}

#[test]
fn a_tunnel_carries_anything() {
    let mut guard = ResponseGuard::new(ResponseLimits::default());
    guard.expects(Asked {
        is_head: false,
        may_upgrade: true,
    });
    let switch = b"HTTP/1.1 101\r\nUpgrade: b\r\n\r\n\x81\0";
    assert_eq!(guard.scan(switch), scan(switch.len(), Verdict::Ok));
    for bytes in [&b"\r\n\r\n"[..], b"HTTP/9", b"\0"] {
        assert_eq!(guard.scan(bytes), scan(bytes.len(), Verdict::Ok));
        assert_eq!(guard.state(), At::Tunnel);
    }
}

/// As with requests: bytes that were judged are not looked at again, however a head trickles in.
#[test]
fn a_partial_head_is_not_read_twice() {
    let mut guard = ResponseGuard::new(ResponseLimits::default());
    guard.expects(GET);
    let mut head = b"HTTP/1.1 404 Gone\r\nX: value\r\n".to_vec();
    assert_eq!(guard.scan(&head), scan(0, Verdict::NeedMore));
    for part in [&b"HTTP"[..], b"404", b"Gone", b"X", b"value"] {
        let at = head
            .windows(part.len())
            .position(|window| window == part)
            .expect("is there");
        head[at] = 0;
    }
    head.extend(b"\r\n");
    assert_eq!(guard.scan(&head), scan(head.len(), Verdict::Ok));
}
