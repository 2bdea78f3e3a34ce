//! What an instance remembers, and what of a request is never found by another.

use super::{get, number, retired, settle, wait_calls, wait_idle, wait_retired};
use crate::support::{Gateway, Response};
use serde_json::Value as Json;
use std::fs;
use std::io::Read;

const REMEMBER: &str = "remember";

/// One core, so that the next request finds the instance of the one before.
fn gateway(isolation: &str, reuse: &str) -> Gateway {
    let gateway = Gateway::with().set("workers", 1);
    let component = |component: crate::support::config::Component| {
        let component = component.isolation(isolation);
        if reuse.is_empty() {
            component
        } else {
            component.reuse(reuse)
        }
    };
    gateway.component_with(REMEMBER, component).start()
}

/// What `count` requests on one connection are answered, each after the instance of the one before was put back.
fn counts(gateway: &Gateway, count: usize) -> Vec<u64> {
    let mut raw = gateway.connect();
    let ask = |_| {
        raw.write(get(REMEMBER, "/"));
        let number = number(&raw.response());
        wait_calls(gateway, REMEMBER, 0.0);
        number
    };
    (0..count).map(ask).collect()
}

#[test]
fn a_fresh_instance_remembers_nothing() {
    let gateway = gateway("fresh", "");
    assert_eq!(counts(&gateway, 40), [1; 40]);
    assert_eq!(gateway.metric("tidegate_component_retirements_total", &[]), 0.0);
    wait_idle(&gateway, REMEMBER, 0.0);
}

#[test]
fn a_reused_instance_counts_to_its_bound_and_is_retired() {
    for (reuse, bound) in [("", 128), ("{ requests = 4 }", 4), ("{ requests = 1 }", 1)] {
        let gateway = gateway("reuse", reuse);
        let expected: Vec<u64> = (0..2 * bound + 1).map(|n| n % bound + 1).collect();
        assert_eq!(counts(&gateway, expected.len()), expected, "{reuse}");
        let is_kept = bound > 1;
        wait_retired(&gateway, REMEMBER, "requests", if is_kept { 2.0 } else { 3.0 });
        wait_idle(&gateway, REMEMBER, if is_kept { 1.0 } else { 0.0 });
        let all = gateway.metric("tidegate_component_retirements_total", &[]);
        assert_eq!(all, retired(&gateway, REMEMBER, "requests"), "nothing else retired one");
    }
}

/// A secret that no other test run and no other memory has, and the halves of a piece from its middle.
struct Secret {
    text: String,
    needle: (String, String),
}

impl Secret {
    /// Two KiB: what allocators write over is the head and the end of it.
    fn new() -> Self {
        let mut bytes = [0; 1024];
        let mut random = fs::File::open("/dev/urandom").expect("the system has randomness");
        random.read_exact(&mut bytes).expect("the system has randomness");
        let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let needle = (text[1000..1016].to_owned(), text[1016..1032].to_owned());
        Self { text, needle }
    }

    fn put(&self, gateway: &Gateway) -> Response {
        let Self { text, .. } = self;
        let length = text.len();
        gateway.send(
            REMEMBER,
            &format!(
                "PUT /secret HTTP/1.1\r\nhost: {{host}}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{text}"
            ),
        )
    }

    fn look(&self, gateway: &Gateway) -> Json {
        look(gateway, &self.needle)
    }
}

fn look(gateway: &Gateway, (first, second): &(String, String)) -> Json {
    let response = gateway.send(
        REMEMBER,
        &format!(
            "GET /secret HTTP/1.1\r\nhost: {{host}}\r\nconnection: close\r\nx-needle-a: {first}\r\n\
             x-needle-b: {second}\r\n\r\n"
        ),
    );
    wait_calls(gateway, REMEMBER, 0.0);
    serde_json::from_str(&response.is(200).text()).expect("it answers JSON")
}

/// What is in every instance: were it not found, nothing ever would be.
fn can_find(gateway: &Gateway) -> Json {
    let constant = ("GET /, GET /sec".to_owned(), "ret or PUT /secret".to_owned());
    let said = look(gateway, &constant);
    assert_eq!(said["found"], true, "the guest finds its own text: {said}");
    said
}

/// More than the pool cleans at once, and more than it may keep aside: whatever place the secret was in comes again.
const LOOKS: usize = 100;

#[track_caller]
fn nothing_crosses_under_fresh(gateway: &Gateway) {
    let handle = can_find(gateway)["handle"].clone();
    for _ in 0..3 {
        let secrets: Vec<_> = (0..4).map(|_| Secret::new()).collect();
        for secret in &secrets {
            assert_eq!(secret.put(gateway).is(200).text(), "kept\n");
            wait_calls(gateway, REMEMBER, 0.0);
        }
        for n in 0..LOOKS {
            let said = secrets[n % secrets.len()].look(gateway);
            let expected = serde_json::json!({ "count": 1, "secret": false, "found": false, "handle": handle });
            assert_eq!(said, expected, "look {n}");
        }
    }
}

#[test]
fn no_request_finds_anything_of_another_under_fresh() {
    nothing_crosses_under_fresh(&gateway("fresh", ""));
}

/// Whether places may be cleaned by the scan on this machine (DESIGN §5): no swap, and Linux 6.7.
fn may_scan() -> bool {
    let swaps = fs::read_to_string("/proc/swaps").expect("/proc/swaps");
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("the kernel's release");
    let mut numbers = release
        .split(['.', '-'])
        .map(|number| number.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    swaps.lines().count() <= 1 && version >= (6, 7)
}

#[test]
fn no_request_finds_anything_of_another_where_places_are_scanned() {
    let builder = Gateway::with()
        .set("workers", 1)
        .set("pool_reset", "scan")
        .component(REMEMBER);
    if may_scan() {
        nothing_crosses_under_fresh(&builder.start());
    } else {
        let ran = builder.run();
        assert_ne!(ran.code, Some(0), "{ran:?}");
        ran.complained("pool_reset = \"scan\" needs");
    }
}

/// The guest kept the secret and the handles of its request: it must never see another request.
#[test]
fn what_kept_a_requests_handles_sees_no_other_request() {
    let gateway = gateway("reuse", "");
    for round in 1..=20 {
        let secret = Secret::new();
        secret.put(&gateway).is(200);
        wait_retired(&gateway, REMEMBER, "handles", f64::from(round));
        for count in 1..=3 {
            let said = secret.look(&gateway);
            let expected = serde_json::json!([count, false, false]);
            assert_eq!(
                serde_json::json!([said["count"], said["secret"], said["found"]]),
                expected,
                "round {round}"
            );
            assert!(said["handle"].as_u64() <= Some(HANDLES), "{said}");
        }
        wait_idle(&gateway, REMEMBER, 1.0);
    }
}

/// More than a request of `remember` ever has at a time: a guest's numbers are used again, the smallest not first.
const HANDLES: u64 = 8;

/// Nothing of a request stays in the table: a hundred later the numbers are no higher.
#[test]
fn the_table_of_a_well_behaved_instance_does_not_grow() {
    let gateway = gateway("reuse", "");
    for count in 1..=100 {
        let said = can_find(&gateway);
        assert_eq!(said["count"], count, "{said}");
        assert!(said["handle"].as_u64() <= Some(HANDLES), "{said}");
    }
    assert_eq!(settle(&gateway, REMEMBER, "/").is(200).text(), "101");
    assert_eq!(gateway.metric("tidegate_component_retirements_total", &[]), 0.0);
}
