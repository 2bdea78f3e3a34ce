use http::StatusCode;

use super::super::super::tests::{assert_bad, bad, good};
use super::*;

/// Two components and an upstream; what follows begins on line 7.
const DEFINED: &str =
    "[component.a]\nsource = \"a\"\n[component.b]\nsource = \"b\"\n[upstream.u]\nservers = [\"u:1\"]\n";

fn split(text: &str) -> SplitConfig {
    let config = good(&format!("{DEFINED}[[route]]\n{text}"));
    match config.routes.first().map(|route| route.target.clone()) {
        Some(TargetConfig::Split(split)) => split,
        other => panic!("a split, not {other:?}"),
    }
}

#[track_caller]
fn assert_bad_split(text: &str, column: usize, words: &[&str]) {
    let text = format!("{DEFINED}[[route]]\nsplit = {text}");
    assert_bad(&text, &format!("8:{column}"), words);
}

#[test]
fn targets_of_every_kind_are_read() {
    let read = split(
        "split = [{ component = \"a\", weight = 90 }, { upstream = \"u\", weight = 1000000 }, \
         { respond = { status = 503 }, weight = 0 }, { redirect = { to = \"/\" }, weight = 1 }]",
    );
    assert_eq!(read.sticky, None);
    let [(a, 90), (u, 1_000_000), (respond, 0), (redirect, 1)] = read.targets.as_slice() else {
        panic!("four targets: {read:?}")
    };
    assert_eq!(*a, TargetConfig::Component("a".parse().unwrap()));
    assert_eq!(*u, TargetConfig::Upstream("u".parse().unwrap()));
    assert!(matches!(respond, TargetConfig::Respond(answer) if answer.status == StatusCode::SERVICE_UNAVAILABLE));
    assert!(matches!(redirect, TargetConfig::Redirect(redirect) if redirect.to == "/"));
}

#[test]
fn one_target_is_enough() {
    assert_eq!(split("split = [{ component = \"a\", weight = 1 }]").targets.len(), 1);
}

#[test]
fn clients_stay_by_a_part_of_the_request() {
    for (text, sticky) in [
        ("{ cookie = \"v\" }", Sticky::Cookie("v".into())),
        (
            "{ header = \"X-User\" }",
            Sticky::Header(HeaderName::from_static("x-user")),
        ),
        ("\"address\"", Sticky::Address),
    ] {
        let read = split(&format!(
            "split = [{{ component = \"a\", weight = 1 }}]\nsticky = {text}"
        ));
        assert_eq!(read.sticky, Some(sticky));
    }
    let help = "one of \"address\", { header = \"..\" } and { cookie = \"..\" }";
    for (text, column, words) in [
        ("\"path\"", 10, &["cannot be \"path\"", help][..]),
        ("true", 10, &["must be a string or a table", help]),
        ("{}", 10, &["names no one part of a request"]),
        ("{ cookie = \"a\", header = \"b\" }", 10, &["exactly one of"]),
        ("{ cookie = \"a b\" }", 21, &["is not the name of a cookie"]),
        ("{ header = \"\" }", 21, &["is not the name of a header field"]),
    ] {
        let text = format!("[[route]]\nsplit = [{{ respond = {{}}, weight = 1 }}]\nsticky = {text}");
        assert_bad(&text, &format!("3:{column}"), words);
    }
}

#[test]
fn only_a_split_is_sticky() {
    for target in ["respond = {}", "redirect = { to = \"/\" }"] {
        let text = format!("[[route]]\n{target}\nsticky = {{ cookie = \"v\" }}");
        assert_bad(&text, "3:10", &["`sticky` needs `split`", "remove it"]);
    }
}

#[test]
fn wrong_splits_are_refused() {
    for (value, column, words) in [
        ("[]", 9, &["`route[0].split` holds no target", "such as split = ["][..]),
        ("{}", 9, &["must be a list, not a table"]),
        ("\"a\"", 9, &["must be a list"]),
        ("[\"a\"]", 10, &["`route[0].split[0]` must be a table"]),
        (
            "[{ weight = 1 }]",
            10,
            &["has no target", "`component`, `upstream`, `redirect` and `respond`"],
        ),
        (
            "[{ component = \"a\" }]",
            10,
            &["has no `weight`", "such as weight = 5"],
        ),
        (
            "[{ component = \"a\", weight = -1 }]",
            38,
            &["cannot be -1", "from 0 to 1000000"],
        ),
        ("[{ component = \"a\", weight = 1000001 }]", 38, &["cannot be 1000001"]),
        (
            "[{ component = \"a\", weight = \"5%\" }]",
            38,
            &["must be a whole number"],
        ),
        ("[{ component = \"a\", weight = 0.5 }]", 38, &["must be a whole number"]),
        (
            "[{ component = \"c\", weight = 1 }]",
            24,
            &["there is no component `c`"],
        ),
        (
            "[{ upstream = \"a\", weight = 1 }]",
            23,
            &["did you mean component = \"a\"?"],
        ),
        (
            "[{ component = \"a\", upstream = \"u\", weight = 1 }]",
            29,
            &["a part of a split has one target"],
        ),
        (
            "[{ component = \"a\", weight = 0 }]",
            9,
            &["every weight of `route[0].split` is 0"],
        ),
        (
            "[{ component = \"a\", weight = 0 }, { upstream = \"u\", weight = 0 }]",
            9,
            &["nothing would answer"],
        ),
        (
            "[{ component = \"a\", weight = 1 }, { component = \"a\", weight = 2 }]",
            43,
            &[
                "has the same target twice, first at gateway.toml:8:10",
                "both weights added up",
            ],
        ),
        (
            "[{ respond = {}, weight = 1 }, { respond = { status = 200 }, weight = 2 }]",
            40,
            &["the same target twice"],
        ),
        (
            "[{ split = [{ component = \"a\", weight = 1 }], weight = 1 }]",
            12,
            &["a split cannot be a part of a split", "write its targets here"],
        ),
        (
            "[{ component = \"a\", weight = 1, sticky = \"address\" }]",
            41,
            &["unknown key `sticky`"],
        ),
        ("[{ respond = { status = 1 }, weight = 1 }]", 33, &["cannot be 1"]),
        (
            "[{ component = \"a\", wieght = 1, weight = 1 }]",
            29,
            &["did you mean `weight`?"],
        ),
    ] {
        assert_bad_split(value, column, words);
    }
}

#[test]
fn a_name_may_be_two_things() {
    // A component and an upstream of one name are told apart by the key that names them.
    let text = "[component.x]\nsource = \"x\"\n[upstream.x]\nservers = [\"x:1\"]\n[[route]]\n\
        split = [{ component = \"x\", weight = 1 }, { upstream = \"x\", weight = 1 }]";
    assert!(matches!(&good(text).routes[0].target, TargetConfig::Split(split) if split.targets.len() == 2));
}

#[test]
fn there_are_only_so_many_targets() {
    let text = |count: usize| {
        let targets = (0..count).map(|index| format!("{{ respond = {{ body = \"{index}\" }}, weight = 1 }}"));
        format!("[{}]", targets.collect::<Vec<_>>().join(", "))
    };
    let most = split(&format!("split = {}", text(limits::SPLIT_TARGETS_COUNT)));
    assert_eq!(most.targets.len(), 64);
    assert_bad_split(&text(limits::SPLIT_TARGETS_COUNT + 1), 9, &["65 targets", "at most 64"]);
}

#[test]
fn every_unknown_name_is_reported() {
    let errors =
        bad("[[route]]\nsplit = [{ component = \"x\", weight = 1 }, { upstream = \"y\", weight = 1 }]\nsticky = 5");
    let places: Vec<_> = errors.iter().filter_map(|error| error.split(' ').next()).collect();
    assert_eq!(places, ["2:24", "2:56", "3:10"], "{errors:#?}");
}

#[test]
fn a_target_that_cannot_be_read_says_nothing_of_the_weights() {
    let text = "[{ component = \"a\", weight = 0 }, { component = 5, weight = 1 }]";
    assert_bad_split(text, 57, &["must be a string"]);
}
