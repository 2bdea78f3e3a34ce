//! What a line says, and that nothing a client sends can break it.

use serde_json::{Value, json};

use super::*;

fn parsed(record: &Record, query: Query) -> Value {
    serde_json::from_slice(&line(record, query)).expect("a line of JSON")
}

#[test]
fn a_line_says_everything_the_record_holds() {
    let full = Record {
        trace: Some(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c),
        client: "[2001:db8::1]:443".parse().expect("an address"),
        method: Method::from_bytes(b"PURGE").expect("a method"),
        user_agent: Some(HeaderValue::from_static("curl/8.0")),
        head: Some(Duration::from_micros(7)),
        route: Some("hello".into()),
        component: Some("hello-v2".into()),
        server: Some("127.0.0.1:9001".into()),
        ..record()
    };
    let expected = json!({
        "time": "2023-11-14T22:13:20.123Z",
        "id": "000000000000000000000000000000ab",
        "trace": "0af7651916cd43dd8448eb211c80319c",
        "client": "[2001:db8::1]:443",
        "method": "PURGE",
        "scheme": "https",
        "version": "HTTP/2",
        "host": "example.com",
        "path": "/a/b?redacted",
        "status": 200,
        "outcome": "complete",
        "bytes_in": 1,
        "bytes_out": 2,
        "head_us": 7,
        "duration_us": 1500,
        "route": "hello",
        "component": "hello-v2",
        "server": "127.0.0.1:9001",
        "user_agent": "curl/8.0",
    });
    assert_eq!(parsed(&full, Query::Redacted), expected);
}

#[test]
fn what_is_absent_is_left_out() {
    let plain = Record { host: None, ..record() };
    let line = parsed(&plain, Query::Redacted);
    for field in ["trace", "host", "head_us", "route", "component", "server", "user_agent"] {
        assert_eq!(line.get(field), None, "{field}");
    }
}

#[test]
fn the_query_is_hidden_unless_asked_for() {
    for (uri, redacted, full) in [
        ("/a?token=secret", "/a?redacted", "/a?token=secret"),
        ("/a?", "/a?redacted", "/a?"),
        ("/a", "/a", "/a"),
        ("http://example.com/a?b=c", "/a?redacted", "/a?b=c"),
        ("*", "*", "*"),
        ("example.com:443", "example.com:443", "example.com:443"),
    ] {
        let record = Record {
            uri: uri.parse().expect("a target"),
            ..record()
        };
        assert_eq!(parsed(&record, Query::Redacted)["path"], redacted, "{uri}");
        assert_eq!(parsed(&record, Query::Full)["path"], full, "{uri}");
    }
}

#[test]
fn nothing_a_client_sends_breaks_a_line() {
    // Every byte a field may hold, beside every other.
    let allowed: Vec<u8> = (0..=255)
        .filter(|byte| HeaderValue::from_bytes(&[*byte]).is_ok())
        .collect();
    assert!(allowed.len() > 200);
    for byte in &allowed {
        let record = Record {
            user_agent: HeaderValue::from_bytes(&[*byte]).ok(),
            ..record()
        };
        assert_eq!(
            parsed(&record, Query::Full)["user_agent"],
            String::from(char::from(*byte))
        );
    }
    for first in &allowed {
        let value: Vec<u8> = allowed.iter().flat_map(|second| [*first, *second]).collect();
        let record = Record {
            user_agent: HeaderValue::from_bytes(&value).ok(),
            ..record()
        };
        let line = line(&record, Query::Full);
        let text = std::str::from_utf8(&line).expect("UTF-8");
        let inside = text.strip_suffix('\n').expect("a line");
        assert!(!inside.contains(char::is_control), "{first}: {inside}");
        let parsed: Value = serde_json::from_str(inside).expect("JSON");
        assert!(parsed["user_agent"].is_string());
    }
}

#[test]
fn bytes_that_are_not_utf8_are_latin_1() {
    let agent = HeaderValue::from_bytes(b"a\"\\\xe9 \xc3\xa9 \xc2\x9b").expect("a field");
    let record = Record {
        user_agent: Some(agent),
        ..record()
    };
    assert_eq!(parsed(&record, Query::Full)["user_agent"], "a\"\\\u{e9} \u{e9} \u{9b}");
    assert!(!line(&record, Query::Full).windows(2).any(|pair| pair == b"\xc2\x9b"));
}

#[test]
fn long_fields_are_cut() {
    let long = "x".repeat(FIELD_BYTES + 1);
    let just = "x".repeat(FIELD_BYTES);
    let agent = |text: &str| Record {
        user_agent: HeaderValue::from_str(text).ok(),
        ..record()
    };
    assert_eq!(parsed(&agent(&just), Query::Full)["user_agent"], *just);
    assert_eq!(
        parsed(&agent(&long), Query::Full)["user_agent"],
        format!("{just}\u{2026}")
    );
}

#[test]
fn clocks_out_of_range_still_make_a_line() {
    for (time, expected) in [
        (
            SystemTime::UNIX_EPOCH - Duration::from_secs(1),
            "1970-01-01T00:00:00.000Z",
        ),
        (
            SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40),
            "9999-12-31T23:59:59.000Z",
        ),
    ] {
        assert_eq!(parsed(&Record { time, ..record() }, Query::Full)["time"], expected);
    }
}

#[test]
fn copies_are_written_as_the_original_would_be() {
    let uris = [
        "/a?token=secret",
        "/a?",
        "/a",
        "http://example.com/a?b=c",
        "*",
        "example.com:443",
    ];
    for query in [Query::Redacted, Query::Full] {
        for uri in uris {
            let original = Record {
                uri: uri.parse().expect("a target"),
                user_agent: HeaderValue::from_str(&"x".repeat(4 * FIELD_BYTES)).ok(),
                ..record()
            };
            let mut copy = original.clone();
            copy.detach(query);
            assert_eq!(line(&copy, query), line(&original, query), "{uri} {query:?}");
            let held = copy.user_agent.as_ref().map(HeaderValue::len);
            assert_eq!(held, Some(FIELD_BYTES + 1));
        }
    }
}
