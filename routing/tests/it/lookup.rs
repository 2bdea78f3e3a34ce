//! Which route wins, rule by rule.

use tidegate_routing::{Outcome, RouteTable, ValueMatch};

use crate::support::{Spec, answer, check, exact, matching, path, regex, request, table};

#[test]
fn an_empty_table_finds_nothing() {
    let table = RouteTable::build(&[]).unwrap();
    assert!(table.is_empty());
    check(
        &table,
        &[("GET example.com/", "404"), ("GET /", "404"), ("OPTIONS *", "404")],
    );
}

#[test]
fn hosts_from_exact_to_none_with_fall_through() {
    let table = table([
        path("/none/*"),
        path("/com/*").host("*.com"),
        path("/wild/*").host("*.example.com"),
        path("/exact/*").host("www.example.com"),
        path("/both").host("*.example.com"),
        path("/both").host("www.example.com"),
        path("/both"),
    ]);
    check(
        &table,
        &[
            ("GET www.example.com/both", "5"),
            ("GET WWW.Example.com:8443/both", "5"),
            ("GET www.example.com./both", "5"),
            ("GET api.example.com/both", "4"),
            ("GET a.b.example.com/both", "4"),
            ("GET example.com/both", "6"),
            ("GET other.org/both", "6"),
            ("GET /both", "6"),
            ("GET www.example.com/exact/1", "3"),
            ("GET www.example.com/wild/1", "2"),
            ("GET www.example.com/com/1", "1"),
            ("GET www.example.com/none/1", "0"),
            ("GET api.example.com/exact/1", "404"),
            ("GET example.com/wild/1", "404"),
            ("GET example.com/com/1", "1"),
            ("GET com/com/1", "404"),
            ("GET www.example.com/else", "404"),
        ],
    );
}

#[test]
fn one_route_on_several_hosts() {
    let table = table([
        path("/").host("a.com").host("*.b.com").host("A.com"),
        path("/").host("x.b.com").host("c.com"),
    ]);
    check(
        &table,
        &[
            ("GET a.com/", "0"),
            ("GET y.b.com/", "0"),
            ("GET x.b.com/", "1"),
            ("GET c.com/", "1"),
            ("GET b.com/", "404"),
        ],
    );
}

#[test]
fn ip_addresses_are_hosts() {
    let table = table([path("/").host("127.0.0.1"), path("/").host("[2001:db8:0::1]")]);
    check(
        &table,
        &[
            ("GET 127.0.0.1:8080/", "0"),
            ("GET [2001:db8::1]:8080/", "1"),
            ("GET [2001:DB8:0:0:0:0:0:1]/", "1"),
            ("GET [2001:db8::2]/", "404"),
            ("GET [nonsense]/", "404"),
            ("GET [2001:db8::1/", "404"),
        ],
    );
}

#[test]
fn literal_over_parameter_over_star_from_left_to_right() {
    let table = table([
        path("/*"),
        path("/{a}"),
        path("/{a}/b"),
        path("/{a}/{b}"),
        path("/a/*"),
        path("/a/{b}/c"),
        path("/a/b/*"),
        path("/a/b"),
        path("/a"),
        path("/"),
    ]);
    check(
        &table,
        &[
            ("GET h/", "9"),
            ("GET h/a", "8"),
            ("GET h/z", "1"),
            ("GET h/a/", "4"),
            ("GET h/a/b", "7"),
            ("GET h/a/b/", "6"),
            ("GET h/a/b/c", "6"),
            ("GET h/a/x/c", "5"),
            // A literal first segment is worth more than any second.
            ("GET h/a/x", "4"),
            ("GET h/a/x/d", "4"),
            ("GET h/z/b", "2"),
            ("GET h/z/y", "3"),
            ("GET h/z/", "0"),
            ("GET h/z/y/x", "0"),
            ("GET h//", "0"),
        ],
    );
}

#[test]
fn a_dead_end_is_left_again() {
    let table = table([
        path("/{x}/b/c"),
        path("/a/{y}/d"),
        path("/a/b/e"),
        path("/{x}/{y}/f"),
        path("/a/b/{z}/g/*"),
    ]);
    check(
        &table,
        &[
            ("GET h/a/b/c", "0"),
            ("GET h/a/b/d", "1"),
            ("GET h/a/b/e", "2"),
            ("GET h/a/b/f", "3"),
            ("GET h/a/b/c/g", "4"),
            ("GET h/a/b/c/g/h", "4"),
            ("GET h/a/b/h", "404"),
            ("GET h/a/b/c/h", "404"),
        ],
    );
}

#[test]
fn prefixes_end_at_segments() {
    let table = table([path("/v1/*"), path("/v1/users/*"), path("/static/{*file}")]);
    check(
        &table,
        &[
            ("GET h/v1", "0"),
            ("GET h/v1/", "0"),
            ("GET h/v1/x/y", "0"),
            ("GET h/v1x", "404"),
            ("GET h/v1/users", "1"),
            ("GET h/v1/usersx", "0"),
            ("GET h/static", "2"),
            ("GET h/staticx", "404"),
            ("GET h/", "404"),
        ],
    );
}

#[test]
fn a_route_that_refuses_leaves_the_request_to_a_less_specific_one() {
    let table = table([
        path("/v1/users").method("POST"),
        path("/v1/{x}").header("x-beta", ValueMatch::Present),
        path("/v1/*").source("10.0.0.0/8"),
        path("/*").query("debug", exact("1")),
        Spec::any_path().host("*.example.com"),
    ]);
    let host = "GET a.example.com/v1/users";
    assert_eq!(answer(&table, &request("POST a.example.com/v1/users")), "4");
    assert_eq!(answer(&table, &request("POST h/v1/users")), "0");
    assert_eq!(answer(&table, &request("GET h/v1/users").header("x-beta", "")), "1");
    assert_eq!(answer(&table, &request("GET h/v1/users").from("10.1.1.1")), "2");
    assert_eq!(answer(&table, &request("GET h/v1/users?debug=1")), "3");
    assert_eq!(answer(&table, &request("GET h/v1/users")), "405 POST");
    assert_eq!(answer(&table, &request(host)), "4");
}

#[test]
fn more_conditions_rank_above_fewer() {
    let table = table([
        path("/").named("plain"),
        path("/").query("a", exact("1")).query("b", exact("1")),
        path("/").header("x-a", exact("1")),
        path("/").header("x-a", exact("1")).header("x-b", exact("1")),
        path("/").header("x-a", exact("1")).query("a", exact("1")),
        path("/").method("GET"),
        path("/").query("a", exact("1")),
        path("/").query("a", matching("[12]")),
    ]);
    let get = |target: &str| request(&format!("GET h{target}"));
    let post = |target: &str| request(&format!("POST h{target}"));
    // A named method ranks above any number of conditions.
    assert_eq!(
        answer(&table, &get("/?a=1&b=1").header("x-a", "1").header("x-b", "1")),
        "5"
    );
    assert_eq!(
        answer(&table, &post("/?a=1&b=1").header("x-a", "1").header("x-b", "1")),
        "3"
    );
    assert_eq!(answer(&table, &post("/?a=1&b=1").header("x-a", "1")), "4");
    assert_eq!(answer(&table, &post("/?b=1").header("x-a", "1")), "2");
    assert_eq!(answer(&table, &post("/?a=1&b=1")), "1");
    assert_eq!(answer(&table, &post("/?a=1")), "6");
    assert_eq!(answer(&table, &post("/?a=2")), "7");
    assert_eq!(answer(&table, &post("/?a=3")), "0");
}

#[test]
fn the_first_declared_wins_a_tie() {
    let table = table([path("/").header("x-a", exact("1")), path("/").header("x-b", exact("1"))]);
    assert_eq!(
        answer(&table, &request("GET h/").header("x-a", "1").header("x-b", "1")),
        "0"
    );
    assert_eq!(answer(&table, &request("GET h/").header("x-b", "1")), "1");
}

#[test]
fn get_serves_head() {
    let table = table([
        path("/get").method("GET"),
        path("/both").method("GET"),
        path("/both").method("HEAD"),
        path("/head").method("HEAD"),
        path("/any"),
        path("/cond").method("GET").header("x-a", ValueMatch::Present),
        path("/cond").method("HEAD"),
    ]);
    check(
        &table,
        &[
            ("HEAD h/get", "0"),
            ("GET h/both", "1"),
            ("HEAD h/both", "2"),
            ("HEAD h/head", "3"),
            ("GET h/head", "405 HEAD"),
            ("HEAD h/any", "4"),
            ("POST h/get", "405 GET, HEAD"),
        ],
    );
    // HEAD by name ranks above more headers.
    assert_eq!(answer(&table, &request("HEAD h/cond").header("x-a", "1")), "6");
}

#[test]
fn another_method_is_405_with_everything_that_would_do() {
    let table = table([
        path("/x").method("PUT"),
        path("/x").method("GET").method("DELETE"),
        path("/{y}").method("PATCH"),
        path("/*").method("PURGE").host("www.example.com"),
        path("/x").method("LOCK").header("x-dav", exact("1")),
        path("/x").method("TRACE").source("10.0.0.0/8"),
        regex("/x+").method("REPORT"),
    ]);
    check(
        &table,
        &[
            ("POST h/x", "405 DELETE, GET, HEAD, PATCH, PUT, REPORT"),
            (
                "POST www.example.com/x",
                "405 DELETE, GET, HEAD, PATCH, PURGE, PUT, REPORT",
            ),
            ("POST h/y", "405 PATCH"),
            ("POST h/xx/y", "404"),
            ("REPORT h/x", "6"),
            ("PURGE h/x", "405 DELETE, GET, HEAD, PATCH, PUT, REPORT"),
            ("PURGE www.example.com/x", "3"),
            ("get h/x", "405 DELETE, GET, HEAD, PATCH, PUT, REPORT"),
        ],
    );
    // A route whose other conditions fail is no reason for a 405, and does not show in one.
    assert_eq!(
        answer(&table, &request("POST h/x").header("x-dav", "1").from("10.0.0.1")),
        "405 DELETE, GET, HEAD, LOCK, PATCH, PUT, REPORT, TRACE"
    );
}

#[test]
fn a_failed_condition_is_404_and_not_405() {
    let table = table([path("/x").method("PUT").header("x-a", exact("1"))]);
    check(&table, &[("PUT h/x", "404"), ("GET h/x", "404")]);
    assert_eq!(answer(&table, &request("GET h/x").header("x-a", "1")), "405 PUT");
}

#[test]
fn regular_expressions_come_last_on_their_host() {
    let table = table([
        regex(r"/users/\d+").host("www.example.com"),
        path("/users/{id}").host("www.example.com").method("POST"),
        path("/users/*"),
        regex(r"/a/(?<left>[a-z]+)-(?<right>[a-z]+)"),
        regex(r"/a/.*").method("GET"),
    ]);
    check(
        &table,
        &[
            ("POST www.example.com/users/7", "1"),
            ("GET www.example.com/users/7", "0"),
            ("GET www.example.com/users/x", "2"),
            ("GET www.example.com/users/7/", "2"),
            ("GET h/a/b-c", "4"),
            ("POST h/a/b-c", "3"),
            ("POST h/a/b", "405 GET, HEAD"),
            ("GET h/b/a/b-c", "404"),
        ],
    );
}

#[test]
fn parameters_are_what_the_pattern_names() {
    let table = table([
        path("/users/{id}/posts/{post}"),
        path("/files/{bucket}/{*rest}"),
        path("/plain"),
        path("/hidden/*"),
        path("/users/{name}/*"),
        regex("/re/(?<year>[0-9]+)(/(?<month>[0-9]+))?"),
    ]);
    let expected: [(&str, &[(&str, &str)]); 9] = [
        ("GET h/users/7/posts/caf%C3%A9", &[("id", "7"), ("post", "caf%C3%A9")]),
        ("GET h/users/7/pictures", &[("name", "7")]),
        ("GET h/files/b/x/y/", &[("bucket", "b"), ("rest", "x/y/")]),
        ("GET h/files/b/", &[("bucket", "b"), ("rest", "")]),
        ("GET h/files/b", &[("bucket", "b"), ("rest", "")]),
        ("GET h/plain", &[]),
        ("GET h/hidden/a", &[]),
        ("GET h/re/2024/12", &[("year", "2024"), ("month", "12")]),
        ("GET h/re/2024", &[("year", "2024")]),
    ];
    for (line, expected) in expected {
        let request = request(line);
        let Outcome::Found(found) = table.find(&request.as_query()) else {
            panic!("{line} is not found")
        };
        let params = found.params();
        assert_eq!(params.iter().collect::<Vec<_>>(), expected, "{line}");
        let owned = params.to_owned();
        assert_eq!(owned.iter().collect::<Vec<_>>(), expected, "{line}");
        assert_eq!(owned.is_empty(), expected.is_empty());
        for (name, value) in expected {
            assert_eq!((params.get(name), owned.get(name)), (Some(*value), Some(*value)));
        }
        assert_eq!((params.get("absent"), owned.get("absent")), (None, None));
    }
}

#[test]
fn long_and_deep_paths_are_harmless() {
    let deep = "/a".repeat(120);
    let table = table([path(&deep), path("/{a}/*"), path(&format!("/{}", "x".repeat(5000)))]);
    let deeper = "/a".repeat(100_000);
    check(
        &table,
        &[
            (&format!("GET h{deep}"), "0"),
            (&format!("GET h{deeper}"), "1"),
            (&format!("GET h/{}", "x".repeat(5000)), "2"),
            (&format!("GET h/{}", "x".repeat(5001)), "1"),
            (&format!("GET h{}", "/".repeat(100_000)), "404"),
        ],
    );
}

#[test]
fn segments_of_every_length_are_told_apart() {
    let names: Vec<String> = (1..64).map(|length| "s".repeat(length)).collect();
    let specs: Vec<_> = names
        .iter()
        .map(|name| tidegate_routing::RouteSpec {
            path: Some(tidegate_routing::PathSpec::Pattern(format!("/{name}"))),
            ..Default::default()
        })
        .collect();
    let table = RouteTable::build(&specs).unwrap();
    for (index, name) in names.iter().enumerate() {
        check(
            &table,
            &[
                (&format!("GET h/{name}"), &index.to_string()),
                (&format!("GET h/{name}x"), "404"),
            ],
        );
    }
}
