//! Short ways to say a route and a request.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use tidegate_routing::{BuildError, Outcome, PathSpec, Query, RouteSpec, RouteTable, ValueMatch};

/// A route for a path pattern, named as it.
pub(crate) fn path(pattern: &str) -> Spec {
    Spec(RouteSpec {
        name: pattern.to_owned(),
        path: Some(PathSpec::Pattern(pattern.to_owned())),
        ..RouteSpec::default()
    })
}

pub(crate) fn regex(pattern: &str) -> Spec {
    Spec(RouteSpec {
        name: pattern.to_owned(),
        path: Some(PathSpec::Regex(pattern.to_owned())),
        ..RouteSpec::default()
    })
}

pub(crate) fn exact(value: &str) -> ValueMatch {
    ValueMatch::Exact(value.to_owned())
}

pub(crate) fn matching(pattern: &str) -> ValueMatch {
    ValueMatch::Regex(pattern.to_owned())
}

#[derive(Debug, Clone)]
pub(crate) struct Spec(RouteSpec);

impl Spec {
    pub(crate) fn any_path() -> Self {
        Self(RouteSpec::default())
    }

    pub(crate) fn named(mut self, name: &str) -> Self {
        self.0.name = name.to_owned();
        self
    }

    pub(crate) fn host(mut self, host: &str) -> Self {
        self.0.hosts.push(host.to_owned());
        self
    }

    pub(crate) fn method(mut self, method: &str) -> Self {
        self.0.methods.push(Method::from_bytes(method.as_bytes()).unwrap());
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: ValueMatch) -> Self {
        self.0.headers.push((HeaderName::from_static(name), value));
        self
    }

    pub(crate) fn query(mut self, name: &str, value: ValueMatch) -> Self {
        self.0.query.push((name.to_owned(), value));
        self
    }

    pub(crate) fn source(mut self, net: &str) -> Self {
        self.0.source.push(net.parse().unwrap());
        self
    }
}

pub(crate) fn specs<const N: usize>(routes: [Spec; N]) -> Vec<RouteSpec> {
    routes.into_iter().map(|spec| spec.0).collect()
}

pub(crate) fn table<const N: usize>(routes: [Spec; N]) -> RouteTable {
    RouteTable::build(&specs(routes)).unwrap()
}

pub(crate) fn refused<const N: usize>(routes: [Spec; N]) -> Vec<BuildError> {
    RouteTable::build(&specs(routes)).unwrap_err()
}

/// A request: `GET http://host/path?query`, and what is added to it.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    method: Method,
    host: String,
    path: String,
    query: Option<String>,
    headers: HeaderMap,
    source: Option<IpAddr>,
}

/// `line` is a method and a target, as in `GET example.com/path?query`.
pub(crate) fn request(line: &str) -> Request {
    let (method, target) = line.split_once(' ').unwrap();
    let (target, query) = match target.split_once('?') {
        Some((target, query)) => (target, Some(query.to_owned())),
        None => (target, None),
    };
    let slash = target.find('/').unwrap_or(target.len());
    Request {
        method: Method::from_bytes(method.as_bytes()).unwrap(),
        host: target[..slash].to_owned(),
        path: target[slash..].to_owned(),
        query,
        headers: HeaderMap::new(),
        source: None,
    }
}

impl Request {
    pub(crate) fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers
            .append(HeaderName::from_static(name), HeaderValue::from_static(value));
        self
    }

    pub(crate) fn from(mut self, source: &str) -> Self {
        self.source = Some(source.parse().unwrap());
        self
    }

    pub(crate) fn as_query(&self) -> Query<'_> {
        Query {
            host: &self.host,
            path: &self.path,
            query: self.query.as_deref(),
            method: &self.method,
            headers: &self.headers,
            source: self.source,
        }
    }
}

/// The answer as text: the index of the route, `405 ALLOW`, or `404`.
pub(crate) fn answer(table: &RouteTable, request: &Request) -> String {
    match table.find(&request.as_query()) {
        Outcome::Found(found) => found.route.get().to_string(),
        Outcome::MethodNotAllowed { allow } => format!("405 {}", allow.to_str().unwrap()),
        Outcome::NotFound => "404".to_owned(),
    }
}

/// Asks `table` each request line and compares the answers.
pub(crate) fn check(table: &RouteTable, expected: &[(&str, &str)]) {
    for (line, expected) in expected {
        assert_eq!(answer(table, &request(line)), *expected, "{line}");
    }
}
