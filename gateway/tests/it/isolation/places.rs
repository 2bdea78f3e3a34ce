//! Places in the pool: idle instances give them up, none is lost, and cores share what there is.

use super::{Remembered, ask, get, lane_moves, made, remembered, retired, wait_calls, wait_idle};
use crate::support::loader::allow_descriptors;
use crate::support::{Gateway, Raw, turn, wait};
use std::thread;
use std::time::{Duration, Instant};

const P3: &str = "remember-p3";
/// Places of each pool.
const POOL: usize = 1000;

/// `remember-p3` may take the whole pool, and keeps what it has; `hello-p3` lives in the same pool.
fn crowded(isolation: &str, reuse: &str) -> Gateway {
    allow_descriptors(3 * POOL as u64);
    Gateway::with()
        .component_with("hello-p3", |component| {
            component.limit("queue_time", "15s").limit("deadline", "1m")
        })
        .component_with(P3, |component| {
            component
                .isolation(isolation)
                .reuse(reuse)
                .limit("concurrency", POOL as i64)
                .limit("deadline", "10m")
        })
        .start()
}

/// Fills the pool with calls that last for `ms`.
fn fill(gateway: &Gateway, ms: u32) -> Vec<Raw> {
    let began = Instant::now();
    let all = (0..POOL).map(|_| ask(gateway, P3, &format!("/?ms={ms}"))).collect();
    wait_calls(gateway, P3, POOL as f64);
    println!("{POOL} calls under way after {:?}", began.elapsed());
    all
}

#[track_caller]
fn all_answered(calls: Vec<Raw>) {
    for mut raw in calls {
        raw.response().is(200);
    }
}

#[test]
fn idle_instances_give_their_places_to_another_component() {
    let _alone = turn::alone();
    for (isolation, reuse) in [
        ("reuse", "{ idle = '10m' }"),
        ("concurrent", "{ idle = '10m', concurrent = 1 }"),
    ] {
        let gateway = crowded(isolation, reuse);
        all_answered(fill(&gateway, 8000));
        wait_calls(&gateway, P3, 0.0);
        let lane = if isolation == "concurrent" {
            lane_moves(&gateway, P3)
        } else {
            0.0
        };
        for n in 1..=5 {
            let began = Instant::now();
            gateway.get("hello-p3", "/").is(200);
            println!("{isolation}: answered {:?} after it was asked for", began.elapsed());
            // Where the lane emptied places nobody had to give one up.
            if lane == 0.0 {
                assert!(
                    (1.0..=f64::from(n)).contains(&retired(&gateway, P3, "reclaimed")),
                    "{isolation}"
                );
            }
        }
        if isolation == "reuse" {
            let reclaimed = retired(&gateway, P3, "reclaimed");
            assert!(reclaimed >= 1.0, "{isolation}");
            wait_idle(&gateway, P3, POOL as f64 - reclaimed);
        }
        assert_eq!(gateway.metric("tidegate_component_saturated_total", &[]), 0.0);
        gateway.get(P3, "/").is(200);
    }
}

/// Whoever waits for a place gets one as soon as a call ends: its instance is not kept.
#[test]
fn a_call_that_waits_for_a_place_gets_that_of_the_next_idle_instance() {
    let _alone = turn::alone();
    for (isolation, reuse) in [
        ("reuse", "{ idle = '10m' }"),
        ("concurrent", "{ idle = '10m', concurrent = 1 }"),
    ] {
        let gateway = crowded(isolation, reuse);
        let calls = fill(&gateway, 8000);
        let mut waiting = ask(&gateway, "hello-p3", "/");
        gateway.wait_metric("tidegate_component_queue_length", &[("component", "hello-p3")], 1.0);
        let began = Instant::now();
        all_answered(calls);
        waiting.response().is(200);
        println!("{isolation}: answered {:?} after it was queued", began.elapsed());
        gateway.wait_metric("tidegate_component_queue_length", &[], 0.0);
        wait_calls(&gateway, P3, 0.0);
        gateway.get(P3, "/").is(200);
        gateway.get("hello-p3", "/").is(200);
    }
}

/// Reads the answers of `requests` requests on one connection.
fn numbers(gateway: &Gateway, component: &str, requests: usize) -> usize {
    let mut raw = gateway.connect();
    for _ in 0..requests {
        raw.write(get(component, "/"));
        raw.response().is(200);
    }
    requests
}

#[test]
fn cores_share_instances_and_make_no_more_than_may_work() {
    let _alone = turn::alone();
    const CONNECTIONS: usize = 16;
    const REQUESTS: usize = 200;
    for name in ["remember", P3] {
        let gateway = Gateway::with()
            .set("workers", 2)
            .component_with(name, |component| {
                component
                    .isolation("reuse")
                    .reuse("{ requests = 100, idle = '10m' }")
                    .limit("concurrency", 4)
                    .limit("queue_time", "20s")
            })
            .start();
        let answered: usize = thread::scope(|scope| {
            let loads: Vec<_> = (0..CONNECTIONS)
                .map(|_| scope.spawn(|| numbers(&gateway, name, REQUESTS)))
                .collect();
            loads
                .into_iter()
                .map(|load| load.join().expect("every answer is good"))
                .sum()
        });
        assert_eq!(answered, CONNECTIONS * REQUESTS);
        wait_calls(&gateway, name, 0.0);
        let idle = gateway.metric("tidegate_component_idle_instances", &[("component", name)]);
        let (made, retired) = (made(&gateway, name), retired(&gateway, name, "requests"));
        println!("{name}: {made} instances made, {retired} retired, {idle} idle");
        assert!((0.0..=4.0).contains(&idle), "{name}: {idle} are idle");
        assert_eq!(made, retired + idle, "{name}: each is idle or retired");
        // A retired one answered all it may.
        assert!(retired * 100.0 <= answered as f64, "{name}: {retired} were retired");
        assert!(made <= answered as f64 / 100.0 + 4.0, "{name}: {made} were made");
    }
}

#[test]
fn cores_have_workers_of_their_own_within_the_limit() {
    let _alone = turn::alone();
    let gateway = Gateway::with()
        .set("workers", 2)
        .component_with(P3, |component| {
            component
                .isolation("concurrent")
                .reuse("{ requests = 100, concurrent = 4 }")
                .limit("concurrency", 8)
                .limit("queue_time", "20s")
        })
        .start();
    let most = thread::scope(|scope| {
        let load = || {
            let mut raw = gateway.connect();
            let ask = |_| {
                raw.write(get(P3, "/?ms=1"));
                let Remembered { count, now, most } = remembered(&raw.response());
                assert!(count <= 100 && now <= most && most <= 4, "{count} {now} {most}");
                most
            };
            (0..100).map(ask).max()
        };
        let loads: Vec<_> = (0..16).map(|_| scope.spawn(load)).collect();
        loads
            .into_iter()
            .map(|load| load.join().expect("every answer is good"))
            .max()
    });
    println!(
        "at most {most:?} at once; {} instances for 1600 requests",
        made(&gateway, P3)
    );
    assert!(most.flatten() > Some(1), "some of them shared an instance");
    wait_calls(&gateway, P3, 0.0);
    gateway.wait_metric("tidegate_component_queue_length", &[], 0.0);
}

/// Calls of all kinds, a third of them given up by their clients, through a component of four places.
#[test]
fn no_place_is_lost_in_a_mixture() {
    let _alone = turn::alone();
    for isolation in ["fresh", "reuse", "concurrent"] {
        let gateway = Gateway::with()
            .component_with(P3, |component| {
                let component = component
                    .isolation(isolation)
                    .limit("concurrency", 4)
                    .limit("cpu", "100ms");
                component
                    .limit("queue", 400)
                    .limit("queue_time", "20s")
                    .limit("deadline", "700ms")
            })
            .start();
        let targets = [
            "/",
            "/?ms=20",
            "/trap",
            "/hang",
            "/spin?ms=0",
            "/spin?ms=5",
            "/grow?mib=40",
            "/log?x",
            "/none",
        ];
        let began = Instant::now();
        thread::scope(|scope| {
            for part in 0..6 {
                let gateway = &gateway;
                scope.spawn(move || {
                    for n in 0..50 {
                        let mut raw = ask(gateway, P3, targets[(n * 7 + part) % targets.len()]);
                        if (n + part) % 3 != 0 {
                            // Some leave at once, others in the middle of it.
                            thread::park_timeout(Duration::from_millis((n % 4) as u64 * 5));
                            continue;
                        }
                        let answer = raw.response();
                        assert!(matches!(answer.status, 200 | 404 | 502 | 504 | 507), "{answer:?}");
                    }
                });
            }
        });
        println!("{isolation}: 300 requests took {:?}", began.elapsed());
        wait_calls(&gateway, P3, 0.0);
        gateway.wait_metric("tidegate_requests_in_flight", &[], 0.0);
        gateway.wait_metric("tidegate_component_queue_length", &[], 0.0);
        // All four places are there, at the same time.
        let four: Vec<_> = (0..4).map(|_| ask(&gateway, P3, "/?ms=300")).collect();
        wait_calls(&gateway, P3, 4.0);
        all_answered(four);
        wait_calls(&gateway, P3, 0.0);
        let idle = gateway.metric("tidegate_component_idle_instances", &[("component", P3)]);
        assert!(idle <= 4.0, "{isolation}: {idle} are idle");
        wait::until_true("every instance to be accounted for", || {
            let gone = gateway.metric("tidegate_component_retirements_total", &[("component", P3)]);
            let idle = gateway.metric("tidegate_component_idle_instances", &[("component", P3)]);
            isolation != "reuse" || (made(&gateway, P3) - gone - idle).abs() < 1e-9
        });
    }
}
