//! A hit allocates nothing, nor does a miss, nor the normalisation of a normal path.

use tidegate_routing::{NormalizeOptions, Outcome, ValueMatch, normalize_path};

use crate::support::{exact, matching, path, regex, request, table};

/// Runs once to warm what is made on first use (the regex engine's caches), then counts.
fn allocations(mut work: impl FnMut()) -> u64 {
    work();
    allocation_counter::measure(work).count_total
}

#[test]
fn the_counter_counts() {
    assert!(allocations(|| drop(std::hint::black_box(vec![1u8, 2, 3]))) >= 1);
}

#[test]
fn lookups_do_not_allocate() {
    let table = table([
        path("/plain").host("www.example.com"),
        path("/users/{id}/posts/{post}").host("*.example.com"),
        path("/files/{*rest}").host("[2001:db8::1]"),
        path("/cond")
            .method("POST")
            .header("x-a", exact("1"))
            .header("x-b", matching("[0-9]+"))
            .query("q", exact("a b"))
            .query("r", ValueMatch::Present)
            .source("10.0.0.0/8"),
        regex("/re/[a-z]+"),
    ]);
    let requests = [
        (request("GET www.example.com/plain"), Some(0)),
        (request("GET WWW.Example.Com:8443/plain"), Some(0)),
        (request("HEAD a.b.example.com./users/7/posts/8"), Some(1)),
        (request("GET [2001:DB8:0::1]:80/files/a/b"), Some(2)),
        (
            request("POST h/cond?x=1&q=a%20b&r")
                .header("x-a", "1")
                .header("x-b", "42")
                .from("10.1.1.1"),
            Some(3),
        ),
        (request("GET h/re/abc"), Some(4)),
        (request("GET www.example.com/nowhere/at/all"), None),
    ];
    for (request, expected) in &requests {
        let query = request.as_query();
        let mut route = None;
        let count = allocations(|| {
            route = match table.find(&query) {
                Outcome::Found(found) => Some(found.route.get()),
                Outcome::MethodNotAllowed { .. } | Outcome::NotFound => None,
            };
        });
        assert_eq!(route, *expected, "{request:?}");
        assert_eq!(count, 0, "{request:?} allocated");
    }
}

#[test]
fn parameters_of_a_pattern_are_borrowed() {
    let table = table([path("/users/{id}/posts/{post}"), path("/plain")]);
    let (users, plain) = (request("GET h/users/7/posts/8"), request("GET h/plain"));
    let (users, plain) = (users.as_query(), plain.as_query());
    let mut seen = 0;
    let count = allocations(|| {
        let Outcome::Found(found) = table.find(&users) else {
            panic!("not found")
        };
        assert_eq!(found.params().get("post"), Some("8"));
        seen = found.params().iter().count();
        let Outcome::Found(found) = table.find(&plain) else {
            panic!("not found")
        };
        // Nothing captured: even the owned form is free.
        assert!(found.params().to_owned().is_empty());
    });
    assert_eq!((seen, count), (2, 0));
}

#[test]
fn normal_paths_are_borrowed() {
    let count = allocations(|| {
        let path = normalize_path("/api/v1/users/caf%C3%A9/.well-known", NormalizeOptions::default());
        assert!(path.is_ok());
    });
    assert_eq!(count, 0);
}
