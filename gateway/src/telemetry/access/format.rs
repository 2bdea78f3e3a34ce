//! One record as one line of JSON.
//!
//! Everything a client sent is escaped to valid UTF-8 without control characters: no request can end a line
//! early, forge another, or reach a terminal that shows the log.

use std::borrow::Cow;
use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{Uri, Version};

use super::{FIELD_BYTES, Query, Record};
use crate::limits;

/// The last second RFC 3339 can write: the end of the year 9999.
const TIME_MAX: Duration = Duration::from_secs(253_402_300_799);

/// Appends `record` and a line feed. Fields that are absent are left out.
pub(super) fn line(out: &mut Vec<u8>, record: &Record, query: Query) {
    // Writing to a Vec cannot fail. Clamped because a clock before 1970 must not end the thread.
    let since = record.time.duration_since(UNIX_EPOCH).unwrap_or_default().min(TIME_MAX);
    let time: SystemTime = UNIX_EPOCH + since;
    let _ = write!(out, "{{\"time\":\"{}\"", humantime::format_rfc3339_millis(time));
    hex(out, "id", record.id);
    if let Some(trace) = record.trace {
        hex(out, "trace", trace);
    }
    let _ = write!(out, ",\"client\":\"{}\"", record.client);
    text(out, "method", record.method.as_str().as_bytes(), FIELD_BYTES);
    text(out, "scheme", record.scheme.as_bytes(), FIELD_BYTES);
    text(out, "version", version(record.version).as_bytes(), FIELD_BYTES);
    if let Some(host) = &record.host {
        text(out, "host", host.as_bytes(), FIELD_BYTES);
    }
    text(out, "path", target(&record.uri, query).as_bytes(), limits::URI_BYTES);
    number(out, "status", record.status.into());
    text(out, "outcome", record.outcome.as_bytes(), FIELD_BYTES);
    number(out, "bytes_in", record.bytes_in);
    number(out, "bytes_out", record.bytes_out);
    if let Some(head) = record.head {
        number(out, "head_us", micros(head));
    }
    number(out, "duration_us", micros(record.duration));
    if let Some(route) = &record.route {
        text(out, "route", route.as_bytes(), FIELD_BYTES);
    }
    if let Some(component) = &record.component {
        text(out, "component", component.as_bytes(), FIELD_BYTES);
    }
    if let Some(server) = &record.server {
        text(out, "server", server.as_bytes(), FIELD_BYTES);
    }
    if let Some(agent) = &record.user_agent {
        text(out, "user_agent", agent.as_bytes(), FIELD_BYTES);
    }
    out.extend_from_slice(b"}\n");
}

/// What stands for the request's target: path and query of every form but CONNECT's, which has only an authority.
pub(super) fn target(uri: &Uri, query: Query) -> Cow<'_, str> {
    let Some(path_and_query) = uri.path_and_query() else {
        return Cow::Borrowed(uri.authority().map_or("", |authority| authority.as_str()));
    };
    match (path_and_query.query(), query) {
        (Some(_), Query::Redacted) => Cow::Owned(format!("{}?redacted", path_and_query.path())),
        _ => Cow::Borrowed(path_and_query.as_str()),
    }
}

const fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "HTTP/0.9",
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_11 => "HTTP/1.1",
        Version::HTTP_2 => "HTTP/2",
        Version::HTTP_3 => "HTTP/3",
        _ => "unknown",
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn label(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn number(out: &mut Vec<u8>, name: &str, value: u64) {
    label(out, name);
    // Several times cheaper than the formatting machinery, which would be half of a line's cost.
    let _ = serde_json::to_writer(out, &value);
}

fn hex(out: &mut Vec<u8>, name: &str, value: u128) {
    label(out, name);
    out.push(b'"');
    for byte in value.to_be_bytes() {
        out.extend([byte >> 4, byte & 15].map(|half| half + if half < 10 { b'0' } else { b'a' - 10 }));
    }
    out.push(b'"');
}

/// Appends `,"name":"value"`. A value over `bytes_max` is cut there and ends in an ellipsis.
fn text(out: &mut Vec<u8>, name: &str, value: &[u8], bytes_max: usize) {
    let (value, end) = match value.get(..bytes_max) {
        Some(cut) if value.len() > bytes_max => (cut, "\u{2026}\""),
        _ => (value, "\""),
    };
    label(out, name);
    out.push(b'"');
    // Nearly every value is printable ASCII with nothing to escape, and is copied whole.
    if value
        .iter()
        .all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\'))
    {
        out.extend_from_slice(value);
    } else {
        escape(out, value);
    }
    out.extend_from_slice(end.as_bytes());
}

fn escape(out: &mut Vec<u8>, value: &[u8]) {
    for chunk in value.utf8_chunks() {
        for c in chunk.valid().chars() {
            let _ = match c {
                '"' | '\\' => write!(out, "\\{c}"),
                // Controls end at U+009F, so four digits hold every one.
                c if c.is_control() => write!(out, "\\u{:04x}", u32::from(c)),
                c => write!(out, "{c}"),
            };
        }
        for byte in chunk.invalid() {
            // Fields were ISO 8859-1 before they were anything else: each byte is that character.
            let _ = write!(out, "\\u{byte:04x}");
        }
    }
}
