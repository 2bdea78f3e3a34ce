//! The answer of the table with its reasons. Works out every route by itself, without the trie, so that it is also
//! a check on the lookup; it allocates freely and is for people, not for requests.

use std::{cmp::Ordering, cmp::Reverse, fmt};

use crate::{
    conditions::{MethodFit, Value, first_parameter, method_fit, takes_header, takes_query, takes_source},
    host::{HostPattern, RequestHost},
    spec::{RouteIndex, ValueMatch},
    table::{Outcome, Path, Query, Route, RouteTable},
};

/// Routes shown one by one when an explanation is displayed. The data holds them all.
const SHOWN_COUNT_MAX: usize = 40;

/// Which route takes a request, and of every other route why it does not.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Explanation {
    /// The request's method.
    pub method: String,
    /// Its host as given.
    pub host: String,
    /// Its normalised path.
    pub path: String,
    /// The answer.
    pub decision: Decision,
    /// Every route, in rank order: those of the host before those of others, and there by precedence.
    pub considered: Vec<Considered>,
}

/// The answer in an [`Explanation`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(tag = "kind", rename_all = "kebab-case")
)]
pub enum Decision {
    /// A route takes the request.
    Found {
        /// Its index.
        route: usize,
        /// Its name.
        name: String,
        /// What its path captured.
        params: Vec<(String, String)>,
    },
    /// Routes would, were the method another one.
    MethodNotAllowed {
        /// The value of `Allow`.
        allow: String,
    },
    /// No route takes it.
    NotFound,
}

/// One route in an [`Explanation`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Considered {
    /// Its index.
    pub route: usize,
    /// Its name.
    pub name: String,
    /// The host of the route that fits the request best; all of them where none does; `*` for any.
    pub host: String,
    /// Its path as given; `/*` where none was.
    pub path: String,
    /// What became of it.
    pub verdict: Verdict,
}

/// What became of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(tag = "kind", rename_all = "kebab-case")
)]
pub enum Verdict {
    /// It takes the request.
    Wins,
    /// It would, but another ranks above it.
    Outranked,
    /// It does not.
    Refused {
        /// Everything that differs.
        reasons: Vec<Mismatch>,
    },
}

/// One thing about a request that a route does not take.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(tag = "field", rename_all = "kebab-case")
)]
pub enum Mismatch {
    /// The host is none of the route's.
    Host,
    /// The path is another one.
    Path,
    /// The method is none of these.
    Method {
        /// What the route lists.
        allowed: Vec<String>,
    },
    /// A header field.
    Header {
        /// Its name.
        name: String,
        /// What the route asks for.
        expected: String,
        /// The request has no such field; otherwise its value differs.
        missing: bool,
    },
    /// A query parameter.
    Query {
        /// Its name.
        name: String,
        /// What the route asks for.
        expected: String,
        /// The request has no such parameter; otherwise its value differs.
        missing: bool,
    },
    /// The client's address is in none of these.
    Source {
        /// What the route lists.
        allowed: Vec<String>,
    },
}

impl RouteTable {
    /// Says which route takes the request, and why each other one does not.
    #[must_use]
    pub fn explain(&self, query: &Query<'_>) -> Explanation {
        let outcome = self.find(query);
        let mut rated: Vec<Rated<'_>> = RequestHost::new(query.host).with(|host| {
            self.routes
                .iter()
                .enumerate()
                .map(|(index, route)| Rated::new(index, route, host, query))
                .collect()
        });
        rated.sort_by(Rated::compare);
        let winner = match &outcome {
            Outcome::Found(found) => Some(found.route),
            Outcome::MethodNotAllowed { .. } | Outcome::NotFound => None,
        };
        Explanation {
            method: query.method.to_string(),
            host: query.host.to_owned(),
            path: query.path.to_owned(),
            decision: self.decide(&outcome),
            considered: rated.into_iter().map(|rated| rated.consider(winner)).collect(),
        }
    }

    fn decide(&self, outcome: &Outcome<'_>) -> Decision {
        match outcome {
            Outcome::Found(found) => Decision::Found {
                route: found.route.get(),
                name: self
                    .routes
                    .get(found.route.get())
                    .map(|route| route.name.clone())
                    .unwrap_or_default(),
                params: found
                    .params()
                    .iter()
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .collect(),
            },
            Outcome::MethodNotAllowed { allow } => Decision::MethodNotAllowed {
                allow: allow.to_str().unwrap_or_default().to_owned(),
            },
            Outcome::NotFound => Decision::NotFound,
        }
    }
}

/// A route held against a request.
struct Rated<'t> {
    index: usize,
    route: &'t Route,
    /// The route's most specific host that fits.
    host: Option<&'t HostPattern>,
    method: Option<MethodFit>,
    reasons: Vec<Mismatch>,
}

impl<'t> Rated<'t> {
    fn new(index: usize, route: &'t Route, host: &[u8], query: &Query<'_>) -> Self {
        let best = route
            .hosts
            .iter()
            .filter(|pattern| pattern.takes(host))
            .min_by_key(|pattern| pattern.rank());
        let method = method_fit(&route.methods, query.method);
        let mut reasons = Vec::new();
        if best.is_none() {
            reasons.push(Mismatch::Host);
        }
        if !query.path.starts_with('/') || !route.path.takes(query.path) {
            reasons.push(Mismatch::Path);
        }
        if method.is_none() {
            reasons.push(Mismatch::Method {
                allowed: route.methods.iter().map(ToString::to_string).collect(),
            });
        }
        reasons.extend(differing_conditions(route, query));
        Self {
            index,
            route,
            host: best,
            method,
            reasons,
        }
    }

    /// The order of precedence, written down a second time.
    fn compare(&self, other: &Self) -> Ordering {
        let host = |rated: &Self| rated.host.map_or((3, 0), HostPattern::rank);
        let rest = |rated: &Self| {
            let conditions = &rated.route.conditions;
            let method = rated.method.unwrap_or(MethodFit::Named);
            (
                method,
                Reverse(conditions.headers.len()),
                Reverse(conditions.query.len()),
                rated.index,
            )
        };
        host(self)
            .cmp(&host(other))
            .then_with(|| match (&self.route.path, &other.route.path) {
                (Path::Pattern(a), Path::Pattern(b)) => a.compare(b),
                (Path::Pattern(_), Path::Regex(_)) => Ordering::Less,
                (Path::Regex(_), Path::Pattern(_)) => Ordering::Greater,
                (Path::Regex(_), Path::Regex(_)) => Ordering::Equal,
            })
            .then_with(|| rest(self).cmp(&rest(other)))
    }

    fn consider(self, winner: Option<RouteIndex>) -> Considered {
        let verdict = if winner.is_some_and(|winner| winner.get() == self.index) {
            Verdict::Wins
        } else if self.reasons.is_empty() {
            Verdict::Outranked
        } else {
            Verdict::Refused { reasons: self.reasons }
        };
        let host = match self.host {
            Some(host) => host.to_string(),
            None => self
                .route
                .hosts
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", "),
        };
        Considered {
            route: self.index,
            name: self.route.name.clone(),
            host,
            path: self.route.path_text.clone(),
            verdict,
        }
    }
}

fn differing_conditions(route: &Route, query: &Query<'_>) -> Vec<Mismatch> {
    let conditions = &route.conditions;
    let mut reasons = Vec::new();
    for (name, value) in &conditions.headers {
        if !takes_header(name, value, query.headers) {
            reasons.push(Mismatch::Header {
                name: name.to_string(),
                expected: wanted(value),
                missing: !query.headers.contains_key(name),
            });
        }
    }
    for (name, value) in &conditions.query {
        if !takes_query(name, value, query.query) {
            reasons.push(Mismatch::Query {
                name: name.clone(),
                expected: wanted(value),
                missing: first_parameter(query.query, name).is_none(),
            });
        }
    }
    if !takes_source(&conditions.source, query.source) {
        reasons.push(Mismatch::Source {
            allowed: conditions.source.iter().map(ToString::to_string).collect(),
        });
    }
    reasons
}

/// What a compiled value asks for, as it was given.
fn wanted(value: &Value) -> String {
    let spec = match value {
        Value::Exact(text) => ValueMatch::Exact(String::from_utf8_lossy(text).into_owned()),
        Value::Present => ValueMatch::Present,
        Value::Regex(_, pattern) => ValueMatch::Regex(pattern.to_string()),
    };
    spec.to_string()
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}{}", self.method, self.host, self.path)?;
        match &self.decision {
            Decision::Found { route, name, params } => {
                write!(f, "  -> route `{name}` (#{route})")?;
                for (name, value) in params {
                    write!(f, " {name}={value}")?;
                }
                writeln!(f)?;
            }
            Decision::MethodNotAllowed { allow } => writeln!(f, "  -> 405 Method Not Allowed, Allow: {allow}")?,
            Decision::NotFound => writeln!(f, "  -> 404 Not Found")?,
        }
        let of_host: Vec<&Considered> = self
            .considered
            .iter()
            .filter(|each| !each.is_of_another_host())
            .collect();
        let here = of_host.len();
        if here > 0 {
            writeln!(f, "routes of this host, in rank order:")?;
        }
        let mut left_out = 0;
        for (at, considered) in of_host.into_iter().enumerate() {
            // The winner is shown however far down it stands.
            if at < SHOWN_COUNT_MAX || considered.verdict == Verdict::Wins {
                writeln!(f, "  {considered}")?;
            } else {
                left_out += 1;
            }
        }
        if left_out > 0 {
            writeln!(f, "  and {left_out} more")?;
        }
        match self.considered.len() - here {
            0 => Ok(()),
            1 => writeln!(f, "1 route is for other hosts"),
            elsewhere => writeln!(f, "{elsewhere} routes are for other hosts"),
        }
    }
}

impl Considered {
    fn is_of_another_host(&self) -> bool {
        matches!(&self.verdict, Verdict::Refused { reasons } if reasons.contains(&Mismatch::Host))
    }
}

impl fmt::Display for Considered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{} `{}` {}{}: ", self.route, self.name, self.host, self.path)?;
        match &self.verdict {
            Verdict::Wins => f.write_str("takes the request"),
            Verdict::Outranked => f.write_str("would take it too, but ranks lower"),
            Verdict::Refused { reasons } => {
                for (at, reason) in reasons.iter().enumerate() {
                    write!(f, "{}{reason}", if at == 0 { "" } else { "; " })?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let differs = |f: &mut fmt::Formatter<'_>, kind, name, expected, missing: bool| {
            write!(
                f,
                "{kind} `{name}` {} (wanted: {expected})",
                if missing { "is missing" } else { "differs" }
            )
        };
        match self {
            Self::Host => f.write_str("host differs"),
            Self::Path => f.write_str("path differs"),
            Self::Method { allowed } => write!(f, "method differs (wanted: {})", allowed.join(", ")),
            Self::Header {
                name,
                expected,
                missing,
            } => differs(f, "header", name, expected, *missing),
            Self::Query {
                name,
                expected,
                missing,
            } => differs(f, "query", name, expected, *missing),
            Self::Source { allowed } => write!(f, "the client's address is not in {}", allowed.join(", ")),
        }
    }
}
