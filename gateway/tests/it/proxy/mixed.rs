//! Everything at once: whatever happens to others, each request gets its own answer or none.

use super::faults::{FAULTS, faulty};
use super::{HOST, api, get, head, is_quiet, post};
use crate::golden::responses::{Asked, BAD, GOOD};
use crate::support::origin::Origin;
use crate::support::streams::Streams;
use crate::support::{End, Gateway, wait};
use std::thread;

const CLIENTS: usize = 4;
const REQUESTS: usize = 250;

/// Numbers without a pattern, the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        // Knuth's MMIX generator; its high bits are the good ones.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    /// A target that is answered badly, or oddly; `None` is one's own.
    fn target(&mut self) -> Option<String> {
        match self.below(5) {
            0 => {
                let quick: Vec<_> = FAULTS.iter().filter(|fault| !fault.is_slow).collect();
                Some(quick[self.below(quick.len())].target.to_owned())
            }
            1 => {
                // What is bad only for others would be good, and its server leaves behind it.
                let at = self.below(BAD.len());
                (BAD[at].asked == Asked::Get).then(|| format!("/bad/{at}"))
            }
            2 => {
                let at = self.below(GOOD.len());
                (GOOD[at].asked == Asked::Get).then(|| format!("/good/{at}"))
            }
            _ => None,
        }
    }
}

fn over_http1(gateway: &Gateway, number: usize) {
    let mut dice = Dice(number as u64);
    let mut raw = gateway.connect();
    for round in 0..REQUESTS {
        let other = dice.target();
        let own = format!("/{number}-{round}");
        let (method, request) = match (&other, dice.below(4)) {
            (Some(target), 0) => ("HEAD", head("HEAD", target, "")),
            (Some(target), _) => ("GET", get(target)),
            (None, 0) => ("POST", post(&own, "some body")),
            (None, _) => ("GET", get(&own)),
        };
        raw.write(request);
        let answer = raw.head().map(|mut answer| {
            raw.body(&mut answer, method);
            answer
        });
        let is_kept = answer.as_ref().is_some_and(|answer| answer.end == End::Complete);
        if other.is_none() {
            let answer = answer.expect("one's own answer");
            // A POST whose server's connection broke before it is the one that may fail.
            if method == "GET" || answer.status == 200 {
                assert_eq!(answer.is(200).text(), format!("{method} {own}"));
            }
        }
        if !is_kept {
            raw = gateway.connect();
        }
    }
}

fn over_http2(gateway: &Gateway, number: usize) {
    let mut dice = Dice(number as u64);
    let mut streams = Streams::connect(gateway.address());
    for round in 0..REQUESTS {
        let other = dice.target();
        let own = format!("/{number}-{round}");
        let answer = streams.get(HOST, other.as_ref().unwrap_or(&own));
        if other.is_none() {
            let (status, body) = answer.expect("one's own answer");
            assert_eq!((status, body), (200, format!("GET {own}").into_bytes()));
        }
    }
}

#[test]
fn each_gets_its_own_answer_or_none() {
    let servers = [Origin::start(faulty), Origin::start(faulty)];
    let more = ", ejection = { failures = 0 }, retry = { budget = '100%' }";
    let gateway = api(&servers.each_ref().map(|server| server.address), more).start();
    thread::scope(|scope| {
        for number in 0..CLIENTS {
            let gateway = &gateway;
            scope.spawn(move || over_http1(gateway, 2 * number));
            scope.spawn(move || over_http2(gateway, 2 * number + 1));
        }
    });
    is_quiet(&gateway);
    let most = CLIENTS * 2;
    wait::until_true("broken connections to be closed", || {
        servers.iter().map(Origin::open).sum::<usize>() <= 2 * most
    });
}
