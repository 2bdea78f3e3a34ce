//! Requests by HTTP/2 that would be more than one by HTTP/1.1, before a server that trusts what it gets.

use super::told::nothing_is_wrong;
use super::trusting::{Trust, Trusting};
use super::{ONCE, api, is_quiet};
use crate::support::frames::{DATA, Done, END_STREAM, Event, Frames, value};
use crate::support::hpack::Block;
use crate::support::origin::Received;
use May::{Bare, Nothing, One};

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nhost: s\r\n\r\n";
const CHUNKS: &str = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: s\r\n\r\n";

const END: &str = "a\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: s\r\n\r\n";

/// What the server may see of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum May {
    /// Nothing of it.
    Nothing,
    /// The request as HTTP/2 has it, or nothing.
    One,
    /// The request as its head has it, because what comes behind a length of zero is nobody's, or nothing.
    Bare,
}

/// A request on stream 1.
struct Case {
    name: &'static str,
    may: May,
    /// `:method`, `:scheme`, `:authority` and `:path`.
    pseudo: [&'static str; 4],
    fields: &'static [(&'static str, &'static str)],
    body: Option<&'static str>,
    trailer: Option<(&'static str, &'static str)>,
}

/// A head of pseudo-header fields alone.
const fn asked(name: &'static str, may: May, pseudo: [&'static str; 4]) -> Case {
    Case {
        name,
        may,
        pseudo,
        fields: &[],
        body: None,
        trailer: None,
    }
}

/// These fields, and maybe a body.
const fn with(
    name: &'static str,
    may: May,
    method: &'static str,
    fields: &'static [(&'static str, &'static str)],
    body: Option<&'static str>,
) -> Case {
    Case {
        fields,
        body,
        ..asked(name, may, [method, "http", "api.test", "/one"])
    }
}

const fn trailed(name: &'static str, may: May, trailer: (&'static str, &'static str)) -> Case {
    Case {
        trailer: Some(trailer),
        ..with(name, may, "POST", &[("te", "trailers")], Some("some"))
    }
}

impl Case {
    fn head(&self) -> Block {
        let names = [":method", ":scheme", ":authority", ":path"];
        let pseudo = names.into_iter().zip(self.pseudo);
        pseudo
            .chain(self.fields.iter().copied())
            .fold(Block::new(), |block, (name, value)| block.field(name, value))
    }
}

static CASES: &[Case] = &[
    // What the two framings of HTTP/1.1 could be led astray with.
    with("length-none", One, "POST", &[], Some(SMUGGLED)),
    with("length-0", Bare, "POST", &[("content-length", "0")], Some(SMUGGLED)),
    with(
        "length-shorter",
        Nothing,
        "POST",
        &[("content-length", "5")],
        Some(SMUGGLED),
    ),
    with(
        "length-longer",
        Nothing,
        "POST",
        &[("content-length", "500")],
        Some(SMUGGLED),
    ),
    with("length-right", One, "POST", &[("content-length", "35")], Some(SMUGGLED)),
    with(
        "length-zeros",
        One,
        "POST",
        &[("content-length", "0000035")],
        Some(SMUGGLED),
    ),
    with(
        "length-plus",
        Nothing,
        "POST",
        &[("content-length", "+35")],
        Some(SMUGGLED),
    ),
    with(
        "length-minus",
        Nothing,
        "POST",
        &[("content-length", "-1")],
        Some(SMUGGLED),
    ),
    with(
        "length-list",
        Nothing,
        "POST",
        &[("content-length", "35, 35")],
        Some(SMUGGLED),
    ),
    with(
        "length-list-other",
        Nothing,
        "POST",
        &[("content-length", "35, 5")],
        Some(SMUGGLED),
    ),
    with(
        "length-hexadecimal",
        Nothing,
        "POST",
        &[("content-length", "0x23")],
        Some(SMUGGLED),
    ),
    with(
        "length-empty",
        Nothing,
        "POST",
        &[("content-length", "")],
        Some(SMUGGLED),
    ),
    with(
        "length-wraps",
        Nothing,
        "POST",
        &[("content-length", "18446744073709551651")],
        Some(SMUGGLED),
    ),
    with(
        "length-twice",
        Nothing,
        "POST",
        &[("content-length", "35"), ("content-length", "35")],
        Some(SMUGGLED),
    ),
    with(
        "length-twice-other",
        Nothing,
        "POST",
        &[("content-length", "35"), ("content-length", "5")],
        Some(SMUGGLED),
    ),
    with(
        "length-blank",
        Nothing,
        "POST",
        &[("content-length", " 35")],
        Some(SMUGGLED),
    ),
    with(
        "length-line",
        Nothing,
        "POST",
        &[("content-length", "35\r\nx: y")],
        Some(SMUGGLED),
    ),
    with(
        "length-without-body",
        Nothing,
        "POST",
        &[("content-length", "35")],
        None,
    ),
    with("length-of-get", Nothing, "GET", &[("content-length", "35")], None),
    with("length-of-get-0", One, "GET", &[("content-length", "0")], None),
    with(
        "coding",
        Nothing,
        "POST",
        &[("transfer-encoding", "chunked")],
        Some(CHUNKS),
    ),
    with(
        "coding-of-get",
        Nothing,
        "GET",
        &[("transfer-encoding", "chunked")],
        None,
    ),
    with(
        "coding-identity",
        Nothing,
        "POST",
        &[("transfer-encoding", "identity")],
        Some(SMUGGLED),
    ),
    with(
        "coding-empty",
        Nothing,
        "POST",
        &[("transfer-encoding", "")],
        Some(SMUGGLED),
    ),
    with(
        "coding-and-length",
        Nothing,
        "POST",
        &[("transfer-encoding", "chunked"), ("content-length", "40")],
        Some(CHUNKS),
    ),
    with(
        "coding-tab",
        Nothing,
        "POST",
        &[("transfer-encoding", "\tchunked")],
        Some(CHUNKS),
    ),
    with(
        "coding-named-with-blank",
        Nothing,
        "POST",
        &[("transfer-encoding ", "chunked")],
        Some(CHUNKS),
    ),
    with(
        "coding-named-with-underscore",
        One,
        "POST",
        &[("transfer_encoding", "chunked")],
        Some(CHUNKS),
    ),
    with(
        "coding-named-with-colon",
        Nothing,
        "POST",
        &[("transfer-encoding:", "chunked")],
        Some(CHUNKS),
    ),
    with(
        "coding-line",
        Nothing,
        "POST",
        &[("x", "y\r\ntransfer-encoding: chunked")],
        Some(CHUNKS),
    ),
    with(
        "coding-bare-lf",
        Nothing,
        "POST",
        &[("x", "y\ntransfer-encoding: chunked")],
        Some(CHUNKS),
    ),
    with(
        "coding-bare-cr",
        Nothing,
        "POST",
        &[("x", "y\rtransfer-encoding: chunked")],
        Some(CHUNKS),
    ),
    with(
        "connection",
        Nothing,
        "POST",
        &[("connection", "close")],
        Some(SMUGGLED),
    ),
    with(
        "connection-names-length",
        Nothing,
        "POST",
        &[("connection", "content-length"), ("content-length", "35")],
        Some(SMUGGLED),
    ),
    with(
        "keep-alive",
        Nothing,
        "POST",
        &[("keep-alive", "timeout=5")],
        Some(SMUGGLED),
    ),
    with(
        "proxy-connection",
        Nothing,
        "POST",
        &[("proxy-connection", "keep-alive")],
        Some(SMUGGLED),
    ),
    with("upgrade", Nothing, "GET", &[("upgrade", "websocket")], None),
    with("te-trailers", One, "GET", &[("te", "trailers")], None),
    with("te-other", Nothing, "GET", &[("te", "trailers, chunked")], None),
    // What could end a line, or a head, before its time.
    with("value-ends-head", Nothing, "GET", &[("x", END)], None),
    with("value-ends-line", Nothing, "GET", &[("x", "a\r\ny: z")], None),
    with("value-lf", Nothing, "GET", &[("x", "a\ny: z")], None),
    with("value-cr", Nothing, "GET", &[("x", "a\ry: z")], None),
    with("value-nul", Nothing, "GET", &[("x", "a\0b")], None),
    with("value-fold", Nothing, "GET", &[("x", "a\r\n b")], None),
    with("value-latin1", One, "GET", &[("x", "caf\u{e9}")], None),
    with("name-ends-line", Nothing, "GET", &[("x: a\r\ny", "z")], None),
    with("name-colon", Nothing, "GET", &[("x:y", "z")], None),
    with("name-blank", Nothing, "GET", &[("x y", "z")], None),
    with("name-blank-behind", Nothing, "GET", &[("host ", "smuggled")], None),
    with("name-empty", Nothing, "GET", &[("", "z")], None),
    with("name-upper-case", Nothing, "GET", &[("X", "z")], None),
    with("name-nul", Nothing, "GET", &[("x\0", "z")], None),
    with("name-not-ascii", Nothing, "GET", &[("x\u{e9}", "z")], None),
    asked(
        "method-ends-line",
        Nothing,
        [
            "GET /smuggled HTTP/1.1\r\nhost: s\r\n\r\nGET",
            "http",
            "api.test",
            "/one",
        ],
    ),
    asked(
        "method-blank",
        Nothing,
        ["GET /smuggled HTTP/1.1", "http", "api.test", "/one"],
    ),
    asked("method-empty", Nothing, ["", "http", "api.test", "/one"]),
    asked("method-lower-case", One, ["get", "http", "api.test", "/one"]),
    asked(
        "path-ends-line",
        Nothing,
        [
            "GET",
            "http",
            "api.test",
            "/one HTTP/1.1\r\nhost: s\r\n\r\nGET /smuggled",
        ],
    ),
    asked("path-blank", Nothing, ["GET", "http", "api.test", "/one HTTP/1.1"]),
    asked("path-tab", Nothing, ["GET", "http", "api.test", "/one\tHTTP/1.1"]),
    asked("path-lf", Nothing, ["GET", "http", "api.test", "/one\n"]),
    asked("path-nul", Nothing, ["GET", "http", "api.test", "/one\0"]),
    asked("path-empty", Nothing, ["GET", "http", "api.test", ""]),
    asked("path-without-slash", Nothing, ["GET", "http", "api.test", "smuggled"]),
    asked(
        "path-absolute",
        Nothing,
        ["GET", "http", "api.test", "http://s/smuggled"],
    ),
    asked("path-star", Nothing, ["GET", "http", "api.test", "*"]),
    asked(
        "path-encoded-line",
        One,
        ["GET", "http", "api.test", "/one%0d%0aGET%20/smuggled"],
    ),
    asked(
        "authority-ends-line",
        Nothing,
        ["GET", "http", "api.test\r\nx: y", "/one"],
    ),
    asked("authority-blank", Nothing, ["GET", "http", "api.test x", "/one"]),
    asked("authority-path", Nothing, ["GET", "http", "api.test/smuggled?", "/one"]),
    asked("authority-user", Nothing, ["GET", "http", "user@api.test", "/one"]),
    asked("authority-empty", Nothing, ["GET", "http", "", "/one"]),
    asked("authority-list", Nothing, ["GET", "http", "api.test,s", "/one"]),
    with("authority-and-host", Nothing, "GET", &[("host", "other.test")], None),
    with(
        "authority-and-hosts",
        Nothing,
        "GET",
        &[("host", "api.test"), ("host", "s")],
        None,
    ),
    with("authority-and-same-host", One, "GET", &[("host", "api.test")], None),
    asked(
        "scheme-target",
        Nothing,
        ["GET", "http://s/smuggled?", "api.test", "/one"],
    ),
    asked("scheme-ends-line", Nothing, ["GET", "http\r\n", "api.test", "/one"]),
    with("path-twice", Nothing, "GET", &[(":path", "/smuggled")], None),
    with("method-twice", Nothing, "GET", &[(":method", "PUT")], None),
    with("pseudo-unknown", Nothing, "GET", &[(":smuggled", "a")], None),
    with("protocol-of-get", Nothing, "GET", &[(":protocol", "websocket")], None),
    asked("connect", Nothing, ["CONNECT", "http", "api.test:80", "/one"]),
    with("cookies", One, "GET", &[("cookie", "a=b"), ("cookie", "c=d")], None),
    // What could be taken for the head's when it stands behind the body.
    trailed("trailer", One, ("x-sum", "1")),
    trailed("trailer-length", One, ("content-length", "35")),
    trailed("trailer-coding", Nothing, ("transfer-encoding", "chunked")),
    trailed("trailer-host", One, ("host", "s")),
    trailed("trailer-connection", Nothing, ("connection", "close")),
    trailed("trailer-ends-line", Nothing, ("x", "a\r\n\r\nGET /smuggled HTTP/1.1")),
    trailed("trailer-name-ends-line", Nothing, ("x\r\n\r\nGET", "a")),
    trailed("trailer-authorization", One, ("authorization", "Basic eDp5")),
];

/// Sends it, and waits until the gateway has said what it is to say. Its word.
fn said(f: &mut Frames, case: &Case) -> Done<String> {
    let ends = |is_last: bool| if is_last { END_STREAM } else { 0 };
    f.head(1, ends(case.body.is_none()), &case.head())?;
    if let Some(body) = case.body {
        f.send(DATA, ends(case.trailer.is_none()), 1, body.as_bytes())?;
    }
    if let Some((name, value)) = case.trailer {
        f.head(1, END_STREAM, &Block::new().field(name, value))?;
    }
    loop {
        match f.next()? {
            Event::Head { stream: 1, fields, .. } => return Ok(value(&fields, ":status").unwrap_or("none").to_owned()),
            event @ (Event::Reset { .. } | Event::GoAway { .. } | Event::Closed) => return Ok(event.to_string()),
            _ => {}
        }
    }
}

/// Whether it is the request that HTTP/2 had, and nothing more.
fn is_one(case: &Case, seen: &Received) -> bool {
    let framings = seen.fields("content-length").len() + seen.fields("transfer-encoding").len();
    let is_bodiless = case.body.is_none();
    let forbidden = [
        "content-length",
        "transfer-encoding",
        "host",
        "authorization",
        "connection",
    ];
    seen.target.starts_with("/one")
        && seen.fields("host") == ["api.test"]
        && seen.body == case.body.unwrap_or_default().as_bytes()
        && framings <= 1
        && (is_bodiless || framings == 1)
        && seen.fields("cookie").len() <= 1
        && seen
            .trailers
            .iter()
            .all(|(name, _)| !forbidden.contains(&name.as_str()))
}

#[test]
fn one_request_stays_one() {
    for trust in Trust::ALL {
        let server = Trusting::start(trust);
        let gateway = api(&[server.address()], ONCE).set("workers", 1).start();
        let (mut wrong, mut told) = (Vec::new(), Vec::new());
        for case in CASES {
            let mut frames = Frames::over(gateway.connect());
            frames.greet(&[]).unwrap();
            let said = said(&mut frames, case);
            drop(frames);
            // Whatever was left on a connection to the server would come before this one.
            super::ask(&gateway, &super::get("/next")).is(200);
            let mut seen = server.take();
            let next = seen.pop();
            let is_right = next.is_some_and(|next| next.target == "/next" && next.body.is_empty())
                && match (case.may, seen.as_slice()) {
                    (_, []) => true,
                    (One, [one]) => is_one(case, one),
                    (Bare, [one]) => one.target == "/one" && one.body.is_empty(),
                    _ => false,
                };
            let is_told = case.may == Bare || (case.may == One) == (said.as_deref() == Ok("200"));
            if !is_right || !is_told {
                wrong.push(format!(
                    "{}, {trust:?}: told {said:?}, the server saw {seen:?}",
                    case.name
                ));
            }
            told.push(format!("{} {said:?}", case.name));
        }
        println!("{}", told.join("\n"));
        nothing_is_wrong(&wrong, CASES.len());
        is_quiet(&gateway);
    }
}
