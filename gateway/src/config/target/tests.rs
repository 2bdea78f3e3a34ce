use super::super::tests::{assert_bad, bad, good};
use super::*;

fn target(text: &str) -> TargetConfig {
    good(&format!("[[route]]\n{text}"))
        .routes
        .first()
        .expect("a route")
        .target
        .clone()
}

#[test]
fn a_fixed_answer_is_read() {
    let TargetConfig::Respond(answer) =
        target("respond = { status = 418, body = \"tea\\n\", headers = { X-A = \"b\" } }")
    else {
        panic!("a fixed answer");
    };
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (418, "tea\n"));
    assert_eq!(
        answer.headers,
        [(HeaderName::from_static("x-a"), HeaderValue::from_static("b"))]
    );
    let TargetConfig::Respond(answer) = target("respond = {}") else {
        panic!("a fixed answer")
    };
    assert_eq!(
        (answer.status.as_u16(), answer.body.as_str(), answer.headers.len()),
        (200, "", 0)
    );
    target("respond = { status = 204 }");
}

#[test]
fn a_redirect_is_read() {
    for (to, status) in [
        ("/new", 301),
        ("https://example.com/x?y=z#f", 302),
        ("HTTP://a/", 303),
        ("/%C3%A9", 307),
        ("//cdn/x", 308),
    ] {
        let TargetConfig::Redirect(redirect) = target(&format!("redirect = {{ to = \"{to}\", status = {status} }}"))
        else {
            panic!("a redirect");
        };
        assert_eq!((redirect.to.to_str().unwrap(), redirect.status.as_u16()), (to, status));
    }
    let TargetConfig::Redirect(redirect) = target("redirect = { to = \"/\" }") else {
        panic!("a redirect")
    };
    assert_eq!(redirect.status, StatusCode::PERMANENT_REDIRECT);
}

#[test]
fn there_is_exactly_one() {
    assert_bad(
        "[[route]]\npath = \"/\"",
        "1:1",
        &["`route[0]` has no target", "exactly one of `component`"],
    );
    let words = &["this one has `respond` and `redirect`", "exactly one of"];
    assert_bad("[[route]]\nrespond = {}\nredirect = { to = \"/\" }", "3:1", words);
    let words = &[
        "this one has `upstream` and `component`",
        "`component`, `upstream`, `redirect`, `respond` and `split`",
    ];
    assert_bad("[[route]]\nupstream = \"x\"\ncomponent = \"x\"", "3:1", words);
    assert_bad(
        "[[route]]\nsplit = [{ respond = {}, weight = 1 }]\nrespond = {}",
        "3:1",
        &["this one has `split` and `respond`"],
    );
    let errors = bad("[[route]]\nredirect = { to = \"/\" }\nrespond = {}\ncomponent = \"x\"");
    let places: Vec<_> = errors.iter().filter_map(|error| error.split(' ').next()).collect();
    assert_eq!(places, ["3:1", "4:1"], "{errors:#?}");
}

#[test]
fn targets_of_later_versions_are_refused_as_such() {
    let words = &[
        "`static` is not served by this version of Tidegate yet",
        "`component`, `upstream`, `redirect`, `respond` and `split`",
    ];
    assert_bad("[[route]]\nstatic = { dir = \"public\" }", "2:1", words);
    assert_bad("[[route]]\nsplit = [{ static = {}, weight = 1 }]", "2:12", words);
}

#[test]
fn an_upstream_must_be_defined() {
    let text = |line: &str| format!("[upstream.api]\nservers = [\"a:1\"]\n[[route]]\n{line}");
    assert_eq!(
        good(&text("upstream = \"api\"")).routes[0].target,
        TargetConfig::Upstream("api".parse().unwrap())
    );
    for (line, column, words) in [
        (
            "upstream = \"apo\"",
            12,
            &["there is no upstream `apo`", "did you mean `api`?"][..],
        ),
        (
            "upstream = \"banana\"",
            12,
            &["not defined", "[upstream.banana] with servers = ["],
        ),
        ("upstream = \"\"", 12, &["there is no upstream ``"]),
        ("upstream = 5", 12, &["must be a string"]),
        ("upstream = [\"api\"]", 12, &["must be a string"]),
        (
            "component = \"api\"",
            13,
            &[
                "there is no component `api`",
                "did you mean upstream = \"api\"?",
                "[upstream.api]",
            ],
        ),
        ("backend = \"api\"\nrespond = {}", 1, &["did you mean `upstream`?"]),
        ("proxy_pass = \"api\"\nrespond = {}", 1, &["did you mean `upstream`?"]),
    ] {
        assert_bad(&text(line), &format!("4:{column}"), words);
    }
    let component = "[component.hello]\nsource = \"x\"\n[[route]]\nupstream = \"hello\"";
    assert_bad(component, "4:12", &["did you mean component = \"hello\"?"]);
    // One that is defined wrongly is not unknown, and one that no route uses is fine.
    let wrong = "[upstream.x]\nservers = 5\n[[route]]\nupstream = \"x\"";
    assert_bad(wrong, "2:11", &["must be a list"]);
    assert!(good("[upstream.api]\nservers = [\"a:1\"]").routes.is_empty());
}

#[test]
fn wrong_answers_are_refused() {
    for (value, column, words) in [
        ("{ status = 199 }", 22, &["cannot be 199", "from 200 to 599"][..]),
        ("{ status = 600 }", 22, &["cannot be 600"]),
        ("{ status = \"200\" }", 22, &["must be a whole number"]),
        ("{ body = 5 }", 20, &["must be a string"]),
        (
            "{ status = 204, body = \"x\" }",
            34,
            &["status 204 has no body", "would never be sent"],
        ),
        ("{ status = 304, body = \"x\" }", 34, &["status 304 has no body"]),
        (
            "{ headers = { \"a b\" = \"x\" } }",
            25,
            &["is not the name of a header field"],
        ),
        (
            "{ headers = { a = \"x\\ny\" } }",
            29,
            &["cannot be the value of a header field"],
        ),
        ("{ headers = { a = 5 } }", 29, &["must be a string"]),
        (
            "{ headers = { Content-Length = \"5\" } }",
            25,
            &["written by the gateway itself"],
        ),
        (
            "{ headers = { transfer-encoding = \"chunked\" } }",
            25,
            &["written by the gateway itself"],
        ),
        ("{ headers = { a = \"1\", A = \"2\" } }", 34, &["`a` is given twice"]),
        ("{ headers = [] }", 23, &["must be a table"]),
        ("{ code = 200 }", 13, &["did you mean `status`?"]),
        ("{ content = \"\" }", 13, &["did you mean `body`?"]),
        ("\"ok\"", 11, &["must be a table, not a string"]),
        ("200", 11, &["must be a table, not an integer"]),
    ] {
        assert_bad(&format!("[[route]]\nrespond = {value}"), &format!("2:{column}"), words);
    }
}

#[test]
fn wrong_redirects_are_refused() {
    for (value, column, words) in [
        ("{}", 12, &["has no `to`"][..]),
        ("{ to = 5 }", 19, &["must be a string"]),
        ("{ to = \"\" }", 19, &["is not a destination", "begins with `/`"]),
        ("{ to = \"new\" }", 19, &["is not a destination"]),
        ("{ to = \"ftp://x/\" }", 19, &["is not a destination"]),
        ("{ to = \"javascript:alert(1)\" }", 19, &["is not a destination"]),
        (
            "{ to = \"/a b\" }",
            19,
            &["characters that a URL cannot hold", "percent-encode"],
        ),
        ("{ to = \"/a\\r\\nx: y\" }", 19, &["characters that a URL cannot hold"]),
        ("{ to = \"/\u{e9}\" }", 19, &["characters that a URL cannot hold"]),
        ("{ to = \"/\\\\evil\" }", 19, &["characters that a URL cannot hold"]),
        ("{ to = \"/{id}\" }", 19, &["placeholders", "%7B"]),
        ("{ to = \"/\", status = 200 }", 33, &["cannot be 200"]),
        (
            "{ to = \"/\", status = 304 }",
            33,
            &["not a redirect that clients follow", "308 are permanent"],
        ),
        ("{ to = \"/\", status = 300 }", 33, &["not a redirect"]),
        ("{ url = \"/\", to = \"/\" }", 14, &["did you mean `to`?"]),
        ("\"/new\"", 12, &["must be a table, not a string"]),
    ] {
        assert_bad(&format!("[[route]]\nredirect = {value}"), &format!("2:{column}"), words);
    }
}

#[test]
fn what_a_target_is_called_depends_on_all_it_says() {
    let component = TargetConfig::Component("a".parse().unwrap()).identity();
    let upstream = TargetConfig::Upstream("a".parse().unwrap()).identity();
    assert_eq!((component.as_str(), upstream.as_str()), ("component a", "upstream a"));
    let mut names = vec![component, upstream];
    for text in [
        "respond = {}",
        "respond = { status = 201 }",
        "respond = { body = \"a\" }",
        "respond = { headers = { a = \"b\" } }",
        "respond = { headers = { a = \"c\" } }",
        "respond = { body = \"a: b\" }",
        "redirect = { to = \"/\" }",
        "redirect = { to = \"/a\" }",
        "redirect = { to = \"/\", status = 307 }",
    ] {
        names.push(target(text).identity());
    }
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "{names:#?}");
}
