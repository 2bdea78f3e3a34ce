//! The table: hosts to levels, each level a root of the trie and its regular expressions, and the candidates of
//! each place in rank order.

use std::{fmt, net::IpAddr};

use http::{HeaderMap, HeaderValue, Method};
use regex::Regex;

use crate::{
    conditions::{Conditions, MethodBits, method_fit},
    error::BuildError,
    host::{HostIndex, HostPattern, RequestHost},
    params::Params,
    pattern::Pattern,
    spec::{RouteIndex, RouteSpec},
    trie::{Leaf, Trie},
};

mod build;
mod conflicts;

/// Routes, compiled. Immutable, and cheap to ask from many threads.
#[derive(Debug, Clone)]
pub struct RouteTable {
    hosts: HostIndex,
    levels: Box<[Level]>,
    trie: Trie,
    candidates: Box<[Candidate]>,
    pub(crate) routes: Box<[Route]>,
}

/// What one host pattern leads to.
#[derive(Debug, Clone)]
struct Level {
    root: u32,
    /// Candidates whose path is a regular expression, in rank order.
    regexes: Leaf,
}

/// One route at one place. What a plain route needs is here, so that a hit on it looks nowhere else.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    route: u32,
    methods: MethodBits,
    conditional: bool,
}

/// A route as compiled.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    pub(crate) name: String,
    pub(crate) hosts: Vec<HostPattern>,
    pub(crate) path: Path,
    /// The path as given.
    pub(crate) path_text: String,
    pub(crate) methods: Vec<Method>,
    pub(crate) conditions: Conditions,
}

#[derive(Debug, Clone)]
pub(crate) enum Path {
    Pattern(Pattern),
    Regex(Regex),
}

impl Path {
    pub(crate) fn takes(&self, path: &str) -> bool {
        match self {
            Self::Pattern(pattern) => pattern.takes(path),
            Self::Regex(regex) => regex.is_match(path),
        }
    }
}

/// What a request brings to the lookup.
#[derive(Debug, Clone, Copy)]
pub struct Query<'q> {
    /// `Host` or `:authority`, with or without port, in any case.
    pub host: &'q str,
    /// The path as [`normalize_path`](crate::normalize_path) gives it.
    pub path: &'q str,
    /// The query string as received, without its question mark.
    pub query: Option<&'q str>,
    /// The method.
    pub method: &'q Method,
    /// The header fields.
    pub headers: &'q HeaderMap,
    /// The client's address. A route with `source` takes no request without one.
    pub source: Option<IpAddr>,
}

impl Query<'_> {
    fn satisfies(&self, conditions: &Conditions) -> bool {
        conditions.hold(self.headers, self.query, self.source)
    }
}

/// The answer to a [`Query`].
#[derive(Debug)]
pub enum Outcome<'q> {
    /// A route takes the request.
    Found(Match<'q>),
    /// Routes would, were the method another one (405).
    MethodNotAllowed {
        /// The value of the `Allow` field.
        allow: HeaderValue,
    },
    /// No route takes it (404).
    NotFound,
}

/// The route that takes a request.
#[derive(Clone, Copy)]
pub struct Match<'q> {
    /// Which of the specifications it was.
    pub route: RouteIndex,
    table: &'q RouteTable,
    path: &'q str,
}

impl fmt::Debug for Match<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Match")
            .field("route", &self.route)
            .field("params", &self.params())
            .finish()
    }
}

impl<'q> Match<'q> {
    /// What the route's path captured.
    #[must_use]
    pub fn params(&self) -> Params<'q> {
        match self.table.routes.get(self.route.get()).map(|route| &route.path) {
            Some(Path::Pattern(pattern)) => Params::of_pattern(pattern, self.path),
            Some(Path::Regex(regex)) => Params::of_regex(regex, self.path),
            None => Params::none(),
        }
    }
}

impl RouteTable {
    /// Compiles `specs`; a route keeps its place in the slice as its index.
    ///
    /// # Errors
    /// Everything that is wrong, in the order of the routes; what concerns two routes comes last.
    pub fn build(specs: &[RouteSpec]) -> Result<Self, Vec<BuildError>> {
        build::build(specs)
    }

    /// How many routes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.routes.len()
    }

    /// True when there is no route.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    /// The route that takes the request. Allocates nothing, unless a regular expression is asked about an
    /// encoded query value, or the answer is [`Outcome::MethodNotAllowed`].
    ///
    /// A path that does not begin with a slash (`OPTIONS *`) is no route's.
    #[must_use]
    pub fn find<'q>(&'q self, query: &Query<'q>) -> Outcome<'q> {
        let method = MethodBits::of(query.method);
        let mut wrong_method = false;
        let found = RequestHost::new(query.host).with(|host| {
            self.hosts.find(host, |level| {
                let mut choose = |leaf| self.choose(leaf, query, method, &mut wrong_method);
                self.find_in(level, query.path, &mut choose)
            })
        });
        if let Some(route) = found {
            return Outcome::Found(Match {
                route,
                table: self,
                path: query.path,
            });
        }
        if wrong_method && let Some(allow) = self.allow(query) {
            return Outcome::MethodNotAllowed { allow };
        }
        Outcome::NotFound
    }

    /// Visits the places of one host level that take `path`, the most specific first. A place is a run of
    /// candidates, and all of the level's regular expressions are one.
    #[inline]
    fn find_in<R>(&self, level: u32, path: &str, visit: &mut impl FnMut(Leaf) -> Option<R>) -> Option<R> {
        let level = self.levels.get(level as usize)?;
        if let Some(answer) = self.trie.find(level.root, path, visit) {
            return Some(answer);
        }
        if level.regexes.length == 0 {
            None
        } else {
            visit(level.regexes)
        }
    }

    /// The first candidate of a place that takes the request.
    #[inline]
    fn choose(&self, leaf: Leaf, query: &Query<'_>, method: MethodBits, wrong_method: &mut bool) -> Option<RouteIndex> {
        let candidates = self.candidates_at(leaf);
        if method.is_head() {
            // A route that lists HEAD ranks above one that serves it through GET.
            let named = candidates.iter().filter(|candidate| !candidate.methods.is_any());
            let found = named.filter(|candidate| candidate.methods.intersects(method));
            if let Some(found) = found.into_iter().find_map(|candidate| self.take(*candidate, query)) {
                return Some(found);
            }
        }
        let served_by = method.served_by();
        candidates.iter().find_map(|candidate| {
            if !candidate.methods.intersects(served_by) || !self.names(*candidate, method, query.method) {
                *wrong_method = true;
                return None;
            }
            self.take(*candidate, query)
        })
    }

    fn candidates_at(&self, leaf: Leaf) -> &[Candidate] {
        let start = leaf.start as usize;
        self.candidates
            .get(start..)
            .and_then(|rest| rest.get(..leaf.length as usize))
            .unwrap_or_default()
    }

    /// Settles methods that share a bit.
    #[inline]
    fn names(&self, candidate: Candidate, bits: MethodBits, method: &Method) -> bool {
        !candidate.methods.needs_names(bits)
            || self
                .routes
                .get(candidate.route as usize)
                .is_some_and(|route| route.methods.contains(method))
    }

    /// The candidate's route, if everything but the method lets it take the request.
    #[inline]
    fn take(&self, candidate: Candidate, query: &Query<'_>) -> Option<RouteIndex> {
        let index = RouteIndex::from_raw(candidate.route);
        // The route itself is not looked at unless it has to be: it would be one more cache miss.
        if !candidate.conditional {
            return Some(index);
        }
        let route = self.routes.get(index.get())?;
        let path = match &route.path {
            // The trie has settled it.
            Path::Pattern(_) => true,
            Path::Regex(regex) => regex.is_match(query.path),
        };
        (path && query.satisfies(&route.conditions)).then_some(index)
    }

    /// The methods that routes would take this request with; none when there is no such route. Off the hit path.
    #[cold]
    fn allow(&self, query: &Query<'_>) -> Option<HeaderValue> {
        let mut methods: Vec<&Method> = Vec::new();
        let mut collect = |leaf| -> Option<()> {
            for candidate in self.candidates_at(leaf) {
                let Some(route) = self.routes.get(candidate.route as usize) else {
                    continue;
                };
                if method_fit(&route.methods, query.method).is_none() && self.take(*candidate, query).is_some() {
                    methods.extend(&route.methods);
                }
            }
            None
        };
        RequestHost::new(query.host).with(|host| {
            self.hosts
                .find(host, |level| self.find_in(level, query.path, &mut collect))
        });
        if methods.contains(&&Method::GET) {
            methods.push(&Method::HEAD);
        }
        methods.sort_by_key(|method| method.as_str());
        methods.dedup();
        let names: Vec<&str> = methods.iter().map(|method| method.as_str()).collect();
        if names.is_empty() {
            None
        } else {
            HeaderValue::from_str(&names.join(", ")).ok()
        }
    }
}
