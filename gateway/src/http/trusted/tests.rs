use super::*;
use http::{HeaderName, HeaderValue};

const TRUSTED: [&str; 4] = ["10.0.0.0/8", "192.168.7.1/32", "2001:db8:ffff::/48", "127.0.0.1/32"];

fn seen(peer: &str, fields: &[(&str, &str)]) -> Provenance {
    let address = peer.parse().expect("the test names a socket's address");
    let client = Client {
        address,
        local: address,
        tls: false,
    };
    let trusted: Vec<IpNet> = TRUSTED.iter().map(|range| range.parse().unwrap()).collect();
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    Provenance::of(&client, &headers, &trusted)
}

fn told(peer: &str, fields: &[(&str, &str)]) -> Option<String> {
    let seen = seen(peer, fields);
    assert!(seen.is_trusted(), "{peer} is a trusted proxy");
    seen.client().map(|address| address.to_string())
}

#[test]
fn a_peer_that_is_not_trusted_is_not_listened_to() {
    let fields = [("x-forwarded-for", "1.1.1.1"), ("forwarded", "for=1.1.1.1")];
    for peer in [
        "203.0.113.9:1",
        "[2001:db8::9]:1",
        "192.168.7.2:1",
        "[::ffff:203.0.113.9]:1",
    ] {
        let seen = seen(peer, &fields);
        assert_eq!(seen, Provenance::Direct, "{peer}");
        assert_eq!((seen.is_trusted(), seen.client()), (false, None));
    }
}

#[test]
fn a_trusted_peer_that_says_nothing_speaks_for_nobody() {
    for peer in [
        "10.1.2.3:9",
        "[::ffff:10.1.2.3]:9",
        "[2001:db8:ffff::1]:9",
        "192.168.7.1:9",
    ] {
        assert_eq!(told(peer, &[]), None, "{peer}");
        assert_eq!(told(peer, &[("x-real-ip", "1.1.1.1")]), None, "{peer}");
    }
}

/// Each line of a case is one X-Forwarded-For field.
#[test]
fn the_client_is_the_last_address_of_x_forwarded_for_that_is_not_trusted() {
    let cases: [(&[&str], Option<&str>); 30] = [
        (&["203.0.113.9"], Some("203.0.113.9:0")),
        (&["203.0.113.9:4711"], Some("203.0.113.9:4711")),
        (&["2001:db8::9"], Some("[2001:db8::9]:0")),
        (&["[2001:db8::9]"], Some("[2001:db8::9]:0")),
        (&["[2001:DB8::9]:4711"], Some("[2001:db8::9]:4711")),
        (&["::ffff:203.0.113.9"], Some("203.0.113.9:0")),
        (&["[::ffff:203.0.113.9]:80"], Some("203.0.113.9:80")),
        // A chain of trusted proxies, also over lines and with their ports.
        (&["203.0.113.9, 10.0.0.1, 10.0.0.2"], Some("203.0.113.9:0")),
        (
            &["203.0.113.9,10.0.0.1:80 , [2001:db8:ffff::2]:80"],
            Some("203.0.113.9:0"),
        ),
        (&["203.0.113.9", "10.0.0.1", "::ffff:10.0.0.2"], Some("203.0.113.9:0")),
        (&["1.1.1.1, 203.0.113.9", "10.0.0.1"], Some("203.0.113.9:0")),
        // What stands before an address nobody vouches for is that one's invention.
        (&["1.1.1.1, 203.0.113.9"], Some("203.0.113.9:0")),
        (&["10.0.0.1, 203.0.113.9"], Some("203.0.113.9:0")),
        (&["203.0.113.9", "198.51.100.7"], Some("198.51.100.7:0")),
        // All of them trusted: the first is as far as it goes.
        (&["10.0.0.1, 10.0.0.2"], Some("10.0.0.1:0")),
        // Empty members of a list say nothing.
        (&["203.0.113.9, , 10.0.0.1,"], Some("203.0.113.9:0")),
        (&["203.0.113.9", "", " "], Some("203.0.113.9:0")),
        (&[""], None),
        // What is no address ends the walk at the one behind it.
        (&["203.0.113.9, unknown"], None),
        (&["203.0.113.9, unknown, 10.0.0.1"], Some("10.0.0.1:0")),
        (&["203.0.113.9, _hidden, 10.0.0.1"], Some("10.0.0.1:0")),
        (&["203.0.113.9, example.com"], None),
        (&["203.0.113.9:65536"], None),
        (&["203.0.113.9:+80"], None),
        (&["203.0.113.9:"], None),
        (&["[2001:db8::9"], None),
        (&["[2001:db8::9]80"], None),
        (&["fe80::1%eth0"], None),
        (&["203.0.113.009"], None),
        (&["203.0.113.9 198.51.100.7"], None),
    ];
    for (lines, expected) in cases {
        let fields: Vec<_> = lines.iter().map(|line| ("X-Forwarded-For", *line)).collect();
        assert_eq!(told("10.9.9.9:1", &fields).as_deref(), expected, "{lines:?}");
    }
}

#[test]
fn bytes_beyond_ascii_are_no_address() {
    let mut headers = HeaderMap::new();
    headers.append(
        X_FORWARDED_FOR,
        HeaderValue::from_bytes(b"203.0.113.9, \xff\xfe").unwrap(),
    );
    let address = "10.0.0.1:1".parse().unwrap();
    let client = Client {
        address,
        local: address,
        tls: false,
    };
    let seen = Provenance::of(&client, &headers, &["10.0.0.0/8".parse().unwrap()]);
    assert_eq!(seen, Provenance::Proxied(None));
}

#[test]
fn no_more_entries_are_read_than_there_are_proxies() {
    let chain = |trusted: usize| {
        let proxies = (0..trusted).map(|n| format!(", 10.0.0.{n}"));
        format!("203.0.113.9{}", proxies.collect::<String>())
    };
    let fits = chain(limits::PROXIES_COUNT - 1);
    assert_eq!(
        told("10.9.9.9:1", &[("x-forwarded-for", &fits)]).as_deref(),
        Some("203.0.113.9:0")
    );
    let too_long = chain(limits::PROXIES_COUNT);
    assert_eq!(
        told("10.9.9.9:1", &[("x-forwarded-for", &too_long)]).as_deref(),
        Some("10.0.0.0:0")
    );
    // Two hundred that an attacker sends change nothing: the proxy has added the attacker's own behind them.
    let forged = format!("{}, 203.0.113.66", vec!["10.0.0.1"; 200].join(","));
    assert_eq!(
        told("10.9.9.9:1", &[("x-forwarded-for", &forged)]).as_deref(),
        Some("203.0.113.66:0")
    );
    let commas = format!("203.0.113.9{}", ",".repeat(200));
    assert_eq!(told("10.9.9.9:1", &[("x-forwarded-for", &commas)]), None);
}

#[test]
fn the_client_is_in_forwarded_where_there_is_no_x_forwarded_for() {
    let cases: [(&[&str], Option<&str>); 29] = [
        (&["for=203.0.113.9"], Some("203.0.113.9:0")),
        (&["for=203.0.113.9", "for=198.51.100.7"], Some("198.51.100.7:0")),
        (&["host=\";for=1.1.1.1;\";for=203.0.113.9"], Some("203.0.113.9:0")),
        (&["For=203.0.113.9;proto=http;by=203.0.113.43"], Some("203.0.113.9:0")),
        (
            &["proto=https;host=\"a;b,c\"; FOR=\"203.0.113.9:4711\""],
            Some("203.0.113.9:4711"),
        ),
        (&["for=\"[2001:db8:cafe::17]:4711\""], Some("[2001:db8:cafe::17]:4711")),
        (&["for=\"[2001:db8:cafe::17]\""], Some("[2001:db8:cafe::17]:0")),
        (&["for=\"[::ffff:203.0.113.9]\""], Some("203.0.113.9:0")),
        (&["for=\"203.0.113.9:_gazonk\""], Some("203.0.113.9:0")),
        (
            &["for=203.0.113.9, for=10.0.0.1;proto=https, for=\"10.0.0.2:80\""],
            Some("203.0.113.9:0"),
        ),
        (&["for=1.1.1.1, for=203.0.113.9", "for=10.0.0.1"], Some("203.0.113.9:0")),
        (&["for=1.1.1.1, for=203.0.113.9"], Some("203.0.113.9:0")),
        (&["for=10.0.0.1, for=10.0.0.2"], Some("10.0.0.1:0")),
        (&["for=203.0.113.9, , for=10.0.0.1,"], Some("203.0.113.9:0")),
        (&["for=203.0.113.9, for=unknown"], None),
        (&["for=203.0.113.9, for=_hidden, for=10.0.0.1"], Some("10.0.0.1:0")),
        (&["for=203.0.113.9, proto=https"], None),
        (&["203.0.113.9"], None),
        (&["for"], None),
        (&["for="], None),
        (&["for=203.0.113.9;for=1.1.1.1"], None),
        (&["forx=203.0.113.9"], None),
        (&[""], None),
        // Quotes a client leaves open, or closes where the proxy opens one, do not reach what the proxy added.
        (&["for=\"evil, for=203.0.113.9"], Some("203.0.113.9:0")),
        (&["for=\"1.1.1.1, for=\"[2001:db8::9]\""], Some("[2001:db8::9]:0")),
        (
            &["for=\"10.0.0.1\\\", for=203.0.113.9;host=\"a, for=1.1.1.1\""],
            Some("203.0.113.9:0"),
        ),
        // A proxy that escapes a quote in a Host it was sent.
        (
            &["for=\"x, for=1.1.1.1;y=\", for=203.0.113.9;host=\"a\\\"b\""],
            Some("203.0.113.9:0"),
        ),
        (
            &["for=1.1.1.1;y=\", for=203.0.113.9;host=\"a\\\\\""],
            Some("203.0.113.9:0"),
        ),
        (&["for=\"203.0.113.9"], None),
    ];
    for (lines, expected) in cases {
        let fields: Vec<_> = lines.iter().map(|line| ("Forwarded", *line)).collect();
        assert_eq!(told("10.9.9.9:1", &fields).as_deref(), expected, "{lines:?}");
    }
}

#[test]
fn forwarded_is_not_read_beside_x_forwarded_for() {
    let forwarded = ("forwarded", "for=1.1.1.1");
    let both = [forwarded, ("x-forwarded-for", "203.0.113.9")];
    assert_eq!(told("10.9.9.9:1", &both).as_deref(), Some("203.0.113.9:0"));
    for useless in ["unknown", ""] {
        assert_eq!(
            told("10.9.9.9:1", &[forwarded, ("x-forwarded-for", useless)]),
            None,
            "{useless:?}"
        );
    }
}
