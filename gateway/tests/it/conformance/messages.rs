//! Exchanges: heads, bodies and trailers in their order, lengths that are true, and what is no request for a route
//! (RFC 9113 §8.1, §8.4, §8.5, RFC 8441).

use super::expect::Expect::{Alive, Answered, Malformed, MalformedLate, Refused};
use super::{Case, ECHO, Site, Start, TEXT};
use crate::support::frames::{DATA, Done, END_STREAM, Frames};
use crate::support::hpack::Block;

/// A POST to ECHO with this content-length.
fn post_of(f: &mut Frames, host: &str, length: &str, flags: u8) -> Done {
    let block = Block::request("POST", host, ECHO).field("content-length", length);
    f.head(1, flags, &block)
}

const EXCHANGES: &[Case] = &[
    Case {
        id: "8.1/1",
        what: "GET is answered with a head and a body",
        run: |f, host| {
            f.get(1, host, TEXT)?;
            let answer = f.answered(1, "200")?;
            if answer.body.is_empty() {
                Err("no body".to_owned())
            } else {
                Ok(())
            }
        },
        expect: Alive,
    },
    Case {
        id: "8.1/2",
        what: "HEAD is answered with a head and nothing else",
        run: |f, host| {
            f.head(1, END_STREAM, &Block::request("HEAD", host, TEXT))?;
            let answer = f.answered(1, "200")?;
            if answer.body.is_empty() {
                Ok(())
            } else {
                Err(answer.text())
            }
        },
        expect: Alive,
    },
    Case {
        id: "8.1/13",
        what: "so it is when the gateway itself answers that there is nothing",
        run: |f, _| {
            f.head(1, END_STREAM, &Block::request("HEAD", "missing.test", "/"))?;
            let answer = f.answered(1, "404")?;
            if answer.body.is_empty() {
                Ok(())
            } else {
                Err(answer.text())
            }
        },
        expect: Alive,
    },
    Case {
        id: "8.1/3",
        what: "POST brings a body and its trailers, and both come back",
        run: |f, host| {
            let head = Block::request("POST", host, ECHO)
                .field("te", "trailers")
                .field("trailer", "x-sum");
            f.head(1, 0, &head)?;
            f.send(DATA, 0, 1, b"one ")?;
            f.send(DATA, 0, 1, b"two")?;
            f.head(1, END_STREAM, &Block::new().field("x-sum", "3"))?;
            let answer = f.answered(1, "200")?;
            match (answer.text().as_str(), answer.trailer("x-sum")) {
                ("one two", Some("3")) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        },
        expect: Alive,
    },
    Case {
        id: "8.1/4",
        what: "a response has one :status, and it comes first",
        run: |f, host| {
            f.get(1, host, TEXT)?;
            let fields = f.answered(1, "200")?.fields;
            let pseudo = fields.iter().filter(|(name, _)| name.starts_with(':')).count();
            if pseudo == 1 && fields[0].0 == ":status" {
                Ok(())
            } else {
                Err(format!("{fields:?}"))
            }
        },
        expect: Alive,
    },
    Case {
        id: "8.1/5",
        what: "a response has no field of the connection's and no name with a capital",
        run: |f, host| {
            let own = [
                "connection",
                "keep-alive",
                "proxy-connection",
                "transfer-encoding",
                "upgrade",
            ];
            for (stream, path) in [(1, TEXT), (3, ECHO), (5, "/nobody")] {
                f.get(stream, host, path)?;
                let fields = f.answer(stream)?.fields;
                let is_wrong = |name: &str| own.contains(&name) || name.chars().any(|char| char.is_ascii_uppercase());
                if let Some(field) = fields.iter().find(|(name, _)| is_wrong(name)) {
                    return Err(format!("{field:?} of {path}"));
                }
            }
            Ok(())
        },
        expect: Alive,
    },
    Case {
        id: "8.1/6",
        what: "a second head without END_STREAM is malformed",
        run: |f, host| {
            f.post(1, host, ECHO)?;
            f.head(1, 0, &Block::new().field("x-sum", "1"))
        },
        expect: Malformed(1),
    },
    Case {
        id: "8.1/7",
        what: "so is one behind DATA",
        run: |f, host| {
            f.post(1, host, ECHO)?;
            f.send(DATA, 0, 1, b"x")?;
            f.head(1, 0, &Block::new().field("x-sum", "1"))
        },
        expect: Malformed(1),
    },
    Case {
        id: "8.1/8",
        what: "trailers with a pseudo-header field are malformed",
        run: |f, host| {
            f.post(1, host, ECHO)?;
            f.send(DATA, 0, 1, b"x")?;
            f.head(1, END_STREAM, &Block::new().field(":path", "/"))
        },
        expect: Malformed(1),
    },
    Case {
        id: "8.1/9",
        what: "trailers with a whole request head are malformed",
        run: |f, host| {
            f.post(1, host, ECHO)?;
            f.get(1, host, TEXT)
        },
        expect: Malformed(1),
    },
    Case {
        id: "8.1/10",
        what: "trailers with a capital in a name are malformed",
        run: |f, host| {
            f.post(1, host, ECHO)?;
            f.send(DATA, 0, 1, b"x")?;
            f.head(1, END_STREAM, &Block::new().field("X-Sum", "1"))
        },
        expect: Malformed(1),
    },
    Case {
        id: "8.1/11",
        what: "trailers with a field of the connection's are malformed",
        run: |f, host| {
            f.post(1, host, ECHO)?;
            f.send(DATA, 0, 1, b"x")?;
            f.head(1, END_STREAM, &Block::new().field("transfer-encoding", "chunked"))
        },
        expect: Malformed(1),
    },
    Case {
        id: "8.1/14",
        what: "trailers with a value that ends with a space are malformed",
        run: |f, host| {
            f.post(1, host, ECHO)?;
            f.send(DATA, 0, 1, b"x")?;
            f.head(1, END_STREAM, &Block::new().field("x-sum", "1 "))
        },
        expect: MalformedLate(1),
    },
    Case {
        id: "8.1/15",
        what: "trailers with a line's end in a value are malformed",
        run: |f, host| {
            f.post(1, host, ECHO)?;
            f.send(DATA, 0, 1, b"x")?;
            f.head(1, END_STREAM, &Block::new().field("x-sum", "1\r\nx-injected: 1"))
        },
        expect: Malformed(1),
    },
    Case {
        id: "8.1/12",
        what: "empty trailers are trailers",
        run: |f, host| {
            f.post(1, host, ECHO)?;
            f.send(DATA, 0, 1, b"x")?;
            f.head(1, END_STREAM, &Block::new())
        },
        expect: Answered(1),
    },
];

const LENGTHS: &[Case] = &[
    Case {
        id: "8.1.1/1",
        what: "a body as long as its content-length is one",
        run: |f, host| {
            post_of(f, host, "7", 0)?;
            f.send(DATA, 0, 1, b"one ")?;
            f.send(DATA, END_STREAM, 1, b"two")
        },
        expect: Answered(1),
    },
    Case {
        id: "8.1.1/2",
        what: "a body of one frame below its content-length is malformed",
        run: |f, host| {
            post_of(f, host, "7", 0)?;
            f.send(DATA, END_STREAM, 1, b"one")
        },
        expect: Malformed(1),
    },
    Case {
        id: "8.1.1/3",
        what: "a body of one frame above its content-length is malformed",
        run: |f, host| {
            post_of(f, host, "1", 0)?;
            f.send(DATA, END_STREAM, 1, b"one")
        },
        expect: Malformed(1),
    },
    Case {
        id: "8.1.1/4",
        what: "a body of several frames below its content-length is malformed",
        run: |f, host| {
            post_of(f, host, "8", 0)?;
            f.send(DATA, 0, 1, b"one ")?;
            f.send(DATA, END_STREAM, 1, b"two")
        },
        expect: Malformed(1),
    },
    Case {
        id: "8.1.1/5",
        what: "a body of several frames above its content-length is malformed",
        run: |f, host| {
            post_of(f, host, "6", 0)?;
            f.send(DATA, 0, 1, b"one ")?;
            f.send(DATA, END_STREAM, 1, b"two")
        },
        expect: Malformed(1),
    },
    Case {
        id: "8.1.1/6",
        what: "a body above its content-length is malformed before its end",
        run: |f, host| {
            post_of(f, host, "3", 0)?;
            f.send(DATA, 0, 1, b"one two")
        },
        expect: Malformed(1),
    },
    Case {
        id: "8.1.1/7",
        what: "a content-length and no body at all is malformed",
        run: |f, host| post_of(f, host, "7", END_STREAM),
        expect: Malformed(1),
    },
    Case {
        id: "8.1.1/8",
        what: "so it is for GET",
        run: |f, host| {
            let block = Block::request("GET", host, ECHO).field("content-length", "7");
            f.head(1, END_STREAM, &block)
        },
        expect: Malformed(1),
    },
    Case {
        id: "8.1.1/9",
        what: "a body below its content-length that ends with trailers is malformed",
        run: |f, host| {
            post_of(f, host, "7", 0)?;
            f.send(DATA, 0, 1, b"one")?;
            f.head(1, END_STREAM, &Block::new().field("x-sum", "1"))
        },
        expect: Malformed(1),
    },
    Case {
        id: "8.1.1/10",
        what: "a content-length of 0 and no body is well-formed",
        run: |f, host| post_of(f, host, "0", END_STREAM),
        expect: Answered(1),
    },
    Case {
        id: "8.1.1/11",
        what: "a content-length that is no number is malformed",
        run: |f, host| {
            post_of(f, host, "+3", 0)?;
            f.send(DATA, END_STREAM, 1, b"one")
        },
        expect: Malformed(1),
    },
    Case {
        id: "8.1.1/12",
        what: "a content-length above every number is malformed",
        run: |f, host| {
            post_of(f, host, "18446744073709551619", 0)?;
            f.send(DATA, END_STREAM, 1, b"one")
        },
        expect: Malformed(1),
    },
    Case {
        id: "8.1.1/13",
        what: "two content-lengths that differ are malformed",
        run: |f, host| {
            let block = Block::request("POST", host, ECHO);
            f.head(1, 0, &block.field("content-length", "3").field("content-length", "7"))?;
            f.send(DATA, END_STREAM, 1, b"one")
        },
        expect: Malformed(1),
    },
    Case {
        id: "8.1.1/14",
        what: "so they are with the true one last",
        run: |f, host| {
            let block = Block::request("POST", host, ECHO);
            f.head(1, 0, &block.field("content-length", "7").field("content-length", "3"))?;
            f.send(DATA, END_STREAM, 1, b"one")
        },
        expect: Malformed(1),
    },
];

/// The head of an extended CONNECT (RFC 8441 §4).
fn extended(host: &str, protocol: &str) -> Block {
    Block::request("CONNECT", host, ECHO)
        .field(":protocol", protocol)
        .field("sec-websocket-version", "13")
}

const CONNECTS: &[Case] = &[
    Case {
        id: "8.5/1",
        what: "CONNECT is refused: the gateway is no proxy of its clients'",
        run: |f, host| {
            let block = Block::new()
                .field(":method", "CONNECT")
                .field(":authority", format!("{host}:80"));
            f.head(1, 0, &block)
        },
        expect: Refused(1),
    },
    Case {
        id: "8.5/2",
        what: "CONNECT with :scheme and :path is malformed",
        run: |f, host| f.head(1, 0, &Block::request("CONNECT", host, ECHO)),
        expect: Refused(1),
    },
    Case {
        id: "8.5/3",
        what: "CONNECT without :authority is malformed",
        run: |f, _| f.head(1, 0, &Block::new().field(":method", "CONNECT")),
        expect: Refused(1),
    },
    Case {
        id: "RFC 8441 4/1",
        what: "an extended CONNECT on a route that has no WebSocket is refused",
        run: |f, host| f.head(1, 0, &extended(host, "websocket")),
        expect: Refused(1),
    },
    Case {
        id: "RFC 8441 4/2",
        what: "so is one that has ended already",
        run: |f, host| f.head(1, END_STREAM, &extended(host, "websocket")),
        expect: Refused(1),
    },
    Case {
        id: "RFC 8441 4/3",
        what: "so is one to a protocol of nobody's",
        run: |f, host| f.head(1, 0, &extended(host, "carrier-pigeon")),
        expect: Refused(1),
    },
    Case {
        id: "RFC 8441 4/4",
        what: "an extended CONNECT without :path and :scheme is malformed",
        run: |f, host| {
            let block = Block::new().field(":method", "CONNECT").field(":protocol", "websocket");
            f.head(1, 0, &block.field(":authority", host))
        },
        expect: Refused(1),
    },
    Case {
        id: "RFC 8441 4/5",
        what: ":protocol with another method is malformed",
        run: |f, host| {
            f.head(
                1,
                END_STREAM,
                &Block::request("GET", host, TEXT).field(":protocol", "websocket"),
            )
        },
        expect: Malformed(1),
    },
    Case {
        id: "RFC 8441 4/6",
        what: "two :protocol are malformed",
        run: |f, host| f.head(1, 0, &extended(host, "websocket").field(":protocol", "websocket")),
        expect: Malformed(1),
    },
];

#[test]
fn exchanges() {
    Site::clear().hold(Start::Greeted, EXCHANGES);
}

#[test]
fn content_lengths() {
    Site::clear().hold(Start::Greeted, LENGTHS);
}

#[test]
fn connects() {
    Site::clear().hold(Start::Greeted, CONNECTS);
}
