use std::fs;

use http::{HeaderName, HeaderValue};

use super::super::tests::{assert_bad, bad, good, json, toml};
use super::super::{Config, Options, Source};
use super::*;

fn upstream(text: &str) -> UpstreamConfig {
    good(&format!("[upstream.x]\n{text}")).upstreams["x"].clone()
}

/// An upstream with a server; the text begins on line 3.
fn with(text: &str) -> String {
    format!("[upstream.x]\nservers = [\"a:1\"]\n{text}")
}

#[test]
fn servers_are_all_that_is_needed() {
    let read = upstream("servers = [\"127.0.0.1:9001\"]");
    let expected = UpstreamConfig {
        name: "x".parse().unwrap(),
        servers: vec![ServerConfig {
            host: ServerHost::Address("127.0.0.1".parse().unwrap()),
            port: 9001,
            weight: 1,
        }],
        balance: Balance::RoundRobin,
        hash: None,
        protocol: UpstreamProtocol::Auto,
        resolve: Duration::from_secs(5),
        health: None,
        ejection: EjectionConfig {
            failures: 5,
            time: Duration::from_secs(10),
            most: Percent::new(50),
        },
        timeout: UpstreamTimeouts {
            connect: Duration::from_secs(2),
            first_byte: Duration::from_secs(15),
            idle: Duration::from_secs(30),
            total: None,
            tunnel: Duration::from_secs(600),
        },
        retry: RetryConfig {
            attempts: 2,
            budget: Percent::new(20),
        },
        limits: UpstreamLimits {
            connections: 1024,
            pending: 1024,
            requests: 16384,
        },
        keepalive: Duration::from_secs(30),
        tls: None,
        location: read.location.clone(),
    };
    assert_eq!(read, expected);
    assert_eq!(read.location.to_string(), "gateway.toml:3:11");
}

#[test]
fn every_key_is_read() {
    let read = upstream(
        "servers = [\"API.internal:8443\", { address = \"[::1]:9000\", weight = 256 }]\n\
         balance = \"hash\"\nhash = { header = \"X-User\" }\nprotocol = \"h2\"\nresolve = \"100ms\"\n\
         health = { path = \"/healthz?full=1\", host = \"Api.Internal:8443\", interval = \"100ms\", timeout = \"1s\", unhealthy_after = 3, healthy_after = 4 }\n\
         ejection = { failures = 0, time = \"1m\", most = \"100%\" }\n\
         timeout = { connect = \"1s\", first_byte = \"2s\", idle = \"3s\", total = \"4s\", tunnel = \"5s\" }\n\
         retry = { attempts = 0, budget = \"0%\" }\nlimits = { connections = 1, pending = 0, requests = 2 }\n\
         keepalive = { idle = \"6s\" }\ntls = { server_name = \"API.internal.\", ca = \"ca.pem\", cert = \"/a.pem\", key = \"a.key\" }",
    );
    let servers: Vec<_> = read.servers.iter().map(ToString::to_string).collect();
    assert_eq!(servers, ["api.internal:8443", "[::1]:9000"]);
    assert_eq!(read.servers[1].weight, 256);
    assert_eq!(read.balance, Balance::Hash);
    assert_eq!(read.hash, Some(HashKey::Header(HeaderName::from_static("x-user"))));
    assert_eq!(read.protocol, UpstreamProtocol::H2);
    assert_eq!(read.resolve, Duration::from_millis(100));
    let health = HealthConfig {
        check: HealthProbe::Http {
            path: "/healthz?full=1".into(),
            host: Some(HeaderValue::from_static("api.internal:8443")),
        },
        interval: Duration::from_millis(100),
        timeout: Duration::from_secs(1),
        unhealthy_after: 3,
        healthy_after: 4,
    };
    assert_eq!(read.health, Some(health));
    assert_eq!((read.ejection.failures, read.ejection.most.get()), (0, 100));
    assert_eq!(read.ejection.time, Duration::from_secs(60));
    let timeout = UpstreamTimeouts {
        connect: Duration::from_secs(1),
        first_byte: Duration::from_secs(2),
        idle: Duration::from_secs(3),
        total: Some(Duration::from_secs(4)),
        tunnel: Duration::from_secs(5),
    };
    assert_eq!(read.timeout, timeout);
    assert_eq!((read.retry.attempts, read.retry.budget.get()), (0, 0));
    let limits = UpstreamLimits {
        connections: 1,
        pending: 0,
        requests: 2,
    };
    assert_eq!(read.limits, limits);
    assert_eq!(read.keepalive, Duration::from_secs(6));
    let tls = read.tls.unwrap();
    assert_eq!(tls.server_name.as_deref(), Some("api.internal"));
    assert_eq!(tls.ca, Some("/etc/tidegate/ca.pem".into()));
    let client = tls.client.unwrap();
    assert_eq!(
        (client.cert, client.key),
        ("/a.pem".into(), "/etc/tidegate/a.key".into())
    );
}

#[test]
fn every_word_is_read() {
    for (word, balance) in [
        ("round-robin", Balance::RoundRobin),
        ("least-loaded", Balance::LeastLoaded),
        ("least-connections", Balance::LeastConnections),
        ("random", Balance::Random),
    ] {
        assert_eq!(
            upstream(&format!("servers = [\"a:1\"]\nbalance = \"{word}\"")).balance,
            balance
        );
    }
    for (text, key) in [
        ("{ cookie = \"sid\" }", HashKey::Cookie("sid".into())),
        ("\"address\"", HashKey::Address),
        ("\"path\"", HashKey::Path),
    ] {
        let read = upstream(&format!("servers = [\"a:1\"]\nbalance = \"hash\"\nhash = {text}"));
        assert_eq!((read.balance, read.hash), (Balance::Hash, Some(key)));
    }
    for (word, protocol) in [("auto", UpstreamProtocol::Auto), ("http1", UpstreamProtocol::Http1)] {
        assert_eq!(
            upstream(&format!("servers = [\"a:1\"]\nprotocol = \"{word}\"")).protocol,
            protocol
        );
    }
    let health = upstream("servers = [\"a:1\"]\nhealth = { tcp = true }").health;
    assert_eq!(health.map(|health| health.check), Some(HealthProbe::Tcp));
    assert_eq!(
        upstream("servers = [\"a:1\"]\ntls = {}").tls,
        Some(UpstreamTls::default())
    );
}

#[test]
fn wrong_values_are_refused() {
    for (line, column, words) in [
        ("balance = \"round_robin\"", 11, &["did you mean \"round-robin\"?"][..]),
        (
            "balance = \"fastest\"",
            11,
            &["cannot be \"fastest\"", "\"least-connections\""],
        ),
        ("balance = 5", 11, &["must be a string"]),
        (
            "balance = \"hash\"",
            11,
            &["nothing is named to hash", "{ cookie = \"sid\" }"],
        ),
        (
            "hash = \"path\"",
            8,
            &["balance is \"round-robin\"", "write balance = \"hash\""],
        ),
        (
            "balance = \"random\"\nhash = { cookie = \"a\" }",
            0,
            &["balance is \"random\""],
        ),
        ("protocol = \"http2\"", 12, &["did you mean \"http1\"?", "\"h2\""]),
        ("protocol = \"h2c\"", 12, &["did you mean \"h2\"?"]),
        ("resolve = \"99ms\"", 11, &["is too short", "at least 100ms"]),
        ("resolve = \"0s\"", 11, &["is too short"]),
        ("resolve = 5", 11, &["must be a duration"]),
        (
            "health = {}",
            10,
            &[
                "asks for no one thing",
                "neither `path` nor `tcp`",
                "write path = \"/healthz\"",
            ],
        ),
        ("health = { path = \"/\", tcp = true }", 10, &["both `path` and `tcp`"]),
        (
            "health = { tcp = false }",
            18,
            &["cannot be false", "only true says something"],
        ),
        ("health = { tcp = 1 }", 18, &["must be true or false"]),
        (
            "health = { tcp = true, host = \"a\" }",
            31,
            &["nothing is asked for", "only with `path`"],
        ),
        (
            "health = { path = \"healthz\" }",
            19,
            &["is not a path", "begins with `/`"],
        ),
        ("health = { path = \"\" }", 19, &["is not a path"]),
        ("health = { path = \"http://a/\" }", 19, &["is not a path"]),
        ("health = { path = \"/a b\" }", 19, &["is not a path", "percent-encode"]),
        ("health = { path = \"/a#b\" }", 19, &["is not a path"]),
        ("health = { path = \"/\u{e9}\" }", 19, &["is not a path"]),
        ("health = { path = \"/\\r\\n\" }", 19, &["is not a path"]),
        (
            "health = { path = \"/\", host = \"*.a\" }",
            31,
            &["is not a host: it has a wildcard"],
        ),
        (
            "health = { path = \"/\", host = \"http://a\" }",
            31,
            &["is not a host: it has a scheme"],
        ),
        ("health = { path = \"/\", host = \"\" }", 31, &["is not a host"]),
        ("health = { path = \"/\", host = \"a:\" }", 31, &["is not a host"]),
        (
            "health = { path = \"/\", interval = \"50ms\" }",
            35,
            &["is too short", "at least 100ms"],
        ),
        ("health = { path = \"/\", timeout = \"0s\" }", 34, &["cannot be zero"]),
        (
            "health = { path = \"/\", unhealthy_after = 0 }",
            42,
            &["cannot be 0", "from 1 to 100"],
        ),
        ("health = { path = \"/\", healthy_after = 101 }", 40, &["cannot be 101"]),
        ("health = { path = \"/\", after = 1 }", 24, &["unknown key `after`"]),
        ("health = true", 10, &["must be a table"]),
        ("ejection = { failures = -1 }", 25, &["cannot be -1", "from 0 to"]),
        ("ejection = { time = \"0s\" }", 21, &["cannot be zero"]),
        (
            "ejection = { most = 50 }",
            21,
            &["must be a percentage", "did you mean \"50%\"?"],
        ),
        ("ejection = { most = 0.5 }", 21, &["must be a percentage, not a float"]),
        ("ejection = { most = 500 }", 21, &["must be a percentage"]),
        (
            "ejection = { most = \"101%\" }",
            21,
            &["is not a percentage", "from 0 to 100"],
        ),
        ("ejection = { most = \"-1%\" }", 21, &["is not a percentage"]),
        ("ejection = { most = \"+1%\" }", 21, &["is not a percentage"]),
        ("ejection = { most = \"%\" }", 21, &["is not a percentage"]),
        ("ejection = { most = \"50\" }", 21, &["is not a percentage", "\"20%\""]),
        ("ejection = { most = \"5.5%\" }", 21, &["is not a percentage"]),
        ("ejection = { most = \"300%\" }", 21, &["is not a percentage"]),
        ("timeout = { connect = \"0s\" }", 23, &["cannot be zero"]),
        ("timeout = { first_byte = \"0s\" }", 26, &["cannot be zero"]),
        ("timeout = { idle = \"0s\" }", 20, &["cannot be zero"]),
        ("timeout = { tunnel = \"0s\" }", 22, &["cannot be zero"]),
        ("timeout = { total = \"-1s\" }", 21, &["is not a duration"]),
        ("timeout = { conect = \"1s\" }", 13, &["did you mean `connect`?"]),
        ("timeout = { read = \"1s\" }", 13, &["did you mean `first_byte`?"]),
        ("timeout = \"5s\"", 11, &["must be a table"]),
        ("retry = { attempts = 11 }", 22, &["cannot be 11", "from 0 to 10"]),
        ("retry = { retries = 1 }", 11, &["did you mean `attempts`?"]),
        ("retry = { budget = 0.2 }", 20, &["must be a percentage"]),
        ("retry = 3", 9, &["must be a table"]),
        ("limits = { connections = 0 }", 26, &["cannot be 0", "from 1 to 65535"]),
        ("limits = { connections = 65536 }", 26, &["cannot be 65536"]),
        ("limits = { pending = -1 }", 22, &["cannot be -1", "from 0 to"]),
        ("limits = { requests = 0 }", 23, &["cannot be 0"]),
        ("limits = { body = \"1MiB\" }", 12, &["unknown key `body`"]),
        ("keepalive = \"30s\"", 13, &["must be a table"]),
        ("keepalive = { idle = \"0s\" }", 22, &["cannot be zero"]),
        ("keepalive = { idle_timeout = \"1s\" }", 15, &["did you mean `idle`?"]),
        ("tls = true", 7, &["must be a table, not a boolean", "write tls = {}"]),
        (
            "tls = { cert = \"a.pem\" }",
            16,
            &["is given without `key`", "`key` is missing"],
        ),
        (
            "tls = { key = \"a.key\" }",
            15,
            &["is given without `cert`", "add `cert`"],
        ),
        ("tls = { sni = \"a\" }", 9, &["did you mean `server_name`?"]),
        ("tls = { verify = false }", 9, &["unknown key `verify`"]),
        ("server = []", 1, &["did you mean `servers`?"]),
        ("lb = \"random\"", 1, &["did you mean `balance`?"]),
        ("health_check = {}", 1, &["did you mean `health`?"]),
        ("retries = 1", 1, &["did you mean `retry`?"]),
    ] {
        let place = if column == 0 {
            "4:8".to_owned()
        } else {
            format!("3:{column}")
        };
        assert_bad(&with(line), &place, words);
    }
}

#[test]
fn wrong_keys_of_a_hash_are_refused() {
    let help = "one of \"address\", \"path\", { header = \"..\" } and { cookie = \"..\" }";
    for (value, column, words) in [
        ("\"adress\"", 8, &["did you mean \"address\"?", help][..]),
        ("\"header\"", 8, &["cannot be \"header\"", help]),
        ("5", 8, &["must be a string or a table", help]),
        ("{}", 8, &["names no one part of a request", help]),
        (
            "{ header = \"a\", cookie = \"b\" }",
            8,
            &["exactly one of `header` and `cookie`"],
        ),
        ("{ header = \"a b\" }", 19, &["is not the name of a header field"]),
        ("{ header = 5 }", 19, &["must be a string"]),
        ("{ cookie = \"\" }", 19, &["is not the name of a cookie"]),
        ("{ cookie = \"a=b\" }", 19, &["is not the name of a cookie"]),
        ("{ cookie = \"a;b\" }", 19, &["is not the name of a cookie"]),
        ("{ coookie = \"a\", header = \"a\" }", 10, &["did you mean `cookie`?"]),
    ] {
        assert_bad(
            &with(&format!("balance = \"hash\"\nhash = {value}")),
            &format!("4:{column}"),
            words,
        );
    }
}

#[test]
fn a_word_that_cannot_be_read_says_nothing_of_the_hash() {
    assert_bad(
        &with("balance = \"hsh\"\nhash = \"path\""),
        "3:11",
        &["did you mean \"hash\"?"],
    );
}

#[test]
fn there_are_only_so_many_upstreams() {
    let text: String = (0..=limits::UPSTREAMS_COUNT)
        .map(|index| format!("[upstream.u{index}]\nservers = [\"a:1\"]\n"))
        .collect();
    let errors = bad(&text);
    assert_eq!(errors, [" there are 10001 upstreams | - | at most 10000 upstreams"]);
}

#[test]
fn names_have_a_form() {
    for name in ["A", "\"a b\"", "\"\"", "-a"] {
        assert_bad(
            &format!("[upstream.{name}]\nservers = [\"a:1\"]"),
            "1:11",
            &["cannot be the name of an upstream", "1 to 64"],
        );
    }
}

#[test]
fn every_error_is_reported() {
    let errors =
        bad("[upstream.X]\nservers = [\"a\", 5]\nbalance = 1\nhash = 2\nresolve = 3\nhealth = 4\ntls = 5\nx = 6");
    let places: Vec<_> = errors.iter().filter_map(|error| error.split(' ').next()).collect();
    assert_eq!(
        places,
        ["1:11", "2:12", "2:17", "3:11", "4:8", "5:11", "6:10", "7:7", "8:1"]
    );
}

#[test]
fn files_must_be_there() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.pem"), "x").unwrap();
    let text = "[[listener]]\naddress = \"127.0.0.1:1\"\n[upstream.x]\nservers = [\"a:1\"]\n\
        tls = { ca = \".\", cert = \"a.pem\", key = \"missing.key\" }\n";
    let source = Source::toml("gateway.toml", folder.path(), text);
    let errors = Config::from_sources(vec![source], Options::default()).expect_err("refused");
    let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
    let [authorities, key] = errors.as_slice() else {
        panic!("two errors: {errors:#?}")
    };
    assert!(
        authorities.starts_with("gateway.toml:5:14: ") && authorities.contains("it is not a file"),
        "{authorities}"
    );
    assert!(
        key.starts_with("gateway.toml:5:41: ") && key.contains("missing.key cannot be read"),
        "{key}"
    );
}

#[test]
fn json_says_the_same() {
    let text = format!(
        "{}\nbalance = \"hash\"\nhash = \"path\"\nhealth = {{ tcp = true }}\nretry = {{ budget = \"5%\" }}",
        with("tls = {}")
    );
    let text = toml(&format!("{text}\n[[listener]]\naddress = \"127.0.0.1:1\"")).unwrap();
    let twin = json(
        r#"{ "listener": [{ "address": "127.0.0.1:1" }], "upstream": { "x": {
            "servers": [{ "address": "a:1", "weight": null }], "tls": {}, "balance": "hash", "hash": "path",
            "health": { "tcp": true, "path": null }, "retry": { "budget": "5%" }, "keepalive": null } } }"#,
    );
    assert_eq!(text.upstreams, twin.unwrap().upstreams);
}

#[test]
fn equality_is_what_is_said_and_not_where() {
    let one = good(&with(""));
    let moved = good(&format!("\n\n# here\n{}", with("retry = { attempts = 2 }")));
    assert_eq!(one.upstreams, moved.upstreams);
    assert_ne!(one.digest, moved.digest);
    for other in [
        "retry = { attempts = 1 }",
        "tls = {}",
        "health = { tcp = true }",
        "resolve = \"6s\"",
        "protocol = \"h2\"",
    ] {
        assert_ne!(one.upstreams, good(&with(other)).upstreams, "{other}");
    }
}
