use std::fs;
use std::time::Duration;

use super::super::tests::{assert_bad, bad, good, json, toml};
use super::super::{Config, Options, Source};
use super::*;

#[test]
fn every_key_is_read() {
    let text = "[[listener]]\nname = \"edge\"\naddress = \"[::]:443\"\n\
        tls = [{ cert = \"a.pem\", key = \"/etc/ssl/a.key\" }, { cert = \"b.pem\", key = \"b.key\" }]\n\
        client_ca = \"clients.pem\"\nproxy_protocol = [\"10.0.0.0/8\", \"::ffff:192.0.2.0/120\"]\n\
        trusted_proxies = \"2001:db8::1\"\n[listener.limits]\nconnections = 7\nconnections_per_address = 3\n\
        header_bytes = \"8KiB\"\nheader_timeout = \"1s\"\nidle_timeout = \"2s\"\nhandshake_timeout = \"3s\"\nbody = 5\n\
        body_idle_timeout = \"4s\"\nwrite_timeout = \"5s\"";
    let config = toml(text).unwrap();
    let [listener] = config.listeners.as_slice() else {
        panic!("one listener")
    };
    assert_eq!(listener.name.as_str(), "edge");
    assert_eq!(listener.address, "[::]:443".parse().unwrap());
    let pairs: Vec<_> = listener
        .tls
        .iter()
        .map(|pair| (pair.cert.to_str(), pair.key.to_str()))
        .collect();
    assert_eq!(
        pairs,
        [
            (Some("/etc/tidegate/a.pem"), Some("/etc/ssl/a.key")),
            (Some("/etc/tidegate/b.pem"), Some("/etc/tidegate/b.key")),
        ]
    );
    assert_eq!(listener.client_ca, Some("/etc/tidegate/clients.pem".into()));
    let network = |text: &str| text.parse::<IpNet>().unwrap();
    assert_eq!(
        listener.proxy_protocol,
        [network("10.0.0.0/8"), network("192.0.2.0/24")]
    );
    assert_eq!(listener.trusted_proxies, [network("2001:db8::1/128")]);
    let expected = ListenerLimits {
        connections: 7,
        connections_per_address: 3,
        header_bytes: 8192,
        header_timeout: Duration::from_secs(1),
        idle_timeout: Duration::from_secs(2),
        handshake_timeout: Duration::from_secs(3),
        body: 5,
        body_idle_timeout: Duration::from_secs(4),
        write_timeout: Duration::from_secs(5),
    };
    assert_eq!(listener.limits, expected);
}

#[test]
fn names_are_made_by_place() {
    let config = good("[[listener]]\naddress = \"127.0.0.1:1\"\n[[listener]]\nname = \"x\"\naddress = \"127.0.0.1:2\"");
    let names: Vec<_> = config.listeners.iter().map(|listener| listener.name.as_str()).collect();
    assert_eq!(names, ["listener-1", "listener-2", "x"]);
}

#[test]
fn names_have_a_form() {
    for name in ["", "A", "-a", ".a", "a b", "a/b", "\u{e9}", &"a".repeat(65)] {
        let text = format!("[[listener]]\naddress = \"127.0.0.1:1\"\nname = \"{name}\"");
        assert_bad(&text, "3:8", &["is not a name", "1 to 64 of"]);
    }
    for name in ["a", "0", "a.b_c-d", &"a".repeat(64)] {
        good(&format!("[[listener]]\naddress = \"127.0.0.1:1\"\nname = \"{name}\""));
    }
}

#[test]
fn an_address_must_be_given() {
    assert_bad("[[listener]]", "1:1", &["`listener[0]` has no `address`"]);
    for (value, words) in [
        ("\"*:80\"", &["\"0.0.0.0:80\" or \"[::]:80\""][..]),
        ("\"example.com:80\"", &["is not an address", "an IP address and a port"]),
        ("80", &["must be a string"]),
        ("\"http://127.0.0.1:80\"", &["is not an address"]),
        ("\"unix:/run/x\"", &["is not an address"]),
    ] {
        assert_bad(&format!("[[listener]]\naddress = {value}"), "2:11", words);
    }
}

#[test]
fn addresses_do_not_collide() {
    for (one, other) in [
        ("127.0.0.1:81", "127.0.0.1:81"),
        ("0.0.0.0:81", "127.0.0.1:81"),
        ("127.0.0.1:81", "0.0.0.0:81"),
        ("[::]:81", "127.0.0.1:81"),
        ("[::1]:81", "[::]:81"),
        ("[::]:81", "0.0.0.0:81"),
        ("[::ffff:10.0.0.1]:81", "10.0.0.1:81"),
    ] {
        let text = format!("[[listener]]\naddress = \"{one}\"\n[[listener]]\naddress = \"{other}\"");
        assert_bad(&text, "4:11", &["is taken by a listener", "gateway.toml:2:11"]);
    }
    for (one, other) in [
        ("127.0.0.1:81", "127.0.0.1:82"),
        ("127.0.0.1:81", "127.0.0.2:81"),
        ("0.0.0.0:81", "[::1]:81"),
        ("127.0.0.1:0", "127.0.0.1:0"),
    ] {
        good(&format!(
            "[[listener]]\naddress = \"{one}\"\n[[listener]]\naddress = \"{other}\""
        ));
    }
}

#[test]
fn certificates_come_in_pairs() {
    let tls = |value: &str| format!("[[listener]]\naddress = \"127.0.0.1:1\"\ntls = {value}");
    assert_bad(
        &tls("[]"),
        "3:7",
        &["holds no certificate", "remove `tls` to serve plain HTTP"],
    );
    assert_bad(&tls("[{ cert = \"a\" }]"), "3:8", &["has no `key`"]);
    assert_bad(&tls("[{ key = \"a\" }]"), "3:8", &["has no `cert`"]);
    assert_bad(&tls("[{ cert = 1, key = \"a\" }]"), "3:17", &["must be a string"]);
    assert_bad(
        &tls("[\"a.pem\"]"),
        "3:8",
        &["`listener[0].tls[0]` must be a table, not a string"],
    );
    assert_bad(
        &tls("{ cert = \"a\", key = \"b\" }"),
        "3:7",
        &["must be a list, not a table"],
    );
    assert_bad(&tls("true"), "3:7", &["must be a list"]);
    assert_bad(
        &tls("[{ cert = \"a\", key = \"b\", ca = \"c\" }]"),
        "3:33",
        &["unknown key `ca`"],
    );
}

#[test]
fn client_certificates_need_tls() {
    let text = "[[listener]]\naddress = \"127.0.0.1:1\"\nclient_ca = \"x.pem\"";
    assert_bad(text, "3:13", &["`client_ca` needs `tls`"]);
}

#[test]
fn proxies_are_address_ranges() {
    let with = |line: &str| format!("[[listener]]\naddress = \"127.0.0.1:1\"\n{line}");
    for (line, column, words) in [
        ("proxy_protocol = true", 18, &["must be a string"][..]),
        (
            "proxy_protocol = [\"lb.internal\"]",
            19,
            &["is not an address range", "\"10.0.0.0/8\""],
        ),
        ("proxy_protocol = [\"10.0.0.1/8\"]", 19, &["a range or one address?"]),
        ("trusted_proxies = [5]", 20, &["must be a string"]),
        ("trusted_proxies = [\"*\"]", 20, &["is not an address range"]),
        ("trusted_proxies = [\"10.0.0.0/33\"]", 20, &["is not an address range"]),
        ("trusted_proxy = []", 1, &["did you mean `trusted_proxies`?"]),
    ] {
        assert_bad(&with(line), &format!("3:{column}"), words);
    }
    let many = |count: usize| format!("trusted_proxies = [{}]", vec!["\"::1\""; count].join(", "));
    good(&with(&many(limits::NETWORKS_COUNT)));
    let words = &["has 257 entries", "at most 256"];
    assert_bad(&with(&many(limits::NETWORKS_COUNT + 1)), "3:19", words);
    let config = good(&with("proxy_protocol = []\ntrusted_proxies = []"));
    let listener = &config.listeners[1];
    assert!(listener.proxy_protocol.is_empty() && listener.trusted_proxies.is_empty());
}

#[test]
fn limits_are_bounded() {
    for (line, column, words) in [
        ("connections = 0", 15, &["cannot be 0", "from 1 to 1000000"][..]),
        ("connections = 1000001", 15, &["out of range"]),
        ("connections_per_address = 0", 27, &["cannot be 0"]),
        ("header_bytes = \"1023\"", 16, &["out of range", "from 1KiB to 1MiB"]),
        ("header_bytes = \"2MiB\"", 16, &["out of range"]),
        ("header_bytes = \"lots\"", 16, &["is not a size", "\"64MiB\""]),
        ("header_bytes = true", 16, &["must be a size, not a boolean"]),
        ("body = -1", 8, &["is not a size"]),
        ("body = \"-1MiB\"", 8, &["is not a size"]),
        ("body = \"1 parsec\"", 8, &["is not a size"]),
        ("body = 1.5", 8, &["must be a size, not a float"]),
        ("body = \"99999999999999EiB\"", 8, &["out of range"]),
        ("header_timeout = \"0s\"", 18, &["cannot be zero"]),
        ("idle_timeout = \"0ms\"", 16, &["cannot be zero"]),
        ("handshake_timeout = \"0s\"", 21, &["cannot be zero"]),
        ("body_idle_timeout = \"0s\"", 21, &["cannot be zero"]),
        ("write_timeout = \"0s\"", 17, &["cannot be zero"]),
        ("write_timeout = \"2years\"", 17, &["too long"]),
        ("idle-timeout = \"1s\"", 1, &["did you mean `idle_timeout`?"]),
        ("max_body_size = 1", 1, &["did you mean `body`?"]),
    ] {
        let text = format!("[[listener]]\naddress = \"127.0.0.1:1\"\n[listener.limits]\n{line}");
        assert_bad(&text, &format!("4:{column}"), words);
    }
}

#[test]
fn sizes_are_bytes_or_have_units() {
    for (value, bytes) in [
        ("0", 0),
        ("\"0\"", 0),
        ("\"5\"", 5),
        ("\"5B\"", 5),
        ("\"5kB\"", 5_000),
        ("\"5KiB\"", 5_120),
        ("\"1.5 MiB\"", 1_572_864),
        ("9223372036854775807", limits::BODY_BYTES_MAX),
    ] {
        let config = good(&format!(
            "[[listener]]\naddress = \"127.0.0.1:1\"\nlimits = {{ body = {value} }}"
        ));
        assert_eq!(config.listeners[1].limits.body, bytes, "{value}");
    }
}

#[test]
fn json_numbers_may_be_larger_than_toml_ones() {
    let body = |number: &str| {
        json(&format!(
            r#"{{ "listener": [{{ "address": "127.0.0.1:1", "limits": {{ "body": {number} }} }}] }}"#
        ))
    };
    assert!(body("9223372036854775807").is_ok());
    for number in ["9223372036854775808", "18446744073709551615", "1e30", "-1"] {
        assert!(body(number).is_err(), "{number}");
    }
}

#[test]
fn files_must_be_there() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.pem"), "x").unwrap();
    fs::create_dir(folder.path().join("folder")).unwrap();
    let text = "[[listener]]\naddress = \"127.0.0.1:1\"\n\
        tls = [{ cert = \"a.pem\", key = \"missing.key\" }]\nclient_ca = \"folder\"\n";
    let source = Source::toml("gateway.toml", folder.path(), text);
    let errors = Config::from_sources(vec![source], Options::default()).expect_err("refused");
    let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
    let [key, authorities] = errors.as_slice() else {
        panic!("two errors: {errors:#?}")
    };
    assert!(
        key.starts_with("gateway.toml:3:32: ") && key.contains("missing.key cannot be read: No such file"),
        "{key}"
    );
    assert!(
        authorities.starts_with("gateway.toml:4:13: ") && authorities.contains("it is not a file"),
        "{authorities}"
    );
}

#[test]
fn every_error_is_reported() {
    let errors = bad("[[listener]]\nadress = 1\nname = \"A\"\ntls = []\nclient_ca = 5\nlimits = { body = -1 }");
    let places: Vec<_> = errors.iter().filter_map(|error| error.split(' ').next()).collect();
    assert_eq!(places, ["1:1", "2:1", "3:8", "4:7", "5:13", "6:19"]);
}
