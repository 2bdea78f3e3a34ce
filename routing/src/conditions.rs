//! What a route asks of a request besides host and path: methods, headers, query and source.

use std::{borrow::Cow, net::IpAddr};

use http::{HeaderMap, HeaderName, Method};
use ipnet::{IpNet, Ipv4Net};

use crate::{
    error::ValueProblem,
    pattern::value_regex,
    spec::{RouteSpec, ValueMatch},
};

/// A set of methods, or one, as bits. Methods RFC 9110 does not know share the last one, and their names are
/// compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MethodBits(u16);

impl MethodBits {
    const GET: Self = Self(1);
    const HEAD: Self = Self(2);
    const OTHER: Self = Self(1 << 15);
    /// Of a route that names no method.
    const ANY: Self = Self(u16::MAX);

    #[inline]
    pub(crate) fn of(method: &Method) -> Self {
        match *method {
            Method::GET => Self::GET,
            Method::HEAD => Self::HEAD,
            Method::POST => Self(1 << 2),
            Method::PUT => Self(1 << 3),
            Method::DELETE => Self(1 << 4),
            Method::CONNECT => Self(1 << 5),
            Method::OPTIONS => Self(1 << 6),
            Method::TRACE => Self(1 << 7),
            Method::PATCH => Self(1 << 8),
            _ => Self::OTHER,
        }
    }

    pub(crate) fn of_route(methods: &[Method]) -> Self {
        if methods.is_empty() {
            return Self::ANY;
        }
        Self(methods.iter().fold(0, |bits, method| bits | Self::of(method).0))
    }

    #[inline]
    pub(crate) fn is_any(self) -> bool {
        self == Self::ANY
    }

    #[inline]
    pub(crate) fn is_head(self) -> bool {
        self == Self::HEAD
    }

    /// What a route must list one of to serve this one method: GET serves HEAD.
    #[inline]
    pub(crate) fn served_by(self) -> Self {
        if self.is_head() {
            Self(Self::GET.0 | Self::HEAD.0)
        } else {
            self
        }
    }

    #[inline]
    pub(crate) fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether the bits alone cannot tell: both sides hold methods without a bit of their own.
    #[inline]
    pub(crate) fn needs_names(self, wanted: Self) -> bool {
        wanted == Self::OTHER && !self.is_any()
    }
}

/// How well a route's methods fit one method: a smaller number ranks above.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum MethodFit {
    /// Listed.
    Named,
    /// A HEAD, and GET is listed.
    ByGet,
    /// The route lists none.
    Any,
}

pub(crate) fn method_fit(methods: &[Method], method: &Method) -> Option<MethodFit> {
    if methods.is_empty() {
        Some(MethodFit::Any)
    } else if methods.contains(method) {
        Some(MethodFit::Named)
    } else if *method == Method::HEAD && methods.contains(&Method::GET) {
        Some(MethodFit::ByGet)
    } else {
        None
    }
}

/// The compiled form of [`ValueMatch`].
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Exact(Box<[u8]>),
    Present,
    /// With the expression as given, for people.
    Regex(regex::bytes::Regex, Box<str>),
}

impl Value {
    fn compile(spec: &ValueMatch) -> Result<Self, ValueProblem> {
        match spec {
            ValueMatch::Exact(text) => Ok(Self::Exact(text.as_bytes().into())),
            ValueMatch::Present => Ok(Self::Present),
            ValueMatch::Regex(pattern) => match value_regex(pattern) {
                Ok(regex) => Ok(Self::Regex(regex, pattern.as_str().into())),
                Err(text) => Err(ValueProblem::Regex(text)),
            },
        }
    }

    pub(crate) fn for_header(spec: &ValueMatch) -> Result<Self, ValueProblem> {
        if let ValueMatch::Exact(text) = spec
            && (text.trim_matches([' ', '\t']) != text || http::HeaderValue::from_str(text).is_err())
        {
            return Err(ValueProblem::Impossible);
        }
        Self::compile(spec)
    }

    pub(crate) fn for_query(name: &str, spec: &ValueMatch) -> Result<Self, ValueProblem> {
        if name.is_empty() {
            return Err(ValueProblem::NoName);
        }
        Self::compile(spec)
    }

    fn takes(&self, value: &[u8]) -> bool {
        match self {
            Self::Exact(expected) => **expected == *value,
            Self::Present => true,
            Self::Regex(regex, _) => regex.is_match(value),
        }
    }

    /// As [`takes`](Self::takes), of a value as it stands in a query string.
    fn takes_encoded(&self, value: &[u8]) -> bool {
        match self {
            Self::Exact(expected) => decoded(value).eq(expected.iter().copied()),
            Self::Present => true,
            Self::Regex(regex, _) => regex.is_match(&decoded_whole(value)),
        }
    }
}

/// Everything a route asks beyond host, path and method.
#[derive(Debug, Clone, Default)]
pub(crate) struct Conditions {
    pub(crate) headers: Vec<(HeaderName, Value)>,
    pub(crate) query: Vec<(String, Value)>,
    pub(crate) source: Vec<IpNet>,
}

impl Conditions {
    pub(crate) fn is_empty(&self) -> bool {
        self.headers.is_empty() && self.query.is_empty() && self.source.is_empty()
    }

    pub(crate) fn hold(&self, headers: &HeaderMap, query: Option<&str>, source: Option<IpAddr>) -> bool {
        takes_source(&self.source, source)
            && self
                .headers
                .iter()
                .all(|(name, value)| takes_header(name, value, headers))
            && self.query.iter().all(|(name, value)| takes_query(name, value, query))
    }
}

pub(crate) fn takes_header(name: &HeaderName, value: &Value, headers: &HeaderMap) -> bool {
    headers.get_all(name).iter().any(|line| value.takes(line.as_bytes()))
}

pub(crate) fn takes_query(name: &str, value: &Value, query: Option<&str>) -> bool {
    first_parameter(query, name).is_some_and(|found| value.takes_encoded(found))
}

/// The value of the first parameter of that name, as it stands in the query string.
pub(crate) fn first_parameter<'q>(query: Option<&'q str>, name: &str) -> Option<&'q [u8]> {
    query?.as_bytes().split(|byte| *byte == b'&').find_map(|pair| {
        let (key, value) = match pair.iter().position(|byte| *byte == b'=') {
            Some(equals) => (pair.get(..equals)?, pair.get(equals + 1..)?),
            None => (pair, [].as_slice()),
        };
        // `&&` has no parameter in it, and a parameter's name is never empty.
        (!key.is_empty() && decoded(key).eq(name.bytes())).then_some(value)
    })
}

pub(crate) fn takes_source(nets: &[IpNet], source: Option<IpAddr>) -> bool {
    if nets.is_empty() {
        return true;
    }
    // A listener on [::] sees IPv4 clients as ::ffff:a.b.c.d.
    source
        .map(|address| address.to_canonical())
        .is_some_and(|address| nets.iter().any(|net| net.contains(&address)))
}

/// The nets of a route as they are compared: IPv4-mapped ones as IPv4, what lies within another left out.
pub(crate) fn plain_nets(spec: &RouteSpec) -> Vec<IpNet> {
    let plain = spec.source.iter().map(|net| match net {
        IpNet::V6(v6) if v6.prefix_len() >= 96 => {
            let mapped = v6
                .addr()
                .to_ipv4_mapped()
                .and_then(|addr| Ipv4Net::new(addr, v6.prefix_len() - 96).ok());
            mapped.map_or(*net, IpNet::V4)
        }
        _ => *net,
    });
    IpNet::aggregate(&plain.collect())
}

/// `application/x-www-form-urlencoded` taken back, byte by byte. A `%` that begins no escape is itself.
fn decoded(text: &[u8]) -> impl Iterator<Item = u8> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (byte, after) = rest.split_first()?;
        rest = after;
        match (byte, after) {
            (b'+', _) => Some(b' '),
            (b'%', [high, low, behind @ ..]) => {
                let value = |digit: u8| char::from(digit).to_digit(16);
                match (value(*high), value(*low)) {
                    (Some(high), Some(low)) => {
                        rest = behind;
                        u8::try_from(high * 16 + low).ok()
                    }
                    _ => Some(b'%'),
                }
            }
            _ => Some(*byte),
        }
    })
}

fn decoded_whole(text: &[u8]) -> Cow<'_, [u8]> {
    if text.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        Cow::Owned(decoded(text).collect())
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests;
