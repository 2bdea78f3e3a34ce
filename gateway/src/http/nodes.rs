//! How proxies write down whom they saw: entries of X-Forwarded-For, and elements of Forwarded (RFC 7239 §4).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// An address, with a port or without (then 0): `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80`.
/// `None` for everything else, `unknown` and obfuscated names among it (RFC 7239 §6). A mapped address is the IPv4
/// address it maps.
pub(super) fn node(bytes: &[u8]) -> Option<SocketAddr> {
    let text = std::str::from_utf8(bytes).ok()?.trim_ascii();
    let (address, port) = if let Some(rest) = text.strip_prefix('[') {
        let (address, behind) = rest.split_once(']')?;
        let port = match behind {
            "" => 0,
            behind => port(behind.strip_prefix(':')?)?,
        };
        (IpAddr::V6(address.parse::<Ipv6Addr>().ok()?), port)
    } else if let Ok(address) = text.parse::<IpAddr>() {
        (address, 0)
    } else {
        let (address, digits) = text.rsplit_once(':')?;
        (IpAddr::V4(address.parse::<Ipv4Addr>().ok()?), port(digits)?)
    };
    Some(SocketAddr::new(address.to_canonical(), port))
}

/// A port as a number, or one that its proxy keeps to itself (`_` and a name, RFC 7239 §6.2).
fn port(text: &str) -> Option<u16> {
    if text.starts_with('_') {
        return Some(0);
    }
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

/// Whom an element of Forwarded is about: its one `for` parameter.
pub(super) fn element(bytes: &[u8]) -> Option<SocketAddr> {
    let mut found = None;
    let mut rest = Some(bytes);
    while let Some(pairs) = rest {
        let (before, pair) = cut(pairs, b';');
        rest = before;
        let at = pair.iter().position(|&byte| byte == b'=').unwrap_or(pair.len());
        let (name, value) = pair.split_at_checked(at)?;
        if name.trim_ascii().eq_ignore_ascii_case(b"for") {
            if found.is_some() {
                return None;
            }
            found = Some(value.strip_prefix(b"=")?.trim_ascii());
        }
    }
    let value = found?;
    match value.strip_prefix(b"\"") {
        Some(quoted) => node(quoted.strip_suffix(b"\"")?),
        None => node(value),
    }
}

/// The elements of one line of Forwarded, the last one first.
///
/// Read from its end, where the proxies that can be trusted wrote: what a client has put before that, such as a quote
/// that is never closed, does not change how it is read.
#[derive(Clone, Debug)]
pub(super) struct Elements<'a>(Option<&'a [u8]>);

impl<'a> Elements<'a> {
    pub(super) fn of(line: &'a [u8]) -> Self {
        Self(Some(line))
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (rest, element) = cut(self.0?, b',');
        self.0 = rest;
        Some(element)
    }
}

/// What stands before and behind the last `separator` that is not within quotes.
fn cut(list: &[u8], separator: u8) -> (Option<&[u8]>, &[u8]) {
    let mut is_quoted = false;
    let is_separator = |(at, &byte): (usize, &u8)| {
        if byte == b'"' && !is_escaped(list, at) {
            is_quoted = !is_quoted;
        }
        byte == separator && !is_quoted
    };
    match list.iter().enumerate().rev().map(is_separator).position(|found| found) {
        Some(from_end) => {
            let at = list.len() - 1 - from_end;
            (list.get(..at), list.get(at + 1..).unwrap_or_default())
        }
        None => (None, list),
    }
}

/// Whether an odd number of backslashes stands before the byte at `at` (RFC 9110 §5.6.4).
fn is_escaped(list: &[u8], at: usize) -> bool {
    let before = list.get(..at).unwrap_or_default();
    before.iter().rev().take_while(|&&byte| byte == b'\\').count() % 2 == 1
}

/// Whether every quote in a line is closed, so that what is added behind it is not swallowed.
pub(super) fn is_closed(line: &[u8]) -> bool {
    let mut is_quoted = false;
    let mut bytes = line.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b'\\' if is_quoted && bytes.next().is_none() => return false,
            _ => {}
        }
    }
    !is_quoted
}
