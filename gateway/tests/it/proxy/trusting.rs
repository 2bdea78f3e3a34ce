//! A server that trusts whatever it gets, as some do: lines end anywhere, of two framings it takes one, and what
//! follows is the next request.

use crate::support::origin::{Origin, Received};
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

/// Which framing it believes where there are several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    FirstLength,
    LastLength,
    Coding,
}

impl Trust {
    pub(super) const ALL: [Self; 3] = [Self::FirstLength, Self::LastLength, Self::Coding];
}

/// It answers each request it believes to see with 200, and its number in `x-number`.
pub(super) struct Trusting {
    pub(super) origin: Origin,
    seen: Arc<Mutex<Vec<Received>>>,
}

impl Trusting {
    pub(super) fn start(trust: Trust) -> Self {
        let seen = Arc::<Mutex<Vec<Received>>>::default();
        let into = Arc::clone(&seen);
        let origin = Origin::start(move |visit| {
            let tcp = visit.raw.tcp().try_clone().expect("a socket can be cloned");
            let mut from = BufReader::new(tcp);
            while let Some(request) = read(&mut from, trust) {
                let mut seen = into.lock().unwrap();
                seen.push(request);
                let number = seen.len();
                drop(seen);
                visit.raw.write(format!(
                    "HTTP/1.1 200 OK\r\nx-number: {number}\r\ncontent-length: 0\r\n\r\n"
                ));
            }
        });
        Self { origin, seen }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.origin.address
    }

    /// All requests it believed to see since this was asked last.
    pub(super) fn take(&self) -> Vec<Received> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

/// The next request in `from`, as somebody reads it who never doubts; `None` at the end.
pub(super) fn read(from: &mut impl BufRead, trust: Trust) -> Option<Received> {
    let mut first = line(from)?;
    while first.trim().is_empty() {
        first = line(from)?;
    }
    let mut words = first.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let fields = fields(from)?;
    let named = |name: &'static str| fields.iter().filter(move |(known, _)| known == name);
    let number = |value: &str| -> usize {
        let digits: String = value.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap_or_default()
    };
    let mut lengths = named("content-length").map(|(_, value)| number(value));
    let length = match trust {
        Trust::LastLength => lengths.next_back(),
        Trust::FirstLength | Trust::Coding => lengths.next(),
    };
    let is_chunked = named("transfer-encoding").any(|(_, value)| value.to_ascii_lowercase().contains("chunked"));
    let (mut body, mut trailers) = (Vec::new(), Vec::new());
    if is_chunked && (trust == Trust::Coding || length.is_none()) {
        loop {
            let size = line(from)?;
            let digits: String = size.trim().chars().take_while(char::is_ascii_hexdigit).collect();
            let size = usize::from_str_radix(&digits, 16).unwrap_or_default();
            if size == 0 {
                break;
            }
            body.extend(exactly(from, size)?);
            line(from)?;
        }
        trailers = self::fields(from)?;
    } else {
        body = exactly(from, length.unwrap_or_default())?;
    }
    Some(Received {
        method,
        target,
        fields,
        body,
        trailers,
    })
}

/// Field lines up to an empty one.
fn fields(from: &mut impl BufRead) -> Option<Vec<(String, String)>> {
    let mut fields: Vec<(String, String)> = Vec::new();
    loop {
        let line = line(from)?;
        if line.is_empty() {
            return Some(fields);
        }
        if let (true, Some((_, value))) = (line.starts_with([' ', '\t']), fields.last_mut()) {
            value.push_str(line.trim());
            continue;
        }
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.trim_matches([' ', '\t']).to_owned();
        fields.push((name.trim().to_ascii_lowercase(), value));
    }
}

/// Up to LF, with CR before it or not. Bytes are characters: nothing is lost.
fn line(from: &mut impl BufRead) -> Option<String> {
    let mut bytes = Vec::new();
    from.read_until(b'\n', &mut bytes).ok()?;
    let line = bytes.strip_suffix(b"\n")?;
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    Some(line.iter().map(|byte| char::from(*byte)).collect())
}

fn exactly(from: &mut impl BufRead, bytes: usize) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    let read = from.take(bytes as u64).read_to_end(&mut body).ok()?;
    (read == bytes).then_some(body)
}
