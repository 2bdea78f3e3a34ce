//! Everything that can be wrong with a set of routes. Each error knows which routes and which field it is about,
//! so that a configuration can point at the line, and says what to do.

use crate::{normalize::PathError, spec::RouteIndex};

/// The field of a [`RouteSpec`](crate::RouteSpec) an error is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Field {
    /// The route as a whole.
    Route,
    /// `hosts`.
    Host,
    /// `path`.
    Path,
    /// `methods`.
    Methods,
    /// `headers`.
    Header,
    /// `query`.
    Query,
    /// `source`.
    Source,
}

/// One thing wrong with a set of routes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// A host cannot be matched.
    #[error("route `{name}`: host `{host}`: {problem}")]
    Host {
        /// The route.
        route: RouteIndex,
        /// Its name.
        name: String,
        /// The place in `hosts`.
        position: usize,
        /// The host as given.
        host: String,
        /// What is wrong.
        problem: HostProblem,
    },
    /// A path cannot be matched.
    #[error("route `{name}`: path `{path}`: {problem}")]
    Path {
        /// The route.
        route: RouteIndex,
        /// Its name.
        name: String,
        /// The path as given.
        path: String,
        /// What is wrong.
        problem: PatternProblem,
    },
    /// A header condition cannot hold.
    #[error("route `{name}`: header `{header}`: {problem}")]
    Header {
        /// The route.
        route: RouteIndex,
        /// Its name.
        name: String,
        /// The place in `headers`.
        position: usize,
        /// The header's name.
        header: String,
        /// What is wrong.
        problem: ValueProblem,
    },
    /// A query condition cannot hold.
    #[error("route `{name}`: query `{parameter}`: {problem}")]
    Query {
        /// The route.
        route: RouteIndex,
        /// Its name.
        name: String,
        /// The place in `query`.
        position: usize,
        /// The parameter's name.
        parameter: String,
        /// What is wrong.
        problem: ValueProblem,
    },
    /// Two routes take exactly the same requests.
    #[error("routes `{first_name}` ({first}) and `{second_name}` ({second}) take the same requests: {host}{path}")]
    Indistinguishable {
        /// The route declared first.
        first: RouteIndex,
        /// Its name.
        first_name: String,
        /// The other.
        second: RouteIndex,
        /// Its name.
        second_name: String,
        /// A host both have; `*` for any.
        host: String,
        /// The path of the second.
        path: String,
    },
    /// Whatever a route would take, one that ranks above it takes.
    #[error(
        "route `{name}` ({route}) can never be reached: `{by_name}` ({by}), which ranks above it, takes every \
         request it would: {host}{path}"
    )]
    Unreachable {
        /// The route nothing reaches.
        route: RouteIndex,
        /// Its name.
        name: String,
        /// The route in front of it.
        by: RouteIndex,
        /// Its name.
        by_name: String,
        /// A host both have; `*` for any.
        host: String,
        /// The path of the route nothing reaches.
        path: String,
    },
    /// The table would outgrow its 32-bit indices.
    #[error("the routes are too many or too long for one table: {count} routes")]
    TooLarge {
        /// How many were given.
        count: usize,
    },
}

impl BuildError {
    /// The route to point at: of two, the one to change.
    #[must_use]
    pub fn route(&self) -> Option<RouteIndex> {
        match self {
            Self::Host { route, .. }
            | Self::Path { route, .. }
            | Self::Header { route, .. }
            | Self::Query { route, .. }
            | Self::Unreachable { route, .. } => Some(*route),
            Self::Indistinguishable { second, .. } => Some(*second),
            Self::TooLarge { .. } => None,
        }
    }

    /// The other route of an error about two.
    #[must_use]
    pub fn other(&self) -> Option<RouteIndex> {
        match self {
            Self::Indistinguishable { first, .. } => Some(*first),
            Self::Unreachable { by, .. } => Some(*by),
            _ => None,
        }
    }

    /// The field to point at.
    #[must_use]
    pub fn field(&self) -> Field {
        match self {
            Self::Host { .. } => Field::Host,
            Self::Path { .. } => Field::Path,
            Self::Header { .. } => Field::Header,
            Self::Query { .. } => Field::Query,
            Self::Indistinguishable { .. } | Self::Unreachable { .. } | Self::TooLarge { .. } => Field::Route,
        }
    }

    /// The place within the field, where the field is a list.
    #[must_use]
    pub fn position(&self) -> Option<usize> {
        match self {
            Self::Host { position, .. } | Self::Header { position, .. } | Self::Query { position, .. } => {
                Some(*position)
            }
            _ => None,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> &'static str {
        match self {
            Self::Host { problem, .. } => problem.help(),
            Self::Path { problem, .. } => problem.help(),
            Self::Header { problem, .. } | Self::Query { problem, .. } => problem.help(),
            Self::Indistinguishable { .. } => {
                "remove one, or tell them apart by host, path, methods, headers, query or source"
            }
            Self::Unreachable { .. } => "remove it, declare it first, or make the other one narrower",
            Self::TooLarge { .. } => "spread the routes over several gateways",
        }
    }
}

/// What is wrong with a host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostProblem {
    /// No text.
    #[error("a host may not be empty")]
    Empty,
    /// `*` alone.
    #[error("`*` alone is not a host")]
    StarAlone,
    /// A `*` that is not the whole first label.
    #[error("`*` may only be the whole first label, as in `*.example.com`")]
    Star,
    /// `https://..`, a path, a user.
    #[error("a host is a name alone, without scheme, user or path")]
    NotAName,
    /// `example.com:8080`.
    #[error("a host is matched without its port")]
    Port,
    /// Two dots in a row, or one at the beginning.
    #[error("a label between two dots is empty")]
    EmptyLabel,
    /// More than 63 bytes in a label or 253 altogether (RFC 1035, section 2.3.4).
    #[error("a label has at most 63 bytes, and a name 253")]
    TooLong,
    /// A letter beyond ASCII.
    #[error("`{0}` is not ASCII")]
    NotAscii(char),
    /// A byte no host name has.
    #[error("`{0}` does not belong in a host name")]
    Character(char),
    /// A label that begins or ends with a hyphen.
    #[error("a label may not begin or end with `-`")]
    Hyphen,
    /// `[..]` without an IPv6 address in it, or an IPv6 address without brackets.
    #[error("not an IPv6 address in brackets")]
    Ipv6,
}

impl HostProblem {
    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> &'static str {
        match self {
            Self::Empty | Self::StarAlone => "leave `host` out to match every host",
            Self::Star => "write `*.example.com` for every name under example.com, or list the names",
            Self::NotAName => "write `example.com`, and match the path with `path`",
            Self::Port => "drop the port: the listener decides it",
            Self::EmptyLabel => "write single dots between labels",
            Self::TooLong => "no such name can exist in DNS: check the spelling",
            Self::NotAscii(_) => "write the name as browsers send it, in punycode (`xn--...`)",
            Self::Character(_) => "use letters, digits, `-`, `_` and `.`",
            Self::Hyphen => "check the spelling of the name",
            Self::Ipv6 => "write `[2001:db8::1]`",
        }
    }
}

/// What is wrong with a path pattern or a path's regular expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternProblem {
    /// No text.
    #[error("a path may not be empty")]
    Empty,
    /// The first byte is no slash.
    #[error("a path begins with `/`")]
    NotAbsolute,
    /// More bytes than a pattern may have.
    #[error("a pattern has at most {max} bytes")]
    TooLong {
        /// The bound.
        max: usize,
    },
    /// More segments than a pattern may have.
    #[error("a pattern has at most {max} segments")]
    TooManySegments {
        /// The bound.
        max: usize,
    },
    /// `?` or `#`.
    #[error("`?` and `#` do not belong to a path")]
    NotAPath,
    /// `//`.
    #[error("a segment is empty (`//`)")]
    EmptySegment,
    /// `.` or `..`, also encoded.
    #[error("`.` and `..` are taken out of a request's path before it is matched")]
    DotSegment,
    /// A literal that no normalised path holds.
    #[error("no request's path can hold this: {0}")]
    Literal(PathError),
    /// A `*` within a segment.
    #[error("`*` may only be a whole segment")]
    StarInSegment,
    /// `*` or `{*rest}` with more behind it.
    #[error("`*` may only be the last segment")]
    StarNotLast,
    /// `/a{b}`, `/{a}b`, `/{a`, `/a}`.
    #[error("`{{` and `}}` may only enclose a whole segment")]
    Brace,
    /// `/:id`.
    #[error("`:{0}` is not how a parameter is written here")]
    Colon(String),
    /// `{}`, `{a-b}`.
    #[error("`{0}` is not a parameter's name")]
    ParameterName(String),
    /// One name for two parameters.
    #[error("parameter `{0}` stands twice")]
    ParameterRepeated(String),
    /// A regular expression that does not compile.
    #[error("the regular expression is not valid: {0}")]
    Regex(String),
}

impl PatternProblem {
    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> &'static str {
        match self {
            Self::Empty => "leave `path` out to match every path, or write `/`",
            Self::NotAbsolute => "put a `/` in front",
            Self::TooLong { .. } | Self::TooManySegments { .. } => "match a prefix of it with `/*` at the end",
            Self::NotAPath => "match the query with `query`; a fragment never reaches a server",
            Self::EmptySegment => "write single slashes",
            Self::DotSegment => "write the path they lead to",
            Self::Literal(_) => "write the path as it stands after normalisation",
            Self::StarInSegment => "end the path with `/*` for everything below it, or use `{ regex = \"...\" }`",
            Self::StarNotLast => "use `{name}` for one segment in the middle, or `{ regex = \"...\" }`",
            Self::Brace => {
                "write `/{name}` for one segment; for a part of a segment use `{ regex = \"...\" }`; \
                 a brace itself is `%7B` or `%7D`"
            }
            Self::Colon(_) => "write `{name}`; a segment that really begins with `:` needs `{ regex = \"...\" }`",
            Self::ParameterName(_) => "use a letter or `_`, then letters, digits and `_`",
            Self::ParameterRepeated(_) => "give each parameter its own name",
            Self::Regex(_) => "see https://docs.rs/regex for the syntax: there is no look-around and no back-reference",
        }
    }
}

/// What is wrong with a header or query condition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueProblem {
    /// The query parameter has no name.
    #[error("the name is empty")]
    NoName,
    /// The name is given twice.
    #[error("the name stands twice")]
    Repeated,
    /// An exact value that no header field can have.
    #[error("no header field can have this value")]
    Impossible,
    /// A regular expression that does not compile.
    #[error("the regular expression is not valid: {0}")]
    Regex(String),
}

impl ValueProblem {
    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> &'static str {
        match self {
            Self::NoName => "give the parameter's name",
            Self::Repeated => "keep one condition; a regular expression can say both",
            Self::Impossible => "drop control characters, and spaces at either end",
            Self::Regex(_) => "see https://docs.rs/regex for the syntax; the whole value must match",
        }
    }
}
