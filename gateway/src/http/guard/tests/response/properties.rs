//! Properties over generated answers: any bytes, good responses, and good ones with something broken in them.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::super::properties::{body, edited, field};
use super::super::responses::{BAD, GOOD};
use super::oracle::feed;
use super::*;

fn ends(bytes: &[u8], cuts: &[Index]) -> Vec<usize> {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    ends.sort_unstable();
    ends
}

/// Asserts that no cut changes the outcome, and that other parsers agree about what passed.
fn judged_alike(asked: Asked, bytes: &[u8], cuts: &[Index]) -> Outcome {
    let expected = whole(asked, bytes);
    let limits = ResponseLimits::default();
    assert_eq!(outcome(limits, asked, bytes, ends(bytes, cuts)), expected);
    assert_eq!(outcome(limits, asked, bytes, 0..bytes.len()), expected);
    agreed(asked, &bytes[..expected.passed]);
    expected
}

fn any_asked() -> impl Strategy<Value = Asked> {
    (any::<bool>(), any::<bool>()).prop_map(|(is_head, may_upgrade)| Asked {
        is_head,
        may_upgrade: may_upgrade && !is_head,
    })
}

fn status_line(statuses: std::ops::RangeInclusive<u16>) -> impl Strategy<Value = (u16, Vec<u8>)> {
    let reason = prop::option::of(vec(
        prop_oneof![8 => 0x20_u8..0x7f, 1 => Just(b'\t'), 1 => 0x80_u8..=0xff],
        0..20,
    ));
    (statuses, reason).prop_map(|(status, reason)| {
        let reason = reason.map_or(Vec::new(), |reason| [&b" "[..], &reason].concat());
        let line = [format!("HTTP/1.1 {status}").as_bytes(), &reason, b"\r\n"].concat();
        (status, line)
    })
}

fn interim() -> impl Strategy<Value = Vec<u8>> {
    (status_line(102..=199), vec(field(), 0..3))
        .prop_map(|((_, line), fields)| [line, fields.concat(), b"\r\n".to_vec()].concat())
}

/// Bytes that answer a request whole, and where that leaves the connection.
fn response() -> impl Strategy<Value = (Asked, Vec<u8>, At)> {
    let head = (status_line(200..=599), vec(field(), 0..6), any::<Index>());
    (any_asked(), vec(interim(), 0..3), head, body()).prop_map(|(asked, interims, head, body)| {
        let ((status, line), mut fields, place) = head;
        let (mut framing, mut body) = body;
        if status == 204 {
            framing.clear();
        }
        let has_body = !matches!(status, 204 | 304) && !asked.is_head;
        if !has_body {
            body.clear();
        }
        let state = if has_body && framing.is_empty() {
            At::UntilClose
        } else {
            At::Idle
        };
        fields.insert(place.index(fields.len() + 1), framing);
        let bytes = [interims.concat(), line, fields.concat(), b"\r\n".to_vec(), body].concat();
        (asked, bytes, state)
    })
}

fn broken() -> impl Strategy<Value = Vec<u8>> {
    let golden = BAD.iter().map(|case| case.bytes);
    let tables: Vec<_> = golden
        .filter(|bytes| bytes.len() < 2000)
        .chain(GOOD.iter().map(|case| case.bytes))
        .collect();
    edited(prop_oneof![
        response().prop_map(|(_, bytes, _)| bytes),
        select(tables).prop_map(<[u8]>::to_vec),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_judged_alike(
        asked in any_asked(),
        begins in any::<bool>(),
        bytes in vec(any::<u8>(), 0..400),
        cuts in vec(any::<Index>(), 0..8),
    ) {
        let front = if begins { &b"HTTP/1.1 200 OK\r\n"[..] } else { b"" };
        judged_alike(asked, &[front, &bytes].concat(), &cuts);
    }

    #[test]
    fn good_responses_pass((asked, bytes, state) in response(), cuts in vec(any::<Index>(), 0..8)) {
        let expected = Outcome { passed: bytes.len(), verdict: Verdict::Ok, state };
        prop_assert_eq!(judged_alike(asked, &bytes, &cuts), expected);
    }

    #[test]
    fn one_connection_carries_many_responses(
        responses in vec((response(), vec(any::<Index>(), 0..4)), 1..6),
        behind in any::<u8>(),
    ) {
        let mut guard = ResponseGuard::new(ResponseLimits::default());
        for ((asked, bytes, state), cuts) in responses {
            guard.expects(asked);
            let outcome = feed(&mut guard, &bytes, ends(&bytes, &cuts));
            prop_assert_eq!((outcome.passed, outcome.state), (bytes.len(), state));
            if state != At::Idle {
                return Ok(());
            }
        }
        prop_assert_eq!(guard.scan(&[behind]).verdict, Verdict::Reject(BadResponse::Unasked));
    }

    #[test]
    fn broken_responses_are_judged_alike(
        asked in any_asked(),
        bytes in broken(),
        cuts in vec(any::<Index>(), 0..8),
    ) {
        judged_alike(asked, &bytes, &cuts);
    }
}
