//! What the next hop is told of the client: X-Forwarded-For, -Proto and -Host, and Forwarded (RFC 7239).
//!
//! There is no X-Real-IP and no X-Forwarded-Port: they would say again what these say, and a route can set them.

use super::cx::Client;
use super::guard::Authority;
use super::nodes;
use super::trusted::Provenance;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use smallvec::SmallVec;
use std::net::IpAddr;
use std::sync::OnceLock;

pub(super) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub(super) use header::FORWARDED;

/// The host that a client asked for, in the extensions of a request whose host was rewritten since.
#[derive(Clone, Debug)]
pub(crate) struct AskedHost(pub(crate) HeaderValue);

/// Whether a field says whom a request comes from, or what that one asked for: a peer that is not trusted has no say
/// in that. CGI and its kin read `_` and `-` alike (RFC 3875 §4.1.18), so it is the same field to them.
pub(crate) fn is_claim(name: &HeaderName) -> bool {
    let name = name.as_str().as_bytes();
    let is_like = |claim: &[u8]| {
        let begin = name.get(..claim.len()).unwrap_or_default();
        let alike = |(&byte, &other): (&u8, &u8)| byte == other || (byte == b'_' && other == b'-');
        begin.len() == claim.len() && begin.iter().zip(claim).all(alike)
    };
    match name.first() {
        Some(b'x') => is_like(b"x-forwarded") || (is_like(b"x-real-ip") && name.len() == 9),
        Some(b'f') => name == b"forwarded",
        _ => false,
    }
}

/// Whether it is one in disguise: such a field no proxy sends, and no trusted one takes out either.
pub(crate) fn is_disguised_claim(name: &HeaderName) -> bool {
    is_claim(name) && name.as_str().contains('_')
}

/// What the next hop is told of the peer of one connection, prepared when its first request is passed on.
#[derive(Debug)]
pub(crate) struct ForwardedFor {
    address: HeaderValue,
    proto: HeaderValue,
    /// Its element of Forwarded, but for the host.
    element: Box<[u8]>,
    /// Forwarded for the host that the connection's first request was for, which most of the others are for too.
    first: OnceLock<(HeaderValue, HeaderValue)>,
}

impl ForwardedFor {
    /// That of a connection's peer.
    pub(crate) fn of(peer: &Client) -> Self {
        let address = peer.address.ip().to_canonical();
        let proto = HeaderValue::from_static(if peer.tls { "https" } else { "http" });
        Self {
            element: element(address, &proto).into_boxed_slice(),
            address: value(address.to_string().as_bytes()),
            proto,
            first: OnceLock::new(),
        }
    }

    /// Writes all four fields for a request that asked for `host`, by what is known of its `provenance`.
    ///
    /// What a trusted proxy says is kept: lists get the peer added to them, X-Forwarded-Proto and -Host stay where they
    /// say one thing. Anybody else's fields are replaced.
    pub(crate) fn write(&self, headers: &mut HeaderMap, host: Option<&HeaderValue>, provenance: Provenance) {
        if provenance.is_trusted() {
            return self.add(headers, host, provenance.client().map(|client| client.ip()));
        }
        headers.insert(X_FORWARDED_FOR, self.address.clone());
        headers.insert(X_FORWARDED_PROTO, self.proto.clone());
        headers.insert(FORWARDED, self.forwarded(host));
        match host {
            Some(host) => headers.insert(X_FORWARDED_HOST, host.clone()),
            None => headers.remove(X_FORWARDED_HOST),
        };
    }

    /// Adds the peer, a trusted proxy, to what it has said itself.
    ///
    /// Only the list that the client's address was taken from is believed. The other one is written anew: a proxy that
    /// does not know it lets the client write it, and the server behind may prefer it.
    fn add(&self, headers: &mut HeaderMap, host: Option<&HeaderValue>, client: Option<IpAddr>) {
        let proto = only(headers, &X_FORWARDED_PROTO, is_scheme).unwrap_or_else(|| self.proto.clone());
        let asked = only(headers, &X_FORWARDED_HOST, |host| Authority::parse(host).is_some()).or_else(|| host.cloned());
        let (mut addresses, mut elements) = (Vec::new(), Vec::new());
        if headers.contains_key(X_FORWARDED_FOR) {
            addresses = joined(headers, &X_FORWARDED_FOR);
        } else if headers
            .get_all(FORWARDED)
            .iter()
            .all(|line| nodes::is_closed(line.as_bytes()))
        {
            elements = joined(headers, &FORWARDED);
        }
        if let Some(client) = client {
            if addresses.is_empty() {
                addresses = client.to_string().into_bytes();
            }
            if elements.is_empty() {
                elements = element(client, &proto);
                push_host(asked.as_ref(), |bytes| elements.extend_from_slice(bytes));
            }
        }
        push_member(&mut addresses, self.address.as_bytes());
        push_member(&mut elements, self.forwarded(host).as_bytes());
        headers.insert(X_FORWARDED_FOR, value(&addresses));
        headers.insert(X_FORWARDED_PROTO, proto);
        headers.insert(FORWARDED, value(&elements));
        match asked {
            Some(asked) => headers.insert(X_FORWARDED_HOST, asked),
            None => headers.remove(X_FORWARDED_HOST),
        };
    }

    /// The peer's element of Forwarded.
    fn forwarded(&self, host: Option<&HeaderValue>) -> HeaderValue {
        let make = || {
            let mut bytes: SmallVec<[u8; 128]> = SmallVec::from_slice(&self.element);
            push_host(host, |part| bytes.extend_from_slice(part));
            value(&bytes)
        };
        let Some(host) = host else { return make() };
        let (first, forwarded) = self.first.get_or_init(|| (host.clone(), make()));
        if first == host { forwarded.clone() } else { make() }
    }
}

/// `for=192.0.2.1;proto=https`, or `for="[2001:db8::1]";proto=https`: colons and brackets are no token.
fn element(address: IpAddr, proto: &HeaderValue) -> Vec<u8> {
    let mut element = match address {
        IpAddr::V4(address) => format!("for={address};proto="),
        IpAddr::V6(address) => format!("for=\"[{address}]\";proto="),
    }
    .into_bytes();
    element.extend_from_slice(proto.as_bytes());
    element
}

/// `;host=example.com`. A host that is none is left out rather than escaped: it came here past those who would have
/// refused it, and not every reader of Forwarded knows escapes.
fn push_host(host: Option<&HeaderValue>, mut push: impl FnMut(&[u8])) {
    let host = host.map(HeaderValue::as_bytes).unwrap_or_default();
    if Authority::parse(host).is_none() {
        return;
    }
    // Of all that is no token a host has only these (RFC 7239 §4).
    let is_quoted = host.iter().any(|byte| matches!(byte, b':' | b'[' | b']'));
    let quote: &[u8] = if is_quoted { b"\"" } else { b"" };
    for part in [b";host=", quote, host, quote] {
        push(part);
    }
}

fn is_scheme(text: &[u8]) -> bool {
    let schemes: [&[u8]; 4] = [b"http", b"https", b"ws", b"wss"];
    schemes.iter().any(|scheme| text.eq_ignore_ascii_case(scheme))
}

/// The value of a field that has one line, which is valid.
fn only(headers: &HeaderMap, name: &HeaderName, is_valid: impl Fn(&[u8]) -> bool) -> Option<HeaderValue> {
    let mut lines = headers.get_all(name).iter();
    let line = lines.next().filter(|_| lines.next().is_none())?;
    is_valid(line.as_bytes()).then(|| line.clone())
}

/// The lines of a list as one: servers that know of one line only see all of it.
fn joined(headers: &HeaderMap, name: &HeaderName) -> Vec<u8> {
    let mut list = Vec::new();
    for line in headers.get_all(name) {
        push_member(&mut list, line.as_bytes().trim_ascii());
    }
    list
}

fn push_member(list: &mut Vec<u8>, member: &[u8]) {
    if !list.is_empty() && !member.is_empty() {
        list.extend_from_slice(b", ");
    }
    list.extend_from_slice(member);
}

/// One allocation. What is put together here from field values and addresses is always one again.
fn value(bytes: &[u8]) -> HeaderValue {
    HeaderValue::from_bytes(bytes).unwrap_or(HeaderValue::from_static("unknown"))
}

#[cfg(test)]
mod tests;
