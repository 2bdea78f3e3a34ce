//! The PROXY protocol before a listener: whose address counts, and what ends a connection.

use crate::support::certs::{Authority, greet_over};
use crate::support::config::inline;
use crate::support::gateway::Builder;
use crate::support::{Gateway, Raw, wait};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

const V1: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n";
const V1_SIX: &[u8] = b"PROXY TCP6 2001:db8::7 2001:db8::1 56324 443\r\n";
/// 192.0.2.9:56324 to 198.51.100.1:443, with one extension.
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x10\xc0\0\x02\x09\xc6\x33\x64\x01\xdc\x04\x01\xbb\x04\0\x01\0";
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
const REQUEST: &[u8] = b"GET /who HTTP/1.1\r\nhost: a.example\r\n\r\n";

/// A listener `balanced`, with these further keys in TOML, that takes headers from 127.0.0.1; and routes by client.
#[track_caller]
fn builder(more: &str) -> Builder {
    Gateway::with()
        .listener(&format!(
            "{{ name = 'balanced', address = '127.0.0.1:0', proxy_protocol = ['127.0.0.1'], {more} }}"
        ))
        .route("{ path = '/who', source = ['192.0.2.0/24'], respond = { body = 'documented' } }")
        .route("{ path = '/who', source = ['2001:db8::/32'], respond = { body = 'documented six' } }")
        .route("{ path = '/who', source = ['127.0.0.0/8'], respond = { body = 'loopback' } }")
}

/// A connection to `balanced` from `address`, which is this machine's own.
#[track_caller]
fn connect_from(gateway: &Gateway, address: &str) -> Raw {
    Raw::connect_from(address, gateway.address_of("balanced"))
}

#[track_caller]
fn connect(gateway: &Gateway) -> Raw {
    connect_from(gateway, "127.0.0.1")
}

#[track_caller]
fn wait_refused(gateway: &Gateway, reason: &str, count: usize) {
    let labels = [("listener", "balanced"), ("reason", reason)];
    gateway.wait_metric("tidegate_connections_refused_total", &labels, count as f64);
}

#[test]
fn the_client_is_the_one_the_header_names() {
    let gateway = builder("").start();
    let six = "[2001:db8::7]:56324";
    for (header, body, client) in [
        (V1, "documented", Some("192.0.2.7:56324")),
        (V2, "documented", Some("192.0.2.9:56324")),
        (V1_SIX, "documented six", Some(six)),
        (LOCAL, "loopback", None),
        (b"PROXY UNKNOWN\r\n", "loopback", None),
    ] {
        let mut raw = connect(&gateway);
        let own = raw.tcp().local_addr().unwrap().to_string();
        let client = client.unwrap_or(&own);
        // In one piece with the request, of which nothing is lost; the second comes on its own.
        raw.write([header, REQUEST].concat());
        assert_eq!(raw.response().text(), body, "{client}");
        raw.write(REQUEST);
        assert_eq!(raw.response().text(), body, "{client}");
        gateway.wait_access("the request", |line| line["client"] == client);
    }
    // The other listener takes none.
    let mut raw = gateway.connect();
    raw.write([V1, REQUEST].concat());
    raw.response().is(400);
    wait_refused(&gateway, "proxy_protocol", 0);
}

#[test]
fn a_header_may_be_cut_anywhere() {
    let gateway = builder("").start();
    for header in [V1, V2] {
        for cut in 1..header.len() {
            let mut raw = connect(&gateway);
            let (first, second) = header.split_at(cut);
            raw.write(first);
            // A turn of the gateway between both: what it answers elsewhere it answers after it has read this.
            gateway.admin("GET", "/healthz", &[]).is(200);
            raw.write([second, REQUEST].concat());
            assert_eq!(raw.response().text(), "documented", "{cut}");
        }
    }
}

#[test]
fn tls_begins_behind_the_header() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = authority.sign(&["a.example"]).write(folder.path(), "a");
    let tls = format!(
        "tls = [{{ cert = '{}', key = '{}' }}], limits = {{ handshake_timeout = '2s' }}",
        cert.display(),
        key.display()
    );
    let gateway = builder(&tls).start();
    let config = authority.client(&["http/1.1"], None);
    for header in [V1, V2] {
        let mut raw = connect(&gateway);
        raw.write(header);
        let mut greeted = greet_over(raw.tcp().try_clone().unwrap(), "a.example", &config).unwrap();
        greeted.raw.write(REQUEST);
        assert_eq!(greeted.raw.response().text(), "documented");
    }
    let line = gateway.wait_access("a request", |line| line["client"] == "192.0.2.9:56324");
    assert_eq!(line["scheme"], "https");
    // And HTTP/2, by a client that knows the protocol.
    let port = gateway.address_of("balanced").port();
    let url = format!("https://a.example:{port}/who");
    let curl = Command::new("curl")
        .args([
            "--silent",
            "--show-error",
            "--max-time",
            "20",
            "--http2",
            "--haproxy-protocol",
            "--cacert",
        ])
        .arg(authority.write(folder.path()))
        .args(["--resolve", &format!("a.example:{port}:127.0.0.1")])
        .args(["--write-out", " %{http_code} %{http_version}", &url])
        .output()
        .expect("curl is not installed: install the package `curl`");
    assert_eq!(String::from_utf8_lossy(&curl.stdout), "loopback 200 2", "{curl:?}");
    // A handshake without a header before it is none.
    assert!(
        greet_over(
            TcpStream::connect(gateway.address_of("balanced")).unwrap(),
            "a.example",
            &config
        )
        .is_err()
    );
    wait_refused(&gateway, "proxy_protocol", 1);
    // Neither header nor handshake come: the one clock of both.
    connect(&gateway).is_closed();
    let labels = [("listener", "balanced"), ("kind", "handshake")];
    gateway.wait_metric("tidegate_timeouts_total", &labels, 1.0);
}

#[test]
fn nobody_else_may_connect() {
    let gateway = builder("").start();
    for bytes in [&[V1, REQUEST].concat()[..], REQUEST, b""] {
        let mut raw = connect_from(&gateway, "127.0.0.2");
        raw.write(bytes);
        raw.is_closed();
    }
    wait_refused(&gateway, "proxy_protocol", 3);
    let mut raw = connect(&gateway);
    raw.write([V1, REQUEST].concat());
    raw.response().is(200);
}

#[test]
fn what_is_no_header_closes_the_connection() {
    let gateway = builder("").start();
    let cases: [&[u8]; 7] = [
        REQUEST,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"PROXY TCP4 192.0.2.7\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443 GET / HTTP/1.1\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x12\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x01\xdc\x04\x01\xbb",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
        &[0x16, 3, 1, 2, 0],
    ];
    for (n, bytes) in cases.into_iter().enumerate() {
        let mut raw = connect(&gateway);
        raw.write(bytes);
        raw.is_closed();
        wait_refused(&gateway, "proxy_protocol", n + 1);
    }
    // A header that ends in its middle counts as well; one that never began is a look at the port.
    let mut raw = connect(&gateway);
    raw.write(&V2[..20]);
    raw.finish_writing();
    raw.is_closed();
    wait_refused(&gateway, "proxy_protocol", cases.len() + 1);
    let mut raw = connect(&gateway);
    raw.finish_writing();
    raw.is_closed();
    wait_refused(&gateway, "proxy_protocol", cases.len() + 1);
    assert!(gateway.access().is_empty(), "{:?}", gateway.access());
}

#[test]
fn a_slow_header_is_cut() {
    let gateway = builder("limits = { header_timeout = '300ms' }").start();
    for begun in [&b""[..], b"PRO", &V1[..30], &V2[..13]] {
        let began = Instant::now();
        let mut raw = connect(&gateway);
        raw.write(begun);
        raw.is_closed();
        let lasted = began.elapsed();
        assert!(lasted >= Duration::from_millis(250), "{begun:?} after {lasted:?}");
    }
    // A trickle does not help.
    let mut raw = connect(&gateway);
    let began = Instant::now();
    let mut bytes = b"PROXY UNKNOWN ".iter().chain(std::iter::repeat(&b'x'));
    wait::until_true("the end of a trickled header", || {
        began.elapsed() >= Duration::from_millis(250) && raw.try_write([*bytes.next().unwrap()]).is_err()
    });
    let labels = [("listener", "balanced"), ("kind", "header")];
    gateway.wait_metric("tidegate_timeouts_total", &labels, 5.0);
}

#[test]
fn connections_count_for_the_client_not_for_the_balancer() {
    let gateway = builder("limits = { connections_per_address = 2 }").start();
    let open = |header: &[u8]| {
        let mut raw = connect(&gateway);
        raw.write([header, REQUEST].concat());
        let answer = raw.try_response();
        (raw, answer.map(|answer| answer.status))
    };
    let held: Vec<_> = [V1, V1, V2, V2, V1_SIX, V1_SIX].map(open).into();
    assert!(
        held.iter().all(|(_, status)| *status == Some(200)),
        "the balancer has more than two"
    );
    assert_eq!(open(V1).1, None);
    wait_refused(&gateway, "address_limit", 1);
    drop(held);
    wait::until_true("the client's places to be free", || open(V1).1 == Some(200));
}

#[test]
fn a_changed_list_holds_for_the_next_connection() {
    let mut gateway = builder("").start();
    let mut before = connect(&gateway);
    before.write([V1, REQUEST].concat());
    assert_eq!(before.response().text(), "documented");
    gateway.edit(|config| {
        let listener = config["listener"][1].as_table_mut().unwrap();
        listener.insert("proxy_protocol".to_owned(), inline("['127.0.0.2']"));
    });
    gateway.reload().is(200);
    before.write(REQUEST);
    assert_eq!(before.response().text(), "documented");
    connect(&gateway).is_closed();
    let mut raw = connect_from(&gateway, "127.0.0.2");
    raw.write([V1, REQUEST].concat());
    assert_eq!(raw.response().text(), "documented");
    gateway.edit(|config| {
        let listener = config["listener"][1].as_table_mut().unwrap();
        listener.remove("proxy_protocol");
    });
    gateway.reload().is(200);
    let mut raw = connect(&gateway);
    raw.write(REQUEST);
    assert_eq!(raw.response().text(), "loopback");
}
