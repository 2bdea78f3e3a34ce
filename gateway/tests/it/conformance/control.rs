//! Control data of requests: their pseudo-header fields, and `host` (RFC 9113 §8.3). What is malformed reaches no
//! handler.

use super::expect::Expect::{Answered, Malformed, Refused};
use super::fields::with;
use super::{Case, ECHO, Site, Start, TEXT};
use crate::support::frames::{DATA, Done, END_STREAM, Frames};
use crate::support::hpack::Block;

/// A GET of these pseudo-header fields and no others.
fn of(f: &mut Frames, fields: &[(&str, &str)]) -> Done {
    let block = fields
        .iter()
        .fold(Block::new(), |block, (name, value)| block.field(name, value));
    f.head(1, END_STREAM, &block)
}

const WRONG: &[Case] = &[
    Case {
        id: "8.3/1",
        what: "a pseudo-header field that nobody knows is malformed",
        run: |f, host| with(f, host, ":test", "1"),
        expect: Malformed(1),
    },
    Case {
        id: "8.3/2",
        what: "one of responses is malformed",
        run: |f, host| with(f, host, ":status", "200"),
        expect: Malformed(1),
    },
    Case {
        id: "8.3/3",
        what: "one behind a regular field is malformed",
        run: |f, host| {
            let regular = [
                (":method", "GET"),
                (":scheme", "http"),
                (":authority", host),
                ("x-test", "1"),
            ];
            of(f, &[&regular[..], &[(":path", ECHO)]].concat())
        },
        expect: Malformed(1),
    },
    Case {
        id: "8.3/4",
        what: "two :method are malformed",
        run: |f, host| with(f, host, ":method", "GET"),
        expect: Malformed(1),
    },
    Case {
        id: "8.3/5",
        what: "two :scheme are malformed",
        run: |f, host| with(f, host, ":scheme", "http"),
        expect: Malformed(1),
    },
    Case {
        id: "8.3/6",
        what: "two :path are malformed",
        run: |f, host| with(f, host, ":path", "/other"),
        expect: Malformed(1),
    },
    Case {
        id: "8.3/7",
        what: "two :authority are malformed",
        run: |f, host| with(f, host, ":authority", host),
        expect: Malformed(1),
    },
    Case {
        id: "8.3.1/1",
        what: "no :method is malformed",
        run: |f, host| of(f, &[(":scheme", "http"), (":authority", host), (":path", ECHO)]),
        expect: Malformed(1),
    },
    Case {
        id: "8.3.1/2",
        what: "no :scheme is malformed",
        run: |f, host| of(f, &[(":method", "GET"), (":authority", host), (":path", ECHO)]),
        expect: Malformed(1),
    },
    Case {
        id: "8.3.1/3",
        what: "no :path is malformed",
        run: |f, host| of(f, &[(":method", "GET"), (":scheme", "http"), (":authority", host)]),
        expect: Malformed(1),
    },
    Case {
        id: "8.3.1/4",
        what: "no pseudo-header field at all is malformed",
        run: |f, host| of(f, &[("host", host)]),
        expect: Malformed(1),
    },
    Case {
        id: "8.3.1/5",
        what: "an empty block is malformed",
        run: |f, _| of(f, &[]),
        expect: Malformed(1),
    },
    Case {
        id: "8.3.1/6",
        what: "an empty :path is malformed",
        run: |f, host| f.get(1, host, ""),
        expect: Malformed(1),
    },
    Case {
        id: "8.3.1/7",
        what: "a :path without its slash is malformed",
        run: |f, host| f.get(1, host, "echo"),
        expect: Malformed(1),
    },
    Case {
        id: "8.3.1/8",
        what: "a :path that is a whole URI is malformed",
        run: |f, host| f.get(1, host, &format!("http://{host}{ECHO}")),
        expect: Malformed(1),
    },
    Case {
        id: "8.3.1/9",
        what: "a :path of `*` for another method than OPTIONS is malformed",
        run: |f, host| f.get(1, host, "*"),
        expect: Malformed(1),
    },
    Case {
        id: "8.3.1/10",
        what: "a space in :path is malformed",
        run: |f, host| f.get(1, host, "/echo HTTP/1.1"),
        expect: Malformed(1),
    },
    Case {
        id: "8.3.1/11",
        what: "a line's end in :path is malformed",
        run: |f, host| f.get(1, host, "/echo HTTP/1.1\r\nx-injected: 1\r\n"),
        expect: Malformed(1),
    },
    Case {
        id: "8.3.1/12",
        what: "a fragment in :path is malformed",
        run: |f, host| f.get(1, host, "/text#part"),
        expect: Malformed(1),
    },
    Case {
        id: "8.3.1/13",
        what: "an empty :method is malformed",
        run: |f, host| f.head(1, END_STREAM, &Block::request("", host, ECHO)),
        expect: Malformed(1),
    },
    Case {
        id: "8.3.1/14",
        what: "a :method that is no token is malformed",
        run: |f, host| f.head(1, END_STREAM, &Block::request("GET /x", host, ECHO)),
        expect: Malformed(1),
    },
    Case {
        id: "8.3.1/15",
        what: "an empty :scheme is malformed",
        run: |f, host| {
            of(
                f,
                &[
                    (":method", "GET"),
                    (":scheme", ""),
                    (":authority", host),
                    (":path", ECHO),
                ],
            )
        },
        expect: Malformed(1),
    },
    Case {
        id: "8.3.1/16",
        what: "a :scheme that is none is malformed",
        run: |f, host| {
            let scheme = "http://other.test/?";
            of(
                f,
                &[
                    (":method", "GET"),
                    (":scheme", scheme),
                    (":authority", host),
                    (":path", ECHO),
                ],
            )
        },
        expect: Malformed(1),
    },
    Case {
        id: "8.3.1/17",
        what: "userinfo in :authority is malformed",
        run: |f, host| f.get(1, &format!("user@{host}"), ECHO),
        expect: Malformed(1),
    },
    Case {
        id: "8.3.1/18",
        what: "an :authority that holds a path is malformed",
        run: |f, host| f.get(1, &format!("{host}/x"), ECHO),
        expect: Malformed(1),
    },
    Case {
        id: "8.3.1/19",
        what: "neither :authority nor `host`: nobody is asked for",
        run: |f, _| of(f, &[(":method", "GET"), (":scheme", "http"), (":path", ECHO)]),
        expect: Refused(1),
    },
    Case {
        id: "8.3.1/20",
        what: "a `host` that is not the :authority is malformed",
        run: |f, host| with(f, host, "host", "other.test"),
        expect: Malformed(1),
    },
    Case {
        id: "8.3.1/21",
        what: "a `host` that is the :authority with another port is malformed",
        run: |f, host| with(f, host, "host", format!("{host}:81")),
        expect: Malformed(1),
    },
    Case {
        id: "8.3.1/22",
        what: "two `host` that differ are malformed, also without :authority",
        run: |f, host| {
            let one = [(":method", "GET"), (":scheme", "http"), (":path", ECHO), ("host", host)];
            of(f, &[&one[..], &[("host", "other.test")]].concat())
        },
        expect: Malformed(1),
    },
    Case {
        id: "8.3.1/23",
        what: "two `host` that are equal are malformed: a request has one",
        run: |f, host| {
            let one = [
                (":method", "GET"),
                (":scheme", "http"),
                (":path", ECHO),
                ("host", host),
                ("host", host),
            ];
            of(f, &one)
        },
        expect: Malformed(1),
    },
    Case {
        id: "8.3.1/28",
        what: "userinfo in a `host` without :authority is malformed",
        run: |f, host| {
            let user = format!("user@{host}");
            of(
                f,
                &[
                    (":method", "GET"),
                    (":scheme", "http"),
                    (":path", ECHO),
                    ("host", &user),
                ],
            )
        },
        expect: Malformed(1),
    },
];

const RIGHT: &[Case] = &[
    Case {
        id: "8.3.1/24",
        what: "a `host` that is the :authority is taken",
        run: |f, host| {
            let block = Block::request("GET", host, TEXT).field("host", host);
            f.head(1, END_STREAM, &block)
        },
        expect: Answered(1),
    },
    Case {
        id: "8.3.1/25",
        what: "a `host` without :authority is taken",
        run: |f, host| {
            of(
                f,
                &[(":method", "GET"), (":scheme", "http"), (":path", TEXT), ("host", host)],
            )
        },
        expect: Answered(1),
    },
    Case {
        id: "8.3.1/26",
        what: "pseudo-header fields have no order of their own",
        run: |f, host| {
            of(
                f,
                &[
                    (":path", TEXT),
                    (":authority", host),
                    (":scheme", "http"),
                    (":method", "GET"),
                ],
            )
        },
        expect: Answered(1),
    },
    Case {
        id: "8.3.1/27",
        what: "a query belongs to :path",
        run: |f, host| {
            f.head(1, 0, &Block::request("POST", host, "/echo?a=b&c"))?;
            f.send(DATA, END_STREAM, 1, b"x")
        },
        expect: Answered(1),
    },
];

#[test]
fn wrong_control_data() {
    let site = Site::clear();
    site.hold(Start::Greeted, WRONG);
    site.was_not_asked();
}

#[test]
fn right_control_data() {
    Site::clear().hold(Start::Greeted, RIGHT);
}
