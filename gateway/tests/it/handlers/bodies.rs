//! Bodies both ways: their content, that they stream, and their trailers.

use super::BOTH;
use crate::support::{Client, End, Gateway, Protocol};
use http::{HeaderMap, HeaderName, HeaderValue};

const ECHOES: [&str; 2] = ["echo-stream", "echo-stream-p3"];

fn echoes() -> Gateway {
    let mut builder = Gateway::with();
    for name in ECHOES {
        builder = builder.component_with(name, |echo| echo.limit("cpu", "60s"));
    }
    builder.start()
}

/// Bytes that tell when one is lost or out of place.
fn noise(count: usize) -> Vec<u8> {
    (0..count as u32)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}

#[test]
fn eight_mebibytes_come_back_as_they_were() {
    let gateway = echoes();
    let body = noise(8 * 1024 * 1024);
    for component in ECHOES {
        for protocol in BOTH {
            let mut client = Client::connect(protocol, gateway.address());
            let head = client.request("POST", component, "/");
            let answer = client.send(head, &body).unwrap();
            assert_eq!(answer.status, 200);
            assert!(
                answer.body == body,
                "{component} {protocol:?}: {} bytes came back",
                answer.body.len()
            );
        }
    }
    // A stream that passes through without its guest's memory.
    let mut client = Client::connect(Protocol::H1, gateway.address());
    let head = client.request("POST", "echo-stream-p3", "/forward");
    assert!(client.send(head, &body).unwrap().body == body);
}

#[test]
fn bodies_stream_while_they_are_sent() {
    let gateway = echoes();
    for component in ECHOES {
        for protocol in BOTH {
            let mut client = Client::connect(protocol, gateway.address());
            let head = client.request("POST", component, "/");
            let (mut upload, response) = client.begin(head);
            upload.send("first");
            let (head, mut download) = response().unwrap();
            assert_eq!(head.status, 200);
            assert_eq!(
                download.data().unwrap().as_deref(),
                Some(b"first".as_slice()),
                "{component} {protocol:?}"
            );
            // Only now, with the first part back, does the request go on.
            upload.send("second");
            assert_eq!(
                download.data().unwrap().as_deref(),
                Some(b"second".as_slice()),
                "{component} {protocol:?}"
            );
            upload.finish(None);
            assert_eq!(download.data().unwrap(), None);
        }
    }
}

#[test]
fn a_request_that_breaks_off_breaks_its_answer_off() {
    let gateway = echoes();
    let mut raw = gateway.connect();
    raw.write("POST / HTTP/1.1\r\nhost: echo-stream.test\r\ncontent-length: 10\r\n\r\nhalf");
    let mut answer = raw.head().unwrap();
    assert!(raw.chunk(&mut answer));
    raw.finish_writing();
    raw.body(&mut answer, "GET");
    assert_eq!((answer.end, answer.body.as_slice()), (End::Cut, b"half".as_slice()));
    gateway.wait_access("the broken request", |line| line["outcome"] == "client-gone");
}

#[test]
fn big_responses_are_intact() {
    const BYTES: usize = 3 * 1024 * 1024 + 17;
    let gateway = Gateway::with()
        .component_with("big-response", |big| big.limit("cpu", "60s"))
        .start();
    let expected = (0..BYTES).map(|at| (at % 251) as u8).collect::<Vec<_>>();
    for (query, length) in [("", None), ("&length=1", Some(BYTES.to_string()))] {
        let target = format!("/?bytes={BYTES}{query}");
        let answer = gateway.get("big-response", &target);
        assert_eq!(answer.field("content-length"), length.as_deref());
        assert_eq!(answer.field("transfer-encoding").is_some(), length.is_none());
        assert!(
            answer.end == End::Complete && answer.body == expected,
            "{} bytes",
            answer.body.len()
        );
        let answer = Client::connect(Protocol::H2, gateway.address()).get("big-response", &target);
        assert_eq!(answer.field("content-length"), length.as_deref());
        assert!(answer.body == expected, "{} bytes", answer.body.len());
    }
}

/// FNV-1a, as the guest `chunked-trailers` computes it.
fn checksum(bytes: &[u8]) -> String {
    let sum = bytes.iter().fold(0x811c_9dc5, |hash: u32, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    });
    format!("{sum:08x}")
}

#[test]
fn chunks_and_trailers_reach_an_http1_client_that_takes_them() {
    let gateway = Gateway::with().component("chunked-trailers").start();
    let ask = |te: &str| {
        gateway.send(
            "chunked-trailers",
            &format!("GET / HTTP/1.1\r\nhost: {{host}}\r\n{te}connection: close\r\n\r\n"),
        )
    };
    let answer = ask("te: trailers\r\n");
    assert_eq!(answer.chunks.len(), 5, "{answer:?}");
    assert_eq!(
        answer.trailer("x-checksum"),
        Some(checksum(&answer.body).as_str()),
        "{answer:?}"
    );
    assert_eq!(answer.trailer("x-chunks"), Some("5"));
    let announced = answer.field("trailer").unwrap_or_default();
    assert!(
        announced.contains("x-checksum") && announced.contains("x-chunks"),
        "{answer:?}"
    );
    // A client that did not ask for trailers may not expect any (RFC 9110 §6.5.1).
    let answer = ask("");
    assert_eq!(
        (answer.chunks.len(), answer.trailers.len(), answer.end),
        (5, 0, End::Complete),
        "{answer:?}"
    );
}

#[test]
fn trailers_go_both_ways_on_http2() {
    let gateway = Gateway::with()
        .component("chunked-trailers")
        .component("echo-stream")
        .component("echo-stream-p3")
        .start();
    let mut client = Client::connect(Protocol::H2, gateway.address());
    let answer = client.get("chunked-trailers", "/");
    assert_eq!(
        answer.trailer("x-checksum"),
        Some(checksum(&answer.body).as_str()),
        "{answer:?}"
    );
    let trailers = || HeaderMap::from_iter([(HeaderName::from_static("x-sum"), HeaderValue::from_static("42"))]);
    for (component, name) in [
        ("chunked-trailers", "echo-x-sum"),
        ("echo-stream", "x-sum"),
        ("echo-stream-p3", "x-sum"),
    ] {
        let head = client.request("POST", component, "/");
        let (mut upload, response) = client.begin(head);
        upload.send("data");
        upload.finish(Some(trailers()));
        let (_, mut download) = response().unwrap();
        let mut received = None;
        while let Some(frame) = download.frame().unwrap() {
            received = frame.into_trailers().ok().or(received);
        }
        let received = received.unwrap_or_else(|| panic!("{component} sends no trailers"));
        assert_eq!(
            received.get(name).map(HeaderValue::as_bytes),
            Some(b"42".as_slice()),
            "{component}: {received:?}"
        );
    }
}

#[test]
fn trailers_go_both_ways_on_http1() {
    let gateway = Gateway::with()
        .component("echo-stream")
        .component("echo-stream-p3")
        .start();
    for component in ECHOES {
        let answer = gateway.send(
            component,
            "POST / HTTP/1.1\r\nhost: {host}\r\nte: trailers\r\ntrailer: x-sum\r\ntransfer-encoding: chunked\r\n\
             connection: close\r\n\r\n4\r\ndata\r\n0\r\nx-sum: 42\r\n\r\n",
        );
        assert_eq!(
            (answer.body.as_slice(), answer.trailer("x-sum")),
            (b"data".as_slice(), Some("42")),
            "{answer:?}"
        );
    }
}

#[test]
fn a_client_that_expects_a_continue_gets_one_when_its_body_is_wanted() {
    let gateway = Gateway::with().component("env-and-config").component("hello").start();
    let mut raw = gateway.connect();
    raw.write("POST /log HTTP/1.1\r\nhost: env-and-config.test\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n");
    assert_eq!(raw.head().unwrap().status, 100);
    raw.write("body");
    assert_eq!(raw.response().is(200).text(), "logged\n");
    // A guest that reads no body asks for none: the answer comes at once.
    let mut raw = gateway.connect();
    raw.write("POST / HTTP/1.1\r\nhost: hello.test\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n");
    raw.response().is(200);
}
