//! Fields of requests (RFC 9113 §8.2). What is malformed reaches no handler.

use super::expect::Expect::{Alive, Answered, Malformed};
use super::{Case, ECHO, FIELDS, Site, Start, TEXT};
use crate::support::frames::{Done, END_STREAM, Frames};
use crate::support::hpack::Block;

/// A GET of ECHO with one more field.
pub(super) fn with(f: &mut Frames, host: &str, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Done {
    f.head(1, END_STREAM, &Block::request("GET", host, ECHO).field(name, value))
}

const WRONG: &[Case] = &[
    Case {
        id: "8.2.1/1",
        what: "a capital in a name is malformed",
        run: |f, host| with(f, host, "X-Test", "1"),
        expect: Malformed(1),
    },
    Case {
        id: "8.2.1/2",
        what: "a capital at the end of a name is malformed",
        run: |f, host| with(f, host, "x-tesT", "1"),
        expect: Malformed(1),
    },
    Case {
        id: "8.2.1/3",
        what: "a space in a name is malformed",
        run: |f, host| with(f, host, "x test", "1"),
        expect: Malformed(1),
    },
    Case {
        id: "8.2.1/4",
        what: "a colon in a name is malformed",
        run: |f, host| with(f, host, "x:test", "1"),
        expect: Malformed(1),
    },
    Case {
        id: "8.2.1/5",
        what: "a colon at the end of a name is malformed",
        run: |f, host| with(f, host, "transfer-encoding:", "chunked"),
        expect: Malformed(1),
    },
    Case {
        id: "8.2.1/6",
        what: "a line's end in a name is malformed",
        run: |f, host| with(f, host, "x-a: 1\r\nx-b", "1"),
        expect: Malformed(1),
    },
    Case {
        id: "8.2.1/7",
        what: "NUL in a name is malformed",
        run: |f, host| with(f, host, "x-\0", "1"),
        expect: Malformed(1),
    },
    Case {
        id: "8.2.1/8",
        what: "DEL in a name is malformed",
        run: |f, host| with(f, host, "x-\x7f", "1"),
        expect: Malformed(1),
    },
    Case {
        id: "8.2.1/9",
        what: "what is not ASCII in a name is malformed",
        run: |f, host| with(f, host, b"x-\xe9", "1"),
        expect: Malformed(1),
    },
    Case {
        id: "8.2.1/10",
        what: "an empty name is malformed",
        run: |f, host| with(f, host, "", "1"),
        expect: Malformed(1),
    },
    Case {
        id: "8.2.1/11",
        what: "CR and LF in a value are malformed",
        run: |f, host| with(f, host, "x-test", "1\r\nx-injected: 1"),
        expect: Malformed(1),
    },
    Case {
        id: "8.2.1/12",
        what: "LF alone in a value is malformed",
        run: |f, host| with(f, host, "x-test", "1\nx-injected: 1"),
        expect: Malformed(1),
    },
    Case {
        id: "8.2.1/13",
        what: "CR alone in a value is malformed",
        run: |f, host| with(f, host, "x-test", "1\rx-injected: 1"),
        expect: Malformed(1),
    },
    Case {
        id: "8.2.1/14",
        what: "NUL in a value is malformed",
        run: |f, host| with(f, host, "x-test", "1\0"),
        expect: Malformed(1),
    },
    Case {
        id: "8.2.1/15",
        what: "a value that begins with a space is malformed",
        run: |f, host| with(f, host, "x-test", " 1"),
        expect: Malformed(1),
    },
    Case {
        id: "8.2.1/16",
        what: "a value that ends with a space is malformed",
        run: |f, host| with(f, host, "x-test", "1 "),
        expect: Malformed(1),
    },
    Case {
        id: "8.2.1/17",
        what: "a value that begins with a tab is malformed",
        run: |f, host| with(f, host, "x-test", "\t1"),
        expect: Malformed(1),
    },
    Case {
        id: "8.2.1/18",
        what: "a value that ends with a tab is malformed",
        run: |f, host| with(f, host, "x-test", "1\t"),
        expect: Malformed(1),
    },
    Case {
        id: "8.2.2/1",
        what: "`connection` is malformed",
        run: |f, host| with(f, host, "connection", "keep-alive"),
        expect: Malformed(1),
    },
    Case {
        id: "8.2.2/2",
        what: "`keep-alive` is malformed",
        run: |f, host| with(f, host, "keep-alive", "timeout=5"),
        expect: Malformed(1),
    },
    Case {
        id: "8.2.2/3",
        what: "`proxy-connection` is malformed",
        run: |f, host| with(f, host, "proxy-connection", "keep-alive"),
        expect: Malformed(1),
    },
    Case {
        id: "8.2.2/4",
        what: "`transfer-encoding` is malformed",
        run: |f, host| with(f, host, "transfer-encoding", "chunked"),
        expect: Malformed(1),
    },
    Case {
        id: "8.2.2/5",
        what: "`upgrade` is malformed",
        run: |f, host| with(f, host, "upgrade", "websocket"),
        expect: Malformed(1),
    },
    Case {
        id: "8.2.2/6",
        what: "`te` with another value than `trailers` is malformed",
        run: |f, host| with(f, host, "te", "gzip"),
        expect: Malformed(1),
    },
    Case {
        id: "8.2.2/7",
        what: "`te` with another value besides `trailers` is malformed",
        run: |f, host| with(f, host, "te", "trailers, gzip"),
        expect: Malformed(1),
    },
];

const RIGHT: &[Case] = &[
    Case {
        id: "8.2.1/19",
        what: "what is not ASCII in a value is taken, and so are an empty value and one with a tab",
        run: |f, host| {
            let block = Block::request("GET", host, TEXT)
                .field("x-a", b"caf\xe9")
                .field("x-b", "");
            f.head(1, END_STREAM, &block.field("x-c", "a\tb"))
        },
        expect: Answered(1),
    },
    Case {
        id: "8.2.2/8",
        what: "`te: trailers` is taken",
        run: |f, host| {
            let block = Block::request("GET", host, TEXT).field("te", "trailers");
            f.head(1, END_STREAM, &block)
        },
        expect: Answered(1),
    },
    Case {
        id: "8.2.3/1",
        what: "a `cookie` in several fields reaches a handler as one",
        run: |f, host| {
            let block = Block::request("GET", host, FIELDS)
                .field("cookie", "a=1")
                .field("cookie", "b=2");
            f.head(1, END_STREAM, &block.field("x-between", "1").field("cookie", "c=3"))?;
            let text = f.answered(1, "200")?.text();
            if text.contains("a=1; b=2; c=3") {
                Ok(())
            } else {
                Err(text)
            }
        },
        expect: Alive,
    },
];

#[test]
fn wrong_fields() {
    let site = Site::clear();
    site.hold(Start::Greeted, WRONG);
    site.was_not_asked();
}

#[test]
fn right_fields() {
    Site::clear().hold(Start::Greeted, RIGHT);
}
