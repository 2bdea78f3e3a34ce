//! The guard's bounds, its states, its memory of what it has seen, and who it takes a request to be for.

#[path = "../../../tests/it/golden/bodies.rs"]
mod bodies;
mod golden;
#[path = "../../../tests/it/golden/malformed.rs"]
mod malformed;
mod oracle;
mod properties;
mod response;
#[path = "../../../tests/it/golden/responses.rs"]
mod responses;
#[path = "../../../tests/it/golden/unusual.rs"]
mod unusual;

use super::authority::Authority;
use super::*;
use oracle::outcome;

const SMALL: HeadLimits = HeadLimits {
    head_bytes: 64,
    header_count: 3,
    uri_bytes: 8,
    chunk_line_bytes: 10,
    trailer_bytes: 24,
};

/// Asserts that `bytes` passes under [`SMALL`], and is refused with `code` with one more of `fill` at `place`.
#[track_caller]
fn bound(bytes: &str, place: &str, fill: &str, code: &str) {
    let exact = outcome(SMALL, bytes.as_bytes(), []);
    assert_eq!((exact.passed, exact.verdict), (bytes.len(), Verdict::Ok), "{exact:?}");
    let over = bytes.replacen(place, &format!("{fill}{place}"), 1);
    for ends in [vec![], (0..over.len()).collect()] {
        let outcome = outcome(SMALL, over.as_bytes(), ends);
        assert!(
            matches!(outcome.verdict, Verdict::Reject(rejection) if rejection.code == code),
            "{outcome:?}"
        );
    }
}

#[test]
fn bounds_are_inclusive() {
    bound("GET /1234567 HTTP/1.1\r\nHost: a\r\n\r\n", "1234567", "x", "uri-bytes");
    bound("GET /?234567 HTTP/1.1\r\nHost: a\r\n\r\n", "234567", "?", "uri-bytes");
    bound(
        "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nC: d\r\n\r\n",
        "A:",
        "E: f\r\n",
        "head-fields",
    );
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\nA: {}\r\n\r\n", "b".repeat(64 - 32));
    assert_eq!(head.len(), 64);
    bound(&head, "bb", "b", "head-bytes");
    bound(
        &format!("\r\n{}", head.replacen("bbb", "b", 1)),
        "bb",
        "b",
        "head-bytes",
    );
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    bound(
        &format!("{chunked}1;abcdef\r\nx\r\n0\r\n\r\n"),
        "abcdef",
        "g",
        "chunk-line-bytes",
    );
    let extensions = "1;abcde\r\nx\r\n".repeat(4);
    bound(
        &format!("{chunked}{extensions}0\r\n\r\n"),
        "0\r\n\r\n",
        "1;\r\n",
        "chunk-extension",
    );
    bound(
        &format!("{chunked}{extensions}0\r\n\r\n"),
        "0\r\n\r\n",
        "1;a\r\nx\r\n",
        "chunk-extension-bytes",
    );
    bound(
        &format!("{chunked}0\r\nA: 45678901234567890\r\n\r\n"),
        "567",
        "x",
        "trailer-bytes",
    );
    bound(
        &format!("{chunked}0\r\nA:\r\nB:\r\nC:\r\n\r\n"),
        "A:",
        "D:\r\n",
        "trailer-fields",
    );
}

#[test]
fn bounds_are_told_at_the_first_byte_beyond() {
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let unfinished = [
        ("GET /1234567".to_owned(), "uri-bytes"),
        ("G".repeat(64), "head-bytes"),
        (format!("GET / HTTP/1.1\r\nHost: {}", "a".repeat(42)), "head-bytes"),
        (format!("{chunked}1;abcdefgh"), "chunk-line-bytes"),
        (format!("{chunked}0\r\nA: {}", "b".repeat(21)), "trailer-bytes"),
    ];
    for (exact, code) in unfinished {
        assert_eq!(
            outcome(SMALL, exact.as_bytes(), []).verdict,
            Verdict::NeedMore,
            "{exact}"
        );
        let over = format!("{exact}x");
        let verdict = outcome(SMALL, over.as_bytes(), []).verdict;
        assert!(
            matches!(verdict, Verdict::Reject(rejection) if rejection.code == code),
            "{over}: {verdict:?}"
        );
    }
}

/// Where heads may be longer than that.
#[test]
fn a_name_is_no_longer_than_http_can_hold() {
    let limits = HeadLimits {
        head_bytes: 128 * 1024,
        ..HeadLimits::default()
    };
    for (bytes, is_good) in [(65_535, true), (65_536, false)] {
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{}: b\r\n\r\n", "x".repeat(bytes));
        let outcome = outcome(limits, head.as_bytes(), []);
        assert_eq!(outcome.verdict == Verdict::Ok, is_good, "{outcome:?}");
        if is_good {
            oracle::agrees_with_httparse(head.as_bytes(), 1);
        }
    }
}

#[test]
fn each_body_has_its_own_budget_of_extensions() {
    let request = format!(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n",
        "1;abcde\r\nx\r\n".repeat(4)
    );
    let twice = request.repeat(2);
    let outcome = outcome(SMALL, twice.as_bytes(), []);
    assert_eq!((outcome.verdict, outcome.heads), (Verdict::Ok, 2));
}

#[test]
fn states_follow_the_bytes() {
    let mut guard = Guard::new(HeadLimits::default());
    assert_eq!(guard.state(), Where::BetweenRequests);
    assert_eq!(
        guard.scan(b""),
        Scan {
            pass: 0,
            verdict: Verdict::Ok
        }
    );
    assert_eq!(
        guard.scan(b"\r\n"),
        Scan {
            pass: 0,
            verdict: Verdict::NeedMore
        }
    );
    assert_eq!(guard.state(), Where::BetweenRequests);
    assert_eq!(
        guard.scan(b"\r\nP"),
        Scan {
            pass: 0,
            verdict: Verdict::NeedMore
        }
    );
    assert_eq!(guard.state(), Where::InHead);
    let head = b"\r\nPOST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe";
    assert_eq!(
        guard.scan(head),
        Scan {
            pass: head.len(),
            verdict: Verdict::Ok
        }
    );
    assert_eq!((guard.state(), guard.heads()), (Where::InBody { left: Some(3) }, 1));
    assert_eq!(
        guard.scan(b"lloG"),
        Scan {
            pass: 3,
            verdict: Verdict::NeedMore
        }
    );
    assert_eq!((guard.state(), guard.heads()), (Where::InHead, 1));
    let head = b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(
        guard.scan(head),
        Scan {
            pass: head.len(),
            verdict: Verdict::Ok
        }
    );
    assert_eq!((guard.state(), guard.heads()), (Where::InBody { left: None }, 2));
    assert_eq!(
        guard.scan(b"5\r\nhello\r"),
        Scan {
            pass: 8,
            verdict: Verdict::NeedMore
        }
    );
    assert_eq!(guard.state(), Where::InBody { left: None });
    assert_eq!(
        guard.scan(b"\r\n0\r\nX: y\r\n"),
        Scan {
            pass: 5,
            verdict: Verdict::NeedMore
        }
    );
    assert_eq!(guard.state(), Where::InBody { left: None });
    assert_eq!(
        guard.scan(b"X: y\r\n\r\n"),
        Scan {
            pass: 8,
            verdict: Verdict::Ok
        }
    );
    assert_eq!((guard.state(), guard.heads()), (Where::BetweenRequests, 2));
}

#[test]
fn a_rejection_stays() {
    let mut guard = Guard::new(HeadLimits::default());
    let first = guard.scan(b"\n");
    assert!(matches!(
        first.verdict,
        Verdict::Reject(Rejection { code: "bare-lf", .. })
    ));
    for input in [&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..], b""] {
        assert_eq!(guard.scan(input), first);
    }
    assert_eq!(guard.state(), Where::Rejected);
}

/// Requests, and whether the guard waits behind them.
const UPGRADES: &[(bool, &str)] = &[
    (
        true,
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    ),
    (
        true,
        "GET / HTTP/1.1\r\nupgrade: a, b\r\nHost: a\r\nconnection: keep-alive ,\tUPGRADE\r\n\r\n",
    ),
    (
        true,
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nConnection: close\r\nUpgrade: b\r\n\r\n",
    ),
    (
        true,
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: b\r\nContent-Length: 0\r\n\r\n",
    ),
    (
        false,
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nUpgrade: websocket\r\n\r\n",
    ),
    (false, "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n\r\n"),
    (
        false,
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: \"upgrade\"\r\nUpgrade: b\r\n\r\n",
    ),
    (
        false,
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrades, up grade\r\nUpgrade: b\r\n\r\n",
    ),
    (
        false,
        "GET / HTTP/1.1\r\nHost: a\r\nX-Connection: upgrade\r\nX-Upgrade: b\r\n\r\n",
    ),
    (
        false,
        "GET / HTTP/1.0\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: b\r\n\r\n",
    ),
    (
        false,
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: b\r\n\r\n",
    ),
    (
        false,
        "get / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: b\r\n\r\n",
    ),
    (
        false,
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: b\r\nContent-Length: 1\r\n\r\nx",
    ),
    (
        false,
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: b\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
];

#[test]
fn what_is_behind_a_head_that_may_leave_http_waits() {
    let before = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nxy";
    let behind = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n\n";
    for (waits, request) in UPGRADES {
        let bytes = [before, request, behind].concat().into_bytes();
        for cut in 0..bytes.len() {
            let mut guard = Guard::new(HeadLimits::default());
            let first = guard.scan(&bytes[..cut]).pass;
            let scan = guard.scan(&bytes[first..]);
            let passed = first + scan.pass;
            if !waits {
                assert_eq!((passed, guard.state()), (bytes.len() - 1, Where::Rejected), "{request}");
                continue;
            }
            let paused = (before.len() + request.len(), Verdict::NeedMore, Where::MayUpgrade, 2);
            assert_eq!(
                (passed, scan.verdict, guard.state(), guard.heads()),
                paused,
                "{request}"
            );
            let rest = &bytes[passed..];
            for _ in 0..2 {
                let scan = guard.scan(rest);
                assert_eq!((scan.pass, scan.verdict, guard.state()), (0, paused.1, paused.2));
            }
            guard.resume();
            assert_eq!(guard.state(), Where::BetweenRequests);
            let scan = guard.scan(rest);
            assert_eq!(
                (scan.pass, guard.heads(), guard.state()),
                (rest.len() - 1, 3, Where::Rejected)
            );
        }
    }
}

/// Only behind such a head: elsewhere there is nothing to go on with.
#[test]
fn resuming_changes_nothing_elsewhere() {
    let stream = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\nGET";
    let mut guard = Guard::new(HeadLimits::default());
    let mut passed = 0;
    for end in 0..=stream.len() {
        passed += guard.scan(&stream[passed..end]).pass;
        let state = guard.state();
        guard.resume();
        assert_eq!(guard.state(), state);
    }
    assert_eq!((passed, guard.state()), (stream.len() - 3, Where::InHead));
}

/// A trickled head must not cost the square of its length, so bytes that were judged are not looked at again. That
/// shows when they change between two scans, which no caller does.
#[test]
fn a_partial_head_is_not_read_twice() {
    let mut guard = Guard::new(HeadLimits::default());
    let mut head = b"GET /path HTTP/1.1\r\nHost: a\r\nX: value\r\n".to_vec();
    assert_eq!(
        guard.scan(&head),
        Scan {
            pass: 0,
            verdict: Verdict::NeedMore
        }
    );
    for name in [&b"path"[..], b"X", b"value"] {
        let at = head
            .windows(name.len())
            .position(|window| window == name)
            .expect("is there");
        head[at] = 0;
    }
    head.extend(b"\r\n");
    assert_eq!(
        guard.scan(&head),
        Scan {
            pass: head.len(),
            verdict: Verdict::Ok
        }
    );
}

#[test]
fn authorities_agree_on_host_and_port() {
    let parse = |text: &'static str| Authority::parse(text.as_bytes());
    let agree = |one, other, port| {
        let (one, other) = (parse(one).expect(one), parse(other).expect(other));
        assert_eq!(one.agrees(&other, port), other.agrees(&one, port));
        one.agrees(&other, port)
    };
    assert!(agree("a", "A", 80));
    assert!(agree("a", "a:80", 80));
    assert!(agree("a:", "a:080", 80));
    assert!(agree("[::1]:443", "[::1]", 443));
    assert!(agree("a:8080", "a:8080", 80));
    assert!(!agree("a", "b", 80));
    assert!(!agree("a", "a.", 80));
    assert!(!agree("a", "a:80", 443));
    assert!(!agree("a:81", "a:80", 80));
    assert!(!agree("[::1]", "[::2]", 80));
    for wrong in [
        "", ":", "@", "u@a", "a:65536", "a:-1", "[::1", "[::1]1", "::1", "a/", "a b", "a,b", "..", ".",
    ] {
        assert_eq!(parse(wrong), None, "{wrong}");
    }
}

#[test]
fn one_authority_is_agreed_on() {
    let code = |named: Option<&'static str>, hosts: &[&'static str]| {
        let hosts: Vec<_> = hosts.iter().map(|host| host.as_bytes()).collect();
        match agreed(named.map(str::as_bytes), hosts, 443) {
            Ok(authority) => Ok(authority.map(|authority| authority.host)),
            Err(rejection) => Err(rejection.code),
        }
    };
    assert_eq!(code(None, &[]), Ok(None));
    assert_eq!(code(Some("a"), &[]), Ok(Some(&b"a"[..])));
    assert_eq!(code(None, &["a"]), Ok(Some(&b"a"[..])));
    assert_eq!(code(Some("a"), &["A:443"]), Ok(Some(&b"a"[..])));
    assert_eq!(code(Some("a"), &["b"]), Err("authority-mismatch"));
    assert_eq!(code(Some("a"), &["a", "a"]), Err("host-repeated"));
    assert_eq!(code(Some("a"), &[""]), Err("host-invalid"));
    assert_eq!(code(Some(""), &["a"]), Err("authority"));
    assert_eq!(code(Some("u@a"), &["a"]), Err("userinfo"));
}
