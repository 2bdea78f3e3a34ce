use super::*;
use crate::config::{Config, Options, Source};
use http::{HeaderMap, Method, Request};
use tidegate_routing::{Outcome, PathSpec, Query, RouteSpec, RouteTable};

/// What the configuration makes of `rewrite = ..` in a route of this path.
fn rewrite(path: &str, toml: &str) -> Rewrite {
    let text = format!(
        "[[listener]]\naddress = \"127.0.0.1:0\"\n[[route]]\nrespond = {{}}\npath = {path}\nrewrite = {toml}\n"
    );
    let options = Options {
        check_files: false,
        variable: |_| None,
    };
    let config = Config::from_sources(vec![Source::toml("test.toml", "/", &text)], options);
    let config = config.unwrap_or_else(|errors| panic!("{text}: {errors:?}"));
    Rewrite::from(config.routes[0].rewrite.as_ref().expect("the route rewrites"))
}

fn pattern(path: &str) -> (String, PathSpec) {
    (format!("{path:?}"), PathSpec::Pattern(path.to_owned()))
}

fn regex(path: &str) -> (String, PathSpec) {
    (format!("{{ regex = '{path}' }}"), PathSpec::Regex(path.to_owned()))
}

/// The target that a request for `target` has behind a route of `path` that rewrites.
fn rewritten((toml, spec): (String, PathSpec), rewriting: &str, target: &str) -> Result<String, Fault> {
    let rewrite = rewrite(&toml, rewriting);
    let route = RouteSpec {
        name: "r".into(),
        path: Some(spec),
        ..RouteSpec::default()
    };
    let table = RouteTable::build(&[route]).unwrap();
    let mut head = head(target, None);
    // The server as a whole has no path to be matched by: whatever another one captures.
    let path = if target == "*" { "/a/b" } else { head.uri.path() };
    let query = Query {
        host: "a",
        path,
        query: None,
        method: &Method::GET,
        headers: &HeaderMap::new(),
        source: None,
    };
    let target = match table.find(&query) {
        Outcome::Found(found) => rewrite.target(&head.uri, &found.params())?,
        other => panic!("{target} is not for {toml}: {other:?}"),
    };
    rewrite.apply(&mut head, target)?;
    Ok(head.uri.to_string())
}

#[test]
fn prefixes_come_off_and_are_put_on_in_whole_segments() {
    let cases = [
        ("{ strip_prefix = \"/v1\" }", "/v1/x/y", "/x/y"),
        ("{ strip_prefix = \"/v1\" }", "/v1", "/"),
        ("{ strip_prefix = \"/v1\" }", "/v1/", "/"),
        ("{ strip_prefix = \"/v1\" }", "/v1x/y", "/v1x/y"),
        ("{ strip_prefix = \"/v1\" }", "/V1/y", "/V1/y"),
        ("{ strip_prefix = \"/v1\" }", "/x/v1/y", "/x/v1/y"),
        ("{ strip_prefix = \"/v1\" }", "/v1?a=/v1", "/?a=/v1"),
        ("{ strip_prefix = \"/v1/a\" }", "/v1/a/b?", "/b?"),
        ("{ add_prefix = \"/api\" }", "/x?q=1", "/api/x?q=1"),
        ("{ add_prefix = \"/api\" }", "/", "/api/"),
        ("{ strip_prefix = \"/v1\", add_prefix = \"/v2\" }", "/v1/x", "/v2/x"),
        ("{ strip_prefix = \"/v1\", add_prefix = \"/v2\" }", "/v1", "/v2"),
        ("{ strip_prefix = \"/v1\", add_prefix = \"/v2\" }", "/v1/", "/v2/"),
        (
            "{ strip_prefix = \"/v1\", add_prefix = \"/v2\" }",
            "/other",
            "/v2/other",
        ),
    ];
    for (rewriting, target, expected) in cases {
        let found = rewritten(pattern("/{*rest}"), rewriting, target);
        assert_eq!(found.as_deref(), Ok(expected), "{rewriting} of {target}");
    }
}

#[test]
fn a_template_is_filled_with_what_the_path_captured() {
    let cases = [
        (
            pattern("/users/{id}"),
            "/v2/u/{id}/profile",
            "/users/7?full=1",
            "/v2/u/7/profile?full=1",
        ),
        (pattern("/{a}/{b}"), "/{b}/{a}{b}", "/x/y", "/y/xy"),
        (pattern("/v1/{*rest}"), "/v2/{rest}", "/v1/a/b/", "/v2/a/b/"),
        (pattern("/v1/{*rest}"), "/v2/{rest}", "/v1", "/v2/"),
        (pattern("/v1/{*rest}"), "/v2/{rest}", "/v1/", "/v2/"),
        // Escapes stay as they are: `%2525` is not decoded to `%25`, nor a `?` to a query.
        (
            pattern("/users/{id}"),
            "/u/{id}",
            "/users/a%2525%3Fx%23%C3%A9",
            "/u/a%2525%3Fx%23%C3%A9",
        ),
        (pattern("/users/{id}"), "/fixed", "/users/7?a", "/fixed?a"),
        (
            regex("/(?<year>[0-9]+)-(?<month>[0-9]+)"),
            "/{month}/{year}",
            "/2024-06",
            "/06/2024",
        ),
        (regex("/a(?<more>/.*)?"), "/b{more}", "/a", "/b"),
        (regex("/a(?<more>/.*)?"), "/b{more}", "/a/c", "/b/c"),
    ];
    for (path, template, target, expected) in cases {
        let toml = path.0.clone();
        let found = rewritten(path, &format!("{{ path = {template:?} }}"), target);
        assert_eq!(found.as_deref(), Ok(expected), "{toml} to {template} of {target}");
    }
}

/// What is put together from parts of a trusted path is a path that has to be trusted anew.
#[test]
fn no_template_makes_a_path_that_servers_read_otherwise() {
    let cases = [
        // An empty parameter: no authority, and no dot segment, is left behind.
        (pattern("/v1/{*rest}"), "/{rest}/x", "/v1", Ok("/x")),
        (pattern("/v1/{*rest}"), "/a/{rest}/b", "/v1/", Ok("/a/b")),
        (pattern("/v1/{*rest}"), "/a/.{rest}", "/v1", Ok("/a/")),
        (pattern("/v1/{*rest}"), "/a/..{rest}", "/v1", Ok("/")),
        (pattern("/v1/{*rest}"), "/..{rest}", "/v1", Err(())),
        (regex("/(?<rest>/?.*)x"), "/{rest}", "/a/x", Ok("/a/")),
        (regex("(?<all>/.*)"), "/{all}", "/evil.example/a", Ok("/evil.example/a")),
        // Parts of a segment or of an escape.
        (regex("/a(?<dot>.)b(?<dots>.*)"), "/c/{dot}{dots}/d", "/a.b.", Ok("/d")),
        (regex("/(?<half>.*)5"), "/{half}", "/x%25", Err(())),
        (
            regex("/(?<half>%..)(?<rest>.*)"),
            "/{rest}{half}",
            "/%25.2",
            Ok("/.2%25"),
        ),
        (regex("/(?<rest>..)(?<half>%)25"), "/{half}{rest}", "/2F%25", Err(())),
        (regex("/(?<rest>..)(?<half>%)25"), "/{half}{rest}", "/2e%25", Ok("/")),
    ];
    for (path, template, target, expected) in cases {
        let toml = path.0.clone();
        let found = rewritten(path, &format!("{{ path = {template:?} }}"), target);
        let expected = expected.map(str::to_owned).map_err(|()| Fault::BadRequest("path"));
        assert_eq!(found, expected, "{toml} to {template} of {target}");
    }
}

fn head(uri: &str, host: Option<&str>) -> request::Parts {
    let mut request = Request::get(uri);
    if let Some(host) = host {
        request = request.header(header::HOST, host);
    }
    request.body(()).unwrap().into_parts().0
}

/// Target, Host, and what was asked for.
fn said(head: &request::Parts) -> (String, String, Option<String>) {
    let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
    let asked = head.extensions.get::<AskedHost>().map(|AskedHost(host)| text(host));
    let hosts: Vec<String> = head.headers.get_all(header::HOST).iter().map(text).collect();
    (head.uri.to_string(), hosts.join(" and "), asked)
}

#[test]
fn a_host_is_replaced_wherever_it_stands_and_remembered() {
    let rewriting = rewrite("\"/*\"", "{ host = \"in.example:8080\" }");
    let cases = [
        (head("/a?b", Some("a.example")), "/a?b", "a.example"),
        (head("https://a.example:8443/a?b", None), "/a?b", "a.example:8443"),
        (head("http://a.example/a", Some("A.example:80")), "/a", "a.example"),
    ];
    for (mut head, target, asked) in cases {
        rewriting.apply(&mut head, None).unwrap();
        let expected = (target.to_owned(), "in.example:8080".to_owned(), Some(asked.to_owned()));
        assert_eq!(said(&head), expected);
    }
}

#[test]
fn origin_form_keeps_the_path_and_moves_the_authority_to_host() {
    let cases = [
        (head("/a/b?c=d", Some("a.example")), "/a/b?c=d", "a.example"),
        (head("https://a.example/a/b?c=d", None), "/a/b?c=d", "a.example"),
        (head("https://a.example/", Some("a.example")), "/", "a.example"),
        (head("http://a.example", None), "/", "a.example"),
        (head("http://a.example?q", Some("other")), "/?q", "a.example"),
        (head("http://[2001:db8::1]:81/x", None), "/x", "[2001:db8::1]:81"),
        (
            head("//evil.example/a", Some("a.example")),
            "//evil.example/a",
            "a.example",
        ),
        (head("*", Some("a.example")), "*", "a.example"),
        (head("a.example:80", None), "/", "a.example:80"),
    ];
    for (mut head, target, host) in cases {
        let before = head.uri.to_string();
        to_origin_form(&mut head).unwrap();
        assert_eq!(said(&head), (target.to_owned(), host.to_owned(), None), "{before}");
        assert_eq!((head.uri.scheme(), head.uri.authority()), (None, None), "{before}");
    }
}

#[test]
fn with_path_keeps_the_rest() {
    let uri: Uri = "https://a.example/old?q=%20".parse().unwrap();
    let new = with_path(&uri, "/new//x".to_owned()).unwrap();
    assert_eq!(new.to_string(), "https://a.example/new//x?q=%20");
    for bad in ["a b", "/a b", "/\u{7f}", &format!("/{}", "a".repeat(70_000))] {
        assert_eq!(
            with_path(&uri, bad.to_owned()),
            Err(Fault::BadRequest("path")),
            "{bad:.20}"
        );
    }
}
