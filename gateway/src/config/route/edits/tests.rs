use super::super::super::tests::{assert_bad, bad, good};
use super::super::RouteConfig;
use super::*;

/// A route that answers by itself; its text begins on line 3.
fn with(text: &str) -> String {
    format!("[[route]]\nrespond = {{}}\n{text}")
}

fn route(text: &str) -> RouteConfig {
    good(&with(text)).routes.first().expect("a route").clone()
}

#[test]
fn every_list_is_read() {
    let edits = route(
        "request_headers = { set = { X-A = \"1\", forwarded = \"\" }, add = { x-b = \"2\" }, remove = [\"X-C\", \"cookie\"] }",
    )
    .request_headers;
    let name = HeaderName::from_static;
    let value = HeaderValue::from_static;
    let expected = HeaderEdits {
        set: vec![(name("x-a"), value("1")), (name("forwarded"), value(""))],
        add: vec![(name("x-b"), value("2"))],
        remove: vec![name("x-c"), name("cookie")],
    };
    assert_eq!(edits, expected);
    let edits = route("response_headers = { remove = [\"server\"], set = { host = \"x\" } }").response_headers;
    assert_eq!((edits.set.len(), edits.remove.len()), (1, 1));
}

#[test]
fn none_is_nothing() {
    let nothing = HeaderEdits::default();
    assert_eq!(route("").request_headers, nothing);
    let empty = route("request_headers = {}\nresponse_headers = { set = {}, add = {}, remove = [] }");
    assert_eq!(
        (empty.request_headers, empty.response_headers),
        (nothing.clone(), nothing)
    );
}

#[test]
fn wrong_edits_are_refused() {
    let framing = "written by the gateway itself";
    for (value, column, words) in [
        ("[]", 19, &["must be a table, not a list"][..]),
        (
            "{ x-a = \"1\" }",
            21,
            &["unknown key `x-a`", "known keys: add, remove, set"],
        ),
        ("{ sett = {}, set = {} }", 21, &["did you mean `set`?"]),
        ("{ set = [\"a\"] }", 27, &["must be a table"]),
        (
            "{ set = { \"a b\" = \"1\" } }",
            29,
            &["is not the name of a header field"],
        ),
        (
            "{ set = { \":path\" = \"/\" } }",
            29,
            &["is not the name of a header field"],
        ),
        ("{ set = { a = 5 } }", 33, &["must be a string"]),
        (
            "{ set = { a = \"1\\r\\nb: 2\" } }",
            33,
            &["cannot be the value of a header field"],
        ),
        ("{ set = { a = \"1\", A = \"2\" } }", 38, &["`a` is given twice"]),
        ("{ set = { Connection = \"close\" } }", 29, &["`connection`", framing]),
        ("{ set = { content-length = \"0\" } }", 29, &[framing]),
        ("{ add = { transfer-encoding = \"chunked\" } }", 29, &[framing]),
        ("{ add = { te = \"trailers\" } }", 29, &[framing]),
        ("{ add = { upgrade = \"websocket\" } }", 29, &[framing]),
        ("{ set = { keep-alive = \"1\" } }", 29, &[framing]),
        ("{ set = { proxy-connection = \"close\" } }", 29, &[framing]),
        ("{ set = { trailer = \"x\" } }", 29, &[framing]),
        (
            "{ set = { Host = \"a\" } }",
            29,
            &["`host` is not changed among the fields", "rewrite = { host ="],
        ),
        ("{ add = { host = \"a\" } }", 29, &["rewrite = { host ="]),
        ("{ remove = [\"host\"] }", 31, &["rewrite = { host ="]),
        (
            "{ remove = [\"Content-Length\"] }",
            31,
            &[framing, "not yours to remove"],
        ),
        ("{ remove = \"a\" }", 30, &["must be a list"]),
        ("{ remove = [5] }", 31, &["must be a string"]),
        ("{ remove = [\"\"] }", 31, &["is not the name of a header field"]),
        ("{ remove = [\"a\", \"A\"] }", 36, &["`a` is given twice"]),
        (
            "{ set = { a = \"1\" }, add = { A = \"2\" } }",
            19,
            &["has `a` in two lists", "choose one"],
        ),
        (
            "{ set = { a = \"1\" }, remove = [\"A\"] }",
            19,
            &["has `a` in two lists"],
        ),
        (
            "{ add = { a = \"1\" }, remove = [\"a\"] }",
            19,
            &["has `a` in two lists"],
        ),
    ] {
        assert_bad(
            &with(&format!("request_headers = {value}")),
            &format!("3:{column}"),
            words,
        );
    }
    assert_bad(
        &with("response_headers = { set = { trailer = \"x\" } }"),
        "3:30",
        &[framing],
    );
    assert_bad(
        &with("response_headers = { remove = [\"transfer-encoding\"] }"),
        "3:32",
        &[framing],
    );
}

#[test]
fn there_are_only_so_many() {
    let many = |count: usize| {
        let names: Vec<_> = (2..count).map(|index| format!("\"x-{index}\"")).collect();
        let remove = names.join(", ");
        with(&format!(
            "response_headers = {{ set = {{ a = \"1\" }}, add = {{ b = \"2\" }}, remove = [{remove}] }}"
        ))
    };
    good(&many(limits::HEADER_EDITS_COUNT));
    let words = &["edits 65 fields", "at most 64"];
    assert_bad(&many(limits::HEADER_EDITS_COUNT + 1), "3:20", words);
}

#[test]
fn every_error_is_reported() {
    let errors = bad(&with(
        "request_headers = { set = { host = \"a\", te = \"b\" }, remove = [\"te\", 5] }",
    ));
    assert_eq!(errors.len(), 4, "{errors:#?}");
}
