//! Answers that come while the request is still on its way, and requests that nobody takes.

use super::{HOST, ONCE, SHORT, SHORT_TIME, api, failed, get, head, in_time, is_own, is_quiet, ok, own};
use crate::support::client::Upload;
use crate::support::origin::{Origin, Visit};
use crate::support::{Client, End, Gateway, Protocol, wait};
use socket2::SockRef;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// The rest of a request's body, which would be a request if it were taken for one.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nhost: api.test\r\n\r\n";

/// Answers `/early` when it has its head, and reads on as if nothing were; other requests as they come.
fn early(visit: &mut Visit, targets: &AtomicUsize) {
    while let Some(request) = visit.head() {
        if request.target != "/early" {
            targets.fetch_add(1, Ordering::SeqCst);
        }
        visit.raw.write(own(&request));
    }
}

#[test]
fn an_early_answer_is_passed_on_and_the_rest_of_the_request_is_no_request() {
    for coding in ["content-length", "chunked"] {
        let others = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&others);
        // It takes what is left of a body for requests: it must never get it.
        let origin = Origin::start(move |visit| early(visit, &count));
        let gateway = api(&[origin.address], ONCE).set("workers", 1).start();
        let mut raw = gateway.connect();
        let (field, first, rest) = if coding == "chunked" {
            let rest = format!("{:x}\r\n{SMUGGLED}\r\n0\r\n\r\n", SMUGGLED.len());
            ("transfer-encoding: chunked\r\n".to_owned(), "4\r\nsome\r\n", rest)
        } else {
            let field = format!("content-length: {}\r\n", "some".len() + SMUGGLED.len());
            (field, "some", SMUGGLED.to_owned())
        };
        raw.write(head("POST", "/early", &field) + first);
        let answer = raw.response();
        assert_eq!(
            (answer.end, answer.is(200).text().as_str()),
            (End::Complete, "POST /early")
        );
        // The server's connection has half a request on it.
        wait::until_true("the server's connection to be closed", || origin.open() == 0);
        raw.write(rest + &get("/behind"));
        // Either the client is told that the connection ends, or it is answered what it asked for.
        if let Some(behind) = raw.try_response() {
            assert_eq!(behind.is(200).text(), "GET /behind", "{coding}");
            assert_ne!(answer.field("connection"), Some("close"));
        }
        is_own(&mut gateway.connect(), "/next");
        assert!(
            others.load(Ordering::SeqCst) <= 2,
            "{coding}: the server saw a request of nobody's"
        );
        is_quiet(&gateway);
    }
}

#[test]
fn an_early_answer_to_a_stream_is_passed_on() {
    let others = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&others);
    let origin = Origin::start(move |visit| early(visit, &count));
    let gateway = api(&[origin.address], ONCE).set("workers", 1).start();
    let mut client = Client::connect(Protocol::H2, gateway.address());
    let (mut upload, response) = client.begin(client_request(&client, "/early"));
    upload.send("some");
    let (head, mut download) = response().expect("an answer");
    assert_eq!(head.status, 200);
    assert_eq!(download.data().expect("a body").as_deref(), Some(&b"POST /early"[..]));
    assert_eq!(download.data().expect("the end"), None);
    wait::until_true("the server's connection to be closed", || origin.open() == 0);
    // RFC 9113 §8.1: nobody wants the rest.
    upload.send(SMUGGLED);
    upload.finish(None);
    assert_eq!(client.get(HOST, "/next").text(), "GET /next");
    assert_eq!(others.load(Ordering::SeqCst), 1);
}

fn client_request(client: &Client, target: &str) -> http::Request<()> {
    client.request("POST", HOST, target)
}

#[test]
fn an_answer_before_the_body_whose_server_leaves() {
    let origin = Origin::start(|visit| {
        if visit.head().is_some() {
            let answer = "HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\nconnection: close\r\n\r\nbig";
            visit.raw.write(answer);
            visit.until_taken();
            // With bytes unread this is a reset.
        }
    });
    let gateway = api(&[origin.address], ONCE)
        .listener_limits("{ body = '1GiB' }")
        .start();
    for _ in 0..20 {
        let mut raw = gateway.connect();
        raw.write(head("POST", "/", "content-length: 1000000\r\n"));
        let body = [b'x'; 64 * 1024];
        raw.write(body);
        let answer = raw.response();
        assert_eq!((answer.status, answer.text().as_str()), (413, "big"));
    }
    for _ in 0..20 {
        let mut client = Client::connect(Protocol::H2, gateway.address());
        let (mut upload, response) = client.begin(client_request(&client, "/"));
        upload.send(vec![b'x'; 64 * 1024]);
        let (head, mut download) = response().expect("an answer");
        assert_eq!(head.status, 413);
        assert_eq!(download.data().expect("a body").as_deref(), Some(&b"big"[..]));
        assert_eq!(download.data().expect("the end"), None);
    }
    is_quiet(&gateway);
}

#[test]
fn both_sides_talk_at_once() {
    // Its answer begins before the body has, and ends with it.
    let origin = Origin::start(|visit| {
        while let Some(request) = visit.head() {
            if request.method == "GET" {
                visit.raw.write(own(&request));
                continue;
            }
            visit.raw.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
            loop {
                let line = visit.raw.take_until(b"\r\n").expect("a chunk");
                let size = usize::from_str_radix(std::str::from_utf8(&line).unwrap().trim(), 16).unwrap();
                let chunk = visit.raw.take(size + 2);
                if size == 0 {
                    visit.raw.write("0\r\n\r\n");
                    break;
                }
                visit.chunk(&chunk[..size]);
            }
        }
    });
    let gateway = api(&[origin.address], ONCE).set("workers", 1).start();
    for protocol in [Protocol::H1, Protocol::H2] {
        let mut client = Client::connect(protocol, gateway.address());
        let (mut upload, response) = client.begin(client_request(&client, "/"));
        upload.send("first");
        let (head, mut download) = response().expect("an answer");
        assert_eq!(head.status, 200);
        assert_eq!(
            download.data().expect("an echo").as_deref(),
            Some(&b"first"[..]),
            "{protocol:?}"
        );
        for round in 0..20 {
            let piece = format!("piece {round}");
            upload.send(piece.clone());
            let echoed = download.data().expect("an echo");
            assert_eq!(echoed.as_deref(), Some(piece.as_bytes()), "{protocol:?}");
        }
        upload.finish(None);
        assert_eq!(download.data().expect("the end"), None, "{protocol:?}");
        assert_eq!(client.get(HOST, "/next").text(), "GET /next");
    }
    // Whole on both sides, an exchange leaves its connection to the next one.
    assert_eq!(origin.accepted(), 1);
}

#[test]
fn a_client_that_pauses_is_no_fault_of_its_server() {
    let origin = Origin::start(super::echo);
    let gateway = api(&[origin.address], &format!("{SHORT}{ONCE}")).start();
    for protocol in [Protocol::H1, Protocol::H2] {
        let mut client = Client::connect(protocol, gateway.address());
        let (mut upload, response) = client.begin(client_request(&client, "/"));
        for _ in 0..3 {
            upload.send("some");
            // The client's own pace.
            thread::park_timeout(2 * SHORT_TIME);
        }
        upload.finish(None);
        let (head, mut download) = response().expect("an answer");
        assert_eq!(head.status, 200, "{protocol:?}");
        assert_eq!(download.data().expect("a body").as_deref(), Some(&b"POST /"[..]));
        assert_eq!(origin.last().body, b"somesomesome");
    }
    assert_eq!(gateway.metric("tidegate_upstream_failures_total", &[]), 0.0);
}

/// Sends until nobody takes any more; gives itself back, because a body that is let go is at its end.
pub(super) fn pour(mut upload: Upload) -> thread::JoinHandle<Upload> {
    thread::spawn(move || {
        let piece = bytes::Bytes::from(vec![b'x'; 64 * 1024]);
        while upload.send(piece.clone()) {}
        upload
    })
}

#[test]
fn an_upload_that_nobody_takes_runs_out_of_time() {
    let origin = Origin::start(|visit| visit.ignore());
    let gateway = upload_gateway(&origin);
    for protocol in [Protocol::H1, Protocol::H2] {
        let mut client = Client::connect(protocol, gateway.address());
        let (upload, response) = client.begin(client_request(&client, "/"));
        let pouring = pour(upload);
        let (head, _download) = in_time("504", SHORT_TIME, response).expect("an answer");
        let code = head.headers.get("tidegate-error").map(|code| code.as_bytes());
        assert_eq!(
            (head.status.as_u16(), code),
            (504, Some(&b"upstream-write"[..])),
            "{protocol:?}"
        );
        drop(client);
        pouring.join().unwrap();
        // The server does not hear of it as long as it takes nothing.
        gateway.wait_metric("tidegate_upstream_connections_open", &[], 0.0);
    }
    assert_eq!(failed(&gateway, "upstream-write"), 2.0);
    is_quiet(&gateway);
}

fn upload_gateway(origin: &Origin) -> Gateway {
    api(&[origin.address], &format!("{SHORT}{ONCE}"))
        .listener_limits("{ body = '16GiB' }")
        .start()
}

#[test]
fn an_upload_that_is_taken_slowly_is_in_time() {
    // Far more than the buffers on the way hold, which are small, at a pace that takes longer than the server has for
    // its answer.
    const BYTES: usize = 64 << 20;
    let origin = Origin::start(|visit| {
        let small = SockRef::from(visit.raw.tcp()).set_recv_buffer_size(256 << 10);
        small.expect("a socket option");
        while visit.head().is_some() {
            let mut left = BYTES;
            while left > 0 {
                let piece = visit.raw.take(2 << 20);
                if piece.is_empty() {
                    return;
                }
                left -= piece.len();
                // The server's own pace.
                thread::park_timeout(Duration::from_millis(100));
            }
            visit.raw.write(ok("all"));
        }
    });
    let more = format!("{ONCE}, timeout = {{ first_byte = '1500ms' }}");
    let gateway = api(&[origin.address], &more)
        .listener_limits("{ body = '1GiB' }")
        .start();
    let body = vec![b'x'; BYTES];
    for protocol in [Protocol::H1, Protocol::H2] {
        let mut client = Client::connect(protocol, gateway.address());
        let mut head = client_request(&client, "/");
        head.headers_mut().insert("content-length", body.len().into());
        let answer = client.send(head, &body).expect("an answer");
        assert_eq!((answer.status, answer.text().as_str()), (200, "all"), "{protocol:?}");
    }
}
