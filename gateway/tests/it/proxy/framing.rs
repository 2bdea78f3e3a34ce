//! Requests that must not pass, and odd ones that must, with a server behind the gateway that trusts what it gets.

use super::told::nothing_is_wrong;
use super::trusting::{Trust, Trusting, read};
use super::{ONCE, api, ask, get, head, is_quiet};
use crate::golden::{bodies, malformed, unusual};
use crate::malformed::{answers, judge};
use crate::support::frames::{DATA, END_STREAM, Frames};
use crate::support::hpack::Block;
use crate::support::origin::Received;
use crate::support::{Gateway, wait};

fn gateway(server: &Trusting) -> Gateway {
    api(&[server.address()], ONCE).start()
}

#[test]
fn nothing_malformed_reaches_a_server() {
    let server = Trusting::start(Trust::Coding);
    let gateway = gateway(&server);
    let mut wrong = Vec::new();
    for case in malformed::CASES {
        wrong.extend(judge(case, &answers(&gateway, case.bytes), 1));
        let seen = server.take();
        if !seen.is_empty() {
            wrong.push(format!("{}: the server saw {seen:?}", case.name));
        }
    }
    nothing_is_wrong(&wrong, malformed::CASES.len());
    assert_eq!(server.origin.accepted(), 0, "not even a connection");
}

#[test]
fn of_two_requests_the_server_sees_the_good_one() {
    for trust in Trust::ALL {
        let server = Trusting::start(trust);
        let gateway = gateway(&server);
        let mut wrong = Vec::new();
        for case in malformed::PIPELINED {
            let answers = answers(&gateway, case.bytes);
            wrong.extend(judge(case, &answers, 2));
            let seen = server.take();
            let expected = meant(case.bytes);
            match seen.as_slice() {
                [one] if differs(case.name, &expected[0], one).is_none() => {}
                _ => wrong.push(format!("{}, {trust:?}: the server saw {seen:?}", case.name)),
            }
        }
        nothing_is_wrong(&wrong, malformed::PIPELINED.len());
        is_quiet(&gateway);
    }
}

#[test]
fn a_malformed_body_never_ends_for_the_server() {
    for trust in Trust::ALL {
        let server = Trusting::start(trust);
        let gateway = gateway(&server);
        let mut wrong = Vec::new();
        for case in bodies::CASES {
            wrong.extend(judge(case, &answers(&gateway, case.bytes), 1));
            let seen = server.take();
            if !seen.is_empty() {
                wrong.push(format!("{}, {trust:?}: the server saw {seen:?}", case.name));
            }
            ask(&gateway, &get("/next")).is(200);
            let next = server.take();
            if !matches!(next.as_slice(), [next] if next.target == "/next" && next.method == "GET") {
                wrong.push(format!("{}, {trust:?}: behind it the server saw {next:?}", case.name));
            }
        }
        nothing_is_wrong(&wrong, bodies::CASES.len());
        wait::until_true("connections with half a request to be closed", || {
            server.origin.open() <= 1
        });
        // The client is to blame.
        assert_eq!(super::failed(&gateway, "upstream-closed"), 0.0);
        is_quiet(&gateway);
    }
}

#[test]
fn odd_and_valid_requests_arrive_as_what_they_mean() {
    for trust in Trust::ALL {
        let server = Trusting::start(trust);
        let gateway = gateway(&server);
        let mut wrong = Vec::new();
        for case in unusual::CASES {
            // Valid, and about no path: there is nothing that a route could match.
            let expected = if case.name == "options-star" {
                Vec::new()
            } else {
                meant(case.bytes)
            };
            let mut raw = gateway.connect();
            raw.write(case.bytes);
            let status = if expected.is_empty() { 404 } else { 200 };
            for _ in 0..case.requests {
                let mut answer = raw.try_response();
                if case.name == "expect" && answer.as_ref().is_some_and(|answer| answer.status == 100) {
                    answer = raw.try_response();
                }
                match answer {
                    Some(answer) if answer.status == status => {}
                    other => wrong.push(format!("{}, {trust:?}: {other:?}", case.name)),
                }
            }
            let seen = server.take();
            if seen.len() != expected.len() {
                wrong.push(format!("{}, {trust:?}: the server saw {seen:?}", case.name));
            }
            for (expected, seen) in expected.iter().zip(&seen) {
                wrong.extend(differs(case.name, expected, seen).map(|why| format!("{}, {trust:?}: {why}", case.name)));
            }
        }
        nothing_is_wrong(&wrong, unusual::CASES.len());
    }
}

/// Bodies are rare in these, and not ours to lose.
#[test]
fn what_has_a_body_keeps_it() {
    let server = Trusting::start(Trust::Coding);
    let gateway = gateway(&server);
    let mut streams = Frames::over(gateway.connect());
    streams.greet(&[]).unwrap();
    for (at, method) in ["GET", "HEAD", "DELETE", "OPTIONS", "POST"].into_iter().enumerate() {
        let mut raw = gateway.connect();
        raw.write(head(method, "/", "transfer-encoding: chunked\r\n") + "4\r\nsome\r\n0\r\n\r\n");
        raw.response_to(method).is(200);
        raw.write(head(method, "/", "content-length: 4\r\n") + "some");
        raw.response_to(method).is(200);
        let stream = 2 * u32::try_from(at).unwrap() + 1;
        streams
            .head(stream, 0, &Block::request(method, "api.test", "/"))
            .unwrap();
        streams.send(DATA, END_STREAM, stream, b"some").unwrap();
        streams.answered(stream, "200").unwrap();
        for seen in server.take() {
            assert_eq!(
                (seen.method.as_str(), seen.body.as_slice()),
                (method, &b"some"[..]),
                "{seen:?}"
            );
        }
    }
    is_quiet(&gateway);
}

/// A handshake that becomes none: what follows it is a body, or the next request, and never a tunnel's.
#[test]
fn what_follows_a_handshake_is_what_its_answer_makes_it() {
    const UPGRADE: &str = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
        sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let smuggled = "GET /smuggled HTTP/1.1\r\nhost: s\r\n\r\n";
    for trust in Trust::ALL {
        let server = Trusting::start(trust);
        let gateway = gateway(&server);
        for (more, behind, expected) in [
            (String::new(), get("/second"), &["/first", "/second"][..]),
            (
                format!("content-length: {}\r\n", smuggled.len()),
                smuggled.to_owned() + &get("/second"),
                &["/first", "/second"],
            ),
            (
                "content-length: 0\r\n".to_owned(),
                get("/second"),
                &["/first", "/second"],
            ),
            (
                "transfer-encoding: chunked\r\n".to_owned(),
                format!("{:x}\r\n{smuggled}\r\n0\r\n\r\n{}", smuggled.len(), get("/second")),
                &["/first", "/second"],
            ),
        ] {
            let mut raw = gateway.connect();
            // The server answers 200: it knows of no WebSockets.
            raw.write(head("GET", "/first", &format!("{UPGRADE}{more}")) + &behind);
            raw.response().is(200);
            raw.response().is(200);
            let seen: Vec<_> = server.take().into_iter().map(|request| request.target).collect();
            assert_eq!(seen, expected, "{trust:?}, {more:?}");
        }
        is_quiet(&gateway);
    }
}

/// The requests in a client's bytes, read in the same manner as the server reads.
fn meant(bytes: &[u8]) -> Vec<Received> {
    let mut from = bytes;
    std::iter::from_fn(|| read(&mut from, Trust::Coding)).collect()
}

/// Targets that the gateway writes in another form.
const NORMALISED: [(&str, &str); 4] = [
    ("target-two-slashes", "/a/b"),
    ("target-dots", "/a/c"),
    ("options-absolute-no-path", "/"),
    ("target-browser-raw", "/a%7Cb%5Bc%5D%5Ed%7Be%7D%22f%22"),
];

/// Fields of one connection, those that the gateway writes itself, and those looked at apart.
const NOT_COMPARED: [&str; 10] = [
    "connection",
    "upgrade",
    "te",
    "transfer-encoding",
    "content-length",
    "host",
    "expect",
    "cookie",
    "trailer",
    "keep-alive",
];

/// In what the server's request differs from the client's, if it does.
fn differs(name: &str, sent: &Received, seen: &Received) -> Option<String> {
    let is_absolute = !sent.target.starts_with('/');
    let (authority, path) = match sent.target.split_once("://").filter(|_| is_absolute) {
        None => (None, sent.target.clone()),
        Some((_, rest)) => {
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            let path = &rest[end..];
            let slash = if path.starts_with('/') { "" } else { "/" };
            (Some(rest[..end].to_owned()), format!("{slash}{path}"))
        }
    };
    let normalised = NORMALISED.iter().find(|(known, _)| *known == name);
    let target = normalised.map_or(path, |(_, target)| (*target).to_owned());
    let compared = |request: &Received| -> Vec<(String, String)> {
        let mut fields = request.fields.clone();
        fields.retain(|(name, _)| !NOT_COMPARED.contains(&name.as_str()) && !is_ours(name));
        // Fields of different names have no order.
        fields.sort_by(|(a, _), (b, _)| a.cmp(b));
        fields
    };
    // hyper sends on HTTP/1 what Trailer names.
    let named = |name: &str| {
        sent.fields("trailer")
            .iter()
            .any(|list| list.to_ascii_lowercase().contains(name))
    };
    let trailers: Vec<_> = sent.trailers.iter().filter(|(name, _)| named(name)).cloned().collect();
    let cookies = |request: &Received| request.fields("cookie").join("; ");
    let lengths = [
        seen.fields("content-length").len(),
        seen.fields("transfer-encoding").len(),
    ];
    let is_framed_once = lengths.iter().sum::<usize>() <= 1;
    let host = authority.or_else(|| sent.fields("host").first().map(|host| (*host).to_owned()));
    let hosts = seen.fields("host");
    let is_host = matches!((hosts.as_slice(), host), ([seen], Some(sent)) if seen.eq_ignore_ascii_case(&sent))
        || matches!(hosts.as_slice(), [seen] if sent.fields("host").is_empty() && !seen.is_empty());
    let is_same = seen.method == sent.method
        && seen.target == target
        && seen.body == sent.body
        && seen.trailers == trailers
        && compared(seen) == compared(sent)
        && cookies(seen) == cookies(sent)
        && is_host
        && is_framed_once;
    (!is_same).then(|| format!("{sent:?} to {target} arrived as {seen:?}"))
}

/// Whether the gateway writes it into requests.
fn is_ours(name: &str) -> bool {
    matches!(name, "via" | "forwarded" | "cdn-loop") || name.starts_with("x-forwarded-")
}
