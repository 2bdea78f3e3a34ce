use super::super::tests::{assert_bad, bad, good};
use super::*;

fn address(text: &str) -> AdminAddress {
    good(&format!("[admin]\naddress = \"{text}\""))
        .admin
        .expect("an admin listener")
        .address
}

#[test]
fn loopback_addresses_are_taken() {
    for text in [
        "127.0.0.1:9180",
        "127.1.2.3:9180",
        "[::1]:9180",
        "127.0.0.1:0",
        "[::ffff:127.0.0.1]:9180",
    ] {
        assert_eq!(address(text), AdminAddress::Tcp(text.parse().unwrap()), "{text}");
        assert_eq!(address(text).to_string(), text);
    }
}

#[test]
fn unix_sockets_are_taken() {
    assert_eq!(address("unix:/run/x.sock"), AdminAddress::Unix("/run/x.sock".into()));
    assert_eq!(
        address("unix:x.sock"),
        AdminAddress::Unix("/etc/tidegate/x.sock".into())
    );
    assert_eq!(address("unix:/run/x.sock").to_string(), "unix:/run/x.sock");
}

#[test]
fn without_the_table_there_is_none() {
    assert_eq!(good("").admin, None);
}

#[test]
fn other_machines_are_kept_out() {
    for text in [
        "0.0.0.0:9180",
        "[::]:9180",
        "10.0.0.1:9180",
        "[2001:db8::1]:0",
        "[::ffff:10.0.0.1]:1",
    ] {
        let words = &[
            "can be reached from other machines",
            "not a loopback address",
            "unix socket",
        ];
        assert_bad(&format!("[admin]\naddress = \"{text}\""), "2:11", words);
    }
}

#[test]
fn what_is_no_address_is_refused() {
    for (value, words) in [
        (
            "\"localhost:9180\"",
            &["is not an address", "write \"127.0.0.1:9180\""][..],
        ),
        ("\":9180\"", &["is not an address", "\"0.0.0.0:9180\""]),
        ("\"127.0.0.1\"", &["is not an address", "an IP address and a port"]),
        ("\"127.0.0.1:99999\"", &["is not an address"]),
        ("\"unix:\"", &["names no unix socket"]),
        ("\"unix:a\\u0000b\"", &["names no unix socket"]),
        ("9180", &["must be a string, not an integer"]),
        ("[\"127.0.0.1:9180\"]", &["must be a string, not a list"]),
    ] {
        assert_bad(&format!("[admin]\naddress = {value}"), "2:11", words);
    }
}

#[test]
fn a_socket_path_fits_the_kernel() {
    let fits = format!("unix:/{}", "x".repeat(limits::UNIX_PATH_BYTES - 1));
    assert!(matches!(address(&fits), AdminAddress::Unix(_)));
    assert_bad(
        &format!("[admin]\naddress = \"{fits}x\""),
        "2:11",
        &["too long", "at most 107 bytes"],
    );
}

#[test]
fn the_address_must_be_given() {
    assert_bad("[admin]", "1:1", &["`admin` has no `address`", "\"127.0.0.1:9180\""]);
    let errors = bad("[admin]\nlisten = \"127.0.0.1:9180\"");
    assert_eq!(errors.len(), 2, "{errors:#?}");
    assert!(
        errors[1].contains("unknown key `listen`") && errors[1].contains("did you mean `address`?"),
        "{errors:#?}"
    );
}

#[test]
fn it_is_never_a_public_listener() {
    for public in ["127.0.0.1:9180", "0.0.0.0:9180", "[::]:9180"] {
        let text = format!("[[listener]]\naddress = \"{public}\"\n[admin]\naddress = \"127.0.0.1:9180\"");
        assert_bad(&text, "2:11", &["is taken by the admin API", "a port of its own"]);
    }
    good("[[listener]]\naddress = \"0.0.0.0:9181\"\n[admin]\naddress = \"127.0.0.1:9180\"");
    good("[[listener]]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"127.0.0.1:0\"");
}
