//! What a route is made from: the plain description a configuration resolves to.

use std::fmt;

use http::{HeaderName, Method};
use ipnet::IpNet;

/// The place of a route in the slice the table was built from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteIndex(u32);

impl RouteIndex {
    /// Beyond `u32` the largest index stands: a table of that many routes is refused when it is built.
    pub(crate) fn new(index: usize) -> Self {
        Self(u32::try_from(index).unwrap_or(u32::MAX))
    }

    pub(crate) fn from_raw(index: u32) -> Self {
        Self(index)
    }

    /// The index as a number.
    #[must_use]
    pub fn get(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for RouteIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// What a request must be for a route to take it. Every part that is empty or absent takes everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RouteSpec {
    /// What messages call the route. It need not be unique.
    pub name: String,
    /// `example.com`, or `*.example.com` for one or more labels before the suffix. Any of them suffices.
    pub hosts: Vec<String>,
    /// Absent: every path, as `/*`.
    pub path: Option<PathSpec>,
    /// Any of them suffices. `GET` serves `HEAD` as well.
    pub methods: Vec<Method>,
    /// All of them must hold. Where a field is repeated, one of its lines must match whole.
    pub headers: Vec<(HeaderName, ValueMatch)>,
    /// All of them must hold. Names and values are plain text, compared with the decoded query; of a repeated
    /// parameter the first counts.
    pub query: Vec<(String, ValueMatch)>,
    /// The client's address must be in one of them.
    pub source: Vec<IpNet>,
}

/// Which paths a route takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathSpec {
    /// Segments, compared with the normalised path:
    ///
    /// | pattern | takes | does not take |
    /// |---|---|---|
    /// | `/a/b` | `/a/b` | `/a/b/` |
    /// | `/users/{id}` | `/users/7` | `/users/`, `/users/7/x` |
    /// | `/v1/*` | `/v1`, `/v1/`, `/v1/x/y` | `/v1x` |
    /// | `/files/{*rest}` | as `/files/*`, and names what follows | |
    Pattern(String),
    /// A regular expression that must match the whole normalised path. It ranks below every pattern of its
    /// host, and its named groups are parameters.
    Regex(String),
}

/// What a header field or a query parameter must be.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ValueMatch {
    /// Exactly this, with its case.
    Exact(String),
    /// Anything, the empty value too.
    Present,
    /// A regular expression that must match the whole value.
    Regex(String),
}

impl fmt::Display for ValueMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(value) => write!(f, "{value:?}"),
            Self::Present => f.write_str("present"),
            Self::Regex(pattern) => write!(f, "/{pattern}/"),
        }
    }
}
