//! What one request of an instance does to the others of it (`isolation = "concurrent"`), and to nobody else.

use super::{Remembered, ask, get, made, remembered, retired, settle, steadily, wait_calls, wait_gone};
use crate::support::{Gateway, Raw};
use std::time::Instant;

const P3: &str = "remember-p3";
const FIRST: Remembered = Remembered {
    count: 1,
    now: 1,
    most: 1,
};

/// `short.test` is `remember-p3` too, with a deadline of half a second.
fn gateway(cpu: &str) -> Gateway {
    Gateway::with()
        .set("workers", 1)
        .component("hello")
        .component_with(P3, |component| {
            component
                .isolation("concurrent")
                .limit("deadline", "10m")
                .limit("cpu", cpu)
        })
        .route("{ host = 'short.test', component = 'remember-p3', limits = { deadline = '500ms' } }")
        .start()
}

/// A gateway, and requests that wait in one instance of it for so long.
fn sleepers(cpu: &str, count: usize, ms: u32) -> (Gateway, Vec<Raw>) {
    let attempt = |gateway: &Gateway| {
        let asked = (0..count).map(|_| ask(gateway, P3, &format!("/?ms={ms}"))).collect();
        wait_calls(gateway, P3, count as f64);
        asked
    };
    steadily(P3, || gateway(cpu), attempt)
}

/// They are answered well, by the instance that had them all and one more.
#[track_caller]
fn finish_well(sleepers: Vec<Raw>) {
    let expected = sleepers.len() as u64 + 1;
    for mut raw in sleepers {
        let answer = remembered(&raw.response());
        assert_eq!((answer.count, answer.most), (expected, expected));
    }
}

#[track_caller]
fn fall_with_it(sleepers: Vec<Raw>) {
    for mut raw in sleepers {
        raw.response().is_fault(502, "trap");
    }
}

/// Waits until nothing is under way, and finds that the component serves on with another instance.
#[track_caller]
fn serves_on(gateway: &Gateway, cause: &str) {
    wait_gone(gateway, P3, cause);
    wait_calls(gateway, P3, 0.0);
    assert_eq!(remembered(&settle(gateway, P3, "/")), FIRST, "after {cause}");
    gateway.get("hello", "/").is(200);
    gateway.wait_metric("tidegate_requests_in_flight", &[], 0.0);
}

#[test]
fn a_trap_ends_them_and_the_next_has_a_new_instance() {
    let (gateway, sleepers) = sleepers("10s", 4, 60_000);
    gateway.get(P3, "/trap").is_fault(502, "trap");
    fall_with_it(sleepers);
    serves_on(&gateway, "trap");
    assert_eq!(made(&gateway, P3), 2.0);
}

/// The others of its instance are told why they failed, and the log says it once.
#[test]
fn a_trap_is_logged_once_for_all() {
    let (gateway, sleepers) = sleepers("10s", 3, 60_000);
    gateway.get(P3, "/trap").is_fault(502, "trap");
    fall_with_it(sleepers);
    super::wait_lines(&gateway, "guest trapped", 1);
    // Well after the answers.
    settle(&gateway, P3, "/").is(200);
    assert_eq!(super::wait_lines(&gateway, "guest trapped", 1).len(), 1);
}

#[test]
fn a_client_that_leaves_harms_nobody() {
    let (gateway, sleepers) = sleepers("10s", 3, 2500);
    let left = ask(&gateway, P3, "/hang");
    wait_calls(&gateway, P3, 4.0);
    drop(left);
    let labels = [("component", P3), ("cause", "client_gone")];
    gateway.wait_metric("tidegate_component_cancels_total", &labels, 1.0);
    // Nobody joins the instance that goes on with what was given up.
    assert_eq!(remembered(&gateway.get(P3, "/")), FIRST);
    finish_well(sleepers);
    wait_gone(&gateway, P3, "cancelled");
    wait_calls(&gateway, P3, 0.0);
}

/// Its instance goes at once when it was the only one in it, and only when the last is done otherwise.
#[test]
fn an_instance_with_a_call_given_up_stays_until_its_last_answer() {
    let (gateway, sleepers) = sleepers("10s", 2, 2000);
    let left = ask(&gateway, P3, "/hang");
    wait_calls(&gateway, P3, 3.0);
    drop(left);
    wait_calls(&gateway, P3, 2.0);
    assert_eq!(
        retired(&gateway, P3, "cancelled"),
        0.0,
        "retired while others were in it"
    );
    finish_well(sleepers);
    serves_on(&gateway, "cancelled");
}

#[test]
fn a_deadline_ends_its_own_request_alone() {
    let (gateway, sleepers) = sleepers("10s", 3, 2500);
    gateway.get("short", "/hang").is_fault(504, "deadline");
    finish_well(sleepers);
    serves_on(&gateway, "cancelled");
}

/// A guest that awaits nothing holds up its own instance: they end together, and only they.
#[test]
fn a_loop_is_stopped_with_its_instance_and_nobody_else() {
    for (cpu, host, code) in [("700ms", P3, "cpu"), ("0s", "short", "deadline")] {
        let (gateway, sleepers) = sleepers(cpu, 3, 60_000);
        let mut spinner = gateway.connect();
        let began = Instant::now();
        spinner.write(get(host, "/spin?ms=0"));
        gateway.wait_metric("tidegate_component_lane_moves_total", &[("component", P3)], 1.0);
        // Another component, and another instance of the same one.
        gateway.get("hello", "/").is(200);
        assert_eq!(remembered(&gateway.get(P3, "/")), FIRST);
        println!("both answered {:?} after the loop began", began.elapsed());
        spinner.response().is_fault(504, code);
        println!("{code}: stopped after {:?}", began.elapsed());
        fall_with_it(sleepers);
        wait_gone(&gateway, P3, "lane");
        wait_calls(&gateway, P3, 0.0);
        gateway.get(P3, "/").is(200);
        let labels = [("component", P3), ("cause", code)];
        assert_eq!(gateway.metric("tidegate_component_cancels_total", &labels), 1.0);
    }
}

#[test]
fn a_loop_that_nobody_waits_for_is_stopped() {
    let (gateway, sleepers) = sleepers("0s", 2, 60_000);
    let spinner = ask(&gateway, P3, "/spin?ms=0");
    gateway.wait_metric("tidegate_component_lane_moves_total", &[("component", P3)], 1.0);
    drop(spinner);
    fall_with_it(sleepers);
    wait_gone(&gateway, P3, "lane");
    wait_calls(&gateway, P3, 0.0);
    let labels = [("component", P3), ("cause", "client_gone")];
    assert_eq!(gateway.metric("tidegate_component_cancels_total", &labels), 1.0);
    gateway.get(P3, "/").is(200);
}

/// A computation that ends costs its neighbours time, no more.
#[test]
fn a_long_computation_is_finished_in_the_lane_with_its_neighbours() {
    let (gateway, sleepers) = sleepers("0s", 3, 1000);
    let answer = remembered(&gateway.get(P3, "/spin?ms=2000"));
    assert_eq!((answer.count, answer.most), (4, 4));
    finish_well(sleepers);
    serves_on(&gateway, "lane");
    assert_eq!(gateway.metric("tidegate_component_cancels_total", &[]), 0.0);
}

/// The ones that leave while their instance computes are gone at once; the place is free.
#[test]
fn a_neighbour_may_leave_while_another_computes() {
    let (gateway, left) = sleepers("0s", 3, 60_000);
    let mut spinner = ask(&gateway, P3, "/spin?ms=3000");
    gateway.wait_metric("tidegate_component_lane_moves_total", &[("component", P3)], 1.0);
    drop(left);
    wait_calls(&gateway, P3, 1.0);
    let answer = remembered(&spinner.response());
    assert_eq!((answer.count, answer.most), (4, 4));
    serves_on(&gateway, "lane");
}

/// CPU is counted for whom it was spent: many that compute a little do not use up each other's.
#[test]
fn the_cpu_limit_is_each_requests_own() {
    let gateway = gateway("1s");
    let spinners: Vec<_> = (0..6).map(|_| ask(&gateway, P3, "/spin?ms=400")).collect();
    for mut raw in spinners {
        raw.response().is(200);
    }
    assert_eq!(gateway.metric("tidegate_component_cancels_total", &[]), 0.0);
    wait_calls(&gateway, P3, 0.0);
    gateway.get(P3, "/").is(200);
}
