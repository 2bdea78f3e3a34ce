//! The table against the naive matcher, on routes and requests made from few enough pieces that they meet.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use proptest::prelude::*;
use tidegate_routing::{BuildError, Decision, Outcome, PathSpec, Query, RouteSpec, RouteTable, ValueMatch, Verdict};

use crate::naive::{self, Answer};

fn value() -> impl Strategy<Value = ValueMatch> {
    prop_oneof![
        Just(ValueMatch::Present),
        Just(ValueMatch::Exact("1".into())),
        Just(ValueMatch::Exact("2".into())),
        Just(ValueMatch::Regex("[12]".into())),
        Just(ValueMatch::Regex("1|12".into())),
    ]
}

/// A pattern whose parameters are named by their place.
fn pattern() -> impl Strategy<Value = String> {
    let segment =
        prop_oneof![4 => Just("a"), 2 => Just("b"), 1 => Just("long-literal-beyond-twenty-bytes"), 4 => Just("{}")];
    let tail = prop_oneof![3 => Just(""), 1 => Just("/"), 2 => Just("/*"), 1 => Just("/{*rest}")];
    (prop::collection::vec(segment, 0..5), tail).prop_map(|(segments, tail)| {
        let mut text = String::new();
        for (at, segment) in segments.iter().enumerate() {
            text.push('/');
            text.push_str(&segment.replace("{}", &format!("{{p{at}}}")));
        }
        text.push_str(tail);
        if text.is_empty() { "/".to_owned() } else { text }
    })
}

fn path() -> impl Strategy<Value = Option<PathSpec>> {
    let regex = prop::sample::select(vec!["/a|/b", "/a/.*", "/[ab]/[^/]+", "/.*"]);
    prop_oneof![
        1 => Just(None),
        12 => pattern().prop_map(|text| Some(PathSpec::Pattern(text))),
        1 => regex.prop_map(|text| Some(PathSpec::Regex(text.into()))),
    ]
}

fn methods() -> impl Strategy<Value = Vec<Method>> {
    let method = prop::sample::select(vec![
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::from_bytes(b"PURGE").unwrap(),
        Method::from_bytes(b"LOCK").unwrap(),
    ]);
    prop_oneof![1 => Just(Vec::new()), 1 => prop::collection::vec(method, 1..3)]
}

fn spec() -> impl Strategy<Value = RouteSpec> {
    let hosts = prop::sample::subsequence(vec!["a.com", "b.a.com", "*.a.com", "*.com", "*.b.a.com"], 0..3);
    let headers = prop::sample::subsequence(vec!["x-a", "x-b"], 0..3);
    let query = prop::sample::subsequence(vec!["q", "r"], 0..3);
    let nets = prop::sample::subsequence(vec!["10.0.0.0/8", "10.1.0.0/16", "2001:db8::/32"], 0..3);
    // Most routes carry no condition, or no request would ever meet them.
    let conditions = prop_oneof![
        2 => Just((vec![], vec![], vec![])),
        1 => (headers, query, nets),
    ];
    (hosts, path(), methods(), conditions, prop::collection::vec(value(), 4)).prop_map(
        |(hosts, path, methods, (headers, query, nets), values)| RouteSpec {
            name: String::new(),
            hosts: hosts.into_iter().map(str::to_owned).collect(),
            path,
            methods,
            headers: headers
                .into_iter()
                .map(HeaderName::from_static)
                .zip(values.clone())
                .collect(),
            query: query
                .into_iter()
                .map(str::to_owned)
                .zip(values.into_iter().skip(2))
                .collect(),
            source: nets.into_iter().map(|net| net.parse().unwrap()).collect(),
        },
    )
}

#[derive(Debug)]
struct Request {
    host: &'static str,
    path: String,
    query: Option<&'static str>,
    method: Method,
    headers: HeaderMap,
    source: Option<IpAddr>,
}

impl Request {
    fn as_query(&self) -> Query<'_> {
        Query {
            host: self.host,
            path: &self.path,
            query: self.query,
            method: &self.method,
            headers: &self.headers,
            source: self.source,
        }
    }
}

fn request() -> impl Strategy<Value = Request> {
    let hosts = vec![
        "a.com",
        "A.com:80",
        "b.a.com",
        "B.A.COM.",
        "c.a.com",
        "x.b.a.com:8080",
        "x.y.a.com",
        "other.com",
        "com",
        "",
        ".a.com",
        "org",
        "x..a.com",
    ];
    let segment = prop_oneof![4 => Just("a"), 3 => Just("b"), 2 => Just("c"), 1 => Just("long-literal-beyond-twenty-bytes"), 1 => Just("")];
    let path = prop::collection::vec(segment, 0..6).prop_map(|segments| format!("/{}", segments.join("/")));
    let queries = vec![
        None,
        Some(""),
        Some("q=1"),
        Some("q=2&r=1"),
        Some("r=12"),
        Some("q=3&q=1"),
        Some("r&q=12"),
    ];
    let methods = vec![
        Method::GET,
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::from_bytes(b"PURGE").unwrap(),
        Method::from_bytes(b"MOVE").unwrap(),
    ];
    let line = (
        prop::sample::select(vec!["x-a", "x-b"]).prop_map(HeaderName::from_static),
        prop::sample::select(vec!["1", "2", "12", "3"]).prop_map(HeaderValue::from_static),
    );
    let sources = vec![
        None,
        Some("10.1.2.3"),
        Some("10.9.9.9"),
        Some("11.0.0.1"),
        Some("2001:db8::1"),
    ];
    (
        prop::sample::select(hosts),
        path,
        prop::sample::select(queries),
        prop::sample::select(methods),
        prop::collection::vec(line, 0..4),
        prop::sample::select(sources),
    )
        .prop_map(|(host, path, query, method, lines, source)| {
            let mut headers = HeaderMap::new();
            for (name, value) in lines {
                headers.append(name, value);
            }
            Request {
                host,
                path,
                query,
                method,
                headers,
                source: source.map(|text| text.parse().unwrap()),
            }
        })
}

/// The table's answer in the naive matcher's terms.
fn answer(specs: &[RouteSpec], table: &RouteTable, query: &Query<'_>) -> Answer {
    match table.find(query) {
        Outcome::Found(found) => {
            let params = match specs[found.route.get()].path {
                Some(PathSpec::Regex(_)) => Vec::new(),
                _ => found
                    .params()
                    .iter()
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .collect(),
            };
            Answer::Found(found.route.get(), params)
        }
        Outcome::MethodNotAllowed { allow } => {
            Answer::MethodNotAllowed(allow.to_str().unwrap().split(", ").map(str::to_owned).collect())
        }
        Outcome::NotFound => Answer::NotFound,
    }
}

/// Takes out the routes that are in error, after a look whether the error speaks the truth.
fn without_conflicts(mut specs: Vec<RouteSpec>, requests: &[Request]) -> (Vec<RouteSpec>, RouteTable) {
    let errors = match RouteTable::build(&specs) {
        Ok(table) => return (specs, table),
        Err(errors) => errors,
    };
    let mut dead: Vec<usize> = Vec::new();
    for error in &errors {
        let index = error.route().unwrap().get();
        // Of two equal routes with several hosts the second may still be reached on another one.
        let is_dead = match error {
            BuildError::Unreachable { .. } => true,
            BuildError::Indistinguishable { .. } => specs[index].hosts.len() < 2,
            other => panic!("{other}"),
        };
        for request in requests.iter().filter(|_| is_dead) {
            if let Answer::Found(found, _) = naive::find(&specs, &request.as_query()) {
                assert_ne!(found, index, "{error}, and yet {request:?} reaches it");
            }
        }
        dead.push(index);
    }
    dead.sort_unstable();
    dead.dedup();
    for index in dead.into_iter().rev() {
        specs.remove(index);
    }
    let table = RouteTable::build(&specs).expect("what was in error is gone");
    (specs, table)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn the_table_is_the_naive_matcher(
        specs in prop::collection::vec(spec(), 0..24),
        requests in prop::collection::vec(request(), 1..48),
    ) {
        let (specs, table) = without_conflicts(specs, &requests);
        for request in &requests {
            let query = request.as_query();
            let expected = naive::find(&specs, &query);
            prop_assert_eq!(answer(&specs, &table, &query), expected, "{:?}", request);
        }
    }

    #[test]
    fn an_explanation_agrees_with_the_lookup(
        specs in prop::collection::vec(spec(), 0..16),
        requests in prop::collection::vec(request(), 1..16),
    ) {
        let (specs, table) = without_conflicts(specs, &requests);
        for request in &requests {
            let query = request.as_query();
            let explanation = table.explain(&query);
            prop_assert_eq!(explanation.considered.len(), specs.len());
            // In rank order: refused ones, the winner, and whatever else would do as outranked.
            let first = explanation.considered.iter().find(|each| !matches!(each.verdict, Verdict::Refused { .. }));
            match (&explanation.decision, first) {
                (Decision::Found { route, .. }, Some(first)) => {
                    prop_assert_eq!(*route, first.route, "{}", explanation);
                    prop_assert_eq!(&first.verdict, &Verdict::Wins);
                }
                (Decision::Found { .. }, None) | (_, Some(_)) => prop_assert!(false, "{explanation}"),
                (_, None) => {}
            }
            let refused_for_nothing = explanation
                .considered
                .iter()
                .any(|each| each.verdict == Verdict::Refused { reasons: Vec::new() });
            prop_assert!(!refused_for_nothing);
        }
    }
}

/// Guards the test above against itself: most of what it asks must reach a route, a 405 and a 404.
#[test]
fn the_generated_requests_reach_every_kind_of_answer() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let (mut found, mut not_allowed, mut not_found, mut conditional) = (0, 0, 0, 0);
    for _ in 0..300 {
        let specs = prop::collection::vec(spec(), 24)
            .new_tree(&mut runner)
            .unwrap()
            .current();
        let request = request().new_tree(&mut runner).unwrap().current();
        match naive::find(&specs, &request.as_query()) {
            Answer::Found(index, _) => {
                found += 1;
                let spec = &specs[index];
                conditional += usize::from(spec.headers.len() + spec.query.len() + spec.source.len() > 0);
            }
            Answer::MethodNotAllowed(_) => not_allowed += 1,
            Answer::NotFound => not_found += 1,
        }
    }
    assert!(
        found > 100 && not_allowed > 10 && not_found > 10 && conditional > 10,
        "{found} {not_allowed} {not_found} {conditional}"
    );
}
