//! One record as one line of JSON.
//!
//! Everything a client sent is escaped to valid UTF-8 without control characters: no request can end a line
//! early, forge another, or reach a terminal that shows the log.
//!
//! This runs where requests end, so what nearly every line has is copied, not formatted: Rust's formatting machinery
//! alone would be most of a line's cost.

use std::io::Write;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{Uri, Version};

use super::{Query, Record};
use crate::limits;

/// A host or user agent is cut here, so that one request cannot write a page.
pub(super) const FIELD_BYTES: usize = 1024;
/// The last second RFC 3339 can write: the end of the year 9999.
const TIME_MAX: Duration = Duration::from_secs(253_402_300_799);

/// The latest second as text: the lines of one second differ in their milliseconds only.
#[derive(Debug, Default)]
pub(super) struct Clock {
    /// Since 1970; none before the first line.
    second: Option<u64>,
    /// `2023-11-14T22:13:20`.
    text: String,
}

/// Appends `record` and a line feed. Fields that are absent are left out.
pub(super) fn line(out: &mut Vec<u8>, clock: &mut Clock, record: &Record<'_>, query: Query) {
    out.extend_from_slice(br#"{"time":""#);
    clock.write(out, record.time);
    hex(out, r#"","id":""#, record.id);
    if let Some(trace) = record.trace {
        hex(out, r#"","trace":""#, trace);
    }
    out.extend_from_slice(br#"","client":""#);
    address(out, record.client);
    out.push(b'"');
    text(out, r#","method":""#, record.method.as_bytes());
    word(out, r#","scheme":""#, record.scheme);
    word(out, r#","version":""#, version(record.version));
    if let Some(host) = record.host {
        text(out, r#","host":""#, host);
    }
    target(out, record.uri, query);
    number(out, r#","status":"#, record.status.into());
    word(out, r#","outcome":""#, record.outcome);
    number(out, r#","bytes_in":"#, record.bytes_in);
    number(out, r#","bytes_out":"#, record.bytes_out);
    if let Some(head) = record.head {
        number(out, r#","head_us":"#, micros(head));
    }
    number(out, r#","duration_us":"#, micros(record.duration));
    if let Some(route) = record.route {
        text(out, r#","route":""#, route.as_bytes());
    }
    if let Some(component) = record.component {
        text(out, r#","component":""#, component.as_bytes());
    }
    if let Some(server) = record.server {
        text(out, r#","server":""#, server.as_bytes());
    }
    if let Some(agent) = record.user_agent {
        text(out, r#","user_agent":""#, agent);
    }
    out.extend_from_slice(b"}\n");
}

impl Clock {
    /// Appends `time` to the millisecond: `2023-11-14T22:13:20.123Z`.
    fn write(&mut self, out: &mut Vec<u8>, time: SystemTime) {
        // Clamped because a clock before 1970 must not end a request.
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default().min(TIME_MAX);
        // Any other second, not only a later one: clocks are set back, and requests of two cores meet here.
        if self.second != Some(since.as_secs()) {
            let second = UNIX_EPOCH + Duration::from_secs(since.as_secs());
            self.second = Some(since.as_secs());
            self.text = humantime::format_rfc3339_seconds(second).to_string();
            // The zone, which stands behind the milliseconds.
            self.text.pop();
        }
        out.extend_from_slice(self.text.as_bytes());
        let millis = since.subsec_millis();
        let digit = |value: u32| b'0' + (value % 10) as u8;
        out.extend_from_slice(&[b'.', digit(millis / 100), digit(millis / 10), digit(millis), b'Z']);
    }
}

/// Appends `,"path":".."`: path and query of every form of target but CONNECT's, which has only an authority.
fn target(out: &mut Vec<u8>, uri: &Uri, query: Query) {
    let (target, mark) = match uri.path_and_query() {
        None => (uri.authority().map_or("", |authority| authority.as_str()), ""),
        Some(whole) if query == Query::Redacted && whole.query().is_some() => (whole.path(), "?redacted"),
        Some(whole) => (whole.as_str(), ""),
    };
    out.extend_from_slice(br#","path":""#);
    escaped(out, target.as_bytes(), limits::URI_BYTES);
    out.extend_from_slice(mark.as_bytes());
    out.push(b'"');
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

/// Appends the address as [`SocketAddr`] shows itself.
fn address(out: &mut Vec<u8>, address: SocketAddr) {
    let SocketAddr::V4(address) = address else {
        let _ = write!(out, "{address}");
        return;
    };
    let [first, rest @ ..] = address.ip().octets();
    integer(out, first.into());
    for octet in rest {
        out.push(b'.');
        integer(out, octet.into());
    }
    out.push(b':');
    integer(out, address.port().into());
}

/// Appends a field whose `label` ends before its value.
fn number(out: &mut Vec<u8>, label: &str, value: u64) {
    out.extend_from_slice(label.as_bytes());
    integer(out, value);
}

fn integer(out: &mut Vec<u8>, value: u64) {
    // Writing to a Vec cannot fail.
    let _ = serde_json::to_writer(out, &value);
}

/// Appends a field that is open: the next label closes its quotes.
fn hex(out: &mut Vec<u8>, label: &str, value: u128) {
    out.extend_from_slice(label.as_bytes());
    let digit = |half: u8| half + if half < 10 { b'0' } else { b'a' - 10 };
    let mut digits = [[0; 2]; 16];
    for (pair, byte) in digits.iter_mut().zip(value.to_be_bytes()) {
        *pair = [byte >> 4, byte & 15].map(digit);
    }
    out.extend_from_slice(digits.as_flattened());
}

/// Appends a word of our own: nothing in it is to be escaped. Its label opens its quotes.
fn word(out: &mut Vec<u8>, label: &str, value: &str) {
    out.extend_from_slice(label.as_bytes());
    out.extend_from_slice(value.as_bytes());
    out.push(b'"');
}

/// Appends a field that others may have chosen. Its label opens its quotes.
fn text(out: &mut Vec<u8>, label: &str, value: &[u8]) {
    out.extend_from_slice(label.as_bytes());
    escaped(out, value, FIELD_BYTES);
    out.push(b'"');
}

/// Appends `value` as the inside of a string. One over `bytes_max` is cut there and ends in an ellipsis.
fn escaped(out: &mut Vec<u8>, value: &[u8], bytes_max: usize) {
    match value.get(..bytes_max) {
        Some(cut) if value.len() > bytes_max => {
            escape(out, cut);
            out.extend_from_slice("\u{2026}".as_bytes());
        }
        // Nearly every value, and copied whole.
        _ if is_plain(value) => out.extend_from_slice(value),
        _ => escape(out, value),
    }
}

/// Whether every byte is printable ASCII that stands for itself.
fn is_plain(value: &[u8]) -> bool {
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') & !matches!(byte, b'"' | b'\\');
    // To its end each time, so that a chunk is a few vector instructions.
    let all = |chunk: &[u8; 16]| chunk.iter().fold(true, |all, byte| all & is_plain(byte));
    let (chunks, rest) = value.as_chunks();
    chunks.iter().all(all) && rest.iter().all(is_plain)
}

fn escape(out: &mut Vec<u8>, value: &[u8]) {
    let is_escaped = |c: char| matches!(c, '"' | '\\') || c.is_control();
    for chunk in value.utf8_chunks() {
        // Each piece ends in a character to escape, but for the last.
        for piece in chunk.valid().split_inclusive(is_escaped) {
            let plain = piece.trim_end_matches(is_escaped);
            out.extend_from_slice(plain.as_bytes());
            let _ = match piece.chars().next_back().filter(|c| is_escaped(*c)) {
                Some(c @ ('"' | '\\')) => write!(out, "\\{c}"),
                // Controls end at U+009F, so four digits hold every one.
                Some(c) => write!(out, "\\u{:04x}", u32::from(c)),
                None => Ok(()),
            };
        }
        for byte in chunk.invalid() {
            // Fields were ISO 8859-1 before they were anything else: each byte is that character.
            let _ = write!(out, "\\u{byte:04x}");
        }
    }
}
