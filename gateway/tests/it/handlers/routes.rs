//! Which route takes a request, and what routes do without a component.

use crate::support::{Client, Gateway, Protocol};
use std::time::{Duration, Instant};

#[test]
fn routes_answer_and_redirect_by_themselves() {
    let gateway = Gateway::with()
        .route("{ path = '/ping', respond = { body = 'pong', headers = { x-a = 'b' } } }")
        .route("{ path = '/teapot', respond = { status = 418 } }")
        .route("{ path = '/old', redirect = { to = '/new' } }")
        .route("{ path = '/away', redirect = { to = 'https://example.com/', status = 302 } }")
        .start();
    let answer = gateway.get("any", "/ping");
    assert_eq!(
        (answer.status, answer.text().as_str(), answer.field("x-a")),
        (200, "pong", Some("b"))
    );
    assert_eq!(answer.field("content-type"), Some("text/plain; charset=utf-8"));
    let answer = gateway.get("any", "/teapot");
    assert_eq!((answer.status, answer.body.len()), (418, 0));
    let answer = gateway.get("any", "/old");
    assert_eq!((answer.status, answer.field("location")), (308, Some("/new")));
    let answer = gateway.get("any", "/away");
    assert_eq!(
        (answer.status, answer.field("location")),
        (302, Some("https://example.com/"))
    );
    let answer = Client::connect(Protocol::H2, gateway.address()).get("any", "/ping");
    assert_eq!((answer.status, answer.text().as_str()), (200, "pong"));
}

#[test]
fn what_no_route_takes_is_404_or_405() {
    let gateway = Gateway::with()
        .component_with("hello", |hello| hello.without_route())
        .route("{ path = '/read', methods = ['GET'], component = 'hello' }")
        .route("{ path = '/write', methods = ['POST', 'PUT'], component = 'hello' }")
        .start();
    gateway.get("any", "/nowhere").is_fault(404, "no-route");
    let ask = |method: &str, path: &str| {
        let mut raw = gateway.connect();
        raw.write(format!(
            "{method} {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
        ));
        raw.response_to(method)
    };
    let answer = ask("DELETE", "/write");
    answer.is_fault(405, "method");
    assert_eq!(answer.field("allow"), Some("POST, PUT"));
    let answer = ask("POST", "/read");
    assert_eq!((answer.status, answer.field("allow")), (405, Some("GET, HEAD")));
    let answer = ask("HEAD", "/read");
    assert!(
        answer.status == 200 && answer.body.is_empty(),
        "GET serves HEAD: {answer:?}"
    );
    let mut client = Client::connect(Protocol::H2, gateway.address());
    assert_eq!(client.get("any", "/nowhere").status, 404);
    assert_eq!(client.get("any", "/write").field("allow"), Some("POST, PUT"));
    gateway.wait_metric("tidegate_component_calls_total", &[("component", "hello")], 1.0);
}

#[test]
fn paths_are_normalised_before_they_are_matched() {
    let gateway = Gateway::with()
        .route("{ path = '/a/b', respond = { body = 'found' } }")
        .route("{ path = '/v1/*', respond = { body = 'v1' } }")
        .start();
    for path in [
        "/a/b",
        "/a/./b",
        "/a/x/../b",
        "/a/%62",
        "//a//b",
        "/a/b?q=%2F",
        "/%61/b",
    ] {
        assert_eq!(gateway.get("any", path).text(), "found", "{path}");
    }
    for path in ["/v1", "/v1/", "/v1/x/y"] {
        assert_eq!(gateway.get("any", path).text(), "v1", "{path}");
    }
    for path in ["/v1x", "/A/b", "/a/b/"] {
        gateway.get("any", path).is_fault(404, "no-route");
    }
    // Refused, because what stands behind us may read them in another way.
    for path in [
        "/a%2Fb",
        "/a%2fb",
        "/a%5Cb",
        "/a/%00b",
        "/v1/%2e%2e%2f",
        "/a/%zz",
        "/../a/b",
        "/v1/../../a/b",
    ] {
        let answer = gateway.get("any", path);
        assert_eq!(answer.status, 400, "{path}: {answer:?}");
        let answer = Client::connect(Protocol::H2, gateway.address()).get("any", path);
        assert_eq!(answer.status, 400, "{path} on HTTP/2: {answer:?}");
    }
}

#[test]
fn hosts_and_headers_choose_between_routes() {
    let gateway = Gateway::with()
        .route("{ host = 'one.example', respond = { body = 'one' } }")
        .route("{ host = '*.example', respond = { body = 'some' } }")
        .route("{ host = 'one.example', headers = { x-beta = { present = true } }, respond = { body = 'beta' } }")
        .route("{ respond = { body = 'rest' } }")
        .start();
    let ask = |host: &str, fields: &str| {
        let mut raw = gateway.connect();
        raw.write(format!(
            "GET / HTTP/1.1\r\nhost: {host}\r\n{fields}connection: close\r\n\r\n"
        ));
        raw.response().text()
    };
    assert_eq!(ask("one.example", ""), "one");
    assert_eq!(ask("ONE.example:8080", ""), "one");
    assert_eq!(ask("one.example", "x-beta: 1\r\n"), "beta");
    assert_eq!(ask("a.two.example", ""), "some");
    assert_eq!(ask("elsewhere", ""), "rest");
}

#[test]
fn a_route_has_limits_of_its_own() {
    let gateway = Gateway::with()
        .listener_limits("{ body = '8B' }")
        .component_with("sleep-forever", |sleeper| sleeper.without_route())
        .component_with("echo-stream", |echo| echo.without_route())
        .route("{ path = '/sleep', component = 'sleep-forever', limits = { deadline = '200ms' } }")
        .route("{ path = '/wide', component = 'echo-stream', limits = { body = '16B' } }")
        .route("{ path = '/narrow', component = 'echo-stream', limits = { body = '4B' } }")
        .route("{ path = '/plain', component = 'echo-stream' }")
        .start();
    let began = Instant::now();
    gateway.get("any", "/sleep").is_fault(504, "deadline");
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "the component's own deadline is 5 s"
    );
    for (path, most) in [("/wide", 16), ("/narrow", 4), ("/plain", 8)] {
        let send = |bytes: usize| {
            let body = "x".repeat(bytes);
            let head =
                format!("POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: {bytes}\r\nconnection: close\r\n\r\n");
            gateway.send("any", &(head + &body))
        };
        assert_eq!(send(most).is(200).body.len(), most);
        send(most + 1).is_fault(413, "body-too-large");
    }
}
