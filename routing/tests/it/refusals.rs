//! What a table is not built from, and what the error tells.

use tidegate_routing::{BuildError, Field, HostProblem, PatternProblem, RouteTable, ValueMatch, ValueProblem};

use crate::support::{Spec, check, exact, matching, path, refused, regex, specs, table};

fn indices(error: &BuildError) -> (Option<usize>, Option<usize>) {
    (
        error.route().map(|route| route.get()),
        error.other().map(|route| route.get()),
    )
}

#[test]
fn every_error_is_collected_with_its_place() {
    let errors = refused([
        path("/ok"),
        path("/v1*").host("ok.com").host("http://bad").host("also bad"),
        regex("(")
            .header("x-a", ValueMatch::Present)
            .header("x-b", matching("[")),
        path("/x")
            .header("x-a", exact(" a"))
            .query("", ValueMatch::Present)
            .query("q", matching("*")),
        path("/y")
            .header("x-a", exact("1"))
            .header("x-a", exact("2"))
            .query("q", exact("1"))
            .query("q", exact("1")),
    ]);
    let places: Vec<_> = errors
        .iter()
        .map(|error| (error.route().unwrap().get(), error.field(), error.position()))
        .collect();
    assert_eq!(
        places,
        [
            (1, Field::Host, Some(1)),
            (1, Field::Host, Some(2)),
            (1, Field::Path, None),
            (2, Field::Path, None),
            (2, Field::Header, Some(1)),
            (3, Field::Header, Some(0)),
            (3, Field::Query, Some(0)),
            (3, Field::Query, Some(1)),
            (4, Field::Header, Some(1)),
            (4, Field::Query, Some(1)),
        ]
    );
    assert!(
        matches!(&errors[0], BuildError::Host { problem: HostProblem::NotAName, host, .. } if host == "http://bad")
    );
    assert!(matches!(
        &errors[1],
        BuildError::Host {
            problem: HostProblem::Character(' '),
            ..
        }
    ));
    assert!(matches!(
        &errors[2],
        BuildError::Path {
            problem: PatternProblem::StarInSegment,
            ..
        }
    ));
    assert!(matches!(
        &errors[3],
        BuildError::Path {
            problem: PatternProblem::Regex(_),
            ..
        }
    ));
    assert!(matches!(
        &errors[5],
        BuildError::Header {
            problem: ValueProblem::Impossible,
            ..
        }
    ));
    assert!(matches!(
        &errors[6],
        BuildError::Query {
            problem: ValueProblem::NoName,
            ..
        }
    ));
    assert!(matches!(
        &errors[8],
        BuildError::Header {
            problem: ValueProblem::Repeated,
            ..
        }
    ));
    for error in &errors {
        assert!(!error.help().is_empty());
        assert_eq!(error.other(), None);
    }
    assert_eq!(
        errors[2].to_string(),
        "route `/v1*`: path `/v1*`: `*` may only be a whole segment"
    );
}

#[test]
fn routes_that_cannot_be_told_apart() {
    let twins = [
        [path("/a"), path("/a").named("other")],
        [path("/a/{x}"), path("/a/{y}")],
        [path("/a/*"), path("/a/{*rest}")],
        [path("/caf%c3%a9"), path("/café")],
        [path("/*"), Spec::any_path()],
        [Spec::any_path(), Spec::any_path()],
        [regex("/a+"), regex("/a+")],
        [path("/a").host("a.com"), path("/a").host("A.com.")],
        [
            path("/a").host("a.com").host("b.com"),
            path("/a").host("c.com").host("b.com"),
        ],
        [path("/a").host("[::1]"), path("/a").host("[0::0:1]")],
        [
            path("/a").method("GET").method("PUT"),
            path("/a").method("PUT").method("GET").method("PUT"),
        ],
        [
            path("/a").header("x-a", exact("1")).header("x-b", exact("2")),
            path("/a").header("x-b", exact("2")).header("x-a", exact("1")),
        ],
        [
            path("/a").query("a", exact("1")).query("b", matching("2")),
            path("/a").query("b", matching("2")).query("a", exact("1")),
        ],
        [
            path("/a").source("10.0.0.0/8"),
            path("/a").source("10.1.0.0/16").source("10.0.0.0/8"),
        ],
    ];
    for [first, second] in twins {
        let errors = refused([path("/else").named("else"), first.clone(), second.clone()]);
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(matches!(errors[0], BuildError::Indistinguishable { .. }), "{errors:?}");
        assert_eq!(indices(&errors[0]), (Some(2), Some(1)), "{first:?} {second:?}");
        assert_eq!(errors[0].field(), Field::Route);
    }
    let errors = refused([
        path("/a").host("a.com").named("one"),
        path("/a").host("a.com").named("two"),
    ]);
    assert_eq!(
        errors[0].to_string(),
        "routes `one` (#0) and `two` (#1) take the same requests: a.com/a"
    );
}

#[test]
fn each_twin_is_named_once() {
    let hosts = |spec: Spec| spec.host("a.com").host("b.com").host("*.c.com");
    let errors = refused([
        hosts(path("/a")),
        hosts(path("/a")),
        hosts(path("/a")),
        path("/b"),
        path("/b"),
    ]);
    let places: Vec<_> = errors.iter().map(indices).collect();
    assert_eq!(places, [(Some(1), Some(0)), (Some(2), Some(0)), (Some(4), Some(3))]);
}

#[test]
fn a_route_that_another_hides() {
    let hidden = [
        (path("/a").method("GET").method("PUT"), path("/a").method("GET")),
        (path("/a"), path("/a").source("10.0.0.0/8")),
        (path("/a").source("10.0.0.0/8"), path("/a").source("10.1.0.0/16")),
        (
            path("/a").header("x-a", ValueMatch::Present),
            path("/a").header("x-a", exact("1")),
        ),
        (
            path("/a").query("a", ValueMatch::Present),
            path("/a").query("a", matching("1")),
        ),
        (regex("/a"), regex("/a").source("::/0")),
    ];
    for (above, below) in hidden {
        let errors = refused([above.clone().named("above"), below.clone().named("below")]);
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(matches!(errors[0], BuildError::Unreachable { .. }), "{errors:?}");
        assert_eq!(indices(&errors[0]), (Some(1), Some(0)));
        // The other way round both are reached.
        RouteTable::build(&specs([below, above])).unwrap();
    }
}

#[test]
fn routes_that_only_overlap_are_in_order() {
    table([path("/a"), path("/a").method("GET")]);
    table([path("/a").method("GET"), path("/a").method("GET").method("PUT")]);
    table([path("/a").method("GET"), path("/a").method("HEAD")]);
    table([path("/a"), path("/a/")]);
    table([path("/a"), path("/a/*")]);
    table([path("/a/{x}"), path("/a/*")]);
    table([path("/a"), regex("/a")]);
    table([regex("/a"), regex("/a|/b")]);
    table([
        path("/a"),
        path("/a").host("a.com"),
        path("/a").host("*.com"),
        path("/a").host("*.a.com"),
    ]);
    table([
        path("/a"),
        path("/a").header("x-a", exact("1")),
        path("/a").query("a", exact("1")),
    ]);
    table([
        path("/a").header("x-a", exact("1")),
        path("/a").header("x-a", exact("2")),
    ]);
    table([path("/a").query("a", exact("1")), path("/a").query("A", exact("1"))]);
    table([
        path("/a").source("10.0.0.0/8"),
        path("/a").source("11.0.0.0/8"),
        path("/a"),
    ]);
    // Hidden on one host, and reached on another.
    let table = table([
        path("/a").host("a.com"),
        path("/a").host("a.com").host("b.com").source("10.0.0.0/8"),
    ]);
    check(&table, &[("GET a.com/a", "0")]);
}

#[test]
fn errors_of_one_route_come_before_conflicts() {
    let errors = refused([path("/a"), path("/a"), path("b")]);
    assert_eq!(errors.len(), 1);
    assert!(matches!(
        &errors[0],
        BuildError::Path {
            problem: PatternProblem::NotAbsolute,
            ..
        }
    ));
}

#[test]
fn ten_thousand_twins_are_found_in_time() {
    let specs: Vec<_> = (0..10_000).flat_map(|_| specs([path("/a")])).collect();
    assert_eq!(RouteTable::build(&specs).unwrap_err().len(), 9_999);
}
