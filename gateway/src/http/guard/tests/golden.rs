//! The golden tables of the integration tests through the guard, cut at every byte, and a case for every reason.

use std::collections::BTreeSet;

use super::oracle::{self, Outcome, outcome, whole};
use super::{HeadLimits, Phase, Rejection, Verdict, Where, bodies, malformed, unusual};

fn rejection(name: &str, bytes: &[u8]) -> Rejection {
    match whole(bytes).verdict {
        Verdict::Reject(rejection) => rejection,
        other => panic!("{name}: {other:?}"),
    }
}

pub(super) fn malformed_cases() -> impl Iterator<Item = &'static malformed::Case> {
    malformed::CASES.iter().chain(malformed::PIPELINED).chain(bodies::CASES)
}

#[test]
fn malformed_heads_are_refused_whole() {
    for case in malformed::CASES {
        let refused = rejection(case.name, case.bytes);
        assert_eq!(
            (refused.status, refused.phase),
            (case.status, Phase::Head),
            "{}: {refused}",
            case.name
        );
        let outcome = whole(case.bytes);
        assert_eq!((outcome.passed, outcome.heads), (0, 0), "{}", case.name);
    }
}

#[test]
fn what_stands_before_a_malformed_head_passes() {
    for case in malformed::PIPELINED {
        let refused = rejection(case.name, case.bytes);
        assert_eq!(
            (refused.status, refused.phase),
            (case.status, Phase::Head),
            "{}: {refused}",
            case.name
        );
        let outcome = whole(case.bytes);
        assert_eq!(outcome.heads, 1, "{}", case.name);
        let first = whole(&case.bytes[..outcome.passed]);
        assert_eq!(
            (first.verdict, first.state),
            (Verdict::Ok, Where::BetweenRequests),
            "{}",
            case.name
        );
    }
}

#[test]
fn malformed_bodies_are_refused_behind_their_head() {
    for case in bodies::CASES {
        let refused = rejection(case.name, case.bytes);
        assert_eq!(
            (refused.status, refused.phase),
            (case.status, Phase::Body),
            "{}: {refused}",
            case.name
        );
        let outcome = whole(case.bytes);
        assert_eq!(outcome.heads, 1, "{}", case.name);
        let before = whole(&case.bytes[..outcome.passed]);
        assert_eq!(
            (before.verdict, before.state),
            (Verdict::Ok, Where::InBody { left: None }),
            "{}",
            case.name
        );
    }
}

#[test]
fn unusual_requests_pass_whole() {
    for case in unusual::CASES {
        let expected = Outcome {
            passed: case.bytes.len(),
            verdict: Verdict::Ok,
            heads: case.requests,
            state: Where::BetweenRequests,
        };
        assert_eq!(whole(case.bytes), expected, "{}", case.name);
        oracle::agrees_with_httparse(case.bytes, case.requests);
        oracle::agrees_with_hyper(case.bytes, case.requests);
    }
}

#[test]
fn cuts_change_nothing() {
    let cases = malformed_cases().map(|case| (case.name, case.bytes));
    for (name, bytes) in cases.chain(unusual::CASES.iter().map(|case| (case.name, case.bytes))) {
        let limits = HeadLimits::default();
        let expected = whole(bytes);
        assert_eq!(outcome(limits, bytes, 0..bytes.len()), expected, "{name}, byte by byte");
        // Every cut of what people write by hand; of the long fillings only some, and those at the edges.
        let stride = bytes.len() / 1024 + 1;
        let edges = (0..bytes.len().min(64)).chain(bytes.len().saturating_sub(64)..bytes.len());
        for cut in (0..bytes.len()).step_by(stride).chain(edges) {
            assert_eq!(outcome(limits, bytes, [cut]), expected, "{name}, cut at {cut}");
        }
    }
}

#[test]
fn a_prefix_of_a_good_request_is_never_refused() {
    for case in unusual::CASES {
        for end in 0..case.bytes.len() {
            let outcome = whole(&case.bytes[..end]);
            assert!(
                !matches!(outcome.verdict, Verdict::Reject(_)),
                "{} to {end}: {outcome:?}",
                case.name
            );
        }
    }
}

/// `_` stands for each byte in turn, and how many of the 256 pass. What passes, the others must read alike.
const HOLES: &[(usize, &str)] = &[
    // tchar.
    (77, "G_T / HTTP/1.1\r\nHost: a\r\n\r\n"),
    // VCHAR without # < > `.
    (90, "GET /a_b HTTP/1.1\r\nHost: a\r\n\r\n"),
    // VCHAR without " # < >.
    (90, "GET /?a_b HTTP/1.1\r\nHost: a\r\n\r\n"),
    (2, "GET / HTTP/1._\r\nHost: a\r\n\r\n"),
    (1, "GET / HTTP/1.1_\nHost: a\r\n\r\n"),
    (1, "GET / HTTP/1.1\r_Host: a\r\n\r\n"),
    // tchar, and a colon.
    (78, "GET / HTTP/1.1\r\nHost: a\r\nX_Y: b\r\n\r\n"),
    // HTAB, SP, VCHAR, obs-text.
    (224, "GET / HTTP/1.1\r\nHost: a\r\nX: a_b\r\n\r\n"),
    (66, "GET / HTTP/1.1\r\nHost: a_b\r\n\r\n"),
    // Digits, and the two kinds of white space that are trimmed.
    (12, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0_\r\n\r\n123456789"),
    (
        22,
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n_\r\n",
    ),
    // tchar, and what may follow a name.
    (
        79,
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0;a_b\r\n\r\n",
    ),
    // HTAB, SP, VCHAR, obs-text, without the quote and the backslash that would take the next one.
    (
        222,
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0;a=\"b_\"\r\n\r\n",
    ),
    (
        78,
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX_Y: b\r\n\r\n",
    ),
];

#[test]
fn every_byte_is_judged_as_hyper_can_bear() {
    for (expected, template) in HOLES {
        let (before, behind) = template.split_once('_').expect("a hole");
        let is_passed = |byte: &u8| {
            let bytes = [before.as_bytes(), &[*byte], behind.as_bytes()].concat();
            let outcome = whole(&bytes);
            oracle::agrees_with_hyper(&bytes[..outcome.passed], outcome.heads);
            !matches!(outcome.verdict, Verdict::Reject(_))
        };
        let passed: Vec<u8> = (0..=u8::MAX).filter(is_passed).collect();
        assert_eq!(passed.len(), *expected, "{template}: {}", passed.escape_ascii());
    }
}

#[test]
fn tables_are_large_and_named_once() {
    assert!(malformed::CASES.len() >= 100);
    assert!(unusual::CASES.len() >= 30);
    let count = malformed_cases().count();
    assert_eq!(
        malformed_cases().map(|case| case.name).collect::<BTreeSet<_>>().len(),
        count
    );
    assert_eq!(
        malformed_cases().map(|case| case.bytes).collect::<BTreeSet<_>>().len(),
        count
    );
}

/// A case for every reason to refuse. The names are in metrics and logs: a change breaks dashboards.
const CODES: &[(&str, &str)] = &[
    ("two-empty-lines", "empty-line"),
    ("tls-hello", "method"),
    ("connect", "connect"),
    ("preface-method", "preface"),
    ("http-0.9", "request-line"),
    ("target-fragment", "target"),
    ("userinfo-disguise", "userinfo"),
    ("authority-port-letters", "authority"),
    ("authority-other-scheme-port", "authority-mismatch"),
    ("target-endless", "uri-bytes"),
    ("version-letter", "version"),
    ("version-1.2", "version-unsupported"),
    ("value-nul", "nul"),
    ("bare-cr-smuggles-field", "bare-cr"),
    ("bare-lf-ends-head", "bare-lf"),
    ("fold-blank-line", "obs-fold"),
    ("name-empty", "field-name"),
    ("space-before-colon-coding", "space-before-colon"),
    ("coding-vertical-tab", "control-byte"),
    ("host-missing-others", "host-missing"),
    ("host-repeated-other", "host-repeated"),
    ("host-empty", "host-invalid"),
    ("length-repeated", "content-length-repeated"),
    ("length-wraps", "content-length-invalid"),
    ("coding-then-length", "content-length-and-transfer-encoding"),
    ("coding-repeated", "transfer-encoding-repeated"),
    ("coding-gzip-chunked", "transfer-encoding"),
    ("coding-1.0", "transfer-encoding-version"),
    ("head-long", "head-bytes"),
    ("fields-many", "head-fields"),
    ("chunk-size-17-zeros", "chunk-size"),
    ("chunk-extension-quote-open", "chunk-extension"),
    ("chunk-extension-long", "chunk-line-bytes"),
    ("chunk-extensions-many", "chunk-extension-bytes"),
    ("chunk-longer-than-size", "chunk-end"),
    ("trailer-host", "trailer-field"),
    ("trailers-many", "trailer-fields"),
    ("trailers-long", "trailer-bytes"),
];

#[test]
fn every_reason_has_a_case_and_a_name() {
    for (name, code) in CODES {
        let case = malformed_cases().find(|case| case.name == *name).expect(name);
        assert_eq!(rejection(name, case.bytes).code, *code, "{name}");
    }
    let seen: BTreeSet<_> = malformed_cases()
        .map(|case| rejection(case.name, case.bytes).code)
        .collect();
    let listed: BTreeSet<_> = CODES.iter().map(|(_, code)| *code).collect();
    assert_eq!(seen, listed);
}
