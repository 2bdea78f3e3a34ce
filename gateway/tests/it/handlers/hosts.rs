//! What a guest sees of the world, and what it can say: its own tables, and the log.

use crate::support::Gateway;
use serde_json::{Value, json};

#[test]
fn a_guest_sees_its_own_tables_and_nothing_of_the_hosts() {
    let gateway = Gateway::with()
        .component_with("env-and-config", |guest| {
            guest
                .env("MODE", "demo")
                .config("greeting", "Hi")
                .config("limit", 3)
                .set("args", vec!["one", "two"])
        })
        .component_with("env-and-config-draft", |guest| guest.config("greeting", "Hi"))
        .process_env("TIDEGATE_TEST_SECRET", "hunter2")
        .start();
    let seen = gateway.get("env-and-config", "/");
    let seen: Value = serde_json::from_slice(&seen.is(200).body).unwrap();
    assert_eq!(seen["env"], json!({ "MODE": "demo" }));
    assert_eq!(seen["config"], json!({ "greeting": "Hi", "limit": "3" }));
    let args = seen["args"].as_array().unwrap();
    assert!(args.ends_with(&[json!("one"), json!("two")]), "{seen}");
    assert!(
        !seen.to_string().contains("hunter2") && !seen.to_string().contains("gateway.toml"),
        "{seen}"
    );
    gateway.get("env-and-config", "/env/TIDEGATE_TEST_SECRET").is(404);
    gateway.get("env-and-config", "/env/PATH").is(404);
    assert_eq!(gateway.get("env-and-config", "/env/MODE").text(), "demo");
    assert_eq!(gateway.get("env-and-config", "/config/greeting").text(), "Hi");
    gateway.get("env-and-config", "/config/other").is(404);

    assert_eq!(gateway.get("env-and-config-draft", "/").text(), r#"{"greeting":"Hi"}"#);
    assert_eq!(gateway.get("env-and-config-draft", "/config/greeting").text(), "Hi");
    gateway.get("env-and-config-draft", "/config/other").is(404);
    assert_eq!(gateway.get("env-and-config-draft", "/store/greeting").text(), "Hi");
    gateway.get("env-and-config-draft", "/store/other").is(404);
}

#[test]
fn what_a_guest_says_is_logged_with_its_component_and_request() {
    let gateway = Gateway::with()
        .component_with("env-and-config", |guest| guest.named("talker"))
        .start();
    let answer = gateway.send(
        "talker",
        "POST /log HTTP/1.1\r\nhost: {host}\r\ncontent-length: 10\r\nconnection: close\r\n\r\nwatch this",
    );
    answer.is(200);
    let request = gateway.wait_access("the request", |line| line["component"] == "talker")["id"].clone();
    let says = |message: &str, field: &str, value: &str| {
        let line = gateway.wait_log(message, |line| line["message"] == message);
        assert_eq!(
            (&line["component"], &line["request"]),
            (&json!("talker"), &request),
            "{line}"
        );
        assert_eq!(
            (&line[field], &line["level"]),
            (&json!(value), &json!("INFO")),
            "{line}"
        );
    };
    says("watch this", "context", "guest");
    says("stdout: watch this", "stream", "stdout");
    says("stderr: watch this", "stream", "stderr");
}

#[test]
fn files_and_sockets_are_denied_when_called() {
    let gateway = Gateway::with().component("fs-and-sockets").start();
    // An address that would answer, so that only the denial can be the reason.
    let target = format!("/?connect={}&open=/etc/hostname", gateway.address());
    let answer = gateway.get("fs-and-sockets", &target);
    let seen: Value = serde_json::from_slice(&answer.is(200).body).unwrap();
    assert_eq!(seen["preopens"], json!([]));
    for attempt in ["open", "create", "list", "resolve", "connect", "listen", "udp"] {
        assert_eq!(seen[attempt]["ok"], json!(false), "{attempt}: {seen}");
    }
    assert!(!std::path::Path::new("/tidegate-guest").exists());
}
