//! The same grants through WASI 0.3, whose interfaces are others.

use super::granted;
use crate::support::Gateway;
use std::net::TcpListener;

const GUEST: &str = "surroundings-p3";
const MODES: [&str; 3] = ["fresh", "reuse", "concurrent"];

#[track_caller]
fn says(gateway: &Gateway, target: &str, status: u16, text: &str) {
    let answer = gateway.get(GUEST, target);
    assert_eq!((answer.status, answer.text().as_str()), (status, text), "{target}");
}

#[test]
fn without_a_grant_there_is_nothing() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    for mode in MODES {
        let gateway = granted(GUEST, mode, "{}");
        says(&gateway, "/stdin", 200, "0");
        says(&gateway, "/dirs", 200, "");
        for name in ["localhost", "secret.attacker.example", "127.0.0.1", "not a name"] {
            says(
                &gateway,
                &format!("/lookup?{}", name.replace(' ', "%20")),
                502,
                "ErrorCode::AccessDenied",
            );
        }
        let connect = format!("/connect?{}", server.local_addr().unwrap());
        says(&gateway, &connect, 502, "ErrorCode::AccessDenied");
    }
}

#[test]
fn what_is_granted_is_reached_and_nothing_else() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let grants = format!(
        "{{ sockets = ['localhost:{port}'], dirs = [{{ path = '{}', guest = '/data' }}] }}",
        folder.path().display()
    );
    for mode in MODES {
        let gateway = granted(GUEST, mode, &grants);
        says(&gateway, "/stdin", 200, "0");
        says(&gateway, "/dirs", 200, "/data\n");
        says(
            &gateway,
            "/lookup?secret.attacker.example",
            502,
            "ErrorCode::AccessDenied",
        );
        says(&gateway, "/lookup?not%20a%20name", 502, "ErrorCode::InvalidArgument");
        says(&gateway, "/lookup?10.0.0.1", 200, "10.0.0.1\n");
        // Nobody has looked the name up yet whose address this is.
        let (by_address, by_name) = (
            format!("/connect?127.0.0.1:{port}"),
            format!("/connect?LocalHost:{port}"),
        );
        says(&gateway, &by_address, 502, "ErrorCode::AccessDenied");
        says(&gateway, "/lookup?LocalHost", 200, "127.0.0.1\n::1\n");
        says(&gateway, &by_name, 200, "connected");
        if mode == "fresh" {
            // What another instance has learnt is no grant.
            says(&gateway, &by_address, 502, "ErrorCode::AccessDenied");
        }
        let elsewhere = format!("/connect?127.0.0.2:{port}");
        says(&gateway, &elsewhere, 502, "ErrorCode::AccessDenied");
    }
}
