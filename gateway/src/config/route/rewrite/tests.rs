use super::super::super::tests::{assert_bad, bad, good, json};
use super::*;

fn rewrite(path: &str, text: &str) -> RewriteConfig {
    let config = good(&format!("[[route]]\npath = {path}\nrespond = {{}}\nrewrite = {text}"));
    let route = config.routes.first().expect("a route");
    route.rewrite.clone().expect("a rewrite")
}

/// A rewrite of a route with this path that is wrong at this column.
#[track_caller]
fn assert_bad_rewrite(path: &str, text: &str, column: usize, words: &[&str]) {
    let text = format!("[[route]]\npath = {path}\nrespond = {{}}\nrewrite = {text}");
    assert_bad(&text, &format!("4:{column}"), words);
}

#[test]
fn every_key_is_read() {
    let read = rewrite(
        "\"/v1/*\"",
        "{ strip_prefix = \"/v1\", add_prefix = \"/api/%7ev2\", host = \"API.internal:8080\" }",
    );
    assert_eq!(read.strip_prefix.as_deref(), Some("/v1"));
    assert_eq!(read.add_prefix.as_deref(), Some("/api/~v2"));
    assert_eq!(read.host, Some(HeaderValue::from_static("api.internal:8080")));
    assert_eq!(read.path, None);
    assert_eq!(rewrite("\"/\"", "{}"), RewriteConfig::default());
    assert_eq!(good("[[route]]\nrespond = {}").routes[0].rewrite, None);
}

#[test]
fn templates_are_texts_and_names_in_turn() {
    let literal = |text: &str| TemplatePart::Literal(text.into());
    let parameter = |name: &str| TemplatePart::Parameter(name.into());
    let regex = "{ regex = '/(?P<major>[0-9]+)\\.(?<minor>[0-9]+)' }";
    for (path, template, parts) in [
        ("\"/a\"", "/", vec![literal("/")]),
        ("\"/a\"", "/x/y", vec![literal("/x/y")]),
        (
            "\"/a/{id}\"",
            "/u-{id}.json",
            vec![literal("/u-"), parameter("id"), literal(".json")],
        ),
        (
            "\"/a/{id}/{*rest}\"",
            "/{id}/v2/{rest}",
            vec![literal("/"), parameter("id"), literal("/v2/"), parameter("rest")],
        ),
        (
            "\"/a/{id}\"",
            "/{id}{id}",
            vec![literal("/"), parameter("id"), parameter("id")],
        ),
        (
            regex,
            "/{minor}/{major}",
            vec![literal("/"), parameter("minor"), literal("/"), parameter("major")],
        ),
    ] {
        let read = rewrite(path, &format!("{{ path = \"{template}\" }}"));
        let read = read.path.expect("a template");
        assert_eq!(read.parts(), parts);
        assert_eq!(read.to_string(), template);
    }
}

#[test]
fn wrong_templates_are_refused() {
    for (template, words) in [
        ("", &["it does not begin with `/`"][..]),
        ("x", &["it does not begin with `/`"]),
        ("{id}", &["it does not begin with `/`"]),
        ("http://a/{id}", &["it does not begin with `/`"]),
        ("/{", &["a brace that is not closed"]),
        ("/}", &["a brace that is not closed or not opened"]),
        ("/{}", &["no name in it"]),
        ("/{{id}}", &["a brace that is not closed"]),
        ("/{id", &["a brace that is not closed"]),
        ("/a}{id}", &["a brace that is not closed or not opened"]),
        ("/{id}?x=1", &["it has a query or a fragment", "passed on as it is"]),
        ("/#x", &["it has a query or a fragment"]),
        ("/a b", &["as a path it would be written /a%20b"]),
        ("/a//b", &["as a path it would be written /a/b"]),
        ("/../b", &["climbs above the root"]),
        ("/a/../{id}", &["as a path it would be written /x"]),
        ("/%2f", &["an encoded slash"]),
        ("/%zz", &["two hexadecimal digits"]),
        ("/a\\\\b", &["a backslash"]),
        ("/\u{e9}", &["it would be written /%C3%A9"]),
        (
            "/{user}",
            &[
                "`{user}` in `route[0].rewrite.path` is not captured",
                "not captured",
                "it captures id, rest",
            ],
        ),
        ("/{ids}", &["did you mean {id}?"]),
        ("/{*rest}", &["`{*rest}`", "did you mean {rest}?"]),
        ("/{ID}", &["did you mean {id}?"]),
    ] {
        let text = format!("{{ path = \"{template}\" }}");
        assert_bad_rewrite("\"/a/{id}/{*rest}\"", &text, 20, words);
    }
    let words = &["the route's path names nothing", "{*rest}"];
    assert_bad_rewrite("\"/a/*\"", "{ path = \"/{rest}\" }", 20, words);
    assert_bad_rewrite(
        "{ regex = \"/(?<a>x)\" }",
        "{ path = \"/{b}\" }",
        20,
        &["it captures a"],
    );
    let anywhere = "[[route]]\nrespond = {}\nrewrite = { path = \"/{id}\" }";
    assert_bad(anywhere, "3:20", &["names nothing"]);
    assert_bad_rewrite("\"/\"", "{ path = 5 }", 20, &["must be a string"]);
}

#[test]
fn wrong_prefixes_are_refused() {
    for (prefix, words) in [
        ("", &["is not the beginning of a path", "such as \"/v1\""][..]),
        ("v1", &["is not the beginning of a path"]),
        ("/", &["which every path begins with", "remove it"]),
        ("/v1/", &["ends with a slash", "write \"/v1\""]),
        ("/v1/*", &["has a placeholder", "{*rest}"]),
        ("/{v}", &["has a placeholder"]),
        (
            "/v1?x",
            &["is not the beginning of a path", "does not belong to a path"],
        ),
        ("/..", &["climbs above the root"]),
        ("/%2f", &["an encoded slash"]),
        ("/.", &["which every path begins with"]),
    ] {
        let strip = format!("{{ strip_prefix = \"{prefix}\" }}");
        assert_bad_rewrite("\"/*\"", &strip, 28, words);
        let add = format!("{{ add_prefix = \"{prefix}\" }}");
        assert_bad_rewrite("\"/*\"", &add, 26, words);
    }
    assert_bad_rewrite("\"/*\"", "{ strip_prefix = 5 }", 28, &["must be a string"]);
    assert_bad_rewrite("\"/*\"", "{ strip = \"/a\" }", 13, &["unknown key `strip`"]);
    assert_bad_rewrite("\"/*\"", "\"/a\"", 11, &["must be a table"]);
}

#[test]
fn a_prefix_must_be_one_that_the_route_can_bring() {
    for (path, prefix) in [
        ("/v1/*", "/v1"),
        ("/v1", "/v1"),
        ("/v1/{*rest}", "/v1/x/y"),
        ("/{tenant}/x", "/acme"),
        ("/%7Euser/*", "/~user"),
        ("/*", "/a/b"),
        ("/a/{b}/c", "/a/x/c"),
        ("/v1/", "/v1"),
    ] {
        let text = format!("{{ strip_prefix = \"{prefix}\" }}");
        let read = rewrite(&format!("\"{path}\""), &text);
        assert_eq!(read.strip_prefix.as_deref(), Some(prefix), "{path}");
    }
    for (path, prefix) in [
        ("/v1/*", "/v2"),
        ("/v1/*", "/v"),
        ("/v1/*", "/V1"),
        ("/v1", "/v1/x"),
        ("/a/{b}/c", "/a/x/d"),
        ("/a/{b}", "/a/x/y"),
        ("/", "/a"),
    ] {
        let text = format!("{{ strip_prefix = \"{prefix}\" }}");
        let message = format!("`{prefix}` is never taken off: no path of the route, `{path}`, begins with it");
        assert_bad_rewrite(&format!("\"{path}\""), &text, 28, &[&message, "whole segments"]);
    }
    // Of these nobody knows.
    rewrite("{ regex = \"/v[0-9]/.*\" }", "{ strip_prefix = \"/v1\" }");
    good("[[route]]\nrespond = {}\nrewrite = { strip_prefix = \"/v1\" }");
}

#[test]
fn a_whole_path_leaves_nothing_for_prefixes() {
    for key in ["strip_prefix", "add_prefix"] {
        let column = 29 + key.len();
        let text = format!("{{ path = \"/x\", {key} = \"/a\" }}");
        let words = &["is given beside a whole path", "or remove `path`"];
        assert_bad_rewrite("\"/a/*\"", &text, column, words);
    }
}

#[test]
fn wrong_hosts_are_refused() {
    for (host, words) in [
        ("", &["is not a host: it names no host"][..]),
        ("*", &["is not a host: it has a wildcard"]),
        ("*.a.b", &["it has a wildcard"]),
        ("a:*", &["it has a wildcard"]),
        ("https://a", &["it has a scheme", "such as \"api.internal\""]),
        ("a/b", &["it has a path"]),
        ("u:p@a", &["it has a user name"]),
        ("a:0", &["its port is not a port"]),
        ("a:x", &["its port is not a port"]),
        ("a b", &["a character that host names have not"]),
        ("a,b", &["a character that host names have not"]),
        ("::1", &["without brackets"]),
        ("\u{e9}.a", &["not in ASCII"]),
    ] {
        assert_bad_rewrite("\"/\"", &format!("{{ host = \"{host}\" }}"), 20, words);
    }
    for (text, host) in [("[::1]:80", "[::1]:80"), ("10.0.0.1", "10.0.0.1"), ("A.b.", "a.b")] {
        let read = rewrite("\"/\"", &format!("{{ host = \"{text}\" }}"));
        assert_eq!(read.host.unwrap(), host);
    }
}

#[test]
fn a_path_that_cannot_be_read_says_nothing_of_names() {
    let errors = bad("[[route]]\npath = 5\nrespond = {}\nrewrite = { path = \"/{id}\", host = \"*\" }");
    let places: Vec<_> = errors.iter().filter_map(|error| error.split(' ').next()).collect();
    assert_eq!(places, ["2:8", "4:36"], "{errors:#?}");
}

#[test]
fn json_errors_name_the_keys() {
    let errors = json(
        r#"{ "listener": [{ "address": "127.0.0.1:1" }],
             "route": [{ "path": "/a", "respond": {}, "rewrite": { "strip_prefix": "/b", "path": null } }] }"#,
    );
    let errors: Vec<_> = errors.expect_err("refused").iter().map(ToString::to_string).collect();
    let message = "`/b` is never taken off: no path of the route, `/a`, begins with it";
    assert_eq!(
        errors,
        [format!("gateway.json: route[0].rewrite.strip_prefix: {message}")]
    );
}
