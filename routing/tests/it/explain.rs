//! What an explanation says.

use tidegate_routing::{Decision, Mismatch, ValueMatch, Verdict};

use crate::support::{exact, matching, path, regex, request, table};

#[test]
fn every_better_ranked_route_says_why_not() {
    let table = table([
        path("/users/{id}").named("users").host("*.example.com"),
        path("/users/{id}")
            .named("canary")
            .host("*.example.com")
            .header("x-canary", exact("1"))
            .query("v", matching("2|3"))
            .source("10.0.0.0/8"),
        path("/users/me").named("me").host("api.example.com"),
        path("/users/7").named("write").host("*.example.com").method("PUT"),
        path("/*").named("rest"),
        regex("/users/.*").named("regex"),
        path("/").named("elsewhere").host("other.org"),
    ]);
    let request = request("GET api.example.com/users/7?v=1").header("x-canary", "0");
    let text = table.explain(&request.as_query()).to_string();
    assert_eq!(
        text,
        "GET api.example.com/users/7\n\
         \x20 -> route `users` (#0) id=7\n\
         routes of this host, in rank order:\n\
         \x20 #2 `me` api.example.com/users/me: path differs\n\
         \x20 #3 `write` *.example.com/users/7: method differs (wanted: PUT)\n\
         \x20 #1 `canary` *.example.com/users/{id}: header `x-canary` differs (wanted: \"1\"); query `v` differs \
         (wanted: /2|3/); the client's address is not in 10.0.0.0/8\n\
         \x20 #0 `users` *.example.com/users/{id}: takes the request\n\
         \x20 #4 `rest` */*: would take it too, but ranks lower\n\
         \x20 #5 `regex` */users/.*: would take it too, but ranks lower\n\
         1 route is for other hosts\n"
    );
}

#[test]
fn missing_is_told_from_different() {
    let table = table([path("/").header("x-a", ValueMatch::Present).query("q", exact("1"))]);
    let explanation = table.explain(&request("GET h/").as_query());
    let reasons = vec![
        Mismatch::Header {
            name: "x-a".into(),
            expected: "present".into(),
            missing: true,
        },
        Mismatch::Query {
            name: "q".into(),
            expected: "\"1\"".into(),
            missing: true,
        },
    ];
    assert_eq!(explanation.considered[0].verdict, Verdict::Refused { reasons });
    assert_eq!(explanation.decision, Decision::NotFound);
    let explanation = table.explain(&request("GET h/?q=2").header("x-a", "").as_query());
    let reasons = vec![Mismatch::Query {
        name: "q".into(),
        expected: "\"1\"".into(),
        missing: false,
    }];
    assert_eq!(explanation.considered[0].verdict, Verdict::Refused { reasons });
}

#[test]
fn a_405_names_the_methods() {
    let table = table([
        path("/").method("PUT"),
        path("/else").host("other.org"),
        path("/else").host("third.org"),
    ]);
    let explanation = table.explain(&request("GET h:80/").as_query());
    assert_eq!(explanation.decision, Decision::MethodNotAllowed { allow: "PUT".into() });
    let text = explanation.to_string();
    assert!(text.contains("-> 405 Method Not Allowed, Allow: PUT"), "{text}");
    assert!(text.ends_with("2 routes are for other hosts\n"), "{text}");
    // The routes of other hosts are in the data all the same, with every reason.
    let reasons = vec![Mismatch::Host, Mismatch::Path];
    assert_eq!(explanation.considered[1].verdict, Verdict::Refused { reasons });
}

#[test]
fn a_long_list_is_cut_in_the_text_only() {
    let specs: Vec<_> = (0..100)
        .map(|index| tidegate_routing::RouteSpec {
            path: Some(tidegate_routing::PathSpec::Pattern(format!("/p{index}"))),
            ..Default::default()
        })
        .collect();
    let table = tidegate_routing::RouteTable::build(&specs).unwrap();
    let explanation = table.explain(&request("GET h/p99").as_query());
    assert_eq!(explanation.considered.len(), 100);
    let text = explanation.to_string();
    assert!(
        text.contains("#99 `` */p99: takes the request"),
        "the winner is shown: {text}"
    );
    assert!(text.contains("more"), "{text}");
}
