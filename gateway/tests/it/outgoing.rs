//! Outgoing requests of guests, 0.2 and 0.3, in each isolation mode: where they may go, what goes through unharmed,
//! and what becomes of them when a server, a client or the time does not play along.

mod bodies;
mod connections;
mod ends;
mod faults;
mod grants;
mod secure;
mod traces;

use crate::support::config::{Component, inline};
use crate::support::gateway::Builder;
use crate::support::{Gateway, Response};
use std::fs;

/// A guest in one of the modes it can run in, as a component of this name.
#[derive(Clone, Copy, Debug)]
struct Mode {
    name: &'static str,
    guest: &'static str,
    isolation: &'static str,
}

const P2_FRESH: Mode = Mode {
    name: "p2-fresh",
    guest: "outbound-proxy",
    isolation: "fresh",
};
const P2_REUSE: Mode = Mode {
    name: "p2-reuse",
    isolation: "reuse",
    ..P2_FRESH
};
const P3_FRESH: Mode = Mode {
    name: "p3-fresh",
    guest: "outbound-proxy-p3",
    isolation: "fresh",
};
const P3_REUSE: Mode = Mode {
    name: "p3-reuse",
    isolation: "reuse",
    ..P3_FRESH
};
const P3_CONCURRENT: Mode = Mode {
    name: "p3-concurrent",
    isolation: "concurrent",
    ..P3_FRESH
};
const MODES: [Mode; 5] = [P2_FRESH, P2_REUSE, P3_FRESH, P3_REUSE, P3_CONCURRENT];

/// The ways a body can take: through the guest's memory, or past it.
const WAYS: [(Mode, &str); 7] = [
    (P2_FRESH, "/"),
    (P2_REUSE, "/"),
    (P3_FRESH, "/"),
    (P3_REUSE, "/"),
    (P3_CONCURRENT, "/"),
    (P3_FRESH, "/forward"),
    (P3_CONCURRENT, "/forward"),
];

/// Adds a component under limits that end nothing within a test.
fn add(builder: Builder, mode: Mode, grants: &[&str], change: impl FnOnce(Component) -> Component) -> Builder {
    builder.component_with(mode.guest, |component| {
        let component = component
            .named(mode.name)
            .isolation(mode.isolation)
            .limit("deadline", "10m")
            .limit("cpu", "0s")
            .set("grants", granted(grants));
        change(component)
    })
}

fn granted(grants: &[&str]) -> toml::Value {
    let list = grants.iter().map(|grant| format!("'{grant}'")).collect::<Vec<_>>();
    inline(&format!("{{ http = [{}] }}", list.join(", ")))
}

/// A gateway with every mode, all with the same grants.
fn all(grants: &[&str]) -> Builder {
    all_with(grants, |component| component)
}

fn all_with(grants: &[&str], change: impl Fn(Component) -> Component) -> Builder {
    MODES
        .into_iter()
        .fold(Gateway::with(), |builder, mode| add(builder, mode, grants, &change))
}

/// The target that makes a guest fetch `url`; `more` is further parameters, such as `&first=300`.
fn target(url: &str, more: &str) -> String {
    let mut text = String::from("/?url=");
    for character in url.chars() {
        match character {
            '%' => text.push_str("%25"),
            '&' => text.push_str("%26"),
            '#' => text.push_str("%23"),
            '+' => text.push_str("%2B"),
            other => text.push(other),
        }
    }
    text + more
}

/// A GET on a connection of its own, whose guest fetches `url`.
#[track_caller]
fn fetch(gateway: &Gateway, mode: Mode, url: &str, more: &str) -> Response {
    gateway.get(mode.name, &target(url, more))
}

/// The error a guest got, as WIT names it.
#[track_caller]
fn error(gateway: &Gateway, mode: Mode, url: &str, more: &str) -> String {
    let answer = fetch(gateway, mode, url, more);
    assert_eq!(answer.status, 502, "{mode:?} {url}: {answer:?} {}", answer.text());
    assert_eq!(
        answer.field("tidegate-error"),
        None,
        "a fault of the gateway's: {answer:?}"
    );
    answer.text().trim().to_owned()
}

/// The head of a GET that keeps its connection.
fn get(mode: Mode, url: &str, more: &str) -> String {
    format!("GET {} HTTP/1.1\r\nhost: {}.test\r\n\r\n", target(url, more), mode.name)
}

/// Outgoing requests of a component that came to `result`.
#[track_caller]
fn outgoing(gateway: &Gateway, mode: Mode, result: &str) -> f64 {
    let labels = [("component", mode.name), ("result", result)];
    gateway.metric("tidegate_component_outgoing_total", &labels)
}

/// Memory of the gateway's process, in bytes.
fn rss_bytes(gateway: &Gateway) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", gateway.pid())).expect("the process is there");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line
        .and_then(|line| line.trim().strip_suffix(" kB"))
        .expect("Linux tells VmRSS");
    kib.trim().parse::<usize>().expect("a number") * 1024
}

/// Bytes in which each part of a body differs from its neighbours.
fn pattern(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at % 251) as u8).collect()
}
