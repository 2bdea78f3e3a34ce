//! What an outgoing request carries of the one it is made for: its trace, and how often it came by.

use super::{MODES, Mode, all, target};
use crate::support::origin::{Origin, Received};
use crate::support::{Gateway, Response};
use std::collections::BTreeSet;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

/// Fetches with these fields on the client's request.
#[track_caller]
fn ask(gateway: &Gateway, mode: Mode, target: &str, fields: &str) -> Response {
    let head = format!("GET {target} HTTP/1.1\r\nhost: {{host}}\r\nconnection: close\r\n{fields}\r\n");
    gateway.send(mode.name, &head)
}

/// What came to a server for a client's request with these fields.
#[track_caller]
fn passed(gateway: &Gateway, origin: &Origin, mode: Mode, more: &str, fields: &str) -> Received {
    ask(gateway, mode, &target(&origin.url("/"), more), fields).is(200);
    origin.last()
}

/// Trace, span and flags (W3C Trace Context §3.2).
#[track_caller]
fn parts(request: &Received) -> (String, String, String) {
    let text = request.field("traceparent");
    let [version, trace, span, flags] = text.split('-').collect::<Vec<_>>()[..] else {
        panic!("{text}");
    };
    let is_hex = |part: &str, length: usize| {
        part.len() == length
            && part
                .bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    assert!(
        version == "00" && is_hex(trace, 32) && is_hex(span, 16) && is_hex(flags, 2),
        "{text}"
    );
    assert!(trace.bytes().chain(span.bytes()).any(|byte| byte != b'0'), "{text}");
    (trace.to_owned(), span.to_owned(), flags.to_owned())
}

#[test]
fn a_trace_goes_on() {
    let origin = Origin::answering(OK);
    let gateway = all(&[&origin.grant()]).start();
    for mode in MODES {
        let mut spans = BTreeSet::new();
        for flags in ["01", "00"] {
            let fields = format!("traceparent: 00-{TRACE}-{SPAN}-{flags}\r\ntracestate: a=1,b=2\r\n");
            let request = passed(&gateway, &origin, mode, "", &fields);
            let (trace, span, passed) = parts(&request);
            assert_eq!((trace.as_str(), passed.as_str()), (TRACE, flags), "{mode:?}");
            assert_ne!(span, SPAN, "{mode:?}");
            assert!(spans.insert(span), "{mode:?}: each request is a span of its own");
            assert_eq!(request.field("tracestate"), "a=1,b=2", "{mode:?}");
        }
    }
}

#[test]
fn without_a_trace_one_begins() {
    let origin = Origin::answering(OK);
    let gateway = all(&[&origin.grant()]).start();
    let mut traces = BTreeSet::new();
    for mode in MODES {
        for fields in ["", "traceparent: 00-nonsense-01\r\ntracestate: a=1\r\n"] {
            let request = passed(&gateway, &origin, mode, "", fields);
            let (trace, ..) = parts(&request);
            assert!(traces.insert(trace), "{mode:?}: each request is a trace of its own");
            assert_eq!(request.fields("tracestate"), [""; 0], "{mode:?}");
        }
    }
}

#[test]
fn the_guests_own_trace_is_left_to_it() {
    let origin = Origin::answering(OK);
    let gateway = all(&[&origin.grant()]).start();
    let own = format!("00-{}-{SPAN}-01", TRACE.replace('0', "1"));
    for mode in MODES {
        let fields = format!("traceparent: 00-{TRACE}-{SPAN}-01\r\ntracestate: a=1\r\n");
        let request = passed(&gateway, &origin, mode, &format!("&header=traceparent:{own}"), &fields);
        assert_eq!(request.field("traceparent"), own, "{mode:?}");
        assert_eq!(request.fields("tracestate"), [""; 0], "{mode:?}");
    }
}

#[test]
fn every_hop_is_counted() {
    let origin = Origin::answering(OK);
    let gateway = all(&[&origin.grant()]).start();
    for mode in MODES {
        for (fields, more, expected) in [
            ("", "", "tidegate"),
            ("cdn-loop: other; v=\"1\"\r\n", "", "other; v=\"1\", tidegate"),
            ("cdn-loop: tidegate\r\n", "", "tidegate, tidegate"),
            // A guest cannot take the marks away.
            ("cdn-loop: tidegate\r\n", "&header=cdn-loop:mine", "tidegate, tidegate"),
        ] {
            let request = passed(&gateway, &origin, mode, more, fields);
            assert_eq!(request.field("cdn-loop"), expected, "{mode:?} {fields} {more}");
        }
    }
}

/// A URL that makes the guest fetch from its own gateway, so many times over, and then from `last`.
fn nested(gateway: &Gateway, depth: usize, last: &str) -> String {
    let again = format!("/?url=http://{}", gateway.address());
    format!("{}/?url={last}", again.repeat(depth))
}

#[test]
fn a_component_that_calls_itself_is_cut_off() {
    for mode in MODES {
        let origin = Origin::answering(OK);
        let route = format!("{{ name = 'self', host = '127.0.0.1', component = '{}' }}", mode.name);
        let gateway = all(&["http://127.0.0.1:*"]).route(&route).start();
        let fields = format!("traceparent: 00-{TRACE}-{SPAN}-01\r\n");
        let answer = ask(&gateway, mode, &nested(&gateway, 5, &origin.url("/")), &fields);
        assert_eq!(answer.is(200).text(), "ok", "{mode:?}");
        let request = origin.last();
        assert_eq!(request.field("cdn-loop"), ["tidegate"; 6].join(", "), "{mode:?}");
        assert_eq!(parts(&request).0, TRACE, "{mode:?}");
        // The last of 16 that came by already is the first not to be let in.
        let answer = ask(&gateway, mode, &nested(&gateway, 15, &origin.url("/")), "");
        assert_eq!(answer.is(200).text(), "ok", "{mode:?}");
        for depth in [16, 40] {
            let before = origin.received_count();
            let answer = ask(&gateway, mode, &nested(&gateway, depth, &origin.url("/")), "");
            assert!(
                answer.is(508).text().contains("code: loop\n"),
                "{mode:?}: {}",
                answer.text()
            );
            assert_eq!(origin.received_count(), before, "{mode:?}");
        }
        gateway.wait_metric("tidegate_component_instances", &[], 0.0);
        gateway.wait_metric("tidegate_requests_in_flight", &[], 0.0);
    }
}
