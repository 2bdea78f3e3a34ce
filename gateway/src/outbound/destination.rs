//! Where a request goes: scheme, host and port, read strictly from its URI.

use super::SendError;
use crate::config::HttpScheme;
use crate::limits;
use http::uri::{Authority, Parts, PathAndQuery, Scheme};
use http::{HeaderValue, Uri};
use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The URI of a request taken apart, so that it can be put together as either version of HTTP wants it.
#[derive(Debug)]
pub(super) struct Target {
    is_https: bool,
    authority: Authority,
}

/// Where a request goes, as policy and pool compare it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Destination<'a> {
    pub(super) is_https: bool,
    /// HTTP/2 without TLS and without asking (RFC 9113 §3.3).
    pub(super) is_h2c: bool,
    pub(super) host: Host<'a>,
    pub(super) port: u16,
}

/// A name in lower case without a trailing dot, or an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host<'a> {
    Name(Cow<'a, str>),
    Address(IpAddr),
}

impl Target {
    /// Takes scheme and authority out of `uri` and leaves the path and query (origin-form, RFC 9112 §3.2.1).
    pub(super) fn take(uri: &mut Uri) -> Result<Self, SendError> {
        let mut parts = std::mem::take(uri).into_parts();
        let is_https = match parts.scheme.as_ref().map(Scheme::as_str) {
            Some("http") => false,
            Some("https") => true,
            Some(_) => return Err(SendError::Uri("its scheme is neither http nor https")),
            None => return Err(SendError::Uri("it has no scheme")),
        };
        let authority = parts.authority.take().ok_or(SendError::Uri("it has no authority"))?;
        *uri = origin_form(parts.path_and_query)?;
        Ok(Self { is_https, authority })
    }

    /// The destination it names.
    pub(super) fn destination(&self) -> Result<Destination<'_>, SendError> {
        let authority = self.authority.as_str();
        if authority.contains('@') {
            return Err(SendError::Uri("it carries a user name"));
        }
        let (host, port) = split_port(authority)?;
        let port = match port {
            "" if self.is_https => 443,
            "" => 80,
            port => parse_port(port).ok_or(SendError::Uri("its port is none"))?,
        };
        Ok(Destination {
            is_https: self.is_https,
            is_h2c: false,
            host: Host::parse(host)?,
            port,
        })
    }

    /// Makes `uri`, of which [`Self::take`] left the path, absolute again, as HTTP/2 needs it. `host` is the request's
    /// own Host field: what the request was said to be for.
    pub(super) fn restore(&self, uri: &mut Uri, host: Option<&HeaderValue>) -> Result<(), SendError> {
        let mut parts = std::mem::take(uri).into_parts();
        parts.scheme = Some(if self.is_https { Scheme::HTTPS } else { Scheme::HTTP });
        parts.authority = Some(match host {
            Some(host) => Authority::try_from(host.as_bytes()).map_err(|_| SendError::Uri("its Host field is none"))?,
            None => self.authority.clone(),
        });
        parts
            .path_and_query
            .get_or_insert_with(|| PathAndQuery::from_static("/"));
        *uri = Uri::from_parts(parts).map_err(|_| SendError::Uri("it cannot be put together"))?;
        Ok(())
    }
}

/// Drops scheme and authority from `uri` again after [`Target::restore`].
pub(super) fn to_origin_form(uri: &mut Uri) -> Result<(), SendError> {
    if uri.authority().is_some() {
        *uri = origin_form(std::mem::take(uri).into_parts().path_and_query)?;
    }
    Ok(())
}

fn origin_form(path: Option<PathAndQuery>) -> Result<Uri, SendError> {
    let mut parts = Parts::default();
    parts.path_and_query = Some(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
    Uri::from_parts(parts).map_err(|_| SendError::Uri("its path cannot stand alone"))
}

/// `host`, `host:port` or `[v6]:port`; the port is empty where there is none (RFC 3986 §3.2.3 allows `host:`).
fn split_port(authority: &str) -> Result<(&str, &str), SendError> {
    let end_of_host = match authority.rfind(']') {
        Some(bracket) => bracket + 1,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, rest) = authority
        .split_at_checked(end_of_host)
        .ok_or(SendError::Uri("its authority is malformed"))?;
    match rest.strip_prefix(':') {
        Some(port) => Ok((host, port)),
        None if rest.is_empty() => Ok((host, "")),
        None => Err(SendError::Uri("its authority is malformed")),
    }
}

/// Digits only: `parse` alone would take a sign.
fn parse_port(text: &str) -> Option<u16> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
        .filter(|port| *port != 0)
}

impl<'a> Host<'a> {
    /// A proper address literal or a valid name. What neither is never gets to a resolver, which might read `127.1`,
    /// `0x7f.1` or `2130706433` as an address.
    pub(super) fn parse(host: &'a str) -> Result<Self, SendError> {
        if let Some(literal) = host.strip_prefix('[') {
            let address = literal.strip_suffix(']').and_then(|text| text.parse::<Ipv6Addr>().ok());
            return Ok(Self::Address(canonical(IpAddr::V6(
                address.ok_or(SendError::Uri("its host is no IPv6 address"))?,
            ))));
        }
        if let Ok(address) = host.parse::<Ipv4Addr>() {
            return Ok(Self::Address(IpAddr::V4(address)));
        }
        let name = host.strip_suffix('.').unwrap_or(host);
        if !is_name(name) {
            return Err(SendError::Uri("its host is neither a domain name nor an address"));
        }
        Ok(Self::Name(if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(name.to_ascii_lowercase())
        } else {
            Cow::Borrowed(name)
        }))
    }
}

/// A mapped address is the IPv4 address it maps: packets to it go there.
pub(super) fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// Letters, digits, hyphens, and the underscore that service names use. A last label that is a number makes an
/// address of the whole in the eyes of many resolvers (WHATWG URL §3.5), so it makes no name.
fn is_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=limits::DNS_LABEL_BYTES).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    name.len() <= limits::DNS_NAME_BYTES
        && name.split('.').all(is_label)
        && !name.rsplit('.').next().is_none_or(is_number)
}

fn is_number(label: &str) -> bool {
    let hexadecimal = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
    match hexadecimal {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => label.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

impl Destination<'_> {
    pub(super) fn scheme(&self) -> HttpScheme {
        if self.is_https {
            HttpScheme::Https
        } else {
            HttpScheme::Http
        }
    }

    /// Whether requests may share a connection to it.
    pub(super) fn may_share(&self) -> bool {
        self.is_https || self.is_h2c
    }

    /// Whether the port is the scheme's own.
    pub(super) fn has_default_port(&self) -> bool {
        self.port == if self.is_https { 443 } else { 80 }
    }

    /// What requests to it are said to be for, where they do not say it themselves.
    pub(super) fn target(&self) -> Result<Target, SendError> {
        let authority =
            Authority::try_from(self.to_string()).map_err(|_| SendError::Uri("its host is no authority"))?;
        Ok(Target {
            is_https: self.is_https,
            authority,
        })
    }

    /// Its owned form, made once a connection.
    pub(super) fn to_owned(&self) -> Destination<'static> {
        Destination {
            is_https: self.is_https,
            is_h2c: self.is_h2c,
            port: self.port,
            host: match &self.host {
                Host::Name(name) => Host::Name(Cow::Owned(name.to_string())),
                Host::Address(address) => Host::Address(*address),
            },
        }
    }
}

/// As a Host field says it: without the scheme's own port.
impl fmt::Display for Destination<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Name(name) => f.write_str(name)?,
            Host::Address(IpAddr::V4(address)) => write!(f, "{address}")?,
            Host::Address(IpAddr::V6(address)) => write!(f, "[{address}]")?,
        }
        if self.has_default_port() {
            Ok(())
        } else {
            write!(f, ":{}", self.port)
        }
    }
}

#[cfg(test)]
mod tests;
