//! Routes and a request from few pieces: the table answers as the naive matcher does, and the explanation with it.
//! Besides, any text is parsed as host and as path, which must not panic.

#![no_main]

use arbitrary::Arbitrary;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use libfuzzer_sys::fuzz_target;
use tidegate_routing::{Decision, Outcome, PathSpec, Query, RouteSpec, RouteTable, ValueMatch};

#[path = "../../tests/it/naive.rs"]
mod naive;

use naive::Answer;

const HOSTS: [&str; 5] = ["a.com", "b.a.com", "*.a.com", "*.com", "*.b.a.com"];
const REQUEST_HOSTS: [&str; 8] = [
    "a.com",
    "A.com:80",
    "b.a.com.",
    "c.a.com",
    "x.b.a.com",
    "other.com",
    "com",
    "",
];
const LITERALS: [&str; 3] = ["a", "b", "a-segment-of-more-than-twenty-bytes"];
const METHODS: [Method; 4] = [Method::GET, Method::HEAD, Method::POST, Method::PUT];
const HEADERS: [&str; 2] = ["x-a", "x-b"];
const VALUES: [&str; 3] = ["1", "2", "12"];

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    any_host: &'a str,
    any_path: &'a str,
    routes: Vec<Route>,
    request: Request,
}

#[derive(Debug, Arbitrary)]
struct Route {
    hosts: u8,
    /// Numbers below the count of literals are those, others a parameter.
    segments: Vec<u8>,
    tail: u8,
    methods: u8,
    headers: [Option<(u8, u8)>; 2],
    query: Option<(u8, u8)>,
}

#[derive(Debug, Arbitrary)]
struct Request {
    host: u8,
    segments: Vec<u8>,
    method: u8,
    headers: [Option<u8>; 2],
    query: Option<u8>,
}

fn pick<T: Clone>(list: &[T], number: u8) -> T {
    list[usize::from(number) % list.len()].clone()
}

fn chosen<T: Clone>(list: &[T], bits: u8) -> Vec<T> {
    list.iter()
        .enumerate()
        .filter(|(at, _)| bits >> at & 1 == 1)
        .map(|(_, each)| each.clone())
        .collect()
}

fn value((kind, number): (u8, u8)) -> ValueMatch {
    match kind % 3 {
        0 => ValueMatch::Exact(pick(&VALUES, number).to_owned()),
        1 => ValueMatch::Present,
        _ => ValueMatch::Regex("1.?".to_owned()),
    }
}

impl Route {
    fn spec(&self) -> RouteSpec {
        let mut path = String::new();
        for (at, number) in self.segments.iter().take(6).enumerate() {
            path.push('/');
            match LITERALS.get(usize::from(number % 5)) {
                Some(literal) => path.push_str(literal),
                None => path.push_str(&format!("{{p{at}}}")),
            }
        }
        path.push_str(pick(&["", "", "/", "/*", "/{*rest}"], self.tail));
        if path.is_empty() {
            path.push('/');
        }
        let headers = HEADERS.iter().zip(self.headers);
        RouteSpec {
            name: String::new(),
            hosts: chosen(&HOSTS, self.hosts).into_iter().map(str::to_owned).collect(),
            path: Some(PathSpec::Pattern(path)),
            methods: chosen(&METHODS, self.methods),
            headers: headers
                .filter_map(|(name, condition)| Some((HeaderName::from_static(name), value(condition?))))
                .collect(),
            query: self
                .query
                .map(|condition| ("q".to_owned(), value(condition)))
                .into_iter()
                .collect(),
            source: Vec::new(),
        }
    }
}

/// The table of the routes that are in order. Taking out those in error puts no other one in error.
fn build(mut specs: Vec<RouteSpec>) -> (Vec<RouteSpec>, RouteTable) {
    let errors = match RouteTable::build(&specs) {
        Ok(table) => return (specs, table),
        Err(errors) => errors,
    };
    let mut dead: Vec<usize> = errors.iter().filter_map(|error| Some(error.route()?.get())).collect();
    dead.sort_unstable();
    dead.dedup();
    for index in dead.into_iter().rev() {
        specs.remove(index);
    }
    let table = RouteTable::build(&specs).expect("what was in error is gone");
    (specs, table)
}

fuzz_target!(|input: Input<'_>| {
    let odd = RouteSpec {
        hosts: vec![input.any_host.to_owned()],
        path: Some(PathSpec::Pattern(input.any_path.to_owned())),
        ..RouteSpec::default()
    };
    if let Ok(table) = RouteTable::build(&[odd]) {
        let headers = HeaderMap::new();
        let (host, path) = (input.any_host, input.any_path);
        let query = Query {
            host,
            path,
            query: Some(path),
            method: &Method::GET,
            headers: &headers,
            source: None,
        };
        let _ = table.explain(&query).to_string();
    }

    let (specs, table) = build(input.routes.iter().take(32).map(Route::spec).collect());
    let segments = input.request.segments.iter().take(8);
    let segments: Vec<&str> = segments
        .map(|number| pick(&["a", "b", "c", "", LITERALS[2]], *number))
        .collect();
    let mut headers = HeaderMap::new();
    for (name, number) in HEADERS.iter().zip(input.request.headers) {
        if let Some(number) = number {
            headers.append(
                HeaderName::from_static(name),
                HeaderValue::from_static(pick(&VALUES, number)),
            );
        }
    }
    let (path, method) = (format!("/{}", segments.join("/")), pick(&METHODS, input.request.method));
    let query = input.request.query.map(|number| format!("q={}", pick(&VALUES, number)));
    let query = Query {
        host: pick(&REQUEST_HOSTS, input.request.host),
        path: &path,
        query: query.as_deref(),
        method: &method,
        headers: &headers,
        source: None,
    };
    let answer = match table.find(&query) {
        Outcome::Found(found) => {
            let params = found
                .params()
                .iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()));
            Answer::Found(found.route.get(), params.collect())
        }
        Outcome::MethodNotAllowed { allow } => {
            let allow = allow.to_str().expect("methods are ASCII");
            Answer::MethodNotAllowed(allow.split(", ").map(str::to_owned).collect())
        }
        Outcome::NotFound => Answer::NotFound,
    };
    assert_eq!(answer, naive::find(&specs, &query), "{specs:?} {query:?}");
    let explained = table.explain(&query);
    let agrees = match (&answer, &explained.decision) {
        (Answer::Found(index, _), Decision::Found { route, .. }) => index == route,
        (Answer::MethodNotAllowed(_), Decision::MethodNotAllowed { .. }) => true,
        (Answer::NotFound, Decision::NotFound) => true,
        _ => false,
    };
    assert!(agrees, "{answer:?} {explained}");
});
