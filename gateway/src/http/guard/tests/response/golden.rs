//! The golden tables of servers' answers through the guard, cut at every byte, and a case for every reason.

use std::collections::BTreeSet;

use super::super::responses::{self, BAD, Bad, Ends, GOOD, Harm};
use super::*;

pub(super) fn asked(asked: responses::Asked) -> Asked {
    Asked {
        is_head: asked == responses::Asked::Head,
        may_upgrade: asked == responses::Asked::Upgrade,
    }
}

fn refused(case: &Bad) -> BadResponse {
    match whole(asked(case.asked), case.bytes).verdict {
        Verdict::Reject(reason) => reason,
        other => panic!("{}: {other:?}", case.name),
    }
}

#[test]
fn bad_responses_are_refused_where_they_go_wrong() {
    for case in BAD {
        let (name, asked) = (case.name, asked(case.asked));
        refused(case);
        let passed = &case.bytes[..whole(asked, case.bytes).passed];
        let before = whole(asked, passed);
        assert_eq!(before.verdict, Verdict::Ok, "{name}");
        let seen = agreed(asked, passed);
        match case.harm {
            Harm::Head => assert_eq!((seen, before.state), (None, At::BeforeHead), "{name}"),
            Harm::Body => {
                assert_eq!(seen.expect(name).body, None, "{name}");
                assert_eq!(before.state, At::InBody { left: None }, "{name}");
            }
            Harm::Behind => {
                assert!(seen.expect(name).body.is_some(), "{name}");
                assert_eq!(before.state, At::Idle, "{name}");
                assert_eq!(refused(case), BadResponse::Unasked, "{name}");
            }
        }
    }
}

#[test]
fn good_responses_pass_whole() {
    for case in GOOD {
        let asked = asked(case.asked);
        let expected = Outcome {
            passed: case.bytes.len(),
            verdict: Verdict::Ok,
            state: match case.ends {
                Ends::Itself => At::Idle,
                Ends::Close => At::UntilClose,
                Ends::Http => At::Tunnel,
            },
        };
        assert_eq!(whole(asked, case.bytes), expected, "{}", case.name);
        let seen = agreed(asked, case.bytes).expect(case.name);
        let expected = (case.status, Some(case.body.to_vec()));
        assert_eq!((seen.status, seen.body), expected, "{}", case.name);
    }
}

#[test]
fn cuts_change_nothing() {
    let bad = BAD.iter().map(|case| (case.name, case.asked, case.bytes));
    let good = GOOD.iter().map(|case| (case.name, case.asked, case.bytes));
    for (name, request, bytes) in bad.chain(good) {
        let (limits, asked) = (ResponseLimits::default(), asked(request));
        let expected = whole(asked, bytes);
        assert_eq!(
            outcome(limits, asked, bytes, 0..bytes.len()),
            expected,
            "{name}, byte by byte"
        );
        // Every cut of what people write by hand; of the long fillings only some, and those at the edges.
        let stride = bytes.len() / 256 + 1;
        let edges = (0..bytes.len().min(64)).chain(bytes.len().saturating_sub(64)..bytes.len());
        for cut in (0..bytes.len()).step_by(stride).chain(edges) {
            assert_eq!(outcome(limits, asked, bytes, [cut]), expected, "{name}, cut at {cut}");
        }
    }
}

/// Nor is it taken for all of it.
#[test]
fn a_prefix_of_a_good_response_is_never_refused_and_never_whole() {
    for case in GOOD {
        let asked = asked(case.asked);
        for end in 0..case.bytes.len() {
            let outcome = whole(asked, &case.bytes[..end]);
            let name = format!("{} to {end}: {outcome:?}", case.name);
            assert!(!matches!(outcome.verdict, Verdict::Reject(_)), "{name}");
            let has_head = end >= case.bytes.len() - case.body.len();
            let may_end = has_head && case.ends != Ends::Itself;
            assert_eq!(matches!(outcome.state, At::UntilClose | At::Tunnel), may_end, "{name}");
            assert_ne!(outcome.state, At::Idle, "{name}");
        }
    }
}

/// `_` stands for each byte in turn, and how many of the 256 pass. What passes, the others must read alike.
const HOLES: &[(usize, &str)] = &[
    (1, "_TTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    (1, "HTTP/_.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    (2, "HTTP/1._ 200 OK\r\nContent-Length: 0\r\n\r\n"),
    (1, "HTTP/1.1_200 OK\r\nContent-Length: 0\r\n\r\n"),
    // 204 with a length of zero is one of the ten.
    (10, "HTTP/1.1 20_ OK\r\nContent-Length: 0\r\n\r\n"),
    (10, "HTTP/1.1 2_0 OK\r\nContent-Length: 0\r\n\r\n"),
    // 1xx is not the last response, and passes for itself.
    (5, "HTTP/1.1 _00 OK\r\nContent-Length: 0\r\n\r\n"),
    // SP, and the CR of a reason that is absent is not followed by a LF.
    (1, "HTTP/1.1 200_OK\r\nContent-Length: 0\r\n\r\n"),
    // HTAB, SP, VCHAR, obs-text.
    (224, "HTTP/1.1 200 O_K\r\nContent-Length: 0\r\n\r\n"),
    (1, "HTTP/1.1 200 OK_\nContent-Length: 0\r\n\r\n"),
    (1, "HTTP/1.1 200 OK\r_Content-Length: 0\r\n\r\n"),
    // tchar, and a colon.
    (78, "HTTP/1.1 200 OK\r\nX_Y: b\r\nContent-Length: 0\r\n\r\n"),
    (224, "HTTP/1.1 200 OK\r\nX: a_b\r\nContent-Length: 0\r\n\r\n"),
    // Digits, and the two kinds of white space that are trimmed.
    (12, "HTTP/1.1 200 OK\r\nContent-Length: 0_\r\n\r\n"),
];

#[test]
fn every_byte_is_judged_as_hyper_can_bear() {
    for (expected, template) in HOLES {
        let (before, behind) = template.split_once('_').expect("a hole");
        let is_passed = |byte: &u8| {
            let bytes = [before.as_bytes(), &[*byte], behind.as_bytes()].concat();
            let outcome = whole(Asked::default(), &bytes);
            agreed(Asked::default(), &bytes[..outcome.passed]);
            !matches!(outcome.verdict, Verdict::Reject(_))
        };
        let passed: Vec<u8> = (0..=u8::MAX).filter(is_passed).collect();
        assert_eq!(passed.len(), *expected, "{template}: {}", passed.escape_ascii());
    }
}

#[test]
fn tables_are_large_and_named_once() {
    assert!(BAD.len() >= 100 && GOOD.len() >= 40, "{} and {}", BAD.len(), GOOD.len());
    let names: BTreeSet<_> = BAD.iter().map(|case| case.name).collect();
    let cases: BTreeSet<_> = BAD
        .iter()
        .map(|case| (case.bytes, format!("{:?}", case.asked)))
        .collect();
    assert_eq!((names.len(), cases.len()), (BAD.len(), BAD.len()));
    let names: BTreeSet<_> = GOOD.iter().map(|case| case.name).collect();
    assert_eq!(names.len(), GOOD.len());
}

/// A case for every reason to refuse a response while it comes.
const REASONS: &[(&str, BadResponse)] = &[
    ("length-then-response", BadResponse::Unasked),
    ("http-0.9", BadResponse::StatusLine),
    ("version-2.0", BadResponse::Version),
    ("status-600", BadResponse::Status),
    ("status-four-digits", BadResponse::Status),
    ("status-nul", BadResponse::Message(Fault::Nul)),
    ("reason-escape", BadResponse::Reason),
    ("interims-many", BadResponse::Interims),
    ("101-unasked", BadResponse::Upgrade),
    ("204-length", BadResponse::LengthWithoutBody),
    ("103-coding", BadResponse::CodingWithoutBody),
    ("value-nul", BadResponse::Message(Fault::Nul)),
    ("reason-bare-cr", BadResponse::Message(Fault::BareCr)),
    ("reason-bare-lf", BadResponse::Message(Fault::BareLf)),
    ("fold-space", BadResponse::Message(Fault::ObsFold)),
    ("name-separator", BadResponse::Message(Fault::FieldName)),
    ("space-before-colon", BadResponse::Message(Fault::SpaceBeforeColon)),
    ("value-control", BadResponse::Message(Fault::ControlByte)),
    ("length-repeated-equal", BadResponse::Message(Fault::LengthRepeated)),
    ("length-list-equal", BadResponse::Message(Fault::LengthInvalid)),
    ("coding-then-length", BadResponse::Message(Fault::LengthWithCoding)),
    ("coding-repeated", BadResponse::Message(Fault::CodingRepeated)),
    ("coding-gzip-chunked", BadResponse::Message(Fault::CodingUnsupported)),
    ("coding-1.0", BadResponse::Message(Fault::CodingVersion)),
    ("head-long", BadResponse::Message(Fault::HeadBytes)),
    ("fields-many", BadResponse::Message(Fault::FieldCount)),
    ("chunk-size-sign", BadResponse::Message(Fault::ChunkSize)),
    ("chunk-extension-empty", BadResponse::Message(Fault::ChunkExtension)),
    ("chunk-extension-long", BadResponse::Message(Fault::ChunkLineBytes)),
    (
        "chunk-extensions-many",
        BadResponse::Message(Fault::ChunkExtensionBytes),
    ),
    ("chunk-longer-than-size", BadResponse::Message(Fault::ChunkEnd)),
    ("trailer-length", BadResponse::Message(Fault::TrailerField)),
    ("trailers-many", BadResponse::Message(Fault::TrailerCount)),
    ("trailers-long", BadResponse::Message(Fault::TrailerBytes)),
];

#[test]
fn every_reason_has_a_case() {
    for (name, reason) in REASONS {
        let case = BAD.iter().find(|case| case.name == *name).expect(name);
        assert_eq!(refused(case), *reason, "{name}");
    }
    let large: Vec<_> = REASONS
        .iter()
        .filter(|(_, reason)| reason.is_size())
        .map(|(name, _)| *name)
        .collect();
    assert_eq!(large, ["head-long", "fields-many", "trailers-many", "trailers-long"]);
    let text = |reason: BadResponse| format!("{reason:?}: {reason}");
    let seen: BTreeSet<_> = BAD.iter().map(|case| text(refused(case))).collect();
    let listed: BTreeSet<_> = REASONS.iter().map(|(_, reason)| text(*reason)).collect();
    assert_eq!(seen, listed);
    assert!(
        seen.iter()
            .all(|text| !text.contains("request") || text.contains("no request") || text.contains("the request"))
    );
}
