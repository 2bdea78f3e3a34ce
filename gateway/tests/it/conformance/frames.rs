//! Single frames: DATA, HEADERS, PRIORITY, RST_STREAM, PUSH_PROMISE, PING, GOAWAY and CONTINUATION (RFC 9113 §6).

use super::expect::Expect::{Alive, Answered, Closed, Connection, Stream};
use super::expect::{FRAME_SIZE, PROTOCOL};
use super::{Case, ECHO, HELD, Site, Start, TEXT};
use crate::support::frames::{
    ACK, CONTINUATION, DATA, Done, END_HEADERS, END_STREAM, Event, Frames, GOAWAY, HEADERS, PADDED, PING, PRIORITY,
    PUSH_PROMISE, RST_STREAM, WITH_PRIORITY, padded, priority,
};
use crate::support::hpack::Block;
use h2::Reason;

/// A frame too short for what its flags say: padding that is longer than the frame, or a size that is wrong.
const TOO_SHORT: &[Reason] = &[Reason::PROTOCOL_ERROR, Reason::FRAME_SIZE_ERROR];

fn echoes(f: &mut Frames, stream: u32, expected: &[u8]) -> Done {
    let body = f.answered(stream, "200")?.body;
    if body == expected {
        Ok(())
    } else {
        Err(format!("{body:?} came back"))
    }
}

const DATA_CASES: &[Case] = &[
    Case {
        id: "6.1/1",
        what: "DATA on stream 0 are a connection error",
        run: |f, _| f.send(DATA, END_STREAM, 0, b"x"),
        expect: PROTOCOL,
    },
    Case {
        id: "6.1/2",
        what: "the padding of DATA is no part of a body, be it none, some, or all of the frame",
        run: |f, host| {
            f.post(1, host, ECHO)?;
            f.send(DATA, PADDED, 1, &padded(b"one ", 0))?;
            f.send(DATA, PADDED, 1, &padded(b"two ", 255))?;
            f.send(DATA, PADDED, 1, &padded(b"", 17))?;
            f.send(DATA, PADDED | END_STREAM, 1, &padded(b"three", 1))?;
            echoes(f, 1, b"one two three")
        },
        expect: Alive,
    },
    Case {
        id: "6.1/3",
        what: "padding as long as the payload of DATA is a connection error",
        run: |f, host| {
            f.post(1, host, ECHO)?;
            f.send(DATA, PADDED | END_STREAM, 1, b"\x04abc")
        },
        expect: PROTOCOL,
    },
    Case {
        id: "6.1/4",
        what: "padding longer than the payload of DATA is a connection error",
        run: |f, host| {
            f.post(1, host, ECHO)?;
            f.send(DATA, PADDED | END_STREAM, 1, b"\xffabc")
        },
        expect: PROTOCOL,
    },
    Case {
        id: "6.1/5",
        what: "padded DATA without a pad length are a connection error",
        run: |f, host| {
            f.post(1, host, ECHO)?;
            f.send(DATA, PADDED | END_STREAM, 1, b"")
        },
        expect: Connection(TOO_SHORT),
    },
];

const HEADERS_CASES: &[Case] = &[
    Case {
        id: "6.2/1",
        what: "HEADERS on stream 0 are a connection error",
        run: |f, host| f.get(0, host, TEXT),
        expect: PROTOCOL,
    },
    Case {
        id: "6.2/2",
        what: "HEADERS may be padded, and bring a priority besides",
        run: |f, host| {
            let payload = [&priority(0, 15), Block::request("GET", host, TEXT).bytes()].concat();
            let flags = END_STREAM | END_HEADERS | PADDED | WITH_PRIORITY;
            f.send(HEADERS, flags, 1, &padded(&payload, 200))
        },
        expect: Answered(1),
    },
    Case {
        id: "6.2/3",
        what: "padding as long as what is left of HEADERS is a connection error",
        run: |f, host| {
            let block = Block::request("GET", host, TEXT);
            let length = u8::try_from(block.bytes().len() + 1).expect("a short block");
            let payload = [&[length], block.bytes()].concat();
            f.send(HEADERS, END_STREAM | END_HEADERS | PADDED, 1, &payload)
        },
        expect: Connection(&[Reason::PROTOCOL_ERROR]),
    },
    Case {
        id: "6.2/4",
        what: "padded HEADERS without a pad length are a connection error",
        run: |f, _| f.send(HEADERS, END_STREAM | END_HEADERS | PADDED, 1, b""),
        expect: Connection(TOO_SHORT),
    },
    Case {
        id: "6.2/5",
        what: "HEADERS too short for their priority are a connection error",
        run: |f, _| f.send(HEADERS, END_STREAM | END_HEADERS | WITH_PRIORITY, 1, &[0; 4]),
        expect: Connection(TOO_SHORT),
    },
    Case {
        id: "6.2/6",
        what: "padding that leaves HEADERS no room for their priority is a connection error",
        run: |f, _| {
            let flags = END_STREAM | END_HEADERS | PADDED | WITH_PRIORITY;
            f.send(HEADERS, flags, 1, &[4, 0, 0, 0, 0, 0, 0])
        },
        expect: Connection(TOO_SHORT),
    },
];

const SMALL: &[Case] = &[
    Case {
        id: "6.3/1",
        what: "PRIORITY on stream 0 is a connection error",
        run: |f, _| f.send(PRIORITY, 0, 0, &priority(0, 15)),
        expect: PROTOCOL,
    },
    Case {
        id: "6.3/2",
        what: "PRIORITY of four bytes is a stream error",
        run: |f, host| {
            f.post(1, host, ECHO)?;
            f.head_of(1)?;
            f.send(PRIORITY, 0, 1, &[0; 4])
        },
        expect: Stream(1, &[Reason::FRAME_SIZE_ERROR]),
    },
    Case {
        id: "6.4/1",
        what: "RST_STREAM on stream 0 is a connection error",
        run: |f, _| f.reset(0, Reason::CANCEL),
        expect: PROTOCOL,
    },
    Case {
        id: "6.4/2",
        what: "RST_STREAM of three bytes is a connection error",
        run: |f, host| {
            f.post(1, host, ECHO)?;
            f.send(RST_STREAM, 0, 1, &[0; 3])
        },
        expect: FRAME_SIZE,
    },
    Case {
        id: "6.4/3",
        what: "RST_STREAM of five bytes is a connection error",
        run: |f, host| {
            f.post(1, host, ECHO)?;
            f.send(RST_STREAM, 0, 1, &[0; 5])
        },
        expect: FRAME_SIZE,
    },
    Case {
        id: "6.4/4",
        what: "nothing more comes on a stream that the client has reset",
        run: |f, host| {
            f.post(1, host, ECHO)?;
            f.head_of(1)?;
            f.send(DATA, 0, 1, b"x")?;
            f.data_of(1)?;
            f.reset(1, Reason::CANCEL)?;
            f.round_trip()?;
            let from = f.seen.len();
            f.get(3, host, TEXT)?;
            f.answered(3, "200")?;
            let more = f.seen[from..].iter().find(|event| event.stream() == Some(1));
            more.map_or(Ok(()), |event| Err(event.to_string()))
        },
        expect: Alive,
    },
    Case {
        id: "6.6/1",
        what: "PUSH_PROMISE of a client is a connection error",
        run: |f, host| {
            f.post(1, host, ECHO)?;
            let block = Block::request("GET", host, TEXT);
            f.send(PUSH_PROMISE, END_HEADERS, 1, &[&[0, 0, 0, 2], block.bytes()].concat())
        },
        expect: PROTOCOL,
    },
    Case {
        id: "6.6/2",
        what: "so is one on stream 0",
        run: |f, host| {
            let block = Block::request("GET", host, TEXT);
            f.send(PUSH_PROMISE, END_HEADERS, 0, &[&[0, 0, 0, 3], block.bytes()].concat())
        },
        expect: PROTOCOL,
    },
    Case {
        id: "6.7/1",
        what: "PING is answered with its payload, also while a response is under way",
        run: |f, host| {
            f.get(1, host, HELD)?;
            f.head_of(1)?;
            for payload in [*b"\0\0\0\0\0\0\0\0", *b"\xff\xff\xff\xff\xff\xff\xff\xff", *b"tidegate"] {
                f.send(PING, 0, 0, &payload)?;
                f.wait(|event| *event == Event::Pong(payload.to_vec()))?;
            }
            Ok(())
        },
        expect: Alive,
    },
    Case {
        id: "6.7/2",
        what: "PING ACK that nobody asked for is not answered",
        run: |f, _| {
            f.send(PING, ACK, 0, b"unasked.")?;
            f.round_trip()?;
            let answer = f.seen.contains(&Event::Pong(b"unasked.".to_vec()));
            if answer { Err("PING ACK".to_owned()) } else { Ok(()) }
        },
        expect: Alive,
    },
    Case {
        id: "6.7/3",
        what: "PING on a stream is a connection error",
        run: |f, _| f.send(PING, 0, 1, b"tidegate"),
        expect: PROTOCOL,
    },
    Case {
        id: "6.7/4",
        what: "PING of six bytes is a connection error",
        run: |f, _| f.send(PING, 0, 0, &[0; 6]),
        expect: FRAME_SIZE,
    },
    Case {
        id: "6.7/5",
        what: "PING of nine bytes is a connection error",
        run: |f, _| f.send(PING, 0, 0, &[0; 9]),
        expect: FRAME_SIZE,
    },
    Case {
        id: "6.8/1",
        what: "GOAWAY on a stream is a connection error",
        run: |f, _| f.send(GOAWAY, 0, 1, &[0; 8]),
        expect: PROTOCOL,
    },
    Case {
        id: "6.8/2",
        what: "GOAWAY of seven bytes is a connection error",
        run: |f, _| f.send(GOAWAY, 0, 0, &[0; 7]),
        expect: FRAME_SIZE,
    },
    Case {
        id: "6.8/3",
        what: "GOAWAY lets what is under way come to its end, and then the connection ends",
        run: |f, host| {
            f.post(1, host, ECHO)?;
            f.head_of(1)?;
            f.send(GOAWAY, 0, 0, &[&[0; 8][..], b"bye"].concat())?;
            f.send(DATA, 0, 1, b"one")?;
            let (one, _) = f.data_of(1)?;
            f.send(DATA, END_STREAM, 1, b"two")?;
            let (two, _) = f.data_of(1)?;
            if [one, two].concat() == b"onetwo" {
                Ok(())
            } else {
                Err("not what was sent".to_owned())
            }
        },
        expect: Closed,
    },
];

const CONTINUATIONS: &[Case] = &[
    Case {
        id: "6.10/1",
        what: "several CONTINUATION frames make up one block",
        run: |f, host| {
            f.open_block(1, host, TEXT)?;
            f.send(CONTINUATION, 0, 1, Block::new().field("x-a", "1").bytes())?;
            f.send(CONTINUATION, 0, 1, Block::new().field("x-b", "2").bytes())?;
            f.send(CONTINUATION, END_HEADERS, 1, Block::new().field("x-c", "3").bytes())
        },
        expect: Answered(1),
    },
    Case {
        id: "6.10/2",
        what: "CONTINUATION behind END_HEADERS is a connection error",
        run: |f, host| {
            f.post(1, host, ECHO)?;
            f.send(CONTINUATION, END_HEADERS, 1, b"")
        },
        expect: PROTOCOL,
    },
    Case {
        id: "6.10/3",
        what: "CONTINUATION on stream 0 is a connection error",
        run: |f, host| {
            f.open_block(1, host, TEXT)?;
            f.send(CONTINUATION, END_HEADERS, 0, b"")
        },
        expect: PROTOCOL,
    },
    Case {
        id: "6.10/4",
        what: "CONTINUATION of another stream is a connection error",
        run: |f, host| {
            f.open_block(1, host, TEXT)?;
            f.send(CONTINUATION, END_HEADERS, 3, b"")
        },
        expect: PROTOCOL,
    },
    Case {
        id: "6.10/5",
        what: "CONTINUATION behind END_HEADERS of CONTINUATION is a connection error",
        run: |f, host| {
            f.open_block(1, host, HELD)?;
            f.send(CONTINUATION, END_HEADERS, 1, b"")?;
            f.head_of(1)?;
            f.send(CONTINUATION, END_HEADERS, 1, b"")
        },
        expect: PROTOCOL,
    },
    Case {
        id: "6.10/6",
        what: "CONTINUATION behind DATA is a connection error",
        run: |f, host| {
            f.post(1, host, ECHO)?;
            f.send(DATA, 0, 1, b"x")?;
            f.send(CONTINUATION, END_HEADERS, 1, Block::new().field("x-a", "1").bytes())
        },
        expect: PROTOCOL,
    },
    Case {
        id: "6.10/7",
        what: "CONTINUATION as the first frame is a connection error",
        run: |f, _| f.send(CONTINUATION, END_HEADERS, 1, b""),
        expect: PROTOCOL,
    },
    Case {
        id: "6.10/8",
        what: "trailers may be continued, too",
        run: |f, host| {
            let head = Block::request("POST", host, ECHO)
                .field("trailer", "x-sum")
                .field("te", "trailers");
            f.head(1, 0, &head)?;
            f.send(DATA, 0, 1, b"x")?;
            f.send(HEADERS, END_STREAM, 1, b"")?;
            f.send(CONTINUATION, END_HEADERS, 1, Block::new().field("x-sum", "1").bytes())?;
            match f.answered(1, "200")?.trailer("x-sum") {
                Some("1") => Ok(()),
                other => Err(format!("the trailer is {other:?}")),
            }
        },
        expect: Alive,
    },
];

#[test]
fn data_and_headers() {
    let site = Site::clear();
    site.hold(Start::Greeted, DATA_CASES);
    site.hold(Start::Greeted, HEADERS_CASES);
}

#[test]
fn small_frames() {
    Site::clear().hold(Start::Greeted, SMALL);
}

#[test]
fn continuations() {
    Site::clear().hold(Start::Greeted, CONTINUATIONS);
}
