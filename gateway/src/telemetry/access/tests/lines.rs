//! What a line says, and that nothing a client sends can break it.

use http::HeaderValue;
use serde_json::{Value, json};

use super::format::FIELD_BYTES;
use super::*;

fn parsed(record: &Record<'_>, query: Query) -> Value {
    serde_json::from_slice(&line(record, query)).expect("a line of JSON")
}

#[test]
fn a_line_says_everything_the_record_holds() {
    let full = Record {
        trace: Some(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c),
        client: "[2001:db8::1]:443".parse().expect("an address"),
        method: "PURGE",
        user_agent: Some(b"curl/8.0"),
        head: Some(Duration::from_micros(7)),
        route: Some("hello"),
        component: Some("hello-v2"),
        server: Some("127.0.0.1:9001"),
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
            uri: target(uri),
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
            user_agent: Some(&[*byte]),
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
            user_agent: Some(&value),
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
    let record = Record {
        user_agent: Some(b"a\"\\\xe9 \xc3\xa9 \xc2\x9b"),
        ..record()
    };
    assert_eq!(parsed(&record, Query::Full)["user_agent"], "a\"\\\u{e9} \u{e9} \u{9b}");
    assert!(!line(&record, Query::Full).windows(2).any(|pair| pair == b"\xc2\x9b"));
}

#[test]
fn long_fields_are_cut() {
    let long = "x".repeat(FIELD_BYTES + 1);
    let just = "x".repeat(FIELD_BYTES);
    let agent = |text: &str| {
        let user_agent = Some(text.as_bytes());
        let line = parsed(&Record { user_agent, ..record() }, Query::Full);
        line["user_agent"].as_str().expect("a text").to_owned()
    };
    assert_eq!(agent(&just), just);
    assert_eq!(agent(&long), format!("{just}\u{2026}"));
}

#[test]
fn every_place_and_every_neighbour_is_escaped() {
    // The scan goes by chunks: what is to be escaped may stand anywhere in one, or behind the last.
    for length in 1..70 {
        for place in 0..length {
            for odd in ["\"", "\\", "\u{1}", "\u{7f}", "\u{85}", "\u{e9}"] {
                let mut agent = "x".repeat(length);
                agent.replace_range(place..=place, odd);
                let record = Record {
                    user_agent: Some(agent.as_bytes()),
                    ..record()
                };
                assert_eq!(parsed(&record, Query::Full)["user_agent"], *agent);
            }
        }
    }
}

#[test]
fn addresses_are_written_as_they_show_themselves() {
    for address in [
        "0.0.0.0:0",
        "255.255.255.255:65535",
        "10.2.30.104:80",
        "[::1]:8080",
        "[::ffff:10.0.0.1]:1",
        "[fe80::1%3]:1",
    ] {
        let client: SocketAddr = address.parse().expect("an address");
        let record = Record { client, ..record() };
        assert_eq!(parsed(&record, Query::Full)["client"], client.to_string());
    }
}

#[test]
fn the_time_is_right_over_seconds_and_when_the_clock_is_set() {
    let mut clock = format::Clock::default();
    for millis in [
        1_700_000_000_000_u64,
        1_700_000_000_999,
        1_700_000_001_000,
        1_700_000_000_999,
        1_709_164_799_999,
        1_709_164_800_000,
        1_000,
        999,
        0,
        1_009,
        1_090,
        1_900,
    ] {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
        let mut out = Vec::new();
        format::line(&mut out, &mut clock, &Record { time, ..record() }, Query::Full);
        let line: Value = serde_json::from_slice(&out).expect("JSON");
        assert_eq!(line["time"], humantime::format_rfc3339_millis(time).to_string());
    }
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
