//! Destinations as text, and the table they are in.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use proptest::prelude::*;

use super::super::tests::{LISTENER, TEXT_ONLY, assert_bad, bad, good, json};
use super::super::{Config, ConfigErrors, Options, ReportStyle, Source};
use super::*;
use crate::limits;

const HEAD: &str = "[component.x]\nsource = \"x.wasm\"\n[component.x.grants]\n";

fn grants(text: &str) -> Grants {
    good(&format!("{HEAD}{text}")).components["x"].grants.clone()
}

/// Reads grants with files looked at, from a folder with an x.wasm.
fn load(folder: &Path, text: &str) -> Result<Grants, ConfigErrors> {
    let source = Source::toml("gateway.toml", folder, format!("{HEAD}{text}\n{LISTENER}"));
    let config = Config::from_sources(vec![source], Options::default())?;
    Ok(config.components["x"].grants.clone())
}

fn http(scheme: Option<HttpScheme>, host: HostGrant, port: PortGrant) -> HttpGrant {
    HttpGrant { scheme, host, port }
}

fn name(text: &str) -> HostGrant {
    HostGrant::Name(text.into())
}

fn suffix(text: &str) -> HostGrant {
    HostGrant::Suffix(text.into())
}

fn v4(a: u8, b: u8, c: u8, d: u8) -> HostGrant {
    HostGrant::Address(IpAddr::V4(Ipv4Addr::new(a, b, c, d)))
}

#[test]
fn nothing_is_granted_unless_it_is_written() {
    assert_eq!(
        good("[component.x]\nsource = \"x\"").components["x"].grants,
        Grants::default()
    );
    assert_eq!(grants(""), Grants::default());
    assert_eq!(grants("http = []\ndirs = []\nsockets = []"), Grants::default());
    assert!(Grants::default().http.is_empty() && Grants::default().dirs.is_empty());
    assert!(Grants::default().sockets.is_empty());
}

#[test]
fn every_form_of_destination_is_read() {
    let https = Some(HttpScheme::Https);
    let plain = Some(HttpScheme::Http);
    let loopback = HostGrant::Address(IpAddr::V6(Ipv6Addr::LOCALHOST));
    let longest = "a".repeat(63);
    for (text, expected) in [
        ("*", http(None, HostGrant::Any, PortGrant::Any)),
        ("*:*", http(None, HostGrant::Any, PortGrant::Any)),
        ("*:8080", http(None, HostGrant::Any, PortGrant::Exact(8080))),
        ("https://*", http(https, HostGrant::Any, PortGrant::Any)),
        ("https://*:443", http(https, HostGrant::Any, PortGrant::Exact(443))),
        ("*.example.com", http(None, suffix("example.com"), PortGrant::Default)),
        (
            "*.internal:8080",
            http(None, suffix("internal"), PortGrant::Exact(8080)),
        ),
        (
            "https://*.example.com:*",
            http(https, suffix("example.com"), PortGrant::Any),
        ),
        (
            "https://api.example.com",
            http(https, name("api.example.com"), PortGrant::Default),
        ),
        (
            "http://API.Example.COM.:80",
            http(plain, name("api.example.com"), PortGrant::Exact(80)),
        ),
        ("localhost:3000", http(None, name("localhost"), PortGrant::Exact(3000))),
        (
            "_dns-sd.x_y.example",
            http(None, name("_dns-sd.x_y.example"), PortGrant::Default),
        ),
        (
            "xn--bcher-kva.example",
            http(None, name("xn--bcher-kva.example"), PortGrant::Default),
        ),
        (&longest, http(None, name(&longest), PortGrant::Default)),
        (
            "3com.example.3com",
            http(None, name("3com.example.3com"), PortGrant::Default),
        ),
        ("127.0.0.1", http(None, v4(127, 0, 0, 1), PortGrant::Default)),
        (
            "http://10.0.0.7:65535",
            http(plain, v4(10, 0, 0, 7), PortGrant::Exact(65535)),
        ),
        ("[::1]:*", http(None, loopback.clone(), PortGrant::Any)),
        ("https://[0:0:0:0:0:0:0:1]", http(https, loopback, PortGrant::Default)),
        ("[::ffff:127.0.0.1]", http(None, v4(127, 0, 0, 1), PortGrant::Default)),
    ] {
        assert_eq!(text.parse(), Ok(expected), "{text}");
    }
}

#[test]
fn destinations_are_shown_as_they_are_written() {
    for text in [
        "*",
        "*:8080",
        "https://*",
        "http://*:80",
        "*.example.com",
        "https://*.example.com:*",
        "https://api.example.com",
        "api.example.com:8443",
        "http://127.0.0.1:*",
        "[::1]",
        "https://[2001:db8::1]:8443",
    ] {
        assert_eq!(text.parse::<HttpGrant>().unwrap().to_string(), text);
    }
    for text in ["db.internal:5432", "127.0.0.1:6379", "[::1]:53"] {
        assert_eq!(text.parse::<SocketGrant>().unwrap().to_string(), text);
    }
}

/// Every text here is refused for this reason, with these words in the help.
#[track_caller]
fn assert_refused<T: std::str::FromStr<Err = InvalidGrant> + std::fmt::Debug>(cases: &[(&str, InvalidGrant, &str)]) {
    for (text, reason, words) in cases {
        let error = text.parse::<T>().expect_err(text);
        assert_eq!(error, *reason, "{text}");
        let help = error.help(text);
        assert!(help.contains(words), "{text}: {words:?} is not in {help:?}");
    }
}

#[test]
fn what_a_page_has_is_no_destination() {
    assert_refused::<HttpGrant>(&[
        (
            "https://api.example.com/",
            InvalidGrant::Path,
            "not a page: write https://api.example.com",
        ),
        (
            "https://api.example.com:8443/v1/*",
            InvalidGrant::Path,
            "write https://api.example.com:8443",
        ),
        ("api.example.com/v1", InvalidGrant::Path, "write api.example.com"),
        ("https://[::1]/x", InvalidGrant::Path, "write https://[::1]"),
        (
            "https://api.example.com?x=1",
            InvalidGrant::Query,
            "not a page: write https://api.example.com",
        ),
        (
            "https://api.example.com#top",
            InvalidGrant::Fragment,
            "not a page: write https://api.example.com",
        ),
        (
            "https://u:secret@example.com",
            InvalidGrant::Userinfo,
            "write what follows the @",
        ),
        ("u@example.com", InvalidGrant::Userinfo, "credentials"),
        ("https://u@example.com/path", InvalidGrant::Userinfo, "credentials"),
        (
            "https://example.com/@x",
            InvalidGrant::Path,
            "write https://example.com",
        ),
        (
            "https://example.com\\@evil.example",
            InvalidGrant::Userinfo,
            "credentials",
        ),
        ("/data", InvalidGrant::Empty, "name a host"),
        ("https:///x", InvalidGrant::Empty, "name a host"),
        ("//example.com", InvalidGrant::Empty, "name a host"),
    ]);
    let help = InvalidGrant::Userinfo.help("https://u:secret@example.com");
    assert!(!help.contains("secret"), "{help}");
}

#[test]
fn schemes_are_http_and_https() {
    assert_refused::<HttpGrant>(&[
        ("ftp://example.com", InvalidGrant::Scheme, "http:// or https://"),
        ("ws://example.com", InvalidGrant::Scheme, "http:// or https://"),
        ("*://example.com", InvalidGrant::Scheme, "no scheme for both"),
        ("://example.com", InvalidGrant::Scheme, "http:// or https://"),
        (" https://example.com", InvalidGrant::Scheme, "http:// or https://"),
        (
            "HTTPS://example.com",
            InvalidGrant::SchemeCase,
            "write https://example.com",
        ),
        ("Http://x:80", InvalidGrant::SchemeCase, "write http://x:80"),
    ]);
}

#[test]
fn names_are_names_of_dns() {
    let label = "a".repeat(64);
    let long = ["a"; 128].join(".");
    assert!("a".repeat(63).parse::<HttpGrant>().is_ok());
    assert!(["a"; 127].join(".").parse::<HttpGrant>().is_ok());
    assert_refused::<HttpGrant>(&[
        ("", InvalidGrant::Empty, "name a host"),
        ("https://", InvalidGrant::Empty, "name a host"),
        (":8080", InvalidGrant::Empty, "name a host"),
        ("https://:443", InvalidGrant::Empty, "name a host"),
        (".", InvalidGrant::Length, "between dots"),
        ("..", InvalidGrant::Length, "between dots"),
        (".example.com", InvalidGrant::Length, "between dots"),
        ("a..example.com", InvalidGrant::Length, "between dots"),
        ("example.com..", InvalidGrant::Length, "between dots"),
        (&label, InvalidGrant::Length, "1 to 63"),
        (&long, InvalidGrant::Length, "at most 253"),
        ("b\u{fc}cher.example", InvalidGrant::NotAscii, "xn--"),
        ("ex\u{430}mple.com", InvalidGrant::NotAscii, "xn--"),
        ("example\u{3002}com", InvalidGrant::NotAscii, "xn--"),
        ("exam ple.com", InvalidGrant::Character, "letters, digits"),
        ("example.com ", InvalidGrant::Character, "letters, digits"),
        ("example.com\n", InvalidGrant::Character, "letters, digits"),
        ("example.com\0", InvalidGrant::Character, "letters, digits"),
        ("example%2ecom", InvalidGrant::Character, "letters, digits"),
        ("a,b", InvalidGrant::Character, "letters, digits"),
        ("example.com\\x", InvalidGrant::Character, "letters, digits"),
    ]);
}

#[test]
fn wildcards_are_whole_labels_at_the_front() {
    assert_refused::<HttpGrant>(&[
        ("*example.com", InvalidGrant::Wildcard, "*.example.com"),
        ("api.*.com", InvalidGrant::Wildcard, "first label"),
        ("*.*.com", InvalidGrant::Wildcard, "first label"),
        ("**", InvalidGrant::Wildcard, "first label"),
        ("example.*", InvalidGrant::Wildcard, "first label"),
        ("10.0.0.*", InvalidGrant::Wildcard, "first label"),
        ("*.0.0.1", InvalidGrant::Wildcard, "first label"),
        ("*.", InvalidGrant::Length, "between dots"),
        ("*..com", InvalidGrant::Length, "between dots"),
        ("[*]", InvalidGrant::Ipv6, "without a zone"),
    ]);
}

#[test]
fn ports_are_numbers() {
    for port in [
        "",
        "0",
        "65536",
        "-1",
        "+80",
        "080",
        " 80",
        "80 ",
        "http",
        "8o",
        "**",
        "80-90",
        "999999999999",
    ] {
        let text = format!("example.com:{port}");
        assert_refused::<HttpGrant>(&[(&text, InvalidGrant::Port, "1 to 65535")]);
    }
    assert_refused::<HttpGrant>(&[
        ("*:x", InvalidGrant::Port, "1 to 65535"),
        ("[::1]:0", InvalidGrant::Port, "1 to 65535"),
        ("a:80:90", InvalidGrant::Brackets, "[::1]"),
    ]);
}

#[test]
fn addresses_have_one_notation() {
    assert_refused::<HttpGrant>(&[
        ("0x7f.1", InvalidGrant::Notation, "write 127.0.0.1"),
        ("127.1", InvalidGrant::Notation, "write 127.0.0.1"),
        ("https://2130706433:80", InvalidGrant::Notation, "write 127.0.0.1"),
        ("0x7F000001", InvalidGrant::Notation, "write 127.0.0.1"),
        ("0177.0.0.1", InvalidGrant::Notation, "write 127.0.0.1"),
        ("127.0.0.01", InvalidGrant::Notation, "write 127.0.0.1"),
        ("10.65535", InvalidGrant::Notation, "write 10.0.255.255"),
        ("10.16777216", InvalidGrant::Notation, "four decimal numbers"),
        ("256.0.0.1", InvalidGrant::Notation, "four decimal numbers"),
        ("1.2.3.4.5", InvalidGrant::Notation, "four decimal numbers"),
        ("4294967296", InvalidGrant::Notation, "four decimal numbers"),
        ("127.0.0.1.", InvalidGrant::Notation, "four decimal numbers"),
        ("example.0x", InvalidGrant::Notation, "four decimal numbers"),
        ("08.0.0.1", InvalidGrant::Notation, "four decimal numbers"),
        ("example.1", InvalidGrant::Notation, "four decimal numbers"),
        ("::1", InvalidGrant::Brackets, "[::1]"),
        ("2001:db8::1", InvalidGrant::Brackets, "in brackets"),
        ("https://fe80::1", InvalidGrant::Brackets, "in brackets"),
        ("[::1", InvalidGrant::Ipv6, "[2001:db8::1]"),
        ("[]", InvalidGrant::Ipv6, "[2001:db8::1]"),
        ("[::1]x", InvalidGrant::Ipv6, "[2001:db8::1]"),
        ("[127.0.0.1]", InvalidGrant::Ipv6, "[2001:db8::1]"),
        ("[fe80::1%eth0]", InvalidGrant::Ipv6, "without a zone"),
        ("[fe80::1%25eth0]:80", InvalidGrant::Ipv6, "without a zone"),
        ("[example.com]", InvalidGrant::Ipv6, "[2001:db8::1]"),
        ("[[::1]]", InvalidGrant::Ipv6, "[2001:db8::1]"),
    ]);
}

#[test]
fn what_can_never_be_reached_is_not_granted() {
    assert_refused::<HttpGrant>(&[
        ("0.0.0.0", InvalidGrant::NoServer, "127.0.0.1 for this machine"),
        ("http://[::]:80", InvalidGrant::NoServer, "one server"),
        ("[::ffff:0.0.0.0]", InvalidGrant::NoServer, "one server"),
        ("224.0.0.1:*", InvalidGrant::NoServer, "one server"),
        ("[ff02::1]", InvalidGrant::NoServer, "one server"),
        ("255.255.255.255", InvalidGrant::NoServer, "one server"),
        ("*.localhost", InvalidGrant::Localhost, "write localhost"),
        ("*.app.LOCALHOST.:3000", InvalidGrant::Localhost, "every name below it"),
    ]);
    assert_refused::<SocketGrant>(&[("0.0.0.0:53", InvalidGrant::NoServer, "one server")]);
    assert_eq!(
        "*.localhost.example".parse::<HttpGrant>().unwrap().host,
        suffix("localhost.example")
    );
}

#[test]
fn sockets_are_hosts_with_ports() {
    let socket = |host, port| SocketGrant { host, port };
    for (text, expected) in [
        ("db.internal:5432", socket(name("db.internal"), 5432)),
        ("DB.Internal.:1", socket(name("db.internal"), 1)),
        ("localhost:65535", socket(name("localhost"), 65535)),
        ("127.0.0.1:6379", socket(v4(127, 0, 0, 1), 6379)),
        (
            "[::1]:53",
            socket(HostGrant::Address(IpAddr::V6(Ipv6Addr::LOCALHOST)), 53),
        ),
    ] {
        assert_eq!(text.parse(), Ok(expected), "{text}");
    }
    assert_refused::<SocketGrant>(&[
        ("", InvalidGrant::Empty, "name a host"),
        ("db.internal", InvalidGrant::NoPort, "such as db.internal:5432"),
        ("[::1]", InvalidGrant::NoPort, "such as [::1]:5432"),
        ("db.internal:", InvalidGrant::Port, "1 to 65535"),
        ("db.internal:0", InvalidGrant::Port, "1 to 65535"),
        ("db.internal:65536", InvalidGrant::Port, "1 to 65535"),
        ("*", InvalidGrant::SocketWildcard, "by itself"),
        ("*.internal:5432", InvalidGrant::SocketWildcard, "by itself"),
        ("db.internal:*", InvalidGrant::SocketWildcard, "by itself"),
        ("tcp://db.internal:5432", InvalidGrant::SocketScheme, "db.internal:5432"),
        ("db.internal:5432/app", InvalidGrant::Path, "write db.internal:5432"),
        ("u:p@db.internal:5432", InvalidGrant::Userinfo, "credentials"),
        ("127.1:6379", InvalidGrant::Notation, "write 127.0.0.1"),
        ("::1:53", InvalidGrant::Brackets, "in brackets"),
        (":53", InvalidGrant::Empty, "name a host"),
    ]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    /// What is read is shown so that it is read as the same again; nothing panics, not even the help.
    #[test]
    fn what_is_read_is_shown_as_itself(
        text in "(https?://)?(\\*|(\\*\\.)?[a-zA-Z0-9_.-]{1,20}|\\[[0-9a-f:.]{2,20}\\])(:([0-9]{1,6}|\\*))?|\\PC{0,30}|[:/@.*\\[\\]0x-]{0,12}"
    ) {
        match text.parse::<HttpGrant>() {
            Ok(grant) => prop_assert_eq!(grant.to_string().parse::<HttpGrant>(), Ok(grant)),
            Err(error) => prop_assert!(!error.help(&text).is_empty()),
        }
        match text.parse::<SocketGrant>() {
            Ok(grant) => prop_assert_eq!(grant.to_string().parse::<SocketGrant>(), Ok(grant)),
            Err(error) => prop_assert!(!error.help(&text).is_empty()),
        }
    }
}

mod table;
