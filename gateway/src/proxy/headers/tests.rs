use super::*;
use crate::http::Client;
use crate::limits;
use http::{Method, Request, Response};
use std::net::SocketAddr;

type Fields<'a> = &'a [(&'a str, &'a str)];

fn peer(address: &str, tls: bool) -> ForwardedFor {
    let address: SocketAddr = address.parse().expect("the test names a socket's address");
    ForwardedFor::of(&Client {
        address,
        local: address,
        tls,
    })
}

fn head(version: Version, uri: &str, fields: Fields<'_>) -> request::Parts {
    let mut request = Request::builder().version(version).uri(uri);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn lines(headers: &HeaderMap) -> Vec<String> {
    let line = |(name, value): (&HeaderName, &HeaderValue)| format!("{name}: {}", value.to_str().unwrap());
    let mut lines: Vec<String> = headers.iter().map(line).collect();
    // By name alone, so that the lines of one name keep their order.
    lines.sort_by(|a, b| a.split(": ").next().cmp(&b.split(": ").next()));
    lines
}

/// Through the gateway, from a client at 203.0.113.9.
fn through(head: &mut request::Parts, provenance: Provenance) -> Result<Back, Fault> {
    let peer = peer("203.0.113.9:50000", false);
    request(
        head,
        &Hop {
            peer: &peer,
            provenance,
        },
    )
}

/// The fields that arrive of a request by HTTP/1.1, but for those that every request gets.
fn arrived(fields: Fields<'_>) -> Vec<String> {
    let mut head = head(Version::HTTP_11, "/", fields);
    head.headers.insert(HOST, HeaderValue::from_static("a.example"));
    through(&mut head, Provenance::Direct).unwrap();
    let mut lines = lines(&head.headers);
    for every in EVERY {
        let at = lines.iter().position(|line| line == every);
        lines.remove(at.unwrap_or_else(|| panic!("{every} is missing in {lines:?}")));
    }
    lines
}

const EVERY: [&str; 7] = [
    "cdn-loop: tidegate",
    "forwarded: for=203.0.113.9;proto=http;host=a.example",
    "host: a.example",
    "via: 1.1 tidegate",
    "x-forwarded-for: 203.0.113.9",
    "x-forwarded-host: a.example",
    "x-forwarded-proto: http",
];

#[test]
fn a_request_arrives_as_it_was_sent_but_for_what_is_the_connections() {
    assert_eq!(arrived(&[]), [""; 0]);
    let stays = [
        ("accept", "*/*"),
        ("authorization", "Basic eA=="),
        ("content-length", "3"),
        ("cookie", "a=1; b=2"),
        ("expect", "100-Continue"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("tracestate", "a=1"),
        ("trailer", "x-sum"),
        ("user-agent", "test"),
        ("x-a", "2"),
        ("x-a", "1"),
        ("x-forward", "1"),
    ];
    let goes = [
        ("connection", "keep-alive, x-mine"),
        ("keep-alive", "timeout=5"),
        ("Proxy-Connection", "keep-alive"),
        ("te", "gzip"),
        ("upgrade", "h2c"),
        ("http2-settings", "AAMAAABk"),
        ("transfer-encoding", "chunked"),
        ("proxy-authorization", "Basic eA=="),
        ("Proxy", "http://evil.example"),
        ("x-mine", "1"),
        ("X-Forwarded-For", "1.1.1.1"),
        ("x-forwarded-for", "2.2.2.2"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-Port", "443"),
        ("X_Forwarded_For", "1.1.1.1"),
        ("X-Real-IP", "1.1.1.1"),
        ("Forwarded", "for=1.1.1.1;host=\"evil, example\""),
    ];
    let expected: Vec<String> = stays.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    assert_eq!(arrived(&[&goes[..], &stays[..]].concat()), expected);
}

/// Hop-by-hop header abuse: what a client names in Connection is not lost on the way.
#[test]
fn connection_cannot_take_out_what_the_next_hop_relies_on() {
    let named = "close, host, content-length, cookie, Authorization, via, CDN-Loop, forwarded, X-Forwarded-For, \
                 x-forwarded-host, x-forwarded-proto, traceparent";
    let stays = [
        ("authorization", "Basic eA=="),
        ("content-length", "3"),
        ("cookie", "a=1"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ];
    let expected: Vec<String> = stays.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    assert_eq!(arrived(&[&[("connection", named)], &stays[..]].concat()), expected);
}

#[test]
fn te_is_passed_on_as_trailers_alone() {
    let cases: [(Fields<'_>, &[&str]); 5] = [
        (&[("te", "trailers")], &["te: trailers"]),
        (
            &[("te", "gzip;q=1, Trailers"), ("te", "deflate"), ("connection", "te")],
            &["te: trailers"],
        ),
        (&[("te", "gzip")], &[]),
        (&[("te", "")], &[]),
        (&[("connection", "te, trailers")], &[]),
    ];
    for (fields, expected) in cases {
        assert_eq!(arrived(fields), expected, "{fields:?}");
    }
}

#[test]
fn what_a_trusted_proxy_says_is_added_to() {
    let fields = [
        ("host", "in.example"),
        ("x-forwarded-for", "198.51.100.7"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "a.example"),
        ("x-forwarded-port", "443"),
        ("x-real-ip", "198.51.100.7"),
        ("x_real_ip", "1.1.1.1"),
        ("connection", "x-forwarded-for, x-real-ip"),
        ("via", "1.1 edge"),
    ];
    let mut head = head(Version::HTTP_11, "/", &fields);
    let client = "198.51.100.7:0".parse().unwrap();
    through(&mut head, Provenance::Proxied(Some(client))).unwrap();
    let expected = [
        "cdn-loop: tidegate",
        "forwarded: for=198.51.100.7;proto=https;host=a.example, for=203.0.113.9;proto=http;host=in.example",
        "host: in.example",
        "via: 1.1 edge",
        "via: 1.1 tidegate",
        "x-forwarded-for: 198.51.100.7, 203.0.113.9",
        "x-forwarded-host: a.example",
        "x-forwarded-port: 443",
        "x-forwarded-proto: https",
        "x-real-ip: 198.51.100.7",
    ];
    assert_eq!(lines(&head.headers), expected);
}

#[test]
fn the_target_is_origin_form_and_host_what_it_named() {
    let cases = [
        (
            Version::HTTP_2,
            "https://a.example/x?y",
            None,
            "/x?y",
            "a.example",
            "2.0 tidegate",
        ),
        (
            Version::HTTP_2,
            "https://a.example/x",
            Some("A.EXAMPLE:443"),
            "/x",
            "a.example",
            "2.0 tidegate",
        ),
        (
            Version::HTTP_11,
            "http://a.example:80/",
            Some("a.example"),
            "/",
            "a.example:80",
            "1.1 tidegate",
        ),
        (
            Version::HTTP_11,
            "/x",
            Some("a.example"),
            "/x",
            "a.example",
            "1.1 tidegate",
        ),
        (
            Version::HTTP_10,
            "/x",
            Some("a.example"),
            "/x",
            "a.example",
            "1.0 tidegate",
        ),
        (
            Version::HTTP_3,
            "https://a.example/",
            None,
            "/",
            "a.example",
            "3.0 tidegate",
        ),
    ];
    for (version, uri, host, target, expected, via) in cases {
        let host: Vec<_> = host.iter().map(|host| ("host", *host)).collect();
        let mut head = head(version, uri, &host);
        through(&mut head, Provenance::Direct).unwrap();
        assert_eq!((head.uri.to_string().as_str(), head.uri.authority()), (target, None));
        assert_eq!(head.headers[HOST], expected);
        assert_eq!(head.headers["x-forwarded-host"], expected);
        assert_eq!(head.headers[VIA], via);
    }
}

#[test]
fn a_rewritten_host_is_for_the_next_hop_and_the_one_asked_for_is_told() {
    let mut head = head(Version::HTTP_11, "/", &[("host", "in.example")]);
    head.extensions.insert(AskedHost(HeaderValue::from_static("a.example")));
    through(&mut head, Provenance::Direct).unwrap();
    assert_eq!(head.headers[HOST], "in.example");
    assert_eq!(head.headers["x-forwarded-host"], "a.example");
    assert_eq!(head.headers["forwarded"], "for=203.0.113.9;proto=http;host=a.example");
}

#[test]
fn only_one_expectation_can_be_met() {
    let refused = Err(Fault::Refused {
        status: 417,
        code: "expect",
    });
    let cases = [
        (Version::HTTP_11, "100-continue", Ok(true)),
        (Version::HTTP_2, "100-CONTINUE", Ok(true)),
        (Version::HTTP_10, "100-continue", Ok(false)),
        (Version::HTTP_10, "200-ok", Ok(false)),
        (Version::HTTP_11, "200-ok", refused.clone()),
        (Version::HTTP_11, "100-continue, 200-ok", refused.clone()),
        (Version::HTTP_2, "", refused.clone()),
    ];
    for (version, expectation, expected) in cases {
        let mut head = head(version, "/", &[("host", "a"), ("expect", expectation)]);
        let arrived = through(&mut head, Provenance::Direct).map(|_| head.headers.contains_key(EXPECT));
        assert_eq!(arrived, expected, "{version:?} {expectation:?}");
    }
    let mut two = head(Version::HTTP_11, "/", &[("expect", "100-continue"), ("expect", "x")]);
    assert_eq!(through(&mut two, Provenance::Direct).map(|_| true), refused);
}

#[test]
fn a_request_that_goes_round_is_stopped_and_no_mark_is_lost() {
    let mut head = head(
        Version::HTTP_11,
        "/",
        &[("host", "a"), ("connection", "cdn-loop"), ("cdn-loop", "other; v=1")],
    );
    for round in 1..=limits::HOPS_COUNT {
        through(&mut head, Provenance::Direct).unwrap();
        let marks = head.headers["cdn-loop"].to_str().unwrap();
        assert!(marks.starts_with("other; v=1, tidegate"), "{marks}");
        assert_eq!(marks.matches("tidegate").count(), round);
    }
    assert_eq!(through(&mut head, Provenance::Direct), Err(Fault::LoopDetected));
}

/// An answer's fields, to a client that asked with `te`.
fn answered(version: Version, te: &str, status_version: Version, fields: Fields<'_>) -> Vec<String> {
    let mut asked = head(version, "http://a.example/", &[("te", te)]);
    asked.method = Method::POST;
    let back = through(&mut asked, Provenance::Direct).unwrap();
    let mut response = Response::builder().version(status_version);
    for (name, value) in fields {
        response = response.header(*name, *value);
    }
    let (mut head, ()) = response.body(()).unwrap().into_parts();
    super::response(&mut head, &back);
    lines(&head.headers)
}

#[test]
fn an_answer_says_by_whom_it_came_and_nothing_for_proxies() {
    let fields = [
        ("via", "1.0 origin"),
        ("proxy-authenticate", "Basic"),
        ("proxy-authentication-info", "x"),
        ("set-cookie", "a"),
        ("set-cookie", "b"),
        ("www-authenticate", "Basic"),
        ("x-forwarded-for", "1"),
    ];
    let expected = [
        "set-cookie: a",
        "set-cookie: b",
        "via: 1.0 origin",
        "via: 1.1 tidegate",
        "www-authenticate: Basic",
        "x-forwarded-for: 1",
    ];
    assert_eq!(
        answered(Version::HTTP_2, "trailers", Version::HTTP_11, &fields),
        expected
    );
    assert_eq!(
        answered(Version::HTTP_11, "", Version::HTTP_2, &[]),
        ["via: 2.0 tidegate"]
    );
}

#[test]
fn trailers_of_grpc_are_named_for_clients_by_http1_that_take_them() {
    let grpc = ("content-type", "application/grpc");
    let named = Some("grpc-status, grpc-message, grpc-status-details-bin");
    let cases: [(Version, &str, Fields<'_>, Option<&str>); 11] = [
        (Version::HTTP_11, "trailers", &[grpc], named),
        (
            Version::HTTP_11,
            "gzip, Trailers",
            &[("content-type", "Application/GRPC+proto")],
            named,
        ),
        (
            Version::HTTP_11,
            "trailers",
            &[grpc, ("trailer", "grpc-status")],
            Some("grpc-status"),
        ),
        (Version::HTTP_11, "trailers", &[grpc, ("content-length", "0")], None),
        (
            Version::HTTP_11,
            "trailers",
            &[("content-type", "application/json")],
            None,
        ),
        (
            Version::HTTP_11,
            "trailers",
            &[("content-type", "application/grp")],
            None,
        ),
        (Version::HTTP_11, "trailers", &[], None),
        (Version::HTTP_11, "gzip", &[grpc], None),
        (Version::HTTP_11, "", &[grpc], None),
        (Version::HTTP_10, "trailers", &[grpc], None),
        (Version::HTTP_2, "trailers", &[grpc], None),
    ];
    for (version, te, fields, expected) in cases {
        let lines = answered(version, te, Version::HTTP_2, fields);
        let found = lines.iter().find_map(|line| line.strip_prefix("trailer: "));
        assert_eq!(found, expected, "{version:?} TE: {te} {fields:?}");
    }
}
