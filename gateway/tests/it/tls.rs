//! TLS: which protocol, which certificate, which clients.

use crate::support::certs::{Authority, Pair, greet};
use crate::support::gateway::Builder;
use crate::support::{Client, Gateway, Protocol, Raw};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::time::{Duration, Instant};

const BOTH: [&str; 2] = ["h2", "http/1.1"];

fn der(pair: &Pair) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pair.cert.as_bytes()).expect("a certificate is PEM")
}

/// A gateway that is `a.example`, with a component behind it.
fn builder(authority: &Authority) -> Builder {
    let builder = Gateway::with().component("hello").route("{ component = 'hello' }");
    let pair = authority.sign(&["a.example"]).write(builder.folder(), "a");
    builder.tls(&[pair])
}

fn ask(raw: &mut Raw) -> Option<u16> {
    raw.write("GET / HTTP/1.1\r\nhost: a.example\r\n\r\n");
    raw.try_response().map(|answer| answer.status)
}

#[test]
fn alpn_chooses_the_protocol() {
    let authority = Authority::new();
    let gateway = builder(&authority).start();
    let address = gateway.address();
    for (offered, chosen) in [(&BOTH[..], Some("h2")), (&BOTH[1..], Some("http/1.1")), (&[], None)] {
        let greeted = greet(address, "a.example", &authority.client(offered, None)).unwrap();
        assert_eq!(greeted.alpn.as_deref(), chosen);
        if chosen != Some("h2") {
            let mut raw = greeted.raw;
            assert_eq!(ask(&mut raw), Some(200));
        }
    }
    for protocol in [Protocol::H1, Protocol::H2] {
        let offered = if protocol == Protocol::H2 {
            &BOTH[..1]
        } else {
            &BOTH[1..]
        };
        let config = authority.client(offered, None);
        let mut client = Client::connect_tls(protocol, address, "a.example", config);
        let answer = client.get("hello", "/");
        assert!(answer.status == 200 && answer.text().starts_with("Hello"), "{answer:?}");
    }
    let line = gateway.wait_access("an HTTP/2 request", |line| line["version"] == "HTTP/2");
    assert_eq!(line["scheme"], "https");
}

#[test]
fn a_client_of_one_tls_version_is_served() {
    let authority = Authority::new();
    let gateway = builder(&authority).start();
    let address = gateway.address();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let config = authority.client_of(&[version], &BOTH[1..], None);
        let mut greeted = greet(address, "a.example", &config).unwrap();
        assert_eq!(greeted.version, Some(version.version));
        assert_eq!(ask(&mut greeted.raw), Some(200), "{version:?}");
        // HTTP/2 has demands of its own on a TLS 1.2 connection (RFC 9113 §9.2).
        let config = authority.client_of(&[version], &BOTH[..1], None);
        let greeted = greet(address, "a.example", &config).unwrap();
        assert_eq!(greeted.alpn.as_deref(), Some("h2"), "{version:?}");
        let mut client = Client::connect_tls(Protocol::H2, address, "a.example", config);
        let answer = client.get("hello", "/");
        assert!(answer.status == 200 && answer.text().starts_with("Hello"), "{answer:?}");
    }
}

#[test]
fn curl_is_served_over_tls() {
    let authority = Authority::new();
    let builder = builder(&authority);
    let ca = authority.write(builder.folder());
    let gateway = builder.start();
    let port = gateway.address().port();
    for (version, expected) in [("--http2", " 200 2"), ("--http1.1", " 200 1.1")] {
        let curl = std::process::Command::new("curl")
            .args(["--silent", "--show-error", "--max-time", "20", version, "--cacert"])
            .arg(&ca)
            .args(["--resolve", &format!("a.example:{port}:127.0.0.1")])
            .args([
                "--write-out",
                " %{http_code} %{http_version}",
                &format!("https://a.example:{port}/"),
            ])
            .output()
            .expect("curl is not installed: install the package `curl`");
        let said = String::from_utf8_lossy(&curl.stdout);
        assert!(
            said.starts_with("Hello") && said.ends_with(expected),
            "{version}: {curl:?}"
        );
    }
}

#[test]
fn the_asked_for_name_chooses_the_certificate() {
    let authority = Authority::new();
    let builder = Gateway::with().component("hello");
    let (one, wild, exact) = (
        authority.sign(&["one.example"]),
        authority.sign(&["*.two.example"]),
        authority.sign(&["x.two.example"]),
    );
    let pairs =
        [("one", &one), ("wild", &wild), ("exact", &exact)].map(|(name, pair)| pair.write(builder.folder(), name));
    let gateway = builder.tls(&pairs).start();
    let config = authority.client(&BOTH, None);
    for (name, pair) in [
        ("one.example", &one),
        ("y.two.example", &wild),
        ("x.two.example", &exact),
    ] {
        let greeted = greet(gateway.address(), name, &config).unwrap();
        assert_eq!(greeted.leaf, der(pair), "{name}");
    }
    // Nobody is turned away for a name; it is the client that does not take the certificate.
    assert!(greet(gateway.address(), "elsewhere.example", &config).is_err());
}

#[test]
fn client_certificates_are_required_where_configured() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let builder = builder(&authority);
    let ca = clients.write(builder.folder());
    let gateway = builder.client_ca(&ca).start();
    let (good, foreign) = (clients.sign(&["client"]), authority.sign(&["client"]));
    // With TLS 1.3 a client hears of its refusal only after its own handshake.
    let request = |pair: Option<&Pair>| {
        let greeted = greet(gateway.address(), "a.example", &authority.client(&BOTH[1..], pair));
        greeted.ok().and_then(|mut greeted| ask(&mut greeted.raw))
    };
    assert_eq!(request(Some(&good)), Some(200));
    assert_eq!(request(None), None);
    assert_eq!(request(Some(&foreign)), None);
    assert_eq!(request(Some(&good)), Some(200));
    gateway.wait_metric("tidegate_tls_handshake_failures_total", &[("listener", "public")], 2.0);
    gateway.wait_metric("tidegate_component_calls_total", &[("component", "hello")], 2.0);
}

#[test]
fn a_handshake_has_a_time() {
    let authority = Authority::new();
    let gateway = builder(&authority)
        .listener_limits("{ handshake_timeout = '300ms' }")
        .start();
    let began = Instant::now();
    gateway.connect().is_closed();
    // A record of a ClientHello that never comes.
    let mut raw = gateway.connect();
    raw.write(b"\x16\x03\x01\x02\x00\x01");
    raw.is_closed();
    assert!(
        began.elapsed() >= Duration::from_millis(500),
        "after {:?}",
        began.elapsed()
    );
    gateway.wait_metric(
        "tidegate_timeouts_total",
        &[("listener", "public"), ("kind", "handshake")],
        2.0,
    );
    let mut greeted = greet(gateway.address(), "a.example", &authority.client(&BOTH[1..], None)).unwrap();
    assert_eq!(ask(&mut greeted.raw), Some(200));
}

#[test]
fn plain_http_is_not_answered_on_a_tls_listener() {
    let authority = Authority::new();
    let gateway = builder(&authority).start();
    let mut raw = gateway.connect();
    raw.write("GET / HTTP/1.1\r\nhost: a.example\r\n\r\n");
    let rest = raw.rest();
    assert!(!rest.starts_with(b"HTTP/"), "{:?}", String::from_utf8_lossy(&rest));
    gateway.wait_metric("tidegate_component_calls_total", &[("component", "hello")], 0.0);
    gateway.wait_metric("tidegate_tls_handshake_failures_total", &[("listener", "public")], 1.0);
}

#[test]
fn a_reload_renews_certificates_and_keeps_connections() {
    let authority = Authority::new();
    let builder = Gateway::with().component("hello").route("{ component = 'hello' }");
    let first = authority.sign(&["a.example"]);
    let pair = first.write(builder.folder(), "a");
    let gateway = builder.tls(&[pair]).start();
    // A client of its own each time: a resumed session would show the certificate it began with.
    let greet = || greet(gateway.address(), "a.example", &authority.client(&BOTH[1..], None)).unwrap();
    let mut before = greet();
    assert_eq!((before.leaf.clone(), ask(&mut before.raw)), (der(&first), Some(200)));

    let second = authority.sign(&["a.example"]);
    second.write(gateway.folder(), "a");
    gateway.reload().is(200);
    let mut after = greet();
    assert_eq!((after.leaf.clone(), ask(&mut after.raw)), (der(&second), Some(200)));
    assert_eq!(ask(&mut before.raw), Some(200), "a connection outlives its certificate");

    // A key that is not the certificate's: refused, and the one in force stays.
    std::fs::write(gateway.folder().join("a.key"), &first.key).unwrap();
    gateway.reload().is(422);
    assert_eq!(greet().leaf, der(&second));
}
