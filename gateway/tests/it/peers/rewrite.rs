//! What a route changes about requests and answers, seen by the server and by the client; and routes without a server.

use super::one;
use super::programs::Nginx;
use crate::support::origin::Origin;
use crate::support::{Gateway, Response};

/// A server that answers everything alike, and remembers it.
fn origin() -> Origin {
    Origin::answering(
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-kept: server\r\nx-gone: server\r\nx-set: server\r\n\
         server: o\r\n\r\nok",
    )
}

/// A request to the host `HOST`, as it is written.
#[track_caller]
fn ask(gateway: &Gateway, target: &str, host: &str, fields: &str) -> Response {
    gateway.send(
        "any",
        &format!("GET {target} HTTP/1.1\r\nhost: {host}\r\n{fields}connection: close\r\n\r\n"),
    )
}

#[test]
fn paths_are_rewritten_and_queries_stay() {
    let origin = origin();
    let gateway = Gateway::with()
        .upstream("o", &one(origin.address, ""))
        .route("{ path = '/v1/*', upstream = 'o', rewrite = { strip_prefix = '/v1' } }")
        .route("{ path = '/v2/*', upstream = 'o', rewrite = { strip_prefix = '/v2', add_prefix = '/api/two' } }")
        .route("{ path = '/v3/*', upstream = 'o', rewrite = { add_prefix = '/deep' } }")
        .route("{ path = '/users/{id}/posts/{post}', upstream = 'o', rewrite = { path = '/p/{post}/of/{id}' } }")
        .route("{ path = '/files/{*rest}', upstream = 'o', rewrite = { path = '/store/{rest}' } }")
        .route("{ upstream = 'o' }")
        .start();
    for (asked, got) in [
        ("/v1/things?x=1&y=%20", "/things?x=1&y=%20"),
        ("/v1", "/"),
        ("/v1?x", "/?x"),
        ("/v1/", "/"),
        ("/v2/a/b", "/api/two/a/b"),
        ("/v2", "/api/two"),
        ("/v3/a", "/deep/v3/a"),
        ("/users/7/posts/on%20time?z", "/p/on%20time/of/7?z"),
        ("/files/a/b/c.txt", "/store/a/b/c.txt"),
        ("/v1/../v3/x", "/deep/v3/x"),
        ("/other/./a/%7Euser", "/other/a/~user"),
        ("/v1x", "/v1x"),
    ] {
        ask(&gateway, asked, "any.test", "").is(200);
        assert_eq!(origin.last().target, got, "{asked}");
    }
}

#[test]
fn a_host_is_rewritten_and_the_one_asked_for_is_told() {
    let nginx = Nginx::start("location / { return 200 '$http_host|$http_x_forwarded_host|$http_forwarded'; }");
    let gateway = Gateway::with()
        .upstream("nginx", &one(nginx.address, ""))
        .route("{ path = '/as', upstream = 'nginx', rewrite = { host = 'api.internal:8080' } }")
        .route("{ upstream = 'nginx' }")
        .start();
    let answer = ask(&gateway, "/as", "www.example.com", "");
    assert_eq!(
        answer.text(),
        "api.internal:8080|www.example.com|for=127.0.0.1;proto=http;host=www.example.com"
    );
    let answer = ask(&gateway, "/is", "www.example.com", "");
    assert_eq!(
        answer.text(),
        "www.example.com|www.example.com|for=127.0.0.1;proto=http;host=www.example.com"
    );
}

#[test]
fn fields_are_set_added_and_removed_both_ways() {
    let origin = origin();
    let up = "set = { x-set = 'route' }, add = { x-add = 'route' }, remove = ['x-gone', 'user-agent']";
    let down = "set = { x-set = 'route', server = 'edge' }, add = { x-add = 'route', x-kept = 'route' }, \
                remove = ['x-gone']";
    let edits = format!("request_headers = {{ {up} }}, response_headers = {{ {down} }}");
    let fixed = "respond = { body = 'ok', headers = { x-kept = 'server', x-gone = 'server' } }";
    let gateway = Gateway::with()
        .upstream("o", &one(origin.address, ""))
        .route(&format!("{{ path = '/proxied', upstream = 'o', {edits} }}"))
        .route(&format!("{{ path = '/fixed', {fixed}, {edits} }}"))
        .start();
    let fields =
        "x-set: client\r\nx-set: again\r\nx-add: client\r\nx-gone: client\r\nuser-agent: me\r\nx-kept: client\r\n";
    let all = |answer: &Response, name: &str| {
        let named = answer.fields.iter().filter(|(known, _)| known == name);
        named.map(|(_, value)| value.clone()).collect::<Vec<_>>()
    };
    for path in ["/proxied", "/fixed"] {
        let answer = ask(&gateway, path, "any.test", fields);
        assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
        assert_eq!(all(&answer, "x-set"), ["route"], "{answer:?}");
        assert_eq!(all(&answer, "server"), ["edge"], "{answer:?}");
        assert_eq!(all(&answer, "x-add"), ["route"], "{answer:?}");
        assert_eq!(all(&answer, "x-kept"), ["server", "route"], "{answer:?}");
        assert_eq!(answer.field("x-gone"), None, "{answer:?}");
    }
    let seen = origin.last();
    assert_eq!(seen.fields("x-set"), ["route"]);
    assert_eq!(seen.fields("x-add"), ["client", "route"]);
    assert_eq!(seen.fields("x-kept"), ["client"]);
    assert!(
        seen.fields("x-gone").is_empty() && seen.fields("user-agent").is_empty(),
        "{seen:?}"
    );
    assert_eq!(origin.received_count(), 1);
}

#[test]
fn trusted_proxies_are_believed_and_nobody_else() {
    let origin = origin();
    let gateway = Gateway::with()
        .listener("{ name = 'behind', address = '127.0.0.1:0', trusted_proxies = ['127.0.0.1', '10.0.0.0/8'] }")
        .upstream("o", &one(origin.address, ""))
        .route("{ path = '/inner', allow = ['203.0.113.0/24'], upstream = 'o' }")
        .route("{ upstream = 'o' }")
        .start();
    let said =
        "x-forwarded-for: 203.0.113.9, 10.1.2.3\r\nx-forwarded-proto: https\r\nx-forwarded-host: www.example.com\r\n";
    // From the listener that trusts nobody.
    ask(&gateway, "/", "any.test", said).is(200);
    let seen = origin.last();
    assert_eq!(seen.fields("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(seen.field("x-forwarded-proto"), "http");
    assert_eq!(seen.field("x-forwarded-host"), "any.test");
    ask(&gateway, "/inner", "any.test", said).is_fault(403, "denied");
    // From the one that knows its balancer.
    let from_balancer = |target: &str, fields: &str| {
        let mut raw = crate::support::Raw::connect(gateway.address_of("behind"));
        raw.write(format!(
            "GET {target} HTTP/1.1\r\nhost: any.test\r\n{fields}connection: close\r\n\r\n"
        ));
        raw.response()
    };
    from_balancer("/inner", said).is(200);
    let seen = origin.last();
    assert_eq!(seen.fields("x-forwarded-for"), ["203.0.113.9, 10.1.2.3, 127.0.0.1"]);
    assert_eq!(seen.field("x-forwarded-proto"), "https");
    assert_eq!(seen.field("x-forwarded-host"), "www.example.com");
    assert!(seen.field("forwarded").contains("for=203.0.113.9"), "{seen:?}");
    // The last address that is no proxy's is the client; what stands before it is anybody's word.
    from_balancer("/inner", "x-forwarded-for: 203.0.113.9, 198.51.100.7, 10.1.2.3\r\n").is_fault(403, "denied");
    from_balancer("/inner", "").is_fault(403, "denied");
    let line = gateway.wait_access("its line", |line| line["path"] == "/inner" && line["status"] == 200);
    assert!(line["client"].as_str().unwrap().starts_with("203.0.113.9"), "{line}");
}

#[test]
fn redirects_and_fixed_answers_stand_beside_a_server() {
    let origin = origin();
    let gateway = Gateway::with()
        .upstream("o", &one(origin.address, ""))
        .route("{ path = '/old', redirect = { to = '/new' } }")
        .route("{ path = '/moved', redirect = { to = 'https://www.example.com/x', status = 302 } }")
        .route("{ path = '/teapot', respond = { status = 418, body = 'short and stout', headers = { x-a = 'b' } } }")
        .route("{ path = '/app/*', methods = ['GET'], upstream = 'o' }")
        .start();
    let mut raw = gateway.connect();
    let mut ask = |method: &str, target: &str| {
        let length = if method == "POST" {
            "content-length: 4\r\n\r\nbody"
        } else {
            "\r\n"
        };
        raw.write(format!("{method} {target} HTTP/1.1\r\nhost: any.test\r\n{length}"));
        raw.response_to(method)
    };
    let answer = ask("GET", "/old");
    assert_eq!((answer.status, answer.field("location")), (308, Some("/new")));
    let answer = ask("POST", "/moved");
    assert_eq!(
        (answer.status, answer.field("location")),
        (302, Some("https://www.example.com/x"))
    );
    let answer = ask("HEAD", "/teapot");
    assert_eq!(
        (answer.status, answer.field("content-length"), answer.field("x-a")),
        (418, Some("15"), Some("b"))
    );
    let answer = ask("GET", "/teapot");
    assert_eq!((answer.status, answer.text().as_str()), (418, "short and stout"));
    assert_eq!(ask("GET", "/app/x").text(), "ok");
    let answer = ask("DELETE", "/app/x");
    assert_eq!((answer.status, answer.field("allow")), (405, Some("GET, HEAD")));
    assert_eq!(origin.received_count(), 1);
}
