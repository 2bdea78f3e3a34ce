//! What requests share under each isolation mode, what they never share, and when an instance goes.

mod concurrent;
mod neighbours;
mod places;
mod reload;
mod retirement;
mod shares;
mod work;

use crate::support::{Gateway, Raw, Response, turn, wait};

/// A GET that keeps its connection.
fn get(component: &str, target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nhost: {component}.test\r\n\r\n")
}

/// Sends a GET on a connection of its own, and leaves the answer to be read.
#[track_caller]
fn ask(gateway: &Gateway, component: &str, target: &str) -> Raw {
    let mut raw = gateway.connect();
    raw.write(get(component, target));
    raw
}

/// Waits until so many calls of `component` are under way.
#[track_caller]
fn wait_calls(gateway: &Gateway, component: &str, count: f64) {
    gateway.wait_metric("tidegate_component_instances", &[("component", component)], count);
}

/// A GET whose guest has ended, and its instance gone or put back, when this returns: an answer may be complete
/// before that.
#[track_caller]
fn settle(gateway: &Gateway, component: &str, target: &str) -> Response {
    let response = gateway.get(component, target);
    wait_calls(gateway, component, 0.0);
    response
}

/// Instances of `component` that were retired for `cause` so far.
#[track_caller]
fn retired(gateway: &Gateway, component: &str, cause: &str) -> f64 {
    let labels = [("component", component), ("cause", cause)];
    gateway.metric("tidegate_component_retirements_total", &labels)
}

/// Waits until so many instances of `component` were retired for `cause`.
#[track_caller]
fn wait_retired(gateway: &Gateway, component: &str, cause: &str, count: f64) {
    let labels = [("component", component), ("cause", cause)];
    gateway.wait_metric("tidegate_component_retirements_total", &labels, count);
}

/// Waits until an instance of `component` was retired for `cause`, or for the lane where the machine was too busy: a
/// shared instance that moved there keeps that as its cause, whatever comes after.
#[track_caller]
fn wait_gone(gateway: &Gateway, component: &str, cause: &str) {
    wait::until_true(format!("an instance of {component} to be retired for {cause}"), || {
        retired(gateway, component, cause) + retired(gateway, component, "lane") >= 1.0
    });
    let is_excused = lane_moves(gateway, component) > 0.0;
    assert!(
        is_excused || retired(gateway, component, "lane") == 0.0,
        "nothing moved to the lane"
    );
}

/// Waits until so many instances of `component` wait for their next request.
#[track_caller]
fn wait_idle(gateway: &Gateway, component: &str, count: f64) {
    gateway.wait_metric("tidegate_component_idle_instances", &[("component", component)], count);
}

/// Instances of `component` that were made so far.
#[track_caller]
fn made(gateway: &Gateway, component: &str) -> f64 {
    let name = "tidegate_component_instantiate_seconds_count";
    gateway.metric(name, &[("component", component)])
}

/// How often a guest of `component` moved to the CPU lane so far.
#[track_caller]
fn lane_moves(gateway: &Gateway, component: &str) -> f64 {
    gateway.metric("tidegate_component_lane_moves_total", &[("component", component)])
}

/// The number `remember` answers with.
#[track_caller]
fn number(response: &Response) -> u64 {
    let text = response.is(200).text();
    text.trim().parse().unwrap_or_else(|_| panic!("{text:?} is no number"))
}

/// What `remember-p3` answers: its requests so far, those in flight, and the most there were at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Remembered {
    count: u64,
    now: u64,
    most: u64,
}

#[track_caller]
fn remembered(response: &Response) -> Remembered {
    let text = response.is(200).text();
    let numbers: Vec<u64> = text.split_whitespace().map_while(|word| word.parse().ok()).collect();
    let [count, now, most] = numbers[..] else {
        panic!("{text:?} are no three numbers");
    };
    Remembered { count, now, most }
}

/// Tries something that is said of single instances, until no instance had to move to the CPU lane meanwhile: a
/// machine that keeps a guest waiting in the middle of a poll makes it look as if it computed for long, and its
/// instance then takes no further request, as it should. Beside other tests at first, then alone: none may run in the
/// test that calls this.
#[track_caller]
fn steadily<R>(component: &str, start: impl Fn() -> Gateway, attempt: impl Fn(&Gateway) -> R) -> (Gateway, R) {
    let mut alone = None;
    for n in 0..12 {
        if n == 2 {
            alone = Some(turn::alone());
        }
        let mut gateway = start();
        let outcome = attempt(&gateway);
        if lane_moves(&gateway, component) == 0.0 {
            gateway.keep(alone);
            return (gateway, outcome);
        }
    }
    panic!("{component}: its instances are in the lane each time");
}

/// Waits for lines of the log that say `part`, so many in all.
#[track_caller]
fn wait_lines(gateway: &Gateway, part: &str, count: usize) -> Vec<serde_json::Value> {
    wait::until(format!("{count} lines with {part}"), || {
        let mut lines = gateway.log();
        lines.retain(|line| line["message"].as_str().is_some_and(|message| message.contains(part)));
        (lines.len() >= count).then_some(lines)
    })
}
