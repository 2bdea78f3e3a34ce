//! Frames as such: their format, their size, and the blocks some of them make up together (RFC 9113 §4).

use super::expect::Expect::{Alive, Answered, Stream};
use super::expect::{COMPRESSION, FRAME_SIZE, PROTOCOL};
use super::{Case, ECHO, Site, Start, TEXT};
use crate::support::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PAYLOAD_BYTES, PING, PRIORITY, RST_STREAM, SETTINGS,
    UNKNOWN, WINDOW_UPDATE, priority, settings,
};
use crate::support::hpack::Block;
use h2::Reason;

const FORMAT: &[Case] = &[
    Case {
        id: "4.1/1",
        what: "a frame of an unknown type is ignored",
        run: |f, _| f.send(UNKNOWN, 0, 0, &[0xff; 8]),
        expect: Alive,
    },
    Case {
        id: "4.1/2",
        what: "flags that a PING does not have are ignored",
        run: |f, _| {
            f.send(PING, 0xfe, 0, b"tidegate")?;
            f.wait(|event| event.to_string() == "PING ACK").map(drop)
        },
        expect: Alive,
    },
    Case {
        id: "4.1/3",
        what: "flags that HEADERS and DATA do not have are ignored",
        run: |f, host| {
            let block = Block::request("POST", host, ECHO);
            f.send(HEADERS, END_HEADERS | 0xd2, 1, block.bytes())?;
            f.send(DATA, END_STREAM | 0xf6, 1, b"echo")
        },
        expect: Answered(1),
    },
    Case {
        id: "4.1/4",
        what: "the reserved bit before the identifier is ignored, on the connection",
        run: |f, _| {
            f.send(PING, 0, 1 << 31, b"tidegate")?;
            f.wait(|event| event.to_string() == "PING ACK").map(drop)
        },
        expect: Alive,
    },
    Case {
        id: "4.1/5",
        what: "the reserved bit before the identifier is ignored, on a stream",
        run: |f, host| f.get(1 << 31 | 1, host, TEXT),
        expect: Answered(1),
    },
];

const SIZE: &[Case] = &[
    Case {
        id: "4.2/1",
        what: "DATA of 2^14 bytes are taken",
        run: |f, host| {
            f.post(1, host, ECHO)?;
            f.send(DATA, END_STREAM, 1, &[b'x'; PAYLOAD_BYTES])?;
            let answer = f.answered(1, "200")?;
            if answer.body.len() == PAYLOAD_BYTES {
                Ok(())
            } else {
                Err(format!("{} bytes came back", answer.body.len()))
            }
        },
        expect: Alive,
    },
    Case {
        id: "4.2/2",
        what: "DATA of more than the gateway takes are an error of the stream",
        run: |f, host| {
            f.post(1, host, ECHO)?;
            f.send(DATA, END_STREAM, 1, &[b'x'; PAYLOAD_BYTES + 1])
        },
        expect: Stream(1, &[Reason::FRAME_SIZE_ERROR]),
    },
    Case {
        id: "4.2/3",
        what: "HEADERS of 2^14 bytes are taken",
        run: |f, host| f.head(1, END_STREAM, &filled(host, PAYLOAD_BYTES)),
        expect: Answered(1),
    },
    Case {
        id: "4.2/4",
        what: "HEADERS of more than the gateway takes are a connection error",
        run: |f, host| f.head(1, END_STREAM, &filled(host, PAYLOAD_BYTES + 1)),
        expect: FRAME_SIZE,
    },
    Case {
        id: "4.2/5",
        what: "CONTINUATION of more than the gateway takes is a connection error",
        run: |f, host| {
            f.send(HEADERS, END_STREAM, 1, b"")?;
            f.send(CONTINUATION, END_HEADERS, 1, filled(host, PAYLOAD_BYTES + 1).bytes())
        },
        expect: FRAME_SIZE,
    },
    Case {
        id: "4.2/6",
        what: "SETTINGS of more than the gateway takes are a connection error",
        run: |f, _| f.send(SETTINGS, 0, 0, &[0xff; PAYLOAD_BYTES + 2]),
        expect: FRAME_SIZE,
    },
    Case {
        id: "4.2/7",
        what: "GOAWAY of more than the gateway takes is a connection error",
        run: |f, _| f.send(GOAWAY, 0, 0, &[0; PAYLOAD_BYTES + 1]),
        expect: FRAME_SIZE,
    },
    Case {
        id: "4.2/8",
        what: "a frame of an unknown type and more than the gateway takes is a connection error",
        run: |f, _| f.send(UNKNOWN, 0, 0, &[0; PAYLOAD_BYTES + 1]),
        expect: FRAME_SIZE,
    },
    Case {
        id: "4.2/9",
        what: "a length of 2^24-1 is refused by its header, before any of it came",
        run: |f, host| {
            f.post(1, host, ECHO)?;
            f.write([0xff, 0xff, 0xff, DATA, 0, 0, 0, 0, 1])
        },
        expect: Stream(1, &[Reason::FRAME_SIZE_ERROR]),
    },
    Case {
        id: "4.2/10",
        what: "DATA of no bytes are taken",
        run: |f, host| {
            f.post(1, host, ECHO)?;
            f.send(DATA, 0, 1, b"")?;
            f.send(DATA, 0, 1, b"x")?;
            f.send(DATA, END_STREAM, 1, b"")
        },
        expect: Answered(1),
    },
];

/// A GET whose block has exactly so many bytes.
fn filled(host: &str, bytes: usize) -> Block {
    let block = Block::request("GET", host, TEXT).field("x-fill", "");
    // The length of the value takes two more bytes than that of the empty one.
    let missing = bytes - block.bytes().len() - 2;
    let block = Block::request("GET", host, TEXT).field("x-fill", vec![b'x'; missing]);
    assert_eq!(block.bytes().len(), bytes);
    block
}

const BLOCKS: &[Case] = &[
    Case {
        id: "4.3/1",
        what: "a field block that cannot be read is a connection error",
        run: |f, _| f.head(1, END_STREAM, &Block::new().indexed(127)),
        expect: COMPRESSION,
    },
    Case {
        id: "4.3/2",
        what: "so is one that ends within a field",
        run: |f, host| {
            let whole = Block::request("GET", host, TEXT);
            let (cut, _) = whole.bytes().split_at(whole.bytes().len() - 1);
            f.head(1, END_STREAM, &Block::new().raw(cut))
        },
        expect: COMPRESSION,
    },
    Case {
        id: "4.3/3",
        what: "a field block may be cut anywhere, also into nothing",
        run: |f, host| {
            f.send(HEADERS, END_STREAM, 1, b"")?;
            let block = Block::request("GET", host, TEXT);
            let (names, values) = block.bytes().split_at(3);
            let (some, rest) = values.split_at(values.len() - 1);
            for piece in [names, some, rest] {
                f.send(CONTINUATION, 0, 1, piece)?;
            }
            f.send(CONTINUATION, END_HEADERS, 1, b"")
        },
        expect: Answered(1),
    },
    Case {
        id: "4.3/4",
        what: "PRIORITY within a field block is a connection error",
        run: |f, host| {
            f.open_block(1, host, TEXT)?;
            f.send(PRIORITY, 0, 1, &priority(0, 15))
        },
        expect: PROTOCOL,
    },
    Case {
        id: "4.3/5",
        what: "so are HEADERS of another stream",
        run: |f, host| {
            f.open_block(1, host, TEXT)?;
            f.get(3, host, TEXT)
        },
        expect: PROTOCOL,
    },
    Case {
        id: "4.3/6",
        what: "so are HEADERS of its own stream",
        run: |f, host| {
            f.open_block(1, host, TEXT)?;
            f.get(1, host, TEXT)
        },
        expect: PROTOCOL,
    },
    Case {
        id: "4.3/7",
        what: "so are DATA",
        run: |f, host| {
            f.open_block(1, host, ECHO)?;
            f.send(DATA, END_STREAM, 1, b"x")
        },
        expect: PROTOCOL,
    },
    Case {
        id: "4.3/8",
        what: "so is RST_STREAM",
        run: |f, host| {
            f.open_block(1, host, TEXT)?;
            f.send(RST_STREAM, 0, 1, &[0, 0, 0, 8])
        },
        expect: PROTOCOL,
    },
    Case {
        id: "4.3/9",
        what: "so are SETTINGS",
        run: |f, host| {
            f.open_block(1, host, TEXT)?;
            f.send(SETTINGS, 0, 0, &settings(&[]))
        },
        expect: PROTOCOL,
    },
    Case {
        id: "4.3/10",
        what: "so is PING",
        run: |f, host| {
            f.open_block(1, host, TEXT)?;
            f.send(PING, 0, 0, b"tidegate")
        },
        expect: PROTOCOL,
    },
    Case {
        id: "4.3/11",
        what: "so is WINDOW_UPDATE",
        run: |f, host| {
            f.open_block(1, host, TEXT)?;
            f.send(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])
        },
        expect: PROTOCOL,
    },
    Case {
        id: "4.3/12",
        what: "so is anything within a block of trailers",
        run: |f, host| {
            f.post(1, host, ECHO)?;
            f.send(HEADERS, END_STREAM, 1, Block::new().field("x-sum", "1").bytes())?;
            f.send(PING, 0, 0, b"tidegate")
        },
        expect: PROTOCOL,
    },
];

#[test]
fn frames_have_a_format_and_a_size() {
    let site = Site::clear();
    site.hold(Start::Greeted, FORMAT);
    site.hold(Start::Greeted, SIZE);
}

#[test]
fn field_blocks_are_whole() {
    Site::clear().hold(Start::Greeted, BLOCKS);
}

#[test]
fn frames_have_a_size_over_tls() {
    Site::tls().hold(Start::Greeted, SIZE);
}
