//! Granted sockets: where they lead, and that they lead nowhere else.

use super::{MODES, granted, kind};
use crate::support::Gateway;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Answers `pong:` and what came, over TCP and UDP on one port each, and counts who came. Its threads end with the
/// tests' process.
struct Echo {
    tcp: SocketAddr,
    udp: SocketAddr,
    seen: Arc<AtomicUsize>,
}

impl Echo {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let seen = Arc::new(AtomicUsize::new(0));
        let echo = Self {
            tcp: listener.local_addr().unwrap(),
            udp: socket.local_addr().unwrap(),
            seen: Arc::clone(&seen),
        };
        let count = Arc::clone(&seen);
        thread::spawn(move || {
            for stream in listener.incoming() {
                count.fetch_add(1, Ordering::SeqCst);
                let mut stream = stream.unwrap();
                let mut came = [0; 64];
                let size = stream.read(&mut came).unwrap_or(0);
                let _ = stream
                    .write_all(b"pong:")
                    .and_then(|()| stream.write_all(&came[..size]));
            }
        });
        thread::spawn(move || {
            let mut came = [0; 64];
            while let Ok((size, from)) = socket.recv_from(&mut came) {
                seen.fetch_add(1, Ordering::SeqCst);
                let _ = socket.send_to(&[b"pong:", &came[..size]].concat(), from);
            }
        });
        echo
    }

    fn seen(&self) -> usize {
        self.seen.load(Ordering::SeqCst)
    }
}

#[test]
fn a_granted_address_is_reached_over_tcp_and_udp() {
    let echo = Echo::start();
    let grants = format!("{{ sockets = ['{}', '{}'] }}", echo.tcp, echo.udp);
    for mode in MODES {
        let gateway = granted("sockets", mode, &grants);
        for _ in 0..2 {
            let came = gateway.get("sockets", &format!("/tcp?to={}&send=hello", echo.tcp));
            assert_eq!(came.is(200).text(), "pong:hello", "{mode}");
            let came = gateway.get("sockets", &format!("/udp?to={}&send=hello", echo.udp));
            assert_eq!(came.is(200).text(), "pong:hello", "{mode}");
        }
    }
    assert_eq!(echo.seen(), 8);
}

#[test]
fn a_granted_name_is_looked_up_and_reached() {
    let echo = Echo::start();
    let (tcp, udp) = (echo.tcp.port(), echo.udp.port());
    let grants = format!("{{ sockets = ['localhost:{tcp}', 'localhost:{udp}'] }}");
    for mode in MODES {
        let gateway = granted("sockets", mode, &grants);
        for name in ["localhost", "LOCALHOST", "sub.localhost"] {
            let came = gateway.get("sockets", &format!("/tcp?to={name}:{tcp}&send=hello"));
            assert_eq!(came.is(200).text(), "pong:hello", "{mode}: {name}");
            let came = gateway.get("sockets", &format!("/udp?to={name}:{udp}&send=hello"));
            assert_eq!(came.is(200).text(), "pong:hello", "{mode}: {name}");
        }
    }
    // In an instance that looked up nothing, a name is no grant for the address it would have.
    let gateway = granted("sockets", "fresh", &grants);
    let denied = gateway.get("sockets", &format!("/tcp?to=127.0.0.1:{tcp}&send=x"));
    assert_eq!(
        (denied.status, kind(&denied).as_str()),
        (502, "PermissionDenied"),
        "{}",
        denied.text()
    );
}

#[test]
fn every_other_address_is_denied() {
    let (echo, other) = (Echo::start(), Echo::start());
    let grants = format!(
        "{{ sockets = ['{}', '{}', 'localhost:{}'] }}",
        echo.tcp,
        echo.udp,
        echo.tcp.port()
    );
    for mode in MODES {
        let gateway = granted("sockets", mode, &grants);
        for (how, to) in [
            ("tcp", other.tcp.to_string()),
            ("udp", other.udp.to_string()),
            // The right port of another address of this machine, and the right address with the other's port.
            ("tcp", format!("127.0.0.2:{}", echo.tcp.port())),
            ("udp", format!("127.0.0.2:{}", echo.udp.port())),
            ("tcp", format!("[::1]:{}", echo.tcp.port())),
            ("tcp", "169.254.169.254:80".to_owned()),
        ] {
            let denied = gateway.get("sockets", &format!("/{how}?to={to}&send=x&wait=200"));
            assert_eq!(
                (denied.status, kind(&denied).as_str()),
                (502, "PermissionDenied"),
                "{mode} {how} {to}: {}",
                denied.text()
            );
        }
        // Systems take it for this machine; wasi:sockets for a mistake.
        let to = format!("0.0.0.0:{}", echo.tcp.port());
        let denied = gateway.get("sockets", &format!("/tcp?to={to}&send=x"));
        assert_eq!(
            (denied.status, kind(&denied).as_str()),
            (502, "InvalidInput"),
            "{}",
            denied.text()
        );
        // Names that are not granted are not looked up, and say so at once.
        for name in ["example.com", "secret.attacker.example", "localhost.attacker.example"] {
            for how in ["tcp", "udp"] {
                let denied = gateway.get("sockets", &format!("/{how}?to={name}:{}&send=x", echo.tcp.port()));
                assert_eq!(
                    (denied.status, kind(&denied).as_str()),
                    (502, "PermissionDenied"),
                    "{mode} {how} {name}: {}",
                    denied.text()
                );
            }
        }
    }
    assert_eq!((echo.seen(), other.seen()), (0, 0), "nobody came");
}

/// What `fs-and-sockets` could do under these grants.
fn attempts(mode: &str, grants: &str, target: &str) -> Value {
    let gateway = granted("fs-and-sockets", mode, grants);
    let answer = gateway.get("fs-and-sockets", target);
    serde_json::from_slice(&answer.is(200).body).unwrap()
}

#[test]
fn nothing_listens_even_where_sockets_are_granted() {
    let echo = Echo::start();
    let target = format!("/?connect={}&resolve=localhost:{}", echo.tcp, echo.tcp.port());
    for mode in MODES {
        let grants = format!("{{ sockets = ['{}', 'localhost:{}'] }}", echo.tcp, echo.tcp.port());
        let seen = attempts(mode, &grants, &target);
        assert_eq!(
            (&seen["connect"]["ok"], &seen["resolve"]["ok"]),
            (&json!(true), &json!(true)),
            "{seen}"
        );
        // Both bind to 127.0.0.1:0, which is an address of the guest's own choice.
        for denied in ["listen", "udp"] {
            assert_eq!(seen[denied]["kind"], "PermissionDenied", "{mode} {denied}: {seen}");
        }
        assert_eq!(seen["preopens"], json!([]), "a socket is no folder");
    }
}

#[test]
fn without_a_grant_sockets_and_names_are_denied() {
    let gateway = Gateway::with().component("hello-min").start();
    let target = format!("/?connect={}", gateway.address());
    for mode in MODES {
        let folder = tempfile::tempdir().unwrap();
        for grants in [
            "{}".to_owned(),
            // What others are granted brings no socket.
            format!(
                "{{ http = ['*', 'localhost'], dirs = [{{ path = '{}', guest = '/' }}] }}",
                folder.path().display()
            ),
        ] {
            let seen = attempts(mode, &grants, &target);
            for denied in ["connect", "listen", "udp"] {
                assert_eq!(
                    seen[denied]["kind"], "PermissionDenied",
                    "{mode} {grants} {denied}: {seen}"
                );
            }
        }
    }
}
