//! What a reload does to shared instances, and which components may share them.

use super::{
    Remembered, ask, made, number, remembered, retired, settle, steadily, wait_calls, wait_idle, wait_retired,
};
use crate::support::Gateway;
use crate::support::config::entry;
use toml::Table;

const P3: &str = "remember-p3";

/// Another configuration of a component: it is loaded anew.
fn change(config: &mut Table, component: &str) {
    let component = entry(entry(config, "component"), component);
    entry(component, "env").insert("VERSION".to_owned(), "2".into());
}

#[test]
fn a_0_2_component_is_refused_as_concurrent() {
    for name in ["remember", "hello"] {
        let ran = Gateway::with()
            .component_with(name, |component| component.isolation("concurrent"))
            .run();
        ran.exited(78);
        let words = ran.stderr.replace("\n  | ", " ");
        for part in ["concurrent", "wasi:http/handler@0.3", "use \"reuse\""] {
            assert!(
                words.replace("isolation = ", "").contains(part),
                "{part:?} is not in\n{}",
                ran.stderr
            );
        }
        assert!(!ran.stderr.contains("listening"), "{ran:?}");
    }
}

#[test]
fn instances_of_a_replaced_component_go_and_others_stay() {
    let mut gateway = Gateway::with()
        .set("workers", 1)
        .component_with("remember", |component| {
            component.isolation("reuse").reuse("{ idle = '10m' }")
        })
        .component_with("remember", |component| {
            component.named("kept").isolation("reuse").reuse("{ idle = '10m' }")
        })
        .start();
    for count in 1..=3 {
        assert_eq!(number(&settle(&gateway, "remember", "/")), count);
        assert_eq!(number(&settle(&gateway, "kept", "/")), count);
    }
    gateway.edit(|config| change(config, "remember"));
    gateway.reload().is(200);
    wait_retired(&gateway, "remember", "replaced", 1.0);
    wait_idle(&gateway, "remember", 0.0);
    assert_eq!(number(&settle(&gateway, "remember", "/")), 1);
    assert_eq!(number(&settle(&gateway, "kept", "/")), 4);
    assert_eq!(
        gateway.metric("tidegate_component_retirements_total", &[("component", "kept")]),
        0.0
    );
    // A reload that changes nothing changes nothing here.
    gateway.reload().is(200);
    assert_eq!(number(&settle(&gateway, "remember", "/")), 2);
    assert_eq!(number(&settle(&gateway, "kept", "/")), 5);
    gateway.wait_metric("tidegate_snapshot_versions_alive", &[], 1.0);
}

#[test]
fn an_unchanged_concurrent_component_keeps_its_instance() {
    let start = || {
        Gateway::with()
            .set("workers", 1)
            .component("hello")
            .component_with(P3, |component| {
                component.isolation("concurrent").reuse("{ idle = '10m' }")
            })
            .start()
    };
    let (mut gateway, counts) = steadily(P3, start, |gateway| {
        let before = remembered(&settle(gateway, P3, "/")).count;
        gateway.reload().is(200);
        (before, remembered(&settle(gateway, P3, "/")).count)
    });
    assert_eq!(counts, (1, 2));
    gateway.edit(|config| change(config, P3));
    gateway.reload().is(200);
    wait_retired(&gateway, P3, "replaced", 1.0);
    assert_eq!(remembered(&settle(&gateway, P3, "/")).count, 1);
    gateway.wait_metric("tidegate_snapshot_versions_alive", &[], 1.0);
}

#[test]
fn requests_in_flight_finish_where_they_began() {
    for isolation in ["reuse", "concurrent"] {
        let mut gateway = Gateway::with()
            .set("workers", 1)
            .component_with(P3, |component| component.isolation(isolation))
            .start();
        let sleepers: Vec<_> = (0..3).map(|_| ask(&gateway, P3, "/?ms=2000")).collect();
        wait_calls(&gateway, P3, 3.0);
        gateway.edit(|config| change(config, P3));
        gateway.reload().is(200);
        let first = Remembered {
            count: 1,
            now: 1,
            most: 1,
        };
        assert_eq!(remembered(&gateway.get(P3, "/")), first, "{isolation}: the new one");
        for mut raw in sleepers {
            let answer = remembered(&raw.response());
            println!("{isolation}: {answer:?}");
        }
        wait_calls(&gateway, P3, 0.0);
        // Every instance of the old one is gone, for whatever reason; the new one has its own.
        let gone = || {
            ["replaced", "lane"]
                .map(|cause| retired(&gateway, P3, cause))
                .iter()
                .sum::<f64>()
        };
        crate::support::wait::until_true("the old instances to go", || made(&gateway, P3) - gone() < 1.5);
        assert!(retired(&gateway, P3, "replaced") + retired(&gateway, P3, "lane") >= 1.0);
        gateway.wait_metric("tidegate_snapshot_versions_alive", &[], 1.0);
    }
}
