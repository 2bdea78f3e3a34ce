use std::path::Path;
use std::time::Duration;

use super::super::tests::{assert_bad, bad, good, toml};
use super::*;

#[test]
fn every_key_is_read() {
    let text = "[gateway]\ndata_dir = \"/srv/tidegate\"\nworkers = 4\npool_reset = \"scan\"\ndrain = \"1m 30s\"\ndev = true\ndns = [\"10.0.0.53:5353\"]\naccess_log = \"log/access.jsonl\"";
    let expected = GatewayConfig {
        data_dir: "/srv/tidegate".into(),
        workers: 4,
        pool_reset: PoolReset::Scan,
        drain: Duration::from_secs(90),
        access_log: AccessLogConfig::File("/etc/tidegate/log/access.jsonl".into()),
        dev: true,
        dns: vec!["10.0.0.53:5353".parse().unwrap()],
    };
    assert_eq!(good(&format!("{text}\n")).gateway, expected);
}

#[test]
fn an_empty_table_is_the_default() {
    assert_eq!(good("[gateway]").gateway, good("").gateway);
    assert_eq!(good("").gateway.drain, limits::DRAIN_DEADLINE);
}

#[test]
fn relative_paths_start_from_the_file() {
    assert_eq!(
        good("[gateway]\ndata_dir = \"../var/x\"").gateway.data_dir,
        Path::new("/etc/tidegate/../var/x")
    );
}

#[test]
fn the_access_log_is_a_word_or_a_file() {
    let log = |value: &str| good(&format!("[gateway]\naccess_log = \"{value}\"")).gateway.access_log;
    assert_eq!(log("stdout"), AccessLogConfig::Stdout);
    assert_eq!(log("stderr"), AccessLogConfig::Stderr);
    assert_eq!(log("off"), AccessLogConfig::Off);
    assert_eq!(log("/var/log/a.log"), AccessLogConfig::File("/var/log/a.log".into()));
    assert_eq!(bad("[gateway]\naccess_log = \"\"").len(), 1);
    assert_eq!(bad("[gateway]\naccess_log = true").len(), 1);
}

#[test]
fn a_drain_of_zero_cuts_at_once() {
    assert_eq!(good("[gateway]\ndrain = \"0s\"").gateway.drain, Duration::ZERO);
}

#[test]
fn name_servers_are_addresses() {
    let dns = |list: &str| {
        let dns = good(&format!("[gateway]\ndns = {list}")).gateway.dns;
        dns.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert!(good("[gateway]").gateway.dns.is_empty());
    assert!(dns("[]").is_empty());
    assert_eq!(dns("[\"127.0.0.1\"]"), ["127.0.0.1:53"]);
    assert_eq!(
        dns("[\"9.9.9.9:5353\", \"::1\", \"[::1]\", \"[2001:db8::1]:54\"]"),
        ["9.9.9.9:5353", "[::1]:53", "[::1]:53", "[2001:db8::1]:54"]
    );
    for (list, column, words) in [
        ("\"127.0.0.1\"", 7, &["`gateway.dns` must be a list, not a string"][..]),
        ("[53]", 8, &["`gateway.dns[0]` must be a string"]),
        ("[\"\"]", 8, &["`gateway.dns[0]` is not the address of a name server"]),
        ("[\"dns.google\"]", 8, &["not an IP address", "\"[::1]:5353\""]),
        ("[\"localhost:53\"]", 8, &["not an IP address"]),
        ("[\"127.0.0.1\", \"127.1\"]", 21, &["`gateway.dns[1]`"]),
        ("[\"127.0.0.1:0\"]", 8, &["is not the address of a name server"]),
        ("[\"127.0.0.1:65536\"]", 8, &["is not the address of a name server"]),
        ("[\"127.0.0.1:\"]", 8, &["is not the address of a name server"]),
        ("[\"0.0.0.0\"]", 8, &["is not the address of a name server"]),
        ("[\"[::]:53\"]", 8, &["is not the address of a name server"]),
        ("[\"[::1\"]", 8, &["is not the address of a name server"]),
        ("[\"[[::1]]\"]", 8, &["is not the address of a name server"]),
        ("[\"udp://127.0.0.1\"]", 8, &["is not the address of a name server"]),
    ] {
        assert_bad(&format!("[gateway]\ndns = {list}"), &format!("2:{column}"), words);
    }
    let list = |count| format!("[{}]", vec!["\"127.0.0.1\""; count].join(", "));
    assert_eq!(dns(&list(limits::DNS_SERVERS_COUNT)).len(), limits::DNS_SERVERS_COUNT);
    let many = format!("[gateway]\ndns = {}", list(limits::DNS_SERVERS_COUNT + 1));
    assert_bad(&many, "2:7", &["has 9 entries", "at most 8"]);
}

#[test]
fn wrong_values_are_refused() {
    for (line, column, words) in [
        ("data_dir = 1", 12, &["must be a string, not an integer"][..]),
        ("data_dir = \"\"", 12, &["is not a path"]),
        ("data_dir = \"a\\u0000b\"", 12, &["is not a path"]),
        ("workers = -1", 11, &["cannot be -1", "from 0 to 1024"]),
        ("workers = 1025", 11, &["cannot be 1025"]),
        ("workers = 99999999999999999999999999999", 11, &["out of range"]),
        ("workers = 1.5", 11, &["must be a whole number, not a float"]),
        ("workers = \"4\"", 11, &["must be a whole number, not a string"]),
        ("workers = true", 11, &["not a boolean"]),
        ("workers = 1979-05-27", 11, &["not a date"]),
        (
            "pool_reset = \"scann\"",
            14,
            &["did you mean \"scan\"?", "one of \"decommit\", \"scan\""],
        ),
        ("pool_reset = \"madvise\"", 14, &["not one of the known words"]),
        ("pool_reset = true", 14, &["must be a string"]),
        (
            "drain = 30",
            9,
            &["a duration with its unit", "if seconds are meant, write \"30s\""],
        ),
        ("drain = \"30\"", 9, &["is not a duration", "\"500ms\""]),
        ("drain = \"-5s\"", 9, &["is not a duration"]),
        ("drain = \"5 parsecs\"", 9, &["is not a duration"]),
        ("drain = \"\"", 9, &["is not a duration"]),
        ("drain = \"367days\"", 9, &["is too long", "at most 1year"]),
        ("drain = \"99999999999999999999s\"", 9, &["is not a duration"]),
        ("drain = []", 9, &["must be a duration, not a list"]),
        ("dev = \"yes\"", 7, &["must be true or false, not a string"]),
        ("dev = 1", 7, &["must be true or false"]),
    ] {
        assert_bad(&format!("[gateway]\n{line}"), &format!("2:{column}"), words);
    }
}

#[test]
fn misspelt_keys_are_answered_with_the_right_ones() {
    for (key, meant) in [
        ("data-dir", "data_dir"),
        ("datadir", "data_dir"),
        ("state_dir", "data_dir"),
        ("worker", "workers"),
        ("threads", "workers"),
        ("pool-reset", "pool_reset"),
        ("nameservers", "dns"),
        ("resolver", "dns"),
        ("Drain", "drain"),
    ] {
        assert_bad(
            &format!("[gateway]\n{key} = 1"),
            "2:1",
            &[&format!("did you mean `{meant}`?")],
        );
    }
    assert_bad(
        "[gateway]\nbanana = 1",
        "2:1",
        &[
            "not a key of this table",
            "known keys: access_log, data_dir, dev, dns, drain",
        ],
    );
}

#[test]
fn every_error_is_reported() {
    let errors = bad("[gateway]\nworkers = -1\ndrain = 1\ndev = 2\npool_reset = 3\ndata_dir = 4\nx = 5");
    let places: Vec<_> = errors.iter().filter_map(|error| error.split(' ').next()).collect();
    assert_eq!(places, ["2:11", "3:9", "4:7", "5:14", "6:12", "7:1"]);
}

#[test]
fn there_is_one() {
    let errors = toml("[[gateway]]\nworkers = 1").expect_err("refused").to_string();
    assert!(errors.contains("`gateway` must be a table, not a list"), "{errors}");
}
