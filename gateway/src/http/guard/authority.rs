//! Who a request is for: `uri-host [":" port]`, as Host, `:authority` and absolute-form targets name it.

use std::net::Ipv6Addr;

use super::class;
use super::fault::Fault;
use super::{Phase, Rejection};

/// A valid authority without userinfo, RFC 3986 §3.2 as far as `http` URIs use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Authority<'a> {
    /// A registered name, an IPv4 address, or an IPv6 address in brackets, as it was sent.
    pub(crate) host: &'a [u8],
    /// `None` when there is none, or only its colon.
    pub(crate) port: Option<u16>,
}

impl<'a> Authority<'a> {
    /// `None` for what is no host with an optional port: empty, with userinfo, percent-encoded or with sub-delims
    /// (no DNS name has them), with an empty label, an address that is none, a zone, or a port above 65535.
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let host_bytes = match bytes.first()? {
            b'[' => address_bytes(bytes)?,
            _ => name_bytes(bytes)?,
        };
        let (host, behind) = bytes.split_at_checked(host_bytes)?;
        let port = match behind {
            [] | [b':'] => None,
            [b':', digits @ ..] => Some(port(digits)?),
            _ => return None,
        };
        Some(Self { host, port })
    }

    /// Whether both name the same host and port, where `port` is what the scheme implies: `a`, `A` and `a:80` agree
    /// over http. Addresses are compared as they are written.
    pub(crate) fn agrees(&self, other: &Authority<'_>, port: u16) -> bool {
        self.host.eq_ignore_ascii_case(other.host) && self.port.unwrap_or(port) == other.port.unwrap_or(port)
    }
}

/// The one authority a request is for, given what its target or `:authority` names, all its Host fields, and the port
/// its scheme implies: RFC 9112 §3.2.2, RFC 9113 §8.3.1.
///
/// The guard has judged HTTP/1 heads by the same rules; HTTP/2 requests come to be judged here alone. `Ok(None)` is a
/// request that names nobody, which only HTTP/1.0 may send.
pub(crate) fn agreed<'a>(
    named: Option<&'a [u8]>,
    hosts: impl IntoIterator<Item = &'a [u8]>,
    port: u16,
) -> Result<Option<Authority<'a>>, Rejection> {
    agreement(named, hosts, port).map_err(|fault| fault.rejection(Phase::Head))
}

pub(super) fn agreement<'a>(
    named: Option<&'a [u8]>,
    hosts: impl IntoIterator<Item = &'a [u8]>,
    port: u16,
) -> Result<Option<Authority<'a>>, Fault> {
    let named = named.map(authority).transpose()?;
    let mut hosts = hosts.into_iter();
    let Some(host) = hosts.next() else { return Ok(named) };
    if hosts.next().is_some() {
        return Err(Fault::HostRepeated);
    }
    let host = Authority::parse(host).ok_or(Fault::HostInvalid)?;
    match named {
        Some(named) if !named.agrees(&host, port) => Err(Fault::AuthorityMismatch),
        Some(named) => Ok(Some(named)),
        None => Ok(Some(host)),
    }
}

/// An authority as a target names it, where `http` URIs once had room for a user.
pub(super) fn authority(bytes: &[u8]) -> Result<Authority<'_>, Fault> {
    if bytes.contains(&b'@') {
        return Err(Fault::Userinfo);
    }
    Authority::parse(bytes).ok_or(Fault::Authority)
}

/// Length of the registered name or IPv4 address at the front.
fn name_bytes(bytes: &[u8]) -> Option<usize> {
    let length = class::run(bytes, class::HOST);
    let name = bytes.get(..length)?;
    // An empty label could only be at the end, for the root.
    let has_empty_label = name.first()? == &b'.' || name.windows(2).any(|pair| pair == b"..");
    (!has_empty_label).then_some(length)
}

/// Length of the IPv6 address in brackets at the front.
fn address_bytes(bytes: &[u8]) -> Option<usize> {
    let close = bytes.iter().position(|&byte| byte == b']')?;
    let address = std::str::from_utf8(bytes.get(1..close)?).ok()?;
    address.parse::<Ipv6Addr>().ok()?;
    Some(close + 1)
}

fn port(digits: &[u8]) -> Option<u16> {
    let mut port: u16 = 0;
    for &byte in digits {
        let digit = byte.is_ascii_digit().then(|| byte - b'0')?;
        port = port.checked_mul(10)?.checked_add(u16::from(digit))?;
    }
    Some(port)
}
