//! Whole upstreams, made of the configuration's own text. This file has what the tests share, and tests of the choice.

mod eject;
mod health;
mod names;

use super::*;
use crate::config::{Config, Options, Source};
use crate::limits;
use crate::outbound::Dns;
use crate::proxy::server::Load;
use crate::proxy::{Servers, Upstream};
use crate::telemetry::metrics::Registry;
use std::collections::HashMap;
use tokio::runtime::Handle;

/// An upstream and what it was made with. Its servers need not be there: nobody connects to them.
struct Made {
    upstream: Arc<Upstream>,
    metrics: Arc<Registry>,
}

impl Made {
    /// From what stands in `[upstream.api]`.
    fn of(table: &str) -> Self {
        Self::with(table, Dns::System)
    }

    fn with(table: &str, dns: Dns) -> Self {
        let text = format!("[[listener]]\naddress = \"127.0.0.1:0\"\n[upstream.api]\n{table}");
        let options = Options {
            check_files: false,
            ..Options::default()
        };
        let config = Config::from_sources(vec![Source::toml("test.toml", "/", text)], options).unwrap();
        let metrics = Arc::new(Registry::new());
        let with = Servers {
            outbound: Outbound::new(dns),
            runtime: Handle::current(),
            metrics: Arc::clone(&metrics),
            doors: 1,
        };
        let upstream = Upstream::new(config.upstreams.values().next().unwrap(), &with).unwrap();
        Self { upstream, metrics }
    }

    /// Servers 10.0.0.1, 10.0.0.2 and so on with these weights.
    fn weighing(weights: &[u32], rest: &str) -> Self {
        let servers: Vec<String> = (1..)
            .zip(weights)
            .map(|(at, weight)| {
                format!(
                    "{{ address = \"10.0.{}.{}:80\", weight = {weight} }}",
                    at / 256,
                    at % 256
                )
            })
            .collect();
        Self::of(&format!("servers = [{}]\n{rest}", servers.join(", ")))
    }

    fn balancer(&self) -> &Balancer {
        &self.upstream.balancer
    }

    fn pick(&self) -> Option<Arc<Server>> {
        self.balancer().pick(b"", &[])
    }

    /// The last number of the address of the server for `key`.
    fn server_of(&self, key: &str) -> usize {
        number(&self.balancer().pick(key.as_bytes(), &[]).unwrap())
    }

    /// How many of `count` requests each server gets, when each is over before the next one comes.
    fn share(&self, count: usize) -> Vec<usize> {
        let mut share = vec![0; self.members().len()];
        for at in 0..count {
            share[self.server_of(&format!("key {at}")) - 1] += 1;
        }
        share
    }

    fn members(&self) -> Vec<Arc<Member>> {
        self.balancer().choice.load().members().to_vec()
    }

    fn server(&self, number: usize) -> Arc<Server> {
        Arc::clone(&self.member(number).server)
    }

    fn member(&self, wanted: usize) -> Arc<Member> {
        let members = self.members();
        let found = members.iter().find(|member| number(&member.server) == wanted);
        Arc::clone(found.unwrap())
    }

    /// As failures would.
    fn leave_out(&self, number: usize) {
        let config = EjectionConfig {
            failures: 1,
            ..EjectionConfig::default()
        };
        assert!(self.server(number).ejection.failed(Instant::now(), &config, || true));
    }
}

fn number(server: &Server) -> usize {
    let SocketAddr::V4(address) = server.address else {
        panic!("an address of version 4")
    };
    let [_, _, high, low] = address.ip().octets();
    usize::from(high) * 256 + usize::from(low)
}

/// Waits until `is_so`.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(20), "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

const MODES: [&str; 5] = [
    "balance = \"round-robin\"",
    "balance = \"random\"",
    "balance = \"least-loaded\"",
    "balance = \"least-connections\"",
    "balance = \"hash\"\nhash = { header = \"x-user\" }",
];

#[track_caller]
fn assert_near(share: &[usize], expected: &[usize], percent: usize, of: &str) {
    for (got, expected) in share.iter().zip(expected) {
        assert!(
            got.abs_diff(*expected) * 100 <= expected * percent,
            "{of}: {share:?} is not {expected} within {percent}%"
        );
    }
}

#[tokio::test]
async fn every_mode_shares_by_weight() {
    for mode in MODES {
        let made = Made::weighing(&[5, 1, 2], mode);
        let share = made.share(16_000);
        assert_near(&share, &[10_000, 2_000, 4_000], 20, mode);
        if mode.contains("round-robin") || mode.contains("least-connections") {
            assert_eq!(share, [10_000, 2_000, 4_000], "{mode}: turns are exact");
        }
    }
}

#[tokio::test]
async fn turns_are_spread_over_the_round() {
    for (weights, in_a_row_max) in [
        (&[10, 10, 10][..], 1),
        (&[100, 99], 2),
        (&[5, 1, 1], 3),
        (&[7, 5, 3, 2, 1], 2),
    ] {
        let made = Made::weighing(weights, "");
        let (mut last, mut in_a_row, mut most) = (0, 0, 0);
        for _ in 0..4 * weights.iter().sum::<u32>() {
            let server = made.server_of("");
            in_a_row = if server == last { in_a_row + 1 } else { 1 };
            most = most.max(in_a_row);
            last = server;
        }
        assert!(most <= in_a_row_max, "{weights:?}: {most} in a row");
    }
}

#[tokio::test]
async fn a_key_keeps_its_server_and_only_those_of_one_that_is_gone_move() {
    let keys: Vec<String> = (0..4_000).map(|at| format!("user-{at}")).collect();
    let hash = "balance = \"hash\"\nhash = { header = \"x-user\" }";
    let of = |made: &Made| -> Vec<usize> { keys.iter().map(|key| made.server_of(key)).collect() };
    let made = Made::weighing(&[1; 10], hash);
    let before = of(&made);
    assert_eq!(of(&made), before);
    assert_eq!(
        of(&Made::weighing(&[1; 10], hash)),
        before,
        "another gateway says the same"
    );

    let without_last = of(&Made::weighing(&[1; 9], hash));
    made.member(10).set_healthy(false);
    let unhealthy_last = of(&made);
    for now in [without_last, unhealthy_last] {
        let mut moved = HashMap::new();
        for (before, now) in before.iter().zip(&now) {
            assert_ne!(*now, 10);
            if *before == 10 {
                *moved.entry(*now).or_insert(0) += 1;
            } else {
                assert_eq!(before, now);
            }
        }
        assert!(moved.len() >= 7, "they spread over the others: {moved:?}");
    }
    made.member(10).set_healthy(true);
    assert_eq!(of(&made), before, "all are back");
}

#[tokio::test]
async fn without_a_key_hashing_takes_any_server() {
    let made = Made::weighing(&[1, 1, 1], MODES[4]);
    let mut share = [0; 3];
    for _ in 0..3_000 {
        share[number(&made.pick().unwrap()) - 1] += 1;
    }
    assert_near(&share, &[1_000; 3], 20, "no key");
}

#[tokio::test]
async fn a_ring_of_many_heavy_servers_is_bounded() {
    let made = Made::weighing(&[limits::UPSTREAM_WEIGHT_MAX; 1_024], MODES[4]);
    let mut seen: Vec<usize> = (0..20_000).map(|at| made.server_of(&format!("user-{at}"))).collect();
    seen.sort_unstable();
    seen.dedup();
    assert!(seen.len() > 1_000, "{} of 1024 servers", seen.len());
}

#[tokio::test]
async fn least_connections_follows_the_load_for_its_weight() {
    let made = Made::weighing(&[1, 2, 1], MODES[3]);
    let mut loads: Vec<Load> = Vec::new();
    for _ in 0..400 {
        loads.push(made.pick().unwrap().take());
    }
    let share = |made: &Made| [1, 2, 3].map(|number| made.server(number).load());
    assert_eq!(share(&made), [100, 200, 100]);
    // The third one's requests end, and it catches up.
    loads.retain(|load| number(load.server()) != 3);
    for _ in 0..100 {
        let server = made.pick().unwrap();
        assert_eq!(number(&server), 3);
        loads.push(server.take());
    }
    drop(loads);
    assert_eq!(share(&made), [0; 3]);
}

#[tokio::test]
async fn the_less_loaded_of_two_is_taken() {
    let made = Made::weighing(&[1, 1, 1, 1], MODES[2]);
    let busy: Vec<Load> = (0..10).map(|_| made.server(2).take()).collect();
    let share = made.share(4_000);
    assert!(share[1] < 20, "only where both draws are the same: {share:?}");
    drop(busy);
    // Under even load none gets far ahead: two choices keep the fullest near the mean.
    let loads: Vec<Load> = (0..4_000).map(|_| made.pick().unwrap().take()).collect();
    let share: Vec<usize> = (1..=4).map(|number| made.server(number).load()).collect();
    assert_near(&share, &[1_000; 4], 2, "two choices");
    drop(loads);
}

#[tokio::test]
async fn unhealthy_servers_are_never_chosen_and_all_down_is_none() {
    for mode in MODES {
        let made = Made::weighing(&[1, 1, 1, 1], mode);
        made.member(1).set_healthy(false);
        made.member(3).set_healthy(false);
        let share = made.share(4_000);
        assert_eq!((share[0], share[2]), (0, 0), "{mode}");
        assert_near(&[share[1], share[3]], &[2_000; 2], 25, mode);
        assert_eq!(
            made.balancer()
                .view()
                .iter()
                .filter(|(_, is_healthy)| *is_healthy)
                .count(),
            2
        );
        for number in [2, 4] {
            made.member(number).set_healthy(false);
        }
        assert!(made.pick().is_none(), "{mode}");
        assert!(made.balancer().pick(b"key", &[made.server(1)]).is_none(), "{mode}");
    }
}

#[tokio::test]
async fn what_a_large_server_leaves_behind_goes_by_weight_too() {
    for mode in &MODES[..4] {
        let made = Made::weighing(&[100, 100, 1], mode);
        made.member(2).set_healthy(false);
        let share = made.share(20_200);
        assert_eq!(share[1], 0);
        assert!(
            (100..350).contains(&share[2]),
            "{mode}: {share:?}, and 200 would be its part"
        );
    }
}

#[tokio::test]
async fn servers_tried_before_come_last() {
    for mode in MODES {
        let made = Made::weighing(&[100, 1, 1], mode);
        for _ in 0..200 {
            let tried = [made.server(1)];
            assert_ne!(number(&made.balancer().pick(b"key", &tried).unwrap()), 1, "{mode}");
            let tried = [made.server(1), made.server(3)];
            assert_eq!(number(&made.balancer().pick(b"key", &tried).unwrap()), 2, "{mode}");
            let all = [made.server(1), made.server(2), made.server(3)];
            assert!(
                made.balancer().pick(b"key", &all).is_some(),
                "{mode}: better than nothing"
            );
        }
    }
}

#[tokio::test]
async fn addresses_are_there_at_once() {
    let made = Made::of("servers = [\"10.0.0.1:80\", \"[2001:db8::1]:80\"]");
    assert!(made.balancer().is_known());
    assert_eq!(made.members().len(), 2);
    assert!(made.pick().is_some());
    let names: Vec<String> = made
        .members()
        .iter()
        .map(|member| member.server.name.to_string())
        .collect();
    assert_eq!(names, ["10.0.0.1:80", "[2001:db8::1]:80"]);
}
