//! Several requests in one instance: how many share it, what they are told apart by, and when it is full.

use super::{ask, get, made, remembered, retired, settle, steadily, wait_calls, wait_lines, wait_retired};
use crate::support::gateway::Builder;
use crate::support::{Client, Gateway, Protocol, Raw};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

const P3: &str = "remember-p3";

fn builder(reuse: &str) -> Builder {
    Gateway::with()
        .set("workers", 1)
        .component("hello")
        .component_with(P3, |component| {
            let component = component.isolation("concurrent").limit("deadline", "10m");
            if reuse.is_empty() {
                component
            } else {
                component.reuse(reuse)
            }
        })
}

/// Asks for `target` so many times at once, and reads the answers when all are under way.
fn at_once(gateway: &Gateway, target: &str, count: usize) -> Vec<super::Remembered> {
    let asked: Vec<Raw> = (0..count).map(|_| ask(gateway, P3, target)).collect();
    let answer = |mut raw: Raw| remembered(&raw.response());
    asked.into_iter().map(answer).collect()
}

#[test]
fn eight_requests_wait_in_one_instance() {
    let start = || builder("").start();
    let (gateway, (answers, took)) = steadily(P3, start, |gateway| {
        let began = Instant::now();
        (at_once(gateway, "/?ms=1000", 8), began.elapsed())
    });
    println!("8 requests that wait a second each took {took:?}");
    let most = answers.iter().map(|answer| answer.most).collect::<Vec<_>>();
    assert_eq!(most, [8; 8], "{answers:?}");
    // Each of them sees all of them, and fewer and fewer beside it.
    assert!(answers.iter().all(|answer| answer.count == 8), "{answers:?}");
    let now: BTreeSet<u64> = answers.iter().map(|answer| answer.now).collect();
    assert_eq!(now, (1..=8).collect(), "{answers:?}");
    assert_eq!(made(&gateway, P3), 1.0);
}

/// One connection brings them over HTTP/2.
#[test]
fn streams_of_one_connection_share_an_instance() {
    let start = || builder("").start();
    let (_gateway, most) = steadily(P3, start, |gateway| {
        let mut streams = crate::support::streams::Streams::connect(gateway.address());
        let asked: Vec<_> = (0..8)
            .map(|_| streams.ask("GET", P3, "/?ms=1000").expect("a stream"))
            .collect();
        let read = |asked| {
            let (response, _upload) = streams.head(asked).expect("a head");
            assert_eq!(response.status(), 200);
            let mut body = response.into_body();
            let text = streams.data(&mut body).expect("a body").expect("some of it");
            let text = String::from_utf8(text.to_vec()).expect("text");
            text.split(' ').next_back().and_then(|most| most.parse::<u64>().ok())
        };
        asked.into_iter().map(read).collect::<Vec<_>>()
    });
    assert_eq!(most, [Some(8); 8]);
}

#[test]
fn an_instance_takes_no_more_than_it_may() {
    for limit in [1, 2, 3] {
        let start = || builder(&format!("{{ concurrent = {limit} }}")).start();
        let (gateway, answers) = steadily(P3, start, |gateway| at_once(gateway, "/?ms=1000", 6));
        assert!(
            answers.iter().all(|answer| answer.most == limit),
            "{limit}: {answers:?}"
        );
        assert_eq!(made(&gateway, P3), 6.0 / limit as f64, "{limit}");
        assert_eq!(gateway.metric("tidegate_component_retirements_total", &[]), 0.0);
    }
}

#[test]
fn an_instance_is_retired_after_its_requests() {
    let start = || builder("{ requests = 3 }").start();
    let (gateway, counts) = steadily(P3, start, |gateway| {
        (0..7)
            .map(|_| remembered(&settle(gateway, P3, "/")).count)
            .collect::<Vec<_>>()
    });
    assert_eq!(counts, [1, 2, 3, 1, 2, 3, 1]);
    wait_retired(&gateway, P3, "requests", 2.0);

    drop(gateway);

    // At once too: those in flight are finished, and nobody joins them.
    let start = || builder("{ requests = 3 }").start();
    let (gateway, answers) = steadily(P3, start, |gateway| at_once(gateway, "/?ms=1000", 7));
    assert!(
        answers.iter().all(|answer| answer.count <= 3 && answer.most <= 3),
        "{answers:?}"
    );
    assert_eq!(made(&gateway, P3), 3.0);
    wait_retired(&gateway, P3, "requests", 2.0);
}

/// Whose a line is must be told among all requests of the instance, whichever of them wrote last.
#[test]
fn log_lines_have_the_id_of_their_own_request() {
    for isolation in ["fresh", "reuse", "concurrent"] {
        let gateway = Gateway::with()
            .set("workers", 1)
            .component_with(P3, |component| component.isolation(isolation).limit("deadline", "10m"))
            .start();
        let mut sleepers: Vec<_> = (0..3).map(|_| ask(&gateway, P3, "/?ms=1500")).collect();
        wait_calls(&gateway, P3, 3.0);
        let mut writers: Vec<_> = (0..8)
            .map(|n| {
                let mut raw = gateway.connect();
                raw.write(format!(
                    "GET /log?writer-{n}-of-8 HTTP/1.1\r\nhost: {P3}.test\r\nuser-agent: writer-{n}\r\n\r\n"
                ));
                raw
            })
            .collect();
        for raw in writers.iter_mut().chain(&mut sleepers) {
            raw.response().is(200);
        }
        let lines: BTreeMap<String, String> = (0..8)
            .map(|n| {
                let line = gateway.wait_log("a line of wasi:logging", |line| {
                    line["message"] == format!("writer-{n}-of-8")
                });
                (
                    format!("writer-{n}"),
                    line["request"].as_str().unwrap_or("none").to_owned(),
                )
            })
            .collect();
        let ids: BTreeMap<String, String> = (0..8)
            .map(|n| {
                let agent = format!("writer-{n}");
                let line = gateway.wait_access("the request", |line| line["user_agent"] == agent);
                (agent, line["id"].as_str().expect("an id").to_owned())
            })
            .collect();
        assert_eq!(
            lines, ids,
            "{isolation}: requests of the lines, and those that wrote them"
        );

        // What it prints is said too, by its request or by none, never by another.
        for n in 0..8 {
            let line = &wait_lines(&gateway, &format!("stdout: writer-{n}-of-8"), 1)[0];
            let id = ids.get(&format!("writer-{n}")).map(String::as_str);
            let said = line["request"].as_str();
            assert!(
                said == id || (isolation == "concurrent" && said.is_none()),
                "{isolation}: {line}"
            );
        }
    }
}

#[test]
fn answers_without_a_body_leave_the_connection_and_the_instance_free() {
    for isolation in ["reuse", "concurrent"] {
        let start = || {
            Gateway::with()
                .set("workers", 1)
                .component_with(P3, |component| component.isolation(isolation))
                .start()
        };
        let (_gateway, count) = steadily(P3, start, |gateway| {
            let mut raw = gateway.connect();
            for _ in 0..10 {
                raw.write(format!("HEAD / HTTP/1.1\r\nhost: {P3}.test\r\n\r\n"));
                let answer = raw.response_to("HEAD");
                assert!(answer.status == 200 && answer.body.is_empty(), "{answer:?}");
                wait_calls(gateway, P3, 0.0);
            }
            raw.write(get(P3, "/"));
            let count = remembered(&raw.response()).count;
            let mut client = Client::connect(Protocol::H2, gateway.address());
            let head = client.request("HEAD", P3, "/");
            let answer = client.send(head, b"").expect("an answer");
            assert!(answer.status == 200 && answer.body.is_empty(), "{answer:?}");
            wait_calls(gateway, P3, 0.0);
            assert_eq!(retired(gateway, P3, "cancelled"), 0.0, "{isolation}");
            count
        });
        assert_eq!(count, 11, "{isolation}");
    }
}
