//! Where a guest may go: by its grants, and by what a name server says of the names in them.

use super::{MODES, Mode, P2_FRESH, P3_FRESH, add, all, error, fetch, outgoing};
use crate::support::names::{NameServer, Says};
use crate::support::origin::Origin;
use crate::support::{Gateway, wait};
use std::net::{Ipv4Addr, TcpListener};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const DENIED: &str = "HTTP-request-denied";
/// Both guests; what is judged is the same in every mode.
const GUESTS: [Mode; 2] = [P2_FRESH, P3_FRESH];

fn granted(grants: &[&str]) -> Gateway {
    GUESTS
        .into_iter()
        .fold(Gateway::with(), |builder, mode| {
            add(builder, mode, grants, |component| component)
        })
        .start()
}

#[test]
fn nothing_is_reached_without_a_grant() {
    let origin = Origin::answering(OK);
    let gateway = all(&[]).start();
    for mode in MODES {
        for url in [
            origin.url("/"),
            "https://example.com/".into(),
            "http://localhost/".into(),
        ] {
            assert_eq!(error(&gateway, mode, &url, ""), DENIED, "{mode:?} {url}");
        }
        assert_eq!(outgoing(&gateway, mode, "denied"), 3.0);
        assert_eq!(outgoing(&gateway, mode, "failed") + outgoing(&gateway, mode, "ok"), 0.0);
    }
    assert_eq!(origin.accepted(), 0);
}

#[test]
fn a_literal_grant_is_that_address_port_and_scheme() {
    let (origin, other) = (Origin::answering(OK), Origin::answering(OK));
    let port = origin.port();
    let gateway = granted(&[&origin.grant()]);
    for mode in GUESTS {
        fetch(&gateway, mode, &origin.url("/"), "").is(200);
        // The same address in another notation is the same address.
        fetch(&gateway, mode, &format!("http://[::ffff:127.0.0.1]:{port}/"), "").is(200);
        for url in [
            other.url("/"),
            format!("https://127.0.0.1:{port}/"),
            format!("http://localhost:{port}/"),
            format!("http://127.0.0.2:{port}/"),
            format!("http://[::1]:{port}/"),
            "http://127.0.0.1/".into(),
        ] {
            assert_eq!(error(&gateway, mode, &url, ""), DENIED, "{mode:?} {url}");
        }
    }
    assert_eq!(other.accepted(), 0);
}

#[test]
fn a_star_does_not_reach_inwards() {
    let origin = Origin::answering(OK);
    let port = origin.port();
    let gateway = granted(&["*"]);
    for mode in GUESTS {
        for host in [
            "127.0.0.1",
            "127.8.8.8",
            "localhost",
            "LOCALHOST.",
            "a.localhost",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "169.254.169.254",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
            "[fd00:ec2::254]",
            "[fe80::1]",
        ] {
            let url = format!("http://{host}:{port}/");
            assert_eq!(error(&gateway, mode, &url, ""), DENIED, "{mode:?} {url}");
        }
        // What resolvers of other systems take for 127.0.0.1 is no host at all.
        for host in [
            "0x7f.1",
            "2130706433",
            "127.1",
            "0177.0.0.1",
            "0x7f000001",
            "127.0.0.1..",
        ] {
            let url = format!("http://{host}:{port}/");
            assert_eq!(
                error(&gateway, mode, &url, ""),
                "HTTP-request-URI-invalid",
                "{mode:?} {url}"
            );
        }
        let url = format!("http://example.com@127.0.0.1:{port}/");
        let said = error(&gateway, mode, &url, "");
        assert!(
            [DENIED, "HTTP-request-URI-invalid"].contains(&said.as_str()),
            "{mode:?} {said}"
        );
    }
    assert_eq!(origin.accepted(), 0);
}

#[test]
fn localhost_is_granted_by_its_name() {
    let origin = Origin::answering(OK);
    let port = origin.port();
    let gateway = granted(&["localhost:*"]);
    for mode in GUESTS {
        for host in ["localhost", "LocalHost", "localhost.", "a.localhost"] {
            let url = format!("http://{host}:{port}/");
            assert_eq!(fetch(&gateway, mode, &url, "").is(200).text(), "ok", "{mode:?} {url}");
        }
        for host in ["127.0.0.1", "[::1]", "notlocalhost", "localhost.example"] {
            let url = format!("http://{host}:{port}/");
            assert_eq!(error(&gateway, mode, &url, ""), DENIED, "{mode:?} {url}");
        }
    }
}

const PUBLIC: Ipv4Addr = Ipv4Addr::new(93, 184, 216, 34);
const PRIVATE: Ipv4Addr = Ipv4Addr::new(10, 255, 255, 254);
const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);

fn zone(name: &str, before: usize) -> Says {
    match name {
        "public.example" => Says::Address(PUBLIC, 60),
        "api.internal" | "private.example" => Says::Address(PRIVATE, 60),
        "loopback.internal" | "loopback.example" => Says::Address(Ipv4Addr::LOCALHOST, 60),
        "metadata.internal" | "metadata.example" => Says::Address(METADATA, 60),
        "rebinding.example" if before == 0 => Says::Address(PUBLIC, 0),
        "rebinding.example" => Says::Address(Ipv4Addr::LOCALHOST, 0),
        "failing.example" => Says::Code(2),
        "refusing.example" => Says::Code(5),
        "silent.example" => Says::Nothing,
        _ => Says::Code(3),
    }
}

/// Both guests, with their names looked up at `server`.
fn resolving(server: &NameServer, grants: &[&str]) -> Gateway {
    let servers = toml::Value::Array(vec![server.address.to_string().into()]);
    GUESTS
        .into_iter()
        .fold(Gateway::with(), |builder, mode| {
            add(builder, mode, grants, |component| component)
        })
        .set("dns", servers)
        .start()
}

/// Asserts that policy let a request through to an address where, in a test, nobody answers.
#[track_caller]
fn is_let_through(gateway: &Gateway, mode: Mode, url: &str) {
    let said = error(gateway, mode, url, "&connect=300");
    let outcomes = [
        "connection-timeout",
        "connection-refused",
        "destination-IP-unroutable",
        "destination-unavailable",
    ];
    assert!(outcomes.contains(&said.as_str()), "{mode:?} {url}: {said}");
}

#[test]
fn a_name_is_what_it_resolves_to() {
    let server = NameServer::start(zone);
    let origin = Origin::answering(OK);
    let port = origin.port();
    let here = format!("*.internal:{port}");
    let named = format!("http://loopback.example:{port}");
    let gateway = resolving(&server, &["*", &here, &named]);
    for mode in GUESTS {
        let url = |host: &str| format!("http://{host}:{port}/");
        is_let_through(&gateway, mode, &url("public.example"));
        // Private addresses are for names that are granted as such.
        is_let_through(&gateway, mode, &url("api.internal"));
        for host in ["private.example", "loopback.example", "loopback.internal"] {
            assert_eq!(error(&gateway, mode, &url(host), ""), DENIED, "{mode:?} {host}");
        }
        for host in ["metadata.example", "metadata.internal"] {
            assert_eq!(error(&gateway, mode, &url(host), ""), DENIED, "{mode:?} {host}");
        }
    }
    assert_eq!(origin.accepted(), 0);
    let reason = gateway.wait_log("the denied address", |line| {
        line.to_string().contains("outgoing request denied")
    });
    assert!(
        reason.to_string().contains("10.255.255.254 is a private address"),
        "{reason}"
    );
}

#[test]
fn a_name_that_is_rebound_does_not_lead_inwards() {
    let server = NameServer::start(zone);
    let origin = Origin::answering(OK);
    let grant = format!("rebinding.example:{}", origin.port());
    let gateway = resolving(&server, &[&grant]);
    let url = format!("http://rebinding.example:{}/", origin.port());
    is_let_through(&gateway, P2_FRESH, &url);
    // The answer is not kept, by its time to live: the next request asks again.
    for mode in GUESTS {
        let said = wait::until("the second answer to be used", || {
            let said = error(&gateway, mode, &url, "&connect=300");
            (said == DENIED).then_some(said)
        });
        assert_eq!(said, DENIED);
    }
    assert!(server.asked("rebinding.example") > 1);
    assert_eq!(origin.accepted(), 0);
}

#[test]
fn a_lookup_that_fails_says_how() {
    let server = NameServer::start(zone);
    let gateway = resolving(&server, &["*"]);
    for mode in GUESTS {
        let said = |name: &str| error(&gateway, mode, &format!("http://{name}/"), "&connect=1500");
        assert_eq!(said("missing.example"), "destination-not-found", "{mode:?}");
        let failed = said("failing.example");
        assert!(failed.starts_with("DNS-error"), "{mode:?}: {failed}");
        let refused = said("refusing.example");
        assert!(refused.starts_with("DNS-error"), "{mode:?}: {refused}");
        assert_eq!(said("silent.example"), "DNS-timeout", "{mode:?}");
        assert_eq!(outgoing(&gateway, mode, "failed"), 4.0);
    }
}

#[test]
fn a_denial_is_told_once_a_minute() {
    let gateway = all(&["http://granted.example"]).start();
    // A port that is surely not granted.
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let url = format!(
        "http://user:secret@127.0.0.1:{}/path?token=secret",
        port.expect("an address").port()
    );
    let plain = url.replace("user:secret@", "");
    for mode in MODES {
        for _ in 0..50 {
            assert_eq!(error(&gateway, mode, &plain, ""), DENIED, "{mode:?}");
        }
        gateway.wait_metric(
            "tidegate_component_outgoing_total",
            &[("component", mode.name), ("result", "denied")],
            50.0,
        );
    }
    let is_told = |line: &serde_json::Value| line.to_string().contains("outgoing request denied");
    for mode in MODES {
        let line = gateway.wait_log("a denial", |line| is_told(line) && line["component"] == mode.name);
        let grant = plain.split("/path").next().expect("a start");
        let message = line["message"].as_str().expect("a message");
        let hint = format!("grants = {{ http = [\"{grant}\"] }}");
        assert!(message.contains(&hint), "{message}");
        assert!(!line.to_string().contains("secret"), "{line}");
    }
    let told = gateway.log().iter().filter(|line| is_told(line)).count();
    assert_eq!(told, MODES.len());
}
