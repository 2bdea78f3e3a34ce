//! Servers that fail, and times that run out: the guest is told how, its client is never given a wrong answer, and the
//! gateway goes on.

use super::{MODES, Mode, all, error, fetch, get, outgoing, pattern};
use crate::support::origin::{Full, Origin, Visit, nowhere};
use crate::support::{End, Gateway, wait};
use std::time::{Duration, Instant};

/// What a server sends instead of a whole answer, by the target it is asked for.
fn faulty(visit: &mut Visit) {
    while let Some(request) = visit.request() {
        let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        let close = match request.target.as_str() {
            "/closes" => "",
            "/resets" => return visit.reset(),
            "/half-a-head" => "HTTP/1.1 200 OK\r\ncontent-le",
            "/no-http" => "SSH-2.0-OpenSSH_9.6\r\n\r\n",
            "/bad-field" => "HTTP/1.1 200 OK\r\nno colon here\r\ncontent-length: 2\r\n\r\nok",
            "/bad-status" => "HTTP/1.1 20 OK\r\ncontent-length: 2\r\n\r\nok",
            "/bad-length" => "HTTP/1.1 200 OK\r\ncontent-length: 2x\r\n\r\nok",
            "/two-lengths" => "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\noks",
            "/switches" => "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
            "/huge-head" => {
                let field = format!("x-long: {}\r\n", "x".repeat(1000));
                visit.raw.write(format!("HTTP/1.1 200 OK\r\n{}\r\n", field.repeat(300)));
                return visit.until_closed();
            }
            "/bad-chunk" => &format!("{chunked}3\r\nabc\r\nxyz\r\n"),
            "/huge-chunk" => &format!("{chunked}3\r\nabc\r\nfffffffffffffffffff\r\n"),
            "/cut-chunk" => &format!("{chunked}3\r\nabc\r\n5\r\nab"),
            "/no-last-chunk" => &format!("{chunked}3\r\nabc\r\n"),
            "/cut-length" => "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nabc",
            "/reset-in-body" => {
                visit.raw.write("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nabc");
                visit.until_taken();
                return visit.reset();
            }
            "/ok" => {
                visit.raw.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
                continue;
            }
            other => panic!("{other}"),
        };
        visit.raw.write(close);
        return;
    }
}

#[test]
fn a_bad_head_is_an_error_with_a_name() {
    let origin = Origin::start(faulty);
    let gateway = all(&[&origin.grant()]).start();
    for mode in MODES {
        for (path, expected) in [
            ("/closes", "connection-terminated"),
            ("/resets", "connection-terminated"),
            ("/half-a-head", "connection-terminated"),
            ("/no-http", "HTTP-protocol-error"),
            ("/bad-field", "HTTP-protocol-error"),
            ("/bad-status", "HTTP-protocol-error"),
            ("/bad-length", "HTTP-protocol-error"),
            ("/two-lengths", "HTTP-protocol-error"),
            ("/switches", "HTTP-upgrade-failed"),
            ("/huge-head", "HTTP-response-header-section-size"),
        ] {
            assert_eq!(
                error(&gateway, mode, &origin.url(path), ""),
                expected,
                "{mode:?} {path}"
            );
            // Nothing of it is left for the next request.
            let answer = fetch(&gateway, mode, &origin.url("/ok"), "");
            assert_eq!(answer.is(200).text(), "ok", "{mode:?} after {path}");
        }
        assert_eq!(
            (outgoing(&gateway, mode, "failed"), outgoing(&gateway, mode, "ok")),
            (10.0, 10.0),
            "{mode:?}"
        );
    }
    wait::until_true("broken connections to be closed", || origin.open() <= 2 * MODES.len());
}

#[test]
fn a_broken_body_is_seen_as_broken() {
    let origin = Origin::start(faulty);
    let gateway = all(&[&origin.grant()]).start();
    for mode in MODES {
        for path in [
            "/bad-chunk",
            "/huge-chunk",
            "/cut-chunk",
            "/no-last-chunk",
            "/cut-length",
            "/reset-in-body",
        ] {
            let mut raw = gateway.connect();
            raw.write(get(mode, &origin.url(path), ""));
            // A guest that hears of it before its answer has begun makes an error of it, which is as clear.
            if let Some(answer) = raw.try_response() {
                let is_clear = answer.end == End::Cut || answer.status == 502;
                assert!(is_clear, "{mode:?} {path}: {answer:?}");
                assert!(
                    answer.status == 502 || b"abcab".starts_with(&answer.body),
                    "{mode:?} {path}: {answer:?}"
                );
            }
            let answer = fetch(&gateway, mode, &origin.url("/ok"), "");
            assert_eq!(answer.is(200).text(), "ok", "{mode:?} after {path}");
        }
    }
}

#[test]
fn an_answer_nobody_asked_for_is_given_to_nobody() {
    let origin = Origin::start(|visit| {
        while let Some(request) = visit.request() {
            let answer = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nmine";
            let forged = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged";
            let both = request.target == "/first";
            visit.raw.write(if both {
                format!("{answer}{forged}")
            } else {
                answer.to_owned()
            });
        }
    });
    let gateway = all(&[&origin.grant()]).set("workers", 1).start();
    for mode in MODES {
        for _ in 0..10 {
            assert_eq!(
                fetch(&gateway, mode, &origin.url("/first"), "").is(200).text(),
                "mine",
                "{mode:?}"
            );
            assert_eq!(
                fetch(&gateway, mode, &origin.url("/second"), "").is(200).text(),
                "mine",
                "{mode:?}"
            );
        }
    }
}

#[test]
fn an_answer_before_the_body_is_passed_on() {
    let origin = Origin::start(|visit| {
        // It has read the head alone, and closes without the body.
        if visit.head().is_some() {
            visit
                .raw
                .write("HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\nconnection: close\r\n\r\nbig");
            visit.raw.finish_writing();
            visit.until_closed();
        }
    });
    let gateway = all(&[&origin.grant()]).listener_limits("{ body = '1GiB' }").start();
    let body = pattern(64 * 1024);
    for mode in MODES {
        let target = super::target(&origin.url("/"), "");
        let mut raw = gateway.connect();
        raw.write(format!(
            "POST {target} HTTP/1.1\r\nhost: {}.test\r\ncontent-length: 1000000\r\n\r\n",
            mode.name
        ));
        raw.write(&body);
        let answer = raw.response();
        assert_eq!((answer.status, answer.text().as_str()), (413, "big"), "{mode:?}");
        drop(raw);
        wait::until_true("the server to be left", || origin.open() == 0);
    }
}

#[test]
fn nobody_listens_there() {
    let url = format!("http://{}/", nowhere());
    let gateway = all(&["http://127.0.0.1:*"]).start();
    for mode in MODES {
        assert_eq!(error(&gateway, mode, &url, ""), "connection-refused", "{mode:?}");
    }
}

/// Runs `ask`, and asserts that it took about `least`, and far less than the default of the time that ran out.
#[track_caller]
fn in_time<T>(what: Mode, least: Duration, ask: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let answer = ask();
    let took = began.elapsed();
    assert!(took >= least && took < Duration::from_secs(8), "{what:?}: {took:?}");
    answer
}

#[test]
fn a_connection_that_is_not_made_in_time() {
    let full = Full::start();
    let gateway = all(&["http://127.0.0.1:*"]).start();
    let url = format!("http://{}/", full.address);
    for mode in MODES {
        let said = in_time(mode, Duration::from_millis(300), || {
            error(&gateway, mode, &url, "&connect=300")
        });
        assert_eq!(said, "connection-timeout", "{mode:?}");
    }
}

#[test]
fn a_head_that_does_not_come_in_time() {
    let origin = Origin::silent();
    let gateway = all(&[&origin.grant()]).start();
    for mode in MODES {
        let first = Duration::from_millis(300);
        let said = in_time(mode, first, || error(&gateway, mode, &origin.url("/"), "&first=300"));
        assert_eq!(said, "HTTP-response-timeout", "{mode:?}");
        wait::until_true("the server to be left", || origin.open() == 0);
    }
}

#[test]
fn a_body_that_stops_coming() {
    let origin = Origin::start(|visit| {
        visit.request();
        visit.raw.write("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nsome");
        visit.until_closed();
    });
    let gateway = all(&[&origin.grant()]).start();
    for mode in MODES {
        let answer = in_time(mode, Duration::from_millis(300), || {
            let mut raw = gateway.connect();
            raw.write(get(mode, &origin.url("/"), "&between=300"));
            raw.response()
        });
        assert_eq!((answer.end, answer.text().as_str()), (End::Cut, "some"), "{mode:?}");
        wait::until_true("the server to be left", || origin.open() == 0);
    }
}

#[test]
fn a_body_that_is_slow_is_in_time() {
    let origin = Origin::start(|visit| {
        visit.request();
        visit.raw.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        for _ in 0..10 {
            // The server's own pace.
            std::thread::park_timeout(Duration::from_millis(60));
            visit.chunk(b"x");
        }
        visit.raw.write("0\r\n\r\n");
    });
    let gateway = all(&[&origin.grant()]).start();
    for mode in MODES {
        let answer = fetch(&gateway, mode, &origin.url("/"), "&between=400&first=15000");
        assert_eq!(
            (answer.end, answer.is(200).text().as_str()),
            (End::Complete, "xxxxxxxxxx"),
            "{mode:?}"
        );
    }
}

#[test]
fn the_gateway_goes_on() {
    let origin = Origin::start(faulty);
    let gateway: Gateway = all(&[&origin.grant()]).component("hello").start();
    for mode in MODES {
        for path in ["/closes", "/huge-head", "/cut-chunk", "/switches"] {
            let mut raw = gateway.connect();
            raw.write(get(mode, &origin.url(path), ""));
            raw.try_response();
        }
    }
    gateway.get("hello", "/").is(200);
    gateway.wait_metric("tidegate_requests_in_flight", &[], 0.0);
    gateway.wait_metric("tidegate_component_instances", &[], 0.0);
    for mode in MODES {
        gateway.wait_metric(
            "tidegate_component_outgoing_connections",
            &[("component", mode.name)],
            0.0,
        );
    }
}
