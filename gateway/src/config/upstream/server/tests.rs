use super::super::super::tests::{assert_bad, good};
use super::*;

#[test]
fn a_server_name_is_a_name_or_an_address() {
    let with = |name: &str| format!("[upstream.x]\nservers = [\"a:1\"]\ntls = {{ server_name = \"{name}\" }}");
    for (text, name) in [
        ("a.b", "a.b"),
        ("LOCALHOST", "localhost"),
        ("10.0.0.7", "10.0.0.7"),
        ("::1", "::1"),
        ("[2001:DB8::1]", "2001:db8::1"),
    ] {
        let tls = good(&with(text)).upstreams["x"].tls.clone();
        assert_eq!(tls.unwrap().server_name.as_deref(), Some(name));
    }
    for text in [
        "",
        "*.a.b",
        "a.b:443",
        "https://a.b",
        "a b",
        "\u{e9}",
        "127.1",
        "a..b",
        "[::1",
        "0.0.0.0",
    ] {
        let words = &["is not a server's name", "without a port"];
        assert_bad(&with(text), "3:23", words);
    }
}

#[test]
fn wrong_servers_are_refused() {
    for (value, column, words) in [
        ("[]", 11, &["`upstream.x.servers` holds no server", "add one"][..]),
        ("\"a:1\"", 11, &["must be a list, not a string"]),
        (
            "[5]",
            12,
            &["`upstream.x.servers[0]` must be a string or a table", "weight = 2"],
        ),
        ("[\"\"]", 12, &["it names no host", "127.0.0.1:9001"]),
        ("[\":80\"]", 12, &["it names no host"]),
        (
            "[\"api.internal\"]",
            12,
            &["it has no port", "such as \"api.internal:8080\"", "taken for granted"],
        ),
        ("[\"10.0.0.7\"]", 12, &["it has no port"]),
        ("[\"[::1]\"]", 12, &["it has no port", "[::1]:8080"]),
        ("[\"a:0\"]", 12, &["its port is not a port", "from 1 to 65535"]),
        ("[\"a:65536\"]", 12, &["its port is not a port"]),
        ("[\"a:+1\"]", 12, &["its port is not a port"]),
        ("[\"a:\"]", 12, &["its port is not a port"]),
        ("[\"a:http\"]", 12, &["its port is not a port"]),
        ("[\"::1:80\"]", 12, &["without brackets", "[::1]:8080"]),
        ("[\"[fe80::1%eth0]:80\"]", 12, &["not an IPv6 address"]),
        ("[\"http://a:80\"]", 12, &["it has a scheme", "write \"a:80\""]),
        ("[\"http://a\"]", 12, &["it has a scheme", "write host:port"]),
        (
            "[\"https://a:443/x\"]",
            12,
            &["write \"a:443\"", "tls = {} is what makes it https"],
        ),
        ("[\"h2c://a:80\"]", 12, &["it has a scheme"]),
        (
            "[\"unix:/run/x.sock\"]",
            12,
            &["unix sockets are not served by this version"],
        ),
        ("[\"a:80/v1\"]", 12, &["it has a path", "write \"a:80\"", "add_prefix"]),
        ("[\"a:80?x\"]", 12, &["it has a query"]),
        (
            "[\"user:secret@a:80\"]",
            12,
            &["it has a user name", "what follows the @"],
        ),
        ("[\"*.a.b:80\"]", 12, &["it has a wildcard", "each server by itself"]),
        ("[\"*:80\"]", 12, &["it has a wildcard"]),
        (
            "[\"0.0.0.0:80\"]",
            12,
            &["no one server has its address", "127.0.0.1 for this machine"],
        ),
        (
            "[\"127.1:80\"]",
            12,
            &["not an address in its usual notation", "write 127.0.0.1"],
        ),
        ("[\"a_b c:80\"]", 12, &["a character that host names have not"]),
        ("[\"\u{e9}:80\"]", 12, &["not in ASCII", "xn--"]),
        ("[{}]", 12, &["has no `address`"]),
        ("[{ address = 5 }]", 24, &["must be a string"]),
        ("[{ address = \"a\" }]", 24, &["it has no port"]),
        (
            "[{ address = \"a:1\", weight = 0 }]",
            40,
            &["cannot be 0", "from 1 to 256"],
        ),
        ("[{ address = \"a:1\", weight = 257 }]", 40, &["cannot be 257"]),
        (
            "[{ address = \"a:1\", weight = \"2\" }]",
            40,
            &["must be a whole number"],
        ),
        (
            "[{ addr = \"a:1\", address = \"a:1\" }]",
            14,
            &["did you mean `address`?"],
        ),
        (
            "[\"a:1\", \"b:1\", \"A.:1\"]",
            26,
            &["the server a:1 is given twice", "gateway.toml:2:12", "`weight`"],
        ),
        (
            "[\"10.0.0.1:1\", { address = \"[::ffff:10.0.0.1]:1\", weight = 2 }]",
            38,
            &["the server 10.0.0.1:1 is given twice"],
        ),
    ] {
        assert_bad(
            &format!("[upstream.x]\nservers = {value}"),
            &format!("2:{column}"),
            words,
        );
    }
    assert_bad(
        "[upstream.x]",
        "1:1",
        &["`upstream.x` has no `servers`", "such as servers = ["],
    );
    good("[upstream.x]\nservers = [\"a:1\", \"a:2\", \"b:1\"]");
}

#[test]
fn there_are_only_so_many_servers() {
    let servers = |count: usize| {
        let servers: Vec<_> = (0..count).map(|index| format!("\"s{index}:1\"")).collect();
        format!("[upstream.x]\nservers = [{}]", servers.join(", "))
    };
    good(&servers(limits::UPSTREAM_SERVERS_COUNT));
    assert_bad(
        &servers(limits::UPSTREAM_SERVERS_COUNT + 1),
        "2:11",
        &["1025 servers", "at most 1024"],
    );
}
