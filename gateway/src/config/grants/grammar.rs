//! How a destination is written, in grants for outgoing requests and for sockets.
//!
//! What is refused here is refused because two readers could take it for two hosts: names that DNS has not,
//! addresses in notations that some resolvers read and others do not, and whatever else a URL may hold.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::{HostGrant, HttpGrant, HttpScheme, PortGrant, SocketGrant};
use crate::limits;

/// A text that names no destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidGrant {
    /// Nothing, or nothing where a host should be.
    #[error("it names no host")]
    Empty,
    /// Another scheme than those served.
    #[error("its scheme is not http or https")]
    Scheme,
    /// A scheme in capitals.
    #[error("its scheme is not in lower case")]
    SchemeCase,
    /// A scheme where there is none.
    #[error("it has a scheme, and a socket has none")]
    SocketScheme,
    /// `user@` or `user:password@`.
    #[error("it has a user name")]
    Userinfo,
    /// `/...`.
    #[error("it has a path")]
    Path,
    /// `?...`.
    #[error("it has a query")]
    Query,
    /// `#...`.
    #[error("it has a fragment")]
    Fragment,
    /// A `*` in another place than first and alone in its label, or before an address.
    #[error("its wildcard is misplaced")]
    Wildcard,
    /// A `*` where none may be.
    #[error("it has a wildcard, and a socket is granted by name")]
    SocketWildcard,
    /// Not 1 to 65535.
    #[error("its port is not a port")]
    Port,
    /// None, where one is needed.
    #[error("it has no port")]
    NoPort,
    /// Letters beyond ASCII.
    #[error("its name is not in ASCII")]
    NotAscii,
    /// A character that no host's name has.
    #[error("its name has a character that host names have not")]
    Character,
    /// A label that is empty or too long, or a name that is too long.
    #[error("its name is not a DNS name")]
    Length,
    /// 127.1, 0x7f000001, 2130706433 and the like.
    #[error("it is a number, but not an address in its usual notation")]
    Notation,
    /// An IPv6 address without brackets.
    #[error("it has an IPv6 address without brackets")]
    Brackets,
    /// 0.0.0.0, a multicast group and the like: nothing is ever sent there, whatever is granted.
    #[error("no one server has its address")]
    NoServer,
    /// `*.localhost`: names of this machine are granted by name.
    #[error("its wildcard is over names of this machine")]
    Localhost,
    /// Something else in brackets.
    #[error("what is in its brackets is not an IPv6 address")]
    Ipv6,
}

impl InvalidGrant {
    /// What to write instead of `text`.
    pub fn help(self, text: &str) -> String {
        let destination = destination_of(text);
        match self {
            Self::Empty => "name a host, such as https://api.example.com".to_owned(),
            Self::Scheme => "write http:// or https://, or no scheme for both".to_owned(),
            Self::SchemeCase => {
                let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
                format!("write {}://{rest}", scheme.to_ascii_lowercase())
            }
            Self::SocketScheme => "write a host and a port, such as db.internal:5432".to_owned(),
            // The text is not repeated: what precedes the @ may be a password.
            Self::Userinfo => "a grant names a destination, and the guest brings its own credentials: write what \
                               follows the @"
                .to_owned(),
            Self::Path | Self::Query | Self::Fragment if destination.is_empty() => Self::Empty.help(""),
            Self::Path | Self::Query | Self::Fragment => {
                format!("a grant names a destination, not a page: write {destination}")
            }
            Self::Wildcard => "a wildcard is the whole host, as in https://*, or its first label, as in \
                               *.example.com"
                .to_owned(),
            Self::SocketWildcard => "write each host and port by itself, such as db.internal:5432".to_owned(),
            Self::Port => "a port is a number from 1 to 65535; in a grant for http, * is every port".to_owned(),
            Self::NoPort => format!("add the port, such as {destination}:5432"),
            Self::NotAscii => "write the name as DNS has it, in its xn-- form".to_owned(),
            Self::Character => "a host's name has letters, digits, hyphens, underscores and dots".to_owned(),
            Self::Length => format!(
                "between dots there are 1 to {} characters, and at most {} in all",
                limits::DNS_LABEL_BYTES,
                limits::DNS_NAME_BYTES
            ),
            Self::Notation => match number_as_address(host_of(destination)) {
                Some(address) => format!("if the address {address} is meant, write {address}"),
                None => "write the address as four decimal numbers, such as 127.0.0.1".to_owned(),
            },
            Self::NoServer => "write the address of one server, such as 127.0.0.1 for this machine".to_owned(),
            Self::Localhost => "write localhost, which is every name below it as well".to_owned(),
            Self::Brackets => "write the address in brackets, such as [::1] or [::1]:8080".to_owned(),
            Self::Ipv6 => "write an IPv6 address without a zone, such as [2001:db8::1]".to_owned(),
        }
    }
}

/// The scheme, host and port of a text that has more.
fn destination_of(text: &str) -> &str {
    let authority_at = text.find("://").map_or(0, |at| at + 3);
    let (before, authority) = text.split_at(authority_at);
    let host_length = authority.find(['/', '?', '#']).unwrap_or(authority.len());
    match host_length {
        0 => "",
        length => text.get(..before.len() + length).unwrap_or(text),
    }
}

fn host_of(destination: &str) -> &str {
    let authority = destination.split_once("://").map_or(destination, |(_, rest)| rest);
    authority.split_once(':').map_or(authority, |(host, _)| host)
}

impl FromStr for HttpGrant {
    type Err = InvalidGrant;

    fn from_str(text: &str) -> Result<Self, InvalidGrant> {
        let (scheme, authority) = match text.split_once("://") {
            Some((scheme, authority)) => (Some(scheme.parse()?), authority),
            None => (None, text),
        };
        let (host, port) = split_authority(authority)?;
        let host = host.parse()?;
        let port = match port {
            // `*` means everything, so it does not mean two ports of everything.
            None if host == HostGrant::Any => PortGrant::Any,
            None => PortGrant::Default,
            Some("*") => PortGrant::Any,
            Some(port) => PortGrant::Exact(read_port(port)?),
        };
        Ok(Self { scheme, host, port })
    }
}

impl fmt::Display for HttpGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(scheme) = self.scheme {
            write!(f, "{scheme}://")?;
        }
        self.host.fmt(f)?;
        match self.port {
            PortGrant::Default => Ok(()),
            PortGrant::Any if self.host == HostGrant::Any => Ok(()),
            PortGrant::Any => f.write_str(":*"),
            PortGrant::Exact(port) => write!(f, ":{port}"),
        }
    }
}

impl FromStr for SocketGrant {
    type Err = InvalidGrant;

    fn from_str(text: &str) -> Result<Self, InvalidGrant> {
        if text.contains("://") {
            return Err(InvalidGrant::SocketScheme);
        }
        if text.contains('*') {
            return Err(InvalidGrant::SocketWildcard);
        }
        let (host, port) = split_authority(text)?;
        let host = host.parse()?;
        let port = read_port(port.ok_or(InvalidGrant::NoPort)?)?;
        Ok(Self { host, port })
    }
}

impl fmt::Display for SocketGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl FromStr for HttpScheme {
    type Err = InvalidGrant;

    fn from_str(text: &str) -> Result<Self, InvalidGrant> {
        match text {
            "http" => Ok(Self::Http),
            "https" => Ok(Self::Https),
            _ if text.eq_ignore_ascii_case("http") || text.eq_ignore_ascii_case("https") => {
                Err(InvalidGrant::SchemeCase)
            }
            _ => Err(InvalidGrant::Scheme),
        }
    }
}

impl fmt::Display for HttpScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Https => "https",
        })
    }
}

/// A host without a port: `*`, `*.example.com`, `example.com`, `127.0.0.1` or `[::1]`.
impl FromStr for HostGrant {
    type Err = InvalidGrant;

    fn from_str(text: &str) -> Result<Self, InvalidGrant> {
        if text == "*" {
            return Ok(Self::Any);
        }
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or(InvalidGrant::Ipv6)?;
            let address: Ipv6Addr = inner.parse().map_err(|_| InvalidGrant::Ipv6)?;
            return of_server(address.to_canonical());
        }
        if let Some(suffix) = text.strip_prefix("*.") {
            let name = read_name(suffix)?;
            return match name.rsplit('.').next() {
                Some("localhost") => Err(InvalidGrant::Localhost),
                _ if ends_in_number(&name) => Err(InvalidGrant::Wildcard),
                _ => Ok(Self::Suffix(name)),
            };
        }
        let name = read_name(text)?;
        if !ends_in_number(&name) {
            return Ok(Self::Name(name));
        }
        // The one notation that every reader of addresses agrees on.
        let address: Ipv4Addr = text.parse().map_err(|_| InvalidGrant::Notation)?;
        of_server(IpAddr::V4(address))
    }
}

impl fmt::Display for HostGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Suffix(name) => write!(f, "*.{name}"),
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => address.fmt(f),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

/// A grant that could never be used is a slip: it is refused where it is written.
fn of_server(address: IpAddr) -> Result<HostGrant, InvalidGrant> {
    if address.is_unspecified() || address.is_multicast() || address == IpAddr::V4(Ipv4Addr::BROADCAST) {
        return Err(InvalidGrant::NoServer);
    }
    Ok(HostGrant::Address(address))
}

/// Host and port of an authority, each as written; everything else a URL may have is refused by its name.
fn split_authority(text: &str) -> Result<(&str, Option<&str>), InvalidGrant> {
    // In the order a URL is read in: an @ after a slash belongs to the path.
    for (mark, error) in [
        ('#', InvalidGrant::Fragment),
        ('?', InvalidGrant::Query),
        ('/', InvalidGrant::Path),
    ] {
        if let Some((before, _)) = text.split_once(mark) {
            return Err(split_authority(before).err().unwrap_or(error));
        }
    }
    if text.contains('@') {
        return Err(InvalidGrant::Userinfo);
    }
    let host_length = if text.starts_with('[') {
        text.find(']').map(|at| at + 1).ok_or(InvalidGrant::Ipv6)?
    } else {
        text.find(':').unwrap_or(text.len())
    };
    let (host, rest) = text.split_at(host_length);
    if host.is_empty() && !rest.contains("::") {
        return Err(InvalidGrant::Empty);
    }
    match rest.strip_prefix(':') {
        None if rest.is_empty() => Ok((host, None)),
        None => Err(InvalidGrant::Ipv6),
        Some(port) if port.contains(':') => Err(InvalidGrant::Brackets),
        Some(port) => Ok((host, Some(port))),
    }
}

fn read_port(text: &str) -> Result<u16, InvalidGrant> {
    // The standard parser takes a sign and leading zeros, which are slips here.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    let port = text.parse().map_err(|_| InvalidGrant::Port)?;
    if digits { Ok(port) } else { Err(InvalidGrant::Port) }
}

/// A name as DNS has it, in lower case and without its last dot.
fn read_name(text: &str) -> Result<Box<str>, InvalidGrant> {
    let name = text.strip_suffix('.').unwrap_or(text);
    if !name.is_ascii() {
        return Err(InvalidGrant::NotAscii);
    }
    if name.contains('*') {
        return Err(InvalidGrant::Wildcard);
    }
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if !name.bytes().all(known) {
        return Err(InvalidGrant::Character);
    }
    let label_fits = |label: &str| (1..=limits::DNS_LABEL_BYTES).contains(&label.len());
    if name.len() > limits::DNS_NAME_BYTES || !name.split('.').all(label_fits) {
        return Err(InvalidGrant::Length);
    }
    Ok(name.to_ascii_lowercase().into())
}

/// Whether readers of URLs take a name for an address (WHATWG URL §3.5, "ends in a number").
fn ends_in_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    if last.bytes().all(|byte| byte.is_ascii_digit()) {
        return true;
    }
    last.strip_prefix("0x")
        .is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// What resolvers with inet_aton take a number for: only to say so in help.
fn number_as_address(host: &str) -> Option<Ipv4Addr> {
    let numbers: Vec<u32> = host.split('.').map(read_number).collect::<Option<_>>()?;
    let (last, leading) = numbers.split_last()?;
    if leading.len() > 3 {
        return None;
    }
    // Leading numbers are a byte each; the last fills what is left.
    let mut address = 0_u64;
    for number in leading {
        address = address << 8 | u64::from(u8::try_from(*number).ok()?);
    }
    let bits_left = 8 * (4 - leading.len());
    let whole = address << bits_left | u64::from(*last);
    let fits = u64::from(*last) >> bits_left == 0;
    fits.then(|| u32::try_from(whole).ok().map(Ipv4Addr::from))?
}

fn read_number(text: &str) -> Option<u32> {
    let lower = text.to_ascii_lowercase();
    if let Some(digits) = lower.strip_prefix("0x") {
        return u32::from_str_radix(digits, 16).ok();
    }
    match lower.strip_prefix('0') {
        Some(digits) if !digits.is_empty() => u32::from_str_radix(digits, 8).ok(),
        _ => lower.parse().ok(),
    }
}
