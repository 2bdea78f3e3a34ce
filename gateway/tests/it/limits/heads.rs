//! How long a head, a target and a body may be: at the bound, and one over it.

use crate::support::{Client, Gateway, Protocol};

fn gateway(limits: &str) -> Gateway {
    Gateway::with()
        .listener_limits(limits)
        .component("hello")
        .component("echo-stream")
        .start()
}

/// A GET whose head has exactly this many bytes.
fn head_of(bytes: usize) -> String {
    let (start, end) = (
        "GET / HTTP/1.1\r\nhost: hello.test\r\nconnection: close\r\nx: ",
        "\r\n\r\n",
    );
    format!("{start}{}{end}", "a".repeat(bytes - start.len() - end.len()))
}

#[test]
fn header_bytes() {
    let gateway = gateway("{ header_bytes = '2KiB' }");
    assert_eq!(head_of(2048).len(), 2048);
    gateway.send("hello", &head_of(2048)).is(200);
    let answer = gateway.send("hello", &head_of(2049));
    assert_eq!(
        (answer.status, answer.field("connection")),
        (431, Some("close")),
        "{answer:?}"
    );
    gateway.wait_metric("tidegate_component_calls_total", &[("component", "hello")], 1.0);
    // A head that never ends is refused as soon as it is too long.
    let mut raw = gateway.connect();
    raw.write(&head_of(4096)[..3000]);
    raw.response().is(431);
    raw.is_closed();
}

#[test]
fn header_bytes_on_http2() {
    let gateway = gateway("{ header_bytes = '2KiB' }");
    let ask = |bytes: usize| {
        let mut client = Client::connect(Protocol::H2, gateway.address());
        let mut head = client.request("GET", "hello", "/");
        head.headers_mut().insert("x", "a".repeat(bytes).parse().unwrap());
        client.send(head, b"")
    };
    assert_eq!(ask(1024).unwrap().status, 200);
    // Answered with 431, or with a reset: never by the handler.
    assert!(ask(4096).map_or(true, |answer| answer.status == 431));
    gateway.wait_metric("tidegate_component_calls_total", &[("component", "hello")], 1.0);
}

#[test]
fn header_count() {
    let gateway = gateway("{}");
    // Host and Connection are two of the hundred.
    let ask = |more: usize| {
        let fields = "x: y\r\n".repeat(more);
        gateway.send(
            "hello",
            &format!("GET / HTTP/1.1\r\nhost: hello.test\r\nconnection: close\r\n{fields}\r\n"),
        )
    };
    ask(98).is(200);
    ask(99).is(431);
    let ask = |count: usize| {
        let mut client = Client::connect(Protocol::H2, gateway.address());
        let mut head = client.request("GET", "hello", "/");
        for _ in 0..count {
            head.headers_mut().append("x", "y".parse().unwrap());
        }
        client.send(head, b"").unwrap().status
    };
    assert_eq!((ask(100), ask(101)), (200, 431));
    gateway.wait_metric("tidegate_component_calls_total", &[("component", "hello")], 2.0);
}

#[test]
fn uri_bytes() {
    const MOST: usize = 8 * 1024;
    let gateway = gateway("{}");
    gateway.get("hello", &format!("/{}", "a".repeat(MOST - 1))).is(200);
    let answer = gateway.get("hello", &format!("/{}", "a".repeat(MOST)));
    assert_eq!(
        (answer.status, answer.field("connection")),
        (414, Some("close")),
        "{answer:?}"
    );
    gateway.get("hello", &format!("/?{}", "a".repeat(MOST - 1))).is(414);
    let mut client = Client::connect(Protocol::H2, gateway.address());
    assert_eq!(client.get("hello", &format!("/{}", "a".repeat(MOST - 1))).status, 200);
    assert_eq!(client.get("hello", &format!("/{}", "a".repeat(MOST))).status, 414);
    gateway.wait_metric("tidegate_component_calls_total", &[("component", "hello")], 2.0);
}

#[test]
fn bodies_with_a_length() {
    let gateway = gateway("{ body = '1KiB' }");
    let ask = |bytes: usize| {
        let head = "POST / HTTP/1.1\r\nhost: echo-stream.test\r\nconnection: close\r\n";
        gateway.send(
            "echo-stream",
            &format!("{head}content-length: {bytes}\r\n\r\n{}", "a".repeat(bytes)),
        )
    };
    assert_eq!(ask(1024).is(200).body.len(), 1024);
    ask(1025).is_fault(413, "body-too-large");
    // It is refused by its length alone: nothing of it has to come, and the handler is not called.
    let mut raw = gateway.connect();
    raw.write("POST / HTTP/1.1\r\nhost: echo-stream.test\r\ncontent-length: 999999999999\r\n\r\n");
    let answer = raw.response();
    assert_eq!(
        (answer.status, answer.field("connection")),
        (413, Some("close")),
        "{answer:?}"
    );
    raw.is_closed();
    gateway.wait_metric("tidegate_component_calls_total", &[("component", "echo-stream")], 1.0);
    let mut client = Client::connect(Protocol::H2, gateway.address());
    let mut head = client.request("POST", "echo-stream", "/");
    head.headers_mut().insert("content-length", "1025".parse().unwrap());
    assert_eq!(client.send(head, &[b'a'; 1025]).unwrap().status, 413);
}

#[test]
fn bodies_in_chunks() {
    // This guest answers when it has read the whole body, so that the status can still say what went wrong.
    let gateway = Gateway::with()
        .listener_limits("{ body = '1KiB' }")
        .component("env-and-config")
        .start();
    let ask = |bytes: usize| {
        let (first, second) = (600, bytes - 600);
        let body = format!(
            "{first:x}\r\n{}\r\n{second:x}\r\n{}\r\n0\r\n\r\n",
            "a".repeat(first),
            "a".repeat(second)
        );
        let head = "POST /log HTTP/1.1\r\nhost: env-and-config.test\r\ntransfer-encoding: chunked\r\n\r\n";
        let mut raw = gateway.connect();
        raw.write(format!("{head}{body}"));
        (raw.response(), raw)
    };
    let (answer, _kept) = ask(1024);
    answer.is(200);
    let (answer, mut raw) = ask(1025);
    answer.is_fault(413, "body-too-large");
    assert_eq!(answer.field("connection"), Some("close"));
    raw.is_closed();
    for (bytes, status) in [(1024, 200), (1025, 413)] {
        let mut client = Client::connect(Protocol::H2, gateway.address());
        let head = client.request("POST", "env-and-config", "/log");
        assert_eq!(
            client.send(head, &vec![b'a'; bytes]).unwrap().status,
            status,
            "{bytes} bytes on HTTP/2"
        );
    }
}
