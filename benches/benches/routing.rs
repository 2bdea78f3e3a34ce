//! What one lookup costs at 10, 100, 1,000 and 10,000 routes, and one path's normalisation.
//!
//! The queries of a set are asked in turn, in an order that jumps about, so that a large table is measured with the
//! cache misses it really has and not with one hot entry. Each set is asserted before it is timed.
//! `routing/tests/it/allocation.rs` holds the other half of the promise: that a hit allocates nothing.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a bench stops at the first surprise"
)]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use http::{HeaderMap, Method};
use tidegate_routing::{NormalizeOptions, Outcome, PathSpec, Query, RouteSpec, RouteTable, normalize_path};

const ROUTE_COUNTS: [usize; 4] = [10, 100, 1_000, 10_000];
/// Routes of one host where there are many hosts.
const ROUTES_PER_HOST: usize = 20;

#[derive(Clone, Copy, PartialEq)]
enum Hosts {
    /// All routes on one host: the widest trie.
    One,
    /// Twenty routes a host.
    Many,
}

/// A table, and requests with the route each must find.
struct Set {
    table: RouteTable,
    /// Every host and path one after the other: a server has the bytes of a request at hand, so the harness should
    /// not fetch them from all over the heap.
    texts: String,
    /// Where in `texts` a host begins, its path begins, and the path ends.
    requests: Vec<[u32; 3]>,
    expected: Vec<Option<usize>>,
}

impl Set {
    fn new(table: RouteTable, requests: impl Iterator<Item = (String, String, Option<usize>)>) -> Self {
        let mut set = Self {
            table,
            texts: String::new(),
            requests: Vec::new(),
            expected: Vec::new(),
        };
        for (host, path, expected) in requests {
            let begin = set.texts.len();
            set.texts.push_str(&host);
            let middle = set.texts.len();
            set.texts.push_str(&path);
            set.requests
                .push([begin, middle, set.texts.len()].map(|at| u32::try_from(at).expect("a small text")));
            set.expected.push(expected);
        }
        set
    }

    fn request(&self, [begin, middle, end]: [u32; 3]) -> (&str, &str) {
        (
            &self.texts[begin as usize..middle as usize],
            &self.texts[middle as usize..end as usize],
        )
    }
}

fn host_of(hosts: Hosts, route: usize) -> String {
    match hosts {
        Hosts::One => "www.example.com".to_owned(),
        Hosts::Many => format!("shop{}.example.com", route / ROUTES_PER_HOST),
    }
}

/// Of four routes two are templates, one is a prefix and one an exact path.
fn route(hosts: Hosts, index: usize) -> RouteSpec {
    let path = match index % 4 {
        0 => format!("/api/v1/orders{index}/{{id}}"),
        1 => format!("/api/v1/users/{{user}}/things{index}"),
        2 => format!("/static/bundle{index}/*"),
        _ => format!("/pages/page{index}/about"),
    };
    RouteSpec {
        name: format!("route-{index}"),
        hosts: vec![host_of(hosts, index)],
        path: Some(PathSpec::Pattern(path)),
        ..RouteSpec::default()
    }
}

fn path_for(index: usize) -> String {
    match index % 4 {
        0 => format!("/api/v1/orders{index}/{}", index * 7),
        1 => format!("/api/v1/users/u{}/things{index}", index * 3),
        2 => format!("/static/bundle{index}/js/app.js"),
        _ => format!("/pages/page{index}/about"),
    }
}

fn table(hosts: Hosts, count: usize) -> RouteTable {
    let mut specs: Vec<RouteSpec> = (0..count - 1).map(|index| route(hosts, index)).collect();
    // The last route takes what no host of its own does.
    specs.push(RouteSpec {
        name: "wildcard".into(),
        hosts: vec!["*.example.com".into()],
        path: Some(PathSpec::Pattern("/shared/{page}".into())),
        ..RouteSpec::default()
    });
    RouteTable::build(&specs).expect("the routes are in order")
}

/// The numbers below `count` in an order without locality.
fn scattered(count: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |at| at * 7_919 % count)
}

fn hits(hosts: Hosts, count: usize) -> Set {
    let requests = scattered(count - 1).map(|index| (host_of(hosts, index), path_for(index), Some(index)));
    Set::new(table(hosts, count), requests)
}

/// The host is known and the path goes wrong in its last segment but one.
fn misses(count: usize) -> Set {
    let requests = scattered(count - 1).map(|index| {
        (
            host_of(Hosts::Many, index),
            format!("/api/v1/absent{index}/{index}"),
            None,
        )
    });
    Set::new(table(Hosts::Many, count), requests)
}

/// The exact host has no such path; its wildcard has.
fn fall_throughs(count: usize) -> Set {
    let requests = scattered(count - 1).map(|index| {
        (
            host_of(Hosts::Many, index),
            format!("/shared/page{index}"),
            Some(count - 1),
        )
    });
    Set::new(table(Hosts::Many, count), requests)
}

fn query<'q>(host: &'q str, path: &'q str, headers: &'q HeaderMap) -> Query<'q> {
    Query {
        host,
        path,
        query: None,
        method: &Method::GET,
        headers,
        source: None,
    }
}

fn lookup(criterion: &mut Criterion) {
    type Make = fn(usize) -> Set;
    let kinds: [(&str, Make); 4] = [
        ("hit, many hosts", |count| hits(Hosts::Many, count)),
        ("hit, one host", |count| hits(Hosts::One, count)),
        ("miss", misses),
        ("fall-through host", fall_throughs),
    ];
    let headers = HeaderMap::new();
    for (name, make) in kinds {
        let mut group = criterion.benchmark_group(format!("lookup/{name}"));
        group.throughput(Throughput::Elements(1));
        for count in ROUTE_COUNTS {
            let set = make(count);
            for (request, expected) in set.requests.iter().zip(&set.expected) {
                let (host, path) = set.request(*request);
                let found = match set.table.find(&query(host, path, &headers)) {
                    Outcome::Found(found) => Some(found.route.get()),
                    Outcome::MethodNotAllowed { .. } | Outcome::NotFound => None,
                };
                assert_eq!(found, *expected, "{host}{path}");
            }
            let mut turn = set.requests.iter().cycle();
            group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
                bencher.iter(|| {
                    let Some(request) = turn.next() else { return };
                    let (host, path) = set.request(*request);
                    black_box(set.table.find(black_box(&query(host, path, &headers))));
                });
            });
        }
        group.finish();
    }
}

fn normalise(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("normalise");
    let paths = [
        ("normal", "/api/v1/users/u4711/things/caf%C3%A9", true),
        ("not normal", "/api/./v1//users/%7eu/../things", false),
    ];
    for (name, path, borrowed) in paths {
        let options = NormalizeOptions::default();
        let normal = normalize_path(path, options).expect("the path is in order");
        assert_eq!(
            matches!(normal, std::borrow::Cow::Borrowed(_)),
            borrowed,
            "{path} became {normal}"
        );
        group.bench_function(name, |bencher| {
            bencher.iter(|| normalize_path(black_box(path), options))
        });
    }
    group.finish();
}

criterion_group!(benches, lookup, normalise);
criterion_main!(benches);
