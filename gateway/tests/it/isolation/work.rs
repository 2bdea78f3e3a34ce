//! Bodies through shared instances, and work that goes on after an answer.

use super::{lane_moves, made, retired, settle, steadily, wait_calls, wait_lines};
use crate::support::{Client, Gateway, Protocol, wait};
use rustix::process::Signal;
use std::thread;

const ECHO: &str = "echo-stream-p3";
const WORK: &str = "post-return-work";
const WORK_P2: &str = "post-return-work-p2";

/// Bytes that tell when one is lost or out of place, another row for each seed.
fn noise(count: usize, seed: u32) -> Vec<u8> {
    (0..count as u32)
        .map(|at| ((at ^ seed).wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}

fn echoes(name: &str, isolation: &str) -> Gateway {
    Gateway::with()
        .set("workers", 1)
        .component_with(name, |component| {
            component
                .isolation(isolation)
                .limit("cpu", "60s")
                .limit("deadline", "10m")
        })
        .start()
}

#[test]
fn large_bodies_come_back_as_they_were() {
    for (name, isolation) in [(ECHO, "reuse"), (ECHO, "concurrent"), ("echo-stream", "reuse")] {
        let gateway = echoes(name, isolation);
        let targets = if name == ECHO { ["/", "/forward"] } else { ["/", "/"] };
        for (seed, target) in (0..).zip(targets.into_iter().cycle().take(4)) {
            let protocol = if seed < 2 { Protocol::H1 } else { Protocol::H2 };
            let body = noise(8 * 1024 * 1024, seed);
            let mut client = Client::connect(protocol, gateway.address());
            let answer = client
                .send(client.request("POST", name, target), &body)
                .expect("a whole answer");
            assert_eq!(answer.status, 200);
            assert!(
                answer.body == body,
                "{name} {isolation} {target}: {} bytes",
                answer.body.len()
            );
            wait_calls(&gateway, name, 0.0);
        }
        // The next request of the instance is as good as its first; a shared one that moved to the lane has no next.
        let moved = if isolation == "concurrent" {
            lane_moves(&gateway, name)
        } else {
            0.0
        };
        let made = made(&gateway, name);
        assert!(
            made >= 1.0 && made <= 1.0 + moved,
            "{name} {isolation}: {made} instances, {moved} moved"
        );
        let all = gateway.metric("tidegate_component_retirements_total", &[("component", name)]);
        assert_eq!(
            all,
            retired(&gateway, name, "lane"),
            "{name} {isolation}: retired for anything else"
        );
    }
}

/// Each gets its own bytes back, though all of them are in the same memory.
#[test]
fn bodies_of_one_instance_do_not_mix() {
    let gateway = echoes(ECHO, "concurrent");
    thread::scope(|scope| {
        for seed in 0..8_u32 {
            let gateway = &gateway;
            scope.spawn(move || {
                let body = noise(1024 * 1024, seed.wrapping_mul(0x9e37_79b9));
                let mut client = Client::connect(Protocol::H1, gateway.address());
                for _ in 0..4 {
                    let answer = client
                        .send(client.request("POST", ECHO, "/"), &body)
                        .expect("a whole answer");
                    assert!(
                        answer.status == 200 && answer.body == body,
                        "{seed}: {} bytes",
                        answer.body.len()
                    );
                }
            });
        }
    });
    wait_calls(&gateway, ECHO, 0.0);
    assert_eq!(
        retired(&gateway, ECHO, "trap") + retired(&gateway, ECHO, "cancelled"),
        0.0
    );
}

/// A client takes a part of its answer and goes.
#[test]
fn an_answer_dropped_half_read_ends_its_instance() {
    let cases = [
        ("big-response", "reuse"),
        ("echo-stream", "reuse"),
        (ECHO, "reuse"),
        (ECHO, "concurrent"),
    ];
    for (name, isolation) in cases {
        let gateway = echoes(name, isolation);
        for round in 1..=3 {
            let mut raw = gateway.connect();
            if name == "big-response" {
                raw.write("GET /?bytes=100000000 HTTP/1.1\r\nhost: big-response.test\r\n\r\n");
            } else {
                raw.write(format!(
                    "POST / HTTP/1.1\r\nhost: {name}.test\r\ncontent-length: 1000\r\n\r\n0123456789"
                ));
            }
            let mut response = raw.head().expect("a head");
            response.is(200);
            assert!(raw.chunk(&mut response), "some of it comes");
            drop(raw);
            let labels = [("component", name), ("cause", "client_gone")];
            gateway.wait_metric("tidegate_component_cancels_total", &labels, f64::from(round));
            wait_calls(&gateway, name, 0.0);
        }
        wait::until_true(format!("the instances of {name} under {isolation} to go"), || {
            retired(&gateway, name, "cancelled") + retired(&gateway, name, "lane") >= 3.0
        });
        let mut client = Client::connect(Protocol::H1, gateway.address());
        let answer = if name == "big-response" {
            client.send(client.request("GET", name, "/?bytes=1000"), b"")
        } else {
            client.send(client.request("POST", name, "/"), &noise(1000, 0))
        };
        assert_eq!(answer.expect("a whole answer").body.len(), 1000, "{name} {isolation}");
        assert_eq!(made(&gateway, name), 4.0, "{name} {isolation}: instances");
    }
}

const WORKERS: [(&str, &str); 5] = [
    (WORK, "fresh"),
    (WORK, "reuse"),
    (WORK, "concurrent"),
    (WORK_P2, "fresh"),
    (WORK_P2, "reuse"),
];

fn workers(name: &str, isolation: &str, reuse: &str) -> Gateway {
    Gateway::with()
        .set("workers", 1)
        .component_with(name, |component| {
            let component = component.isolation(isolation);
            if reuse.is_empty() {
                component
            } else {
                component.reuse(reuse)
            }
        })
        .start()
}

#[test]
fn work_after_the_answer_is_done_and_logged_with_its_request() {
    for (name, isolation) in WORKERS {
        let gateway = workers(name, isolation, "");
        for (n, how) in ["ms=300", "spin=50", "ms=300", "ms=0"].into_iter().enumerate() {
            let agent = format!("agent-{n}");
            let answer = gateway.send(
                name,
                &format!(
                    "GET /?{how}&id=work-{n} HTTP/1.1\r\nhost: {{host}}\r\nuser-agent: {agent}\r\n\
                     connection: close\r\n\r\n"
                ),
            );
            assert_eq!(answer.is(200).text(), "answered\n");
            let line = &wait_lines(&gateway, &format!("post-return done work-{n}"), 1)[0];
            let access = gateway.wait_access("the request", |line| line["user_agent"] == agent);
            // Several at a time: a stream's lines do not say whose they are.
            if isolation != "concurrent" {
                assert_eq!(line["request"], access["id"], "{name} {isolation} {how}: {line}");
            }
            wait_calls(&gateway, name, 0.0);
        }
        let stopped = gateway.metric("tidegate_component_cancels_total", &[]);
        assert_eq!(stopped, 0.0, "{name} {isolation}");
    }
}

/// The client has its answer; what fails after it ends the instance and nobody else's request.
#[test]
fn a_trap_after_the_answer_ends_the_instance_alone() {
    for (name, isolation) in WORKERS {
        let gateway = workers(name, isolation, "");
        for round in 1..=3 {
            let answer = gateway.get(name, "/?trap=1&id=trapped");
            // The whole answer is there or it is known to be broken; it is never said to be good and short.
            assert!(answer.status == 502 || answer.text() == "answered\n" || answer.end == crate::support::End::Cut);
            wait_lines(&gateway, "guest trapped", round);
            wait_calls(&gateway, name, 0.0);
            // A shared one that moved to the lane keeps that as its cause.
            let causes: &[_] = if isolation == "concurrent" {
                &["trap", "lane"]
            } else {
                &["trap"]
            };
            wait::until_true(format!("{round} instances of {name} under {isolation} to go"), || {
                let gone: f64 = causes.iter().map(|cause| retired(&gateway, name, cause)).sum();
                isolation == "fresh" || gone >= round as f64
            });
        }
        assert_eq!(settle(&gateway, name, "/?ms=1&id=good").is(200).text(), "answered\n");
        wait_lines(&gateway, "post-return done good", 1);
    }
}

/// The bound on requests holds though earlier ones still work, and nothing of their work is cut off.
#[test]
fn a_bound_reached_with_work_outstanding_cuts_none_of_it() {
    for (name, isolation) in WORKERS {
        if isolation == "fresh" {
            continue;
        }
        let gateway = workers(name, isolation, "{ requests = 2 }");
        for n in 0..5 {
            let answer = gateway.get(name, &format!("/?ms=1000&id=work-{n}-of-5"));
            assert_eq!(answer.is(200).text(), "answered\n");
        }
        wait_lines(&gateway, "-of-5", 5);
        wait_calls(&gateway, name, 0.0);
        let lines = wait_lines(&gateway, "post-return done", 5);
        assert_eq!(lines.len(), 5, "{name} {isolation}");
        if isolation == "concurrent" {
            wait::until_true("both full instances to go", || {
                retired(&gateway, name, "requests") + retired(&gateway, name, "lane") >= 2.0
            });
        }
        assert_eq!(
            gateway.metric("tidegate_component_cancels_total", &[]),
            0.0,
            "{name} {isolation}"
        );
    }
}

/// The gateway goes when all work is done, its answers' or not.
#[test]
fn a_drain_waits_for_work_after_the_answer() {
    for (name, isolation) in WORKERS {
        let mut gateway = workers(name, isolation, "");
        let answer = gateway.get(name, "/?ms=1500&id=drained");
        assert_eq!(answer.is(200).text(), "answered\n");
        gateway.signal(Signal::TERM);
        assert!(gateway.wait().success());
        wait_lines(&gateway, "post-return done drained", 1);
    }
}

/// Work without an end is ended: by the deadline of what comes after an answer.
#[test]
fn work_that_never_ends_is_ended() {
    for (name, isolation) in WORKERS {
        let start = || {
            Gateway::with()
                .set("workers", 1)
                .component("hello")
                .component_with(name, |component| {
                    let component = component.isolation(isolation).limit("body_deadline", "1s");
                    if isolation == "fresh" {
                        component
                    } else {
                        component.reuse("{ requests = 1 }")
                    }
                })
                .start()
        };
        let (gateway, ()) = steadily(name, start, |gateway| {
            assert_eq!(gateway.get(name, "/?ms=600000&id=never").is(200).text(), "answered\n");
            gateway.get("hello", "/").is(200);
            if isolation != "fresh" {
                wait::until_true(format!("{name} under {isolation} to be retired"), || {
                    gateway.metric("tidegate_component_retirements_total", &[("component", name)]) >= 1.0
                });
            }
            wait_calls(gateway, name, 0.0);
        });
        assert!(
            !gateway
                .log()
                .iter()
                .any(|line| line["message"] == "post-return done never")
        );
        assert_eq!(gateway.get(name, "/?ms=1&id=good").is(200).text(), "answered\n");
        wait_lines(&gateway, "post-return done good", 1);
    }
}
