//! Why instances go: after each cause the next request is answered by a new one, and the cause is counted.

use super::{
    Remembered, ask, lane_moves, made, number, remembered, retired, settle, steadily, wait_calls, wait_gone, wait_idle,
    wait_retired,
};
use crate::support::gateway::Builder;
use crate::support::{Gateway, wait};

const P3: &str = "remember-p3";
const SHARED: [&str; 2] = ["reuse", "concurrent"];
/// The first request of an instance that has no other.
const FIRST: Remembered = Remembered {
    count: 1,
    now: 1,
    most: 1,
};

/// `remember-p3` on one core; `short.test` is its too, with a deadline of 300 ms.
fn builder(isolation: &str, cpu: &str) -> Builder {
    Gateway::with()
        .set("workers", 1)
        .component("hello")
        .component_with(P3, |component| {
            component
                .isolation(isolation)
                .limit("cpu", cpu)
                .limit("deadline", "10m")
        })
        .route("{ host = 'short.test', component = 'remember-p3', limits = { deadline = '300ms' } }")
}

/// One request that is answered, then `ends` ends its instance; the next one has another.
#[track_caller]
fn ends_for(isolation: &str, cpu: &str, cause: &str, ends: impl Fn(&Gateway)) {
    let start = || builder(isolation, cpu).start();
    let (gateway, first) = steadily(P3, start, |gateway| remembered(&settle(gateway, P3, "/")));
    assert_eq!(first, FIRST);
    ends(&gateway);
    if isolation == "concurrent" {
        wait_gone(&gateway, P3, cause);
    } else {
        wait_retired(&gateway, P3, cause, 1.0);
    }
    wait_calls(&gateway, P3, 0.0);
    let all = gateway.metric("tidegate_component_retirements_total", &[("component", P3)]);
    assert_eq!(all, 1.0, "{isolation}: it was retired once");
    let next = remembered(&settle(&gateway, P3, "/"));
    assert_eq!(next, FIRST, "{isolation}, after {cause}");
    assert_eq!(made(&gateway, P3), 2.0, "{isolation}: instances");
    gateway.get("hello", "/").is(200);
}

#[test]
fn a_trap() {
    for isolation in SHARED {
        ends_for(isolation, "10s", "trap", |gateway| {
            settle(gateway, P3, "/trap").is_fault(502, "trap");
        });
    }
}

#[test]
fn a_trap_of_a_0_2_guest() {
    for target in ["/", "/panic", "/exit", "/return"] {
        let gateway = Gateway::with()
            .component_with("trap", |component| component.isolation("reuse"))
            .start();
        for _ in 0..3 {
            let answer = settle(&gateway, "trap", target);
            assert_eq!(answer.status, 502, "{target}: {answer:?}");
        }
        // Each had an instance of its own, but where nothing is wrong with one that only did not answer.
        if target == "/return" {
            continue;
        }
        wait_retired(&gateway, "trap", "trap", 3.0);
        wait_idle(&gateway, "trap", 0.0);
        assert_eq!(made(&gateway, "trap"), 3.0, "{target}");
    }
}

#[test]
fn a_client_that_leaves_a_waiting_guest() {
    for isolation in SHARED {
        ends_for(isolation, "10s", "cancelled", |gateway| {
            let raw = ask(gateway, P3, "/hang");
            wait_calls(gateway, P3, 1.0);
            drop(raw);
            let labels = [("component", P3), ("cause", "client_gone")];
            gateway.wait_metric("tidegate_component_cancels_total", &labels, 1.0);
        });
    }
}

#[test]
fn a_deadline() {
    for isolation in SHARED {
        ends_for(isolation, "10s", "cancelled", |gateway| {
            gateway.get("short", "/hang").is_fault(504, "deadline");
        });
    }
}

/// What computes without end is stopped, whatever stops it: its CPU limit, its deadline, or its client.
#[test]
fn a_guest_that_computes_without_end() {
    type Stop = fn(&Gateway);
    let stop: [(&str, Stop); 3] = [
        ("300ms", |gateway| {
            gateway.get(P3, "/spin?ms=0").is_fault(504, "cpu");
        }),
        ("0s", |gateway| {
            gateway.get("short", "/spin?ms=0").is_fault(504, "deadline");
        }),
        ("0s", |gateway| {
            let raw = ask(gateway, P3, "/spin?ms=0");
            wait_calls(gateway, P3, 1.0);
            drop(raw);
        }),
    ];
    for (cpu, stop) in stop {
        ends_for("reuse", cpu, "cancelled", stop);
        // An instance in the lane takes no further request; that it is stopped there is no second cause.
        ends_for("concurrent", cpu, "lane", stop);
    }
}

#[test]
fn memory_that_grew_beyond_half_its_room() {
    for isolation in SHARED {
        ends_for(isolation, "10s", "memory", |gateway| {
            assert_eq!(remembered(&gateway.get(P3, "/grow?mib=40")).count, 2);
        });
    }
}

/// A MiB a request: the one after half of the room is taken has a new instance, and none is ever refused memory.
#[test]
fn memory_that_leaks_slowly() {
    for isolation in SHARED {
        let gateway = builder(isolation, "10s").start();
        let grow = |_| remembered(&settle(&gateway, P3, "/grow?mib=1")).count;
        let counts: Vec<_> = (0..80).map(grow).collect();
        // 63 of 64 MiB are its room, and an allocator may take a page more than it is asked for.
        assert!(counts.iter().all(|count| *count <= 33), "{isolation}: {counts:?}");
        // Where the lane took none of them they went for nothing else.
        if isolation == "reuse" || lane_moves(&gateway, P3) == 0.0 {
            assert!(counts.contains(&28), "{isolation}: {counts:?}");
            wait_retired(&gateway, P3, "memory", 2.0);
        }
    }
}

/// An ordinary request's memory is no leak: the instance stays.
#[test]
fn memory_that_grew_a_little_is_kept() {
    for isolation in SHARED {
        let start = || builder(isolation, "10s").start();
        let (_gateway, counts) = steadily(P3, start, |gateway| {
            let targets = ["/grow?mib=1", "/", "/grow?mib=1", "/"];
            targets.map(|target| remembered(&settle(gateway, P3, target)).count)
        });
        assert_eq!(counts, [1, 2, 3, 4], "{isolation}");
    }
}

#[test]
fn memory_that_was_refused() {
    let gateway = Gateway::with()
        .component_with("allocate-forever", |component| {
            component.isolation("reuse").limit("memory", "16MiB").limit("cpu", "0s")
        })
        .start();
    for _ in 0..3 {
        settle(&gateway, "allocate-forever", "/").is_fault(502, "memory");
    }
    wait_retired(&gateway, "allocate-forever", "memory", 3.0);
    assert_eq!(made(&gateway, "allocate-forever"), 3.0);
    // It survives this one, having taken all it may.
    settle(&gateway, "allocate-forever", "/report").is(200);
    wait_retired(&gateway, "allocate-forever", "memory", 4.0);
    wait_idle(&gateway, "allocate-forever", 0.0);
}

#[test]
fn handles_left_behind() {
    let gateway = Gateway::with()
        .set("workers", 1)
        .component_with("leak-handles", |component| component.isolation("reuse"))
        .start();
    // Nothing is kept of a request that leaves nothing: only then does the instance count on.
    assert_eq!(number(&settle(&gateway, "leak-handles", "/?what=fields&n=0")), 0);
    wait_idle(&gateway, "leak-handles", 1.0);
    let leaks = [
        ("fields&n=100", 100),
        ("request", 3),
        ("fields&n=1", 1),
        ("fields&n=64", 64),
    ];
    for (round, (what, kept)) in (1_u32..).zip(leaks) {
        // By the guest's own count: what the ones before left is not there.
        assert_eq!(
            number(&settle(&gateway, "leak-handles", &format!("/?what={what}"))),
            kept
        );
        wait_retired(&gateway, "leak-handles", "handles", f64::from(round));
        wait_idle(&gateway, "leak-handles", 0.0);
    }
    assert_eq!(number(&settle(&gateway, "leak-handles", "/?what=fields&n=0")), 0);
    wait_idle(&gateway, "leak-handles", 1.0);
}

#[test]
fn nothing_to_do() {
    for isolation in SHARED {
        let gateway = Gateway::with()
            .set("workers", 1)
            .component_with(P3, |component| component.isolation(isolation).reuse("{ idle = '1s' }"))
            .start();
        for round in 1..=2 {
            let moved = lane_moves(&gateway, P3);
            assert_eq!(remembered(&settle(&gateway, P3, "/")), FIRST, "{isolation}");
            if isolation == "concurrent" && lane_moves(&gateway, P3) > moved {
                continue;
            }
            wait::until_true("the idle instance to go", || retired(&gateway, P3, "idle") >= 1.0);
            wait_idle(&gateway, P3, 0.0);
            assert!(retired(&gateway, P3, "idle") <= f64::from(round), "{isolation}");
        }
    }
}

/// An instance that waits is counted as waiting, in both modes.
#[test]
fn waiting_instances_are_counted() {
    for isolation in SHARED {
        let start = || builder(isolation, "10s").start();
        let idle = |gateway: &Gateway| {
            settle(gateway, P3, "/").is(200);
            let is_seen = || {
                let idle = gateway.metric("tidegate_component_idle_instances", &[("component", P3)]);
                (idle > 0.5).then_some(())
            };
            wait::try_until(is_seen).is_some()
        };
        let (_gateway, is_counted) = steadily(P3, start, idle);
        assert!(is_counted, "{isolation}: an idle instance is not counted");
    }
}

/// Calls that are stopped, of every kind and many of them: no instance of theirs answers again.
#[test]
fn what_was_stopped_never_serves_again() {
    let gateway = builder("reuse", "200ms").start();
    for round in 1..=10_u32 {
        let raw = ask(&gateway, P3, "/hang");
        wait_calls(&gateway, P3, 1.0);
        drop(raw);
        wait_calls(&gateway, P3, 0.0);
        assert_eq!(remembered(&settle(&gateway, P3, "/")), FIRST);
        gateway.get("short", "/hang").is_fault(504, "deadline");
        wait_calls(&gateway, P3, 0.0);
        assert_eq!(remembered(&settle(&gateway, P3, "/")), FIRST);
        gateway.get(P3, "/spin?ms=0").is_fault(504, "cpu");
        wait_calls(&gateway, P3, 0.0);
        assert_eq!(remembered(&settle(&gateway, P3, "/")), FIRST);
        // A stopped call ends the instance that answered before it.
        let cancelled = retired(&gateway, P3, "cancelled");
        assert_eq!(cancelled, f64::from(round * 3), "round {round}");
    }
}
