//! What components can do, over HTTP/1.1 and HTTP/2.

mod bodies;
mod hosts;
mod routes;

use crate::support::{Client, Gateway, Protocol};

const BOTH: [Protocol; 2] = [Protocol::H1, Protocol::H2];

#[test]
fn hello_answers_on_both_protocols() {
    let gateway = Gateway::with()
        .component("hello")
        .component("hello-min")
        .component("hello-p3")
        .start();
    for component in ["hello", "hello-min", "hello-p3"] {
        let answer = gateway.get(component, "/");
        assert!(answer.is(200).text().starts_with("Hello"), "{answer:?}");
        for protocol in BOTH {
            let answer = Client::connect(protocol, gateway.address()).get(component, "/");
            assert!(answer.status == 200 && answer.text().starts_with("Hello"), "{answer:?}");
        }
    }
    gateway.wait_metric("tidegate_component_calls_total", &[("component", "hello")], 3.0);
}

/// Their toolchains import far more than they call, and start with far more memory.
#[test]
fn components_of_other_languages_are_served_as_they_are() {
    for isolation in ["fresh", "reuse"] {
        let gateway = Gateway::with()
            .component_with("hello-js", |component| component.isolation(isolation))
            .component_with("hello-py", |component| component.isolation(isolation))
            .start();
        for (component, text) in [
            ("hello-js", "Hello from JavaScript!\n"),
            ("hello-py", "Hello from Python!\n"),
        ] {
            for _ in 0..3 {
                assert_eq!(gateway.get(component, "/").is(200).text(), text);
            }
        }
    }
}

#[test]
fn an_answer_that_is_whole_at_once_has_its_length() {
    let gateway = Gateway::with().component("hello-min").start();
    let answer = gateway.get("hello-min", "/");
    assert_eq!(
        answer.field("content-length"),
        Some(answer.body.len().to_string().as_str())
    );
}

#[test]
fn a_connection_carries_one_request_after_another() {
    let gateway = Gateway::with().component("hello").component("echo-stream").start();
    let mut raw = gateway.connect();
    for _ in 0..3 {
        raw.write("GET / HTTP/1.1\r\nhost: hello.test\r\n\r\n");
        raw.response().is(200);
        raw.write("POST / HTTP/1.1\r\nhost: echo-stream.test\r\ncontent-length: 4\r\n\r\nback");
        assert_eq!(raw.response().is(200).body, b"back");
    }
    gateway.wait_metric("tidegate_connections_open", &[("listener", "public")], 1.0);
    gateway.wait_metric("tidegate_connections_total", &[("listener", "public")], 1.0);
}

#[test]
fn head_brings_the_head_alone() {
    let gateway = Gateway::with()
        .component("hello")
        .component("big-response")
        .component("silent-stream")
        .start();
    let mut raw = gateway.connect();
    // Were a body sent, the next answer would not parse.
    for component in ["hello", "big-response", "silent-stream", "hello"] {
        raw.write(format!("HEAD / HTTP/1.1\r\nhost: {component}.test\r\n\r\n"));
        let answer = raw.response_to("HEAD");
        assert!(
            answer.status == 200 && answer.field("content-type").is_some(),
            "{answer:?}"
        );
    }
    let mut client = Client::connect(Protocol::H2, gateway.address());
    let head = client.request("HEAD", "hello", "/");
    let answer = client.send(head, b"").unwrap();
    assert!(answer.status == 200 && answer.body.is_empty(), "{answer:?}");
}

#[test]
fn curl_is_served() {
    let gateway = Gateway::with().component("hello").start();
    let url = format!("http://{}/", gateway.address());
    for version in ["--http1.1", "--http2-prior-knowledge", "--http2"] {
        let curl = std::process::Command::new("curl")
            .args([
                "--silent",
                "--show-error",
                "--max-time",
                "20",
                version,
                "-H",
                "host: hello.test",
            ])
            .args(["--write-out", " %{http_code} %{http_version}", &url])
            .output()
            .expect("curl is not installed: install the package `curl`");
        let said = String::from_utf8_lossy(&curl.stdout);
        // An upgrade to h2c is not offered: the client stays with HTTP/1.1 (RFC 9113 §3.1).
        let expected = if version == "--http2-prior-knowledge" {
            " 200 2"
        } else {
            " 200 1.1"
        };
        assert!(
            said.starts_with("Hello") && said.ends_with(expected),
            "{version}: {curl:?}"
        );
    }
}

#[test]
fn every_request_has_its_line_in_the_access_log() {
    let gateway = Gateway::with().component("hello").start();
    gateway.send(
        "hello",
        "GET /a?token=secret HTTP/1.1\r\nhost: {host}\r\nuser-agent: test\r\nconnection: close\r\n\r\n",
    );
    let line = gateway.wait_access("the request", |line| line["user_agent"] == "test");
    let expected = serde_json::json!({
        "method": "GET", "scheme": "http", "version": "HTTP/1.1", "host": "hello.test", "status": 200,
        "outcome": "complete", "route": "hello", "component": "hello",
    });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&line[key], value, "{key} in {line}");
    }
    assert!(
        !line.to_string().contains("secret"),
        "a query is not for the log: {line}"
    );
    assert_eq!(line["id"].as_str().map(str::len), Some(32), "{line}");
}
