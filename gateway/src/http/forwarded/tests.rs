use super::*;
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

fn map(fields: Fields<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
    }
    headers
}

/// What a head says after `write`: X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, Forwarded.
fn written(by: &ForwardedFor, before: Fields<'_>, host: Option<&str>, provenance: Provenance) -> [String; 4] {
    let mut headers = map(before);
    let host = host.map(|host| HeaderValue::from_bytes(host.as_bytes()).unwrap());
    by.write(&mut headers, host.as_ref(), provenance);
    [X_FORWARDED_FOR, X_FORWARDED_PROTO, X_FORWARDED_HOST, FORWARDED].map(|name| {
        let lines: Vec<_> = headers
            .get_all(name)
            .iter()
            .map(|line| line.to_str().unwrap())
            .collect();
        assert!(lines.len() <= 1, "one line each: {lines:?}");
        lines.concat()
    })
}

fn proxied(client: Option<&str>) -> Provenance {
    Provenance::Proxied(client.map(|client| client.parse().unwrap()))
}

#[test]
fn a_peer_is_told_of_as_it_is_and_what_it_says_is_replaced() {
    let claims = [
        ("x-forwarded-for", "1.1.1.1"),
        ("x-forwarded-for", "2.2.2.2"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "evil.example"),
        ("forwarded", "for=1.1.1.1;host=evil.example"),
    ];
    let cases = [
        (
            "203.0.113.9:50000",
            false,
            "a.example",
            [
                "203.0.113.9",
                "http",
                "a.example",
                "for=203.0.113.9;proto=http;host=a.example",
            ],
        ),
        (
            "203.0.113.9:50000",
            true,
            "a.example:8443",
            [
                "203.0.113.9",
                "https",
                "a.example:8443",
                "for=203.0.113.9;proto=https;host=\"a.example:8443\"",
            ],
        ),
        (
            "[2001:db8::9]:50000",
            true,
            "[2001:db8::1]",
            [
                "2001:db8::9",
                "https",
                "[2001:db8::1]",
                "for=\"[2001:db8::9]\";proto=https;host=\"[2001:db8::1]\"",
            ],
        ),
        (
            "[::ffff:203.0.113.9]:1",
            false,
            "a_b",
            ["203.0.113.9", "http", "a_b", "for=203.0.113.9;proto=http;host=a_b"],
        ),
    ];
    for (address, tls, host, expected) in cases {
        for before in [&claims[..], &[]] {
            let by = peer(address, tls);
            assert_eq!(written(&by, before, Some(host), Provenance::Direct), expected);
            assert_eq!(
                written(&by, before, Some(host), Provenance::Direct),
                expected,
                "once more"
            );
        }
    }
}

/// The value for the first host of a connection is kept; it must not be given for another one.
#[test]
fn each_request_of_a_connection_has_its_own_host() {
    let by = peer("203.0.113.9:1", false);
    for host in ["a.example", "b.example", "a.example", "A.example"] {
        let [_, _, forwarded_host, forwarded] = written(&by, &[], Some(host), Provenance::Direct);
        assert_eq!(forwarded_host, host);
        assert_eq!(forwarded, format!("for=203.0.113.9;proto=http;host={host}"));
    }
    let [_, _, forwarded_host, forwarded] = written(&by, &[("x-forwarded-host", "evil")], None, Provenance::Direct);
    assert_eq!(
        (forwarded_host.as_str(), forwarded.as_str()),
        ("", "for=203.0.113.9;proto=http")
    );
}

/// No such host comes past the door; were one to, it would not write parameters or elements of its own.
#[test]
fn a_host_that_is_none_writes_nothing_into_forwarded() {
    for host in [
        "a\";for=1.1.1.1",
        "a, for=1.1.1.1",
        "a;for=1.1.1.1",
        "a\\",
        "a b",
        "",
        "user@a",
    ] {
        let by = peer("203.0.113.9:1", false);
        let [.., forwarded] = written(&by, &[], Some(host), Provenance::Direct);
        assert_eq!(forwarded, "for=203.0.113.9;proto=http", "{host:?}");
    }
}

#[test]
fn a_trusted_proxy_is_added_to_what_it_says() {
    let by = peer("10.0.0.1:80", false);
    let own = "for=10.0.0.1;proto=http;host=in.example";
    let cases: [(Fields<'_>, Option<&str>, [&str; 4]); 11] = [
        // It says nothing: it is all there is to tell.
        (&[], None, ["10.0.0.1", "http", "in.example", own]),
        (
            &[
                ("x-forwarded-for", "203.0.113.9"),
                ("x-forwarded-proto", "https"),
                ("x-forwarded-host", "a.example"),
            ],
            Some("203.0.113.9:0"),
            [
                "203.0.113.9, 10.0.0.1",
                "https",
                "a.example",
                "for=203.0.113.9;proto=https;host=a.example, ",
            ],
        ),
        // Lines become one, what is before the client stays, ports and all.
        (
            &[
                ("x-forwarded-for", "1.1.1.1"),
                ("x-forwarded-for", " 203.0.113.9:7"),
                ("x-forwarded-for", ""),
            ],
            Some("203.0.113.9:7"),
            [
                "1.1.1.1, 203.0.113.9:7, 10.0.0.1",
                "http",
                "in.example",
                "for=203.0.113.9;proto=http;host=in.example, ",
            ],
        ),
        // It wrote Forwarded only.
        (
            &[
                ("forwarded", "for=\"[2001:db8::9]:7\";proto=https"),
                ("forwarded", "for=10.0.0.2;by=_x"),
            ],
            Some("[2001:db8::9]:7"),
            [
                "2001:db8::9, 10.0.0.1",
                "http",
                "in.example",
                "for=\"[2001:db8::9]:7\";proto=https, for=10.0.0.2;by=_x, ",
            ],
        ),
        // It wrote X-Forwarded-For only, and let the client write the other.
        (
            &[
                ("forwarded", "for=1.1.1.1;host=evil.example"),
                ("x-forwarded-for", "2001:db8::9"),
            ],
            Some("[2001:db8::9]:0"),
            [
                "2001:db8::9, 10.0.0.1",
                "http",
                "in.example",
                "for=\"[2001:db8::9]\";proto=http;host=in.example, ",
            ],
        ),
        // An open quote would swallow what is added.
        (
            &[("forwarded", "for=\"evil, for=203.0.113.9")],
            Some("203.0.113.9:0"),
            [
                "203.0.113.9, 10.0.0.1",
                "http",
                "in.example",
                "for=203.0.113.9;proto=http;host=in.example, ",
            ],
        ),
        (
            &[("forwarded", "for=\"evil\\\"")],
            None,
            ["10.0.0.1", "http", "in.example", ""],
        ),
        // What cannot be read is passed on, and nobody is named for it.
        (
            &[("x-forwarded-for", "unknown")],
            None,
            ["unknown, 10.0.0.1", "http", "in.example", ""],
        ),
        (
            &[("forwarded", "for=unknown")],
            None,
            ["10.0.0.1", "http", "in.example", "for=unknown, "],
        ),
        // Two answers to one question are none.
        (
            &[
                ("x-forwarded-proto", "https"),
                ("x-forwarded-proto", "http"),
                ("x-forwarded-host", "a.example, b.example"),
            ],
            None,
            ["10.0.0.1", "http", "in.example", ""],
        ),
        (
            &[
                ("x-forwarded-proto", "gopher\";for=1.1.1.1"),
                ("x-forwarded-host", "a\";for=1.1.1.1"),
            ],
            None,
            ["10.0.0.1", "http", "in.example", ""],
        ),
    ];
    for (before, client, [addresses, proto, host, elements]) in cases {
        let expected = match elements.strip_suffix(own) {
            Some(_) => elements.to_owned(),
            None => format!("{elements}{own}"),
        };
        let found = written(&by, before, Some("in.example"), proxied(client));
        assert_eq!(found, [addresses, proto, host, &expected], "{before:?}");
    }
}

#[test]
fn claims_are_known_in_every_disguise() {
    let is = |name: &str| {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        (is_claim(&name), is_disguised_claim(&name))
    };
    for claim in [
        "X-Forwarded-For",
        "x-forwarded-PORT",
        "x-forwarded-anything",
        "x-forwarded",
        "X-Real-IP",
        "Forwarded",
    ] {
        assert_eq!(is(claim), (true, false), "{claim}");
    }
    for claim in ["X_Forwarded_For", "x-forwarded_host", "x_real-ip", "X_REAL_IP"] {
        assert_eq!(is(claim), (true, true), "{claim}");
    }
    for other in [
        "x-forward",
        "x-real-ips",
        "x-real-i",
        "forwarded-for",
        "x_forwarder",
        "x",
        "host",
        "x-request-id",
        "from",
    ] {
        assert_eq!(is(other), (false, false), "{other}");
    }
}
