//! What a component may reach of the machine: the folders and sockets it is granted, and an empty stdin.

mod dirs;
mod lookups;
mod p3;
mod sockets;

use crate::support::config::inline;
use crate::support::{Gateway, Response};

/// The modes a component of WASI 0.2 may have: what is granted is the same in both.
const MODES: [&str; 2] = ["fresh", "reuse"];

/// A gateway with one guest under these grants, in TOML.
#[track_caller]
fn granted(guest: &str, mode: &str, grants: &str) -> Gateway {
    Gateway::with()
        .component_with(guest, |component| {
            component.isolation(mode).set("grants", inline(grants))
        })
        .start()
}

/// A request without a body.
#[track_caller]
fn ask(gateway: &Gateway, guest: &str, method: &str, target: &str) -> Response {
    let request = format!("{method} {target} HTTP/1.1\r\nhost: {{host}}\r\nconnection: close\r\n\r\n");
    gateway.send(guest, &request)
}

/// The kind of error that the guest's own library told.
fn kind(response: &Response) -> String {
    response.text().split(':').next().unwrap_or_default().to_owned()
}

#[test]
fn stdin_is_empty() {
    for mode in MODES {
        let gateway = Gateway::with()
            .component_with("env-and-config", |component| component.isolation(mode))
            .start();
        for _ in 0..2 {
            assert_eq!(gateway.get("env-and-config", "/stdin").is(200).text(), "0", "{mode}");
        }
    }
}
