use super::probe::Answer;
use super::*;
use crate::native;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;

/// The native peer on a thread of its own; it ends with the test process.
fn native_server(body: &'static str) -> SocketAddr {
    let (tell, told) = mpsc::sync_channel(1);
    thread::spawn(move || {
        native::serve("127.0.0.1:0".parse().unwrap(), body.to_owned(), |address| {
            tell.send(address).unwrap()
        })
    });
    told.recv().unwrap()
}

/// A server that reads request heads and answers the n-th of each connection with what `answer(n)` says; `None`
/// closes the connection.
fn scripted_server(answer: fn(u64) -> Option<&'static str>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || talk(stream.unwrap(), answer));
        }
    });
    address
}

/// Runs the same connections again until what they saw together is enough: how fast this machine is today decides how
/// often, not whether.
fn load_until(address: SocketAddr, body: &str, enough: fn(&Seen) -> bool) -> Seen {
    let mut loader = Loader::connect(plan(address, body, Pace::Closed)).unwrap();
    let mut seen = Seen::default();
    for _ in 0..1000 {
        let report = loader.run(Duration::from_millis(10)).unwrap();
        seen.requests += report.requests;
        seen.errors += report.errors;
        seen.reconnects += report.reconnects;
        if enough(&seen) {
            return seen;
        }
    }
    panic!("never enough: {seen:?}");
}

#[derive(Debug, Default)]
struct Seen {
    requests: u64,
    errors: u64,
    reconnects: u64,
}

fn talk(mut stream: TcpStream, answer: fn(u64) -> Option<&'static str>) {
    stream.set_nodelay(true).unwrap();
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    for number in 0.. {
        while !lines.next().unwrap_or(Ok(String::new())).unwrap_or_default().is_empty() {}
        let Some(text) = answer(number) else { return };
        if stream.write_all(text.as_bytes()).is_err() {
            return;
        }
    }
}

fn plan(address: SocketAddr, body: &str, pace: Pace) -> Plan {
    Plan {
        address,
        authority: address.to_string(),
        path: "/".to_owned(),
        expected: Expected {
            status: 200,
            body: body.as_bytes().to_vec(),
        },
        connections: 4,
        pace,
    }
}

fn load(address: SocketAddr, body: &str, pace: Pace, for_ms: u64) -> Report {
    let mut loader = Loader::connect(plan(address, body, pace)).unwrap();
    loader.run(Duration::from_millis(for_ms)).unwrap()
}

#[test]
fn the_closed_loop_counts_every_right_answer_of_the_native_server() {
    let address = native_server("Hello from hyper\n");
    let answer = probe(address, "bench.test", "/").unwrap();
    assert_eq!(
        answer,
        Answer {
            status: 200,
            body: b"Hello from hyper\n".to_vec()
        }
    );

    let mut loader = Loader::connect(plan(address, "Hello from hyper\n", Pace::Closed)).unwrap();
    for _ in 0..2 {
        let report = loader.run(Duration::from_millis(200)).unwrap();
        report.require_right("native").unwrap();
        assert!(report.requests >= 4, "each connection asks at least once: {report:?}");
        assert_eq!(report.requests, report.latency.len());
        assert_eq!(report.late_us(1.0), 0.0, "nothing is due in a closed loop");
        assert_eq!(report.reconnects, 0);
        assert!(report.elapsed >= Duration::from_millis(200), "{report:?}");
        assert!(report.latency_us(0.5) > 0.0 && report.latency_us(0.5) <= report.latency_max_us());
    }
}

#[test]
fn the_open_loop_sends_at_its_rate() {
    let address = native_server("Hello");
    let report = load(address, "Hello", Pace::Open { per_second: 500.0 }, 400);
    report.require_right("native").unwrap();
    // Due at 0, 2, .. 398 ms: each is sent, however late this machine lets us run.
    assert_eq!(report.requests, 200);
    assert_eq!(report.late.len(), 200);
}

#[test]
fn the_open_loop_charges_a_stall_to_everyone_who_waited() {
    // One connection, an answer every 20 ms: at 100 requests a second half of them cannot be sent when due.
    let address = scripted_server(|_| {
        // Nobody unparks it: a server that takes its time.
        thread::park_timeout(Duration::from_millis(20));
        Some("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
    });
    let slow = Plan {
        connections: 1,
        ..plan(address, "ok", Pace::Open { per_second: 100.0 })
    };
    let report = Loader::connect(slow).unwrap().run(Duration::from_millis(400)).unwrap();
    report.require_right("slow").unwrap();
    assert_eq!(report.requests, 40);
    // The last of 40 was due at 390 ms and answered at 800 ms or later.
    assert!(report.latency_max_us() > 390_000.0, "{}", report.latency_max_us());
    // Waiting for the only connection is the server's doing; the loader sent as soon as it had it.
    let late = report.late_us(1.0);
    assert!(late > 0.0 && late < report.latency_max_us() - 300_000.0, "{late}");
}

#[test]
fn a_wrong_body_is_an_error() {
    let address = native_server("Hello");
    for wrong in ["Hellu", "Hell", "Hello!", ""] {
        let report = load(address, wrong, Pace::Closed, 50);
        assert_eq!(report.requests, 0, "{wrong:?}");
        assert!(report.errors > 0);
        let error = report.require_right("native").unwrap_err().to_string();
        assert!(error.contains("a body that differs"), "{error}");
    }
}

#[test]
fn a_wrong_status_is_an_error() {
    let address = scripted_server(|_| Some("HTTP/1.1 503 Busy\r\ncontent-length: 2\r\n\r\nok"));
    let report = load(address, "ok", Pace::Closed, 50);
    assert_eq!(report.first_error.as_deref(), Some("status 503 instead of 200"));
}

#[test]
fn one_wrong_answer_among_many_right_ones_fails_the_run() {
    let address = scripted_server(|number| {
        Some(match number {
            7 => "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nko",
            _ => "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        })
    });
    let seen = load_until(address, "ok", |seen| seen.errors > 0);
    // Seven right ones stand before the wrong one on its connection.
    assert!(seen.requests >= seen.errors * 7, "{seen:?}");
    let flaky = Report {
        requests: seen.requests,
        errors: 1,
        ..load(address, "ok", Pace::Closed, 10)
    };
    assert!(flaky.require_right("flaky").is_err());
}

#[test]
fn chunked_answers_are_read_and_an_announced_close_is_no_error() {
    let address = scripted_server(|number| match number {
        0 => Some("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\nx: y\r\n\r\n"),
        1 => Some("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok"),
        _ => None,
    });
    let seen = load_until(address, "ok", |seen| seen.reconnects >= 4);
    assert_eq!(seen.errors, 0, "{seen:?}");
    assert!(seen.requests >= 8, "{seen:?}");
}

#[test]
fn a_close_instead_of_an_answer_is_an_error() {
    let address = scripted_server(|_| None);
    let report = load(address, "ok", Pace::Closed, 50);
    assert_eq!(report.requests, 0);
    assert!(report.errors > 0);
}

#[test]
fn an_answer_with_something_behind_it_is_an_error() {
    let address = scripted_server(|_| Some("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok?"));
    let report = load(address, "ok", Pace::Closed, 50);
    let first = report.first_error.unwrap();
    assert!(
        first.contains("behind the end") || first.contains("no request asked for"),
        "{first}"
    );
}

#[test]
fn a_plan_that_could_send_nothing_is_refused() {
    let address = native_server("Hello");
    let none = Plan {
        connections: 0,
        ..plan(address, "Hello", Pace::Closed)
    };
    assert!(matches!(Loader::connect(none), Err(Error::Usage(_))));
    for per_second in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let never = plan(address, "Hello", Pace::Open { per_second });
        assert!(matches!(Loader::connect(never), Err(Error::Usage(_))), "{per_second}");
    }
}
