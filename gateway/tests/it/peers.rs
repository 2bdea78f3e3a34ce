//! The gateway between programs that others wrote: nginx, gRPC, WebSockets and curl, with servers that come and go.

mod discovery;
mod grpc;
mod large;
mod native;
mod nginx;
mod outage;
mod programs;
mod reload;
mod rewrite;
mod split;
mod tls;
mod traffic;
mod tunnels;
mod tunnels_h2;
mod websocket;

use crate::support::{Gateway, wait};
use serde_json::Value as Json;
use std::net::SocketAddr;

/// An upstream of one server, with further keys in TOML.
fn one(server: SocketAddr, more: &str) -> String {
    format!("{{ servers = ['{server}'], {more} }}")
}

/// What the admin API says of an upstream.
#[track_caller]
fn upstream(gateway: &Gateway, name: &str) -> Json {
    let all = gateway.admin_json("/api/upstreams");
    let found = all["upstreams"].as_array().expect("a list").iter();
    let mut found = found.filter(|upstream| upstream["name"] == name);
    found
        .next()
        .unwrap_or_else(|| panic!("{name} is not in {all:#}"))
        .clone()
}

/// Waits until the admin API says `is_it` of an upstream's server.
#[track_caller]
fn wait_server(gateway: &Gateway, name: &str, address: SocketAddr, what: &str, is_it: impl Fn(&Json) -> bool) {
    let mut last = Json::Null;
    let found = wait::try_until(|| {
        last = upstream(gateway, name);
        let servers = last["servers"].as_array().expect("a list");
        let server = servers.iter().find(|server| server["address"] == address.to_string())?;
        is_it(server).then_some(())
    });
    assert!(found.is_some(), "{address} does not become {what}: {last:#}");
}
