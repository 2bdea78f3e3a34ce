//! Requests by HTTP/2 that would be more than one by HTTP/1.1, before a server that trusts what it gets.

use super::told::nothing_is_wrong;
use super::trusting::{Trust, Trusting};
use super::{ONCE, api, is_quiet};
use crate::support::frames::{DATA, Done, END_STREAM, Event, Frames, HEADERS, value};
use crate::support::hpack::Block;
use crate::support::origin::Received;

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nhost: s\r\n\r\n";
const CHUNKS: &str = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: s\r\n\r\n";

/// What the server may see of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum May {
    /// Nothing of it.
    Nothing,
    /// The request as HTTP/2 has it, or nothing.
    One,
}

/// A request on stream 1: its head, and its body where it has one.
struct Case {
    name: &'static str,
    may: May,
    head: Block,
    body: Option<&'static str>,
    trailers: Option<Block>,
}

fn case(name: &'static str, may: May, head: Block, body: Option<&'static str>) -> Case {
    Case {
        name,
        may,
        head,
        body,
        trailers: None,
    }
}

fn to(method: &str, path: &str) -> Block {
    Block::request(method, "api.test", path)
}

/// A POST with one more field.
fn post(name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Block {
    to("POST", "/one").field(name, value)
}

/// A GET with one more field.
fn get(name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Block {
    to("GET", "/one").field(name, value)
}

fn pseudo(method: &str, scheme: &str, authority: &str, path: &str) -> Block {
    Block::new()
        .field(":method", method)
        .field(":scheme", scheme)
        .field(":authority", authority)
        .field(":path", path)
}

fn with_trailers(name: &'static str, may: May, trailers: Block) -> Case {
    Case {
        trailers: Some(trailers),
        ..case(name, may, post("te", "trailers"), Some("some"))
    }
}

/// What the two framings of HTTP/1.1 could be led astray with.
fn framings() -> Vec<Case> {
    use May::{Nothing, One};
    let body = Some(SMUGGLED);
    vec![
        case("length-none", One, to("POST", "/one"), body),
        case("length-0", Nothing, post("content-length", "0"), body),
        case("length-shorter", Nothing, post("content-length", "5"), body),
        case("length-longer", Nothing, post("content-length", "500"), body),
        case("length-right", One, post("content-length", "35"), body),
        case("length-zeros", One, post("content-length", "0000035"), body),
        case("length-plus", Nothing, post("content-length", "+35"), body),
        case("length-minus", Nothing, post("content-length", "-1"), body),
        case("length-list", Nothing, post("content-length", "35, 35"), body),
        case("length-list-other", Nothing, post("content-length", "35, 5"), body),
        case("length-hexadecimal", Nothing, post("content-length", "0x23"), body),
        case("length-empty", Nothing, post("content-length", ""), body),
        case(
            "length-wraps",
            Nothing,
            post("content-length", "18446744073709551651"),
            body,
        ),
        case(
            "length-twice",
            One,
            post("content-length", "35").field("content-length", "35"),
            body,
        ),
        case(
            "length-twice-other",
            Nothing,
            post("content-length", "35").field("content-length", "5"),
            body,
        ),
        case("length-blank", Nothing, post("content-length", " 35"), body),
        case("length-line", Nothing, post("content-length", "35\r\nx: y"), body),
        case("length-without-body", Nothing, post("content-length", "35"), None),
        case("length-of-get", Nothing, get("content-length", "35"), None),
        case("length-of-get-0", One, get("content-length", "0"), None),
        case("coding", Nothing, post("transfer-encoding", "chunked"), Some(CHUNKS)),
        case("coding-of-get", Nothing, get("transfer-encoding", "chunked"), None),
        case("coding-identity", Nothing, post("transfer-encoding", "identity"), body),
        case("coding-empty", Nothing, post("transfer-encoding", ""), body),
        case(
            "coding-and-length",
            Nothing,
            post("transfer-encoding", "chunked").field("content-length", "40"),
            Some(CHUNKS),
        ),
        case(
            "coding-tab",
            Nothing,
            post("transfer-encoding", "\tchunked"),
            Some(CHUNKS),
        ),
        case(
            "coding-named-with-blank",
            Nothing,
            post("transfer-encoding ", "chunked"),
            Some(CHUNKS),
        ),
        case(
            "coding-named-with-underscore",
            One,
            post("transfer_encoding", "chunked"),
            Some(CHUNKS),
        ),
        case(
            "coding-named-with-colon",
            Nothing,
            post("transfer-encoding:", "chunked"),
            Some(CHUNKS),
        ),
        case(
            "coding-line",
            Nothing,
            post("x", "y\r\ntransfer-encoding: chunked"),
            Some(CHUNKS),
        ),
        case(
            "coding-bare-lf",
            Nothing,
            post("x", "y\ntransfer-encoding: chunked"),
            Some(CHUNKS),
        ),
        case(
            "coding-bare-cr",
            Nothing,
            post("x", "y\rtransfer-encoding: chunked"),
            Some(CHUNKS),
        ),
        case("connection", Nothing, post("connection", "close"), body),
        case(
            "connection-names-length",
            Nothing,
            post("connection", "content-length").field("content-length", "35"),
            body,
        ),
        case("keep-alive", Nothing, post("keep-alive", "timeout=5"), body),
        case(
            "proxy-connection",
            Nothing,
            post("proxy-connection", "keep-alive"),
            body,
        ),
        case("upgrade", Nothing, get("upgrade", "websocket"), None),
        case("te-trailers", One, get("te", "trailers"), None),
        case("te-other", Nothing, get("te", "trailers, chunked"), None),
    ]
}

/// What could end a line, or a head, before its time.
fn lines() -> Vec<Case> {
    use May::{Nothing, One};
    let end = "a\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: s\r\n\r\n";
    vec![
        case("value-ends-head", Nothing, get("x", end), None),
        case("value-ends-line", Nothing, get("x", "a\r\ny: z"), None),
        case("value-lf", Nothing, get("x", "a\ny: z"), None),
        case("value-cr", Nothing, get("x", "a\ry: z"), None),
        case("value-nul", Nothing, get("x", "a\0b"), None),
        case("value-fold", Nothing, get("x", "a\r\n b"), None),
        case("value-latin1", One, get("x", b"caf\xe9"), None),
        case("name-ends-line", Nothing, get("x: a\r\ny", "z"), None),
        case("name-colon", Nothing, get("x:y", "z"), None),
        case("name-blank", Nothing, get("x y", "z"), None),
        case("name-blank-behind", Nothing, get("host ", "smuggled"), None),
        case("name-empty", Nothing, get("", "z"), None),
        case("name-upper-case", Nothing, get("X", "z"), None),
        case("name-nul", Nothing, get("x\0", "z"), None),
        case("name-not-ascii", Nothing, get(b"x\xe9", "z"), None),
        case(
            "method-ends-line",
            Nothing,
            to("GET /smuggled HTTP/1.1\r\nhost: s\r\n\r\nGET", "/one"),
            None,
        ),
        case("method-blank", Nothing, to("GET /smuggled HTTP/1.1", "/one"), None),
        case("method-empty", Nothing, to("", "/one"), None),
        case("method-lower-case", One, to("get", "/one"), None),
        case(
            "path-ends-line",
            Nothing,
            to("GET", "/one HTTP/1.1\r\nhost: s\r\n\r\nGET /smuggled"),
            None,
        ),
        case("path-blank", Nothing, to("GET", "/one HTTP/1.1"), None),
        case("path-tab", Nothing, to("GET", "/one\tHTTP/1.1"), None),
        case("path-lf", Nothing, to("GET", "/one\n"), None),
        case("path-nul", Nothing, to("GET", "/one\0"), None),
        case("path-empty", Nothing, to("GET", ""), None),
        case("path-without-slash", Nothing, to("GET", "smuggled"), None),
        case("path-absolute", Nothing, to("GET", "http://s/smuggled"), None),
        case("path-star", Nothing, to("GET", "*"), None),
        case("path-encoded-line", One, to("GET", "/one%0d%0aGET%20/smuggled"), None),
        case(
            "authority-ends-line",
            Nothing,
            pseudo("GET", "http", "api.test\r\nx: y", "/one"),
            None,
        ),
        case(
            "authority-blank",
            Nothing,
            pseudo("GET", "http", "api.test x", "/one"),
            None,
        ),
        case(
            "authority-path",
            Nothing,
            pseudo("GET", "http", "api.test/smuggled?", "/one"),
            None,
        ),
        case(
            "authority-user",
            Nothing,
            pseudo("GET", "http", "user@api.test", "/one"),
            None,
        ),
        case("authority-empty", Nothing, pseudo("GET", "http", "", "/one"), None),
        case(
            "authority-list",
            Nothing,
            pseudo("GET", "http", "api.test,s", "/one"),
            None,
        ),
        case(
            "authority-and-host",
            Nothing,
            to("GET", "/one").field("host", "other.test"),
            None,
        ),
        case(
            "authority-and-hosts",
            Nothing,
            to("GET", "/one").field("host", "api.test").field("host", "s"),
            None,
        ),
        case(
            "authority-and-same-host",
            One,
            to("GET", "/one").field("host", "api.test"),
            None,
        ),
        case(
            "scheme-target",
            Nothing,
            pseudo("GET", "http://s/smuggled?", "api.test", "/one"),
            None,
        ),
        case(
            "scheme-ends-line",
            Nothing,
            pseudo("GET", "http\r\n", "api.test", "/one"),
            None,
        ),
        case(
            "path-twice",
            Nothing,
            to("GET", "/one").field(":path", "/smuggled"),
            None,
        ),
        case("method-twice", Nothing, to("GET", "/one").field(":method", "PUT"), None),
        case(
            "pseudo-unknown",
            Nothing,
            to("GET", "/one").field(":smuggled", "a"),
            None,
        ),
        case(
            "pseudo-behind",
            Nothing,
            Block::new().field("x", "y").raw(to("GET", "/one").bytes()),
            None,
        ),
        case(
            "protocol-of-get",
            Nothing,
            to("GET", "/one").field(":protocol", "websocket"),
            None,
        ),
        case(
            "connect",
            Nothing,
            Block::new()
                .field(":method", "CONNECT")
                .field(":authority", "api.test:80"),
            None,
        ),
        case("cookies", One, get("cookie", "a=b").field("cookie", "c=d"), None),
    ]
}

/// What could be taken for the head's when it stands behind the body.
fn trailers() -> Vec<Case> {
    use May::{Nothing, One};
    let of = |name: &str, value: &str| Block::new().field(name, value);
    vec![
        with_trailers("trailer", One, of("x-sum", "1")),
        with_trailers("trailer-length", One, of("content-length", "35")),
        with_trailers("trailer-coding", Nothing, of("transfer-encoding", "chunked")),
        with_trailers("trailer-host", One, of("host", "s")),
        with_trailers("trailer-connection", Nothing, of("connection", "close")),
        with_trailers("trailer-ends-line", Nothing, of("x", "a\r\n\r\nGET /smuggled HTTP/1.1")),
        with_trailers("trailer-name-ends-line", Nothing, of("x\r\n\r\nGET", "a")),
        with_trailers("trailer-authorization", One, of("authorization", "Basic eDp5")),
    ]
}

/// Sends it, and waits until the gateway has said what it is to say. Its word.
fn said(f: &mut Frames, case: &Case) -> Done<String> {
    let ends = |is_last: bool| if is_last { END_STREAM } else { 0 };
    f.head(1, ends(case.body.is_none()), &case.head)?;
    if let Some(body) = case.body {
        f.send(DATA, ends(case.trailers.is_none()), 1, body.as_bytes())?;
    }
    if let Some(trailers) = &case.trailers {
        f.send(HEADERS, END_STREAM | 0x4, 1, trailers.bytes())?;
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
        let cases: Vec<_> = [framings(), lines(), trailers()].into_iter().flatten().collect();
        for case in &cases {
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
                    (May::One, [one]) => is_one(case, one),
                    _ => false,
                };
            if !is_right || (case.may == May::One) != (said.as_deref() == Ok("200")) {
                wrong.push(format!(
                    "{}, {trust:?}: told {said:?}, the server saw {seen:?}",
                    case.name
                ));
            }
            told.push(format!("{} {said:?}", case.name));
        }
        println!("{}", told.join("\n"));
        nothing_is_wrong(&wrong, cases.len());
        is_quiet(&gateway);
    }
}
