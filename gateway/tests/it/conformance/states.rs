//! What may come on a stream in each of its states (RFC 9113 §5.1).
//!
//! Half-closed is a stream of HELD, which never ends by itself; closed is one that was read to its end, or was reset.

use super::expect::Expect::{Alive, Connection, Dead, Stream};
use super::expect::PROTOCOL;
use super::{Case, ECHO, HELD, Site, Start, TEXT};
use crate::support::frames::{
    CONTINUATION, DATA, Done, END_HEADERS, END_STREAM, Event, Frames, PRIORITY, RST_STREAM, WINDOW_BYTES_MAX,
    WINDOW_UPDATE, priority,
};
use crate::support::hpack::Block;
use h2::Reason;

const CLOSED: &[Reason] = &[Reason::STREAM_CLOSED];

/// Stream 1 half-closed (remote): the client has ended it, and the gateway has not.
fn half_closed(f: &mut Frames, host: &str) -> Done {
    f.get(1, host, HELD)?;
    f.head_of(1).map(drop)
}

/// Stream 1 closed by END_STREAM of both sides.
fn ended(f: &mut Frames, host: &str) -> Done {
    f.get(1, host, TEXT)?;
    f.answered(1, "200").map(drop)
}

/// Stream 1 closed by the client's RST_STREAM.
fn reset_here(f: &mut Frames, host: &str) -> Done {
    f.post(1, host, ECHO)?;
    f.head_of(1)?;
    f.reset(1, Reason::CANCEL)
}

/// Stream 1 closed by the gateway's RST_STREAM, of which the client need not know yet.
fn reset_there(f: &mut Frames, host: &str) -> Done {
    f.post(1, host, ECHO)?;
    f.head_of(1)?;
    f.window(1, WINDOW_BYTES_MAX)?;
    f.wait(|event| matches!(event, Event::Reset { stream: 1, .. }))
        .map(drop)
}

fn trailers(f: &mut Frames, stream: u32) -> Done {
    f.head(stream, END_STREAM, &Block::new().field("x-sum", "1"))
}

const IDLE: &[Case] = &[
    Case {
        id: "5.1/1",
        what: "DATA on an idle stream are a connection error, of either code that fits",
        run: |f, _| f.send(DATA, END_STREAM, 1, b"x"),
        expect: Connection(&[Reason::PROTOCOL_ERROR, Reason::STREAM_CLOSED]),
    },
    Case {
        id: "5.1/2",
        what: "RST_STREAM on an idle stream is a connection error",
        run: |f, _| f.reset(1, Reason::CANCEL),
        expect: PROTOCOL,
    },
    Case {
        id: "5.1/3",
        what: "WINDOW_UPDATE on an idle stream is a connection error",
        run: |f, _| f.window(1, 100),
        expect: PROTOCOL,
    },
    Case {
        id: "5.1/4",
        what: "CONTINUATION on an idle stream is a connection error",
        run: |f, host| f.send(CONTINUATION, END_HEADERS, 1, Block::request("GET", host, TEXT).bytes()),
        expect: PROTOCOL,
    },
    Case {
        id: "5.1/5",
        what: "PRIORITY on an idle stream is allowed",
        run: |f, host| {
            f.send(PRIORITY, 0, 1, &priority(0, 255))?;
            f.get(1, host, TEXT)?;
            f.answered(1, "200").map(drop)
        },
        expect: Alive,
    },
    Case {
        id: "5.1/6",
        what: "so is WINDOW_UPDATE on an idle stream of the gateway's own",
        run: |f, _| f.send(WINDOW_UPDATE, 0, 2, &[0, 0, 0, 1]),
        expect: PROTOCOL,
    },
];

const HALF_CLOSED: &[Case] = &[
    Case {
        id: "5.1/7",
        what: "DATA on a half-closed stream are a stream error",
        run: |f, host| {
            half_closed(f, host)?;
            f.send(DATA, 0, 1, b"x")
        },
        expect: Stream(1, CLOSED),
    },
    Case {
        id: "5.1/8",
        what: "DATA with END_STREAM on a half-closed stream are a stream error",
        run: |f, host| {
            half_closed(f, host)?;
            f.send(DATA, END_STREAM, 1, b"")
        },
        expect: Stream(1, CLOSED),
    },
    Case {
        id: "5.1/9",
        what: "HEADERS on a half-closed stream are a stream error",
        run: |f, host| {
            half_closed(f, host)?;
            trailers(f, 1)
        },
        expect: Stream(1, CLOSED),
    },
    Case {
        id: "5.1/10",
        what: "another head on a half-closed stream is a stream error",
        run: |f, host| {
            half_closed(f, host)?;
            f.get(1, host, HELD)
        },
        expect: Stream(1, CLOSED),
    },
    Case {
        id: "5.1/11",
        what: "CONTINUATION on a half-closed stream is a connection error: nothing before it was open",
        run: |f, host| {
            half_closed(f, host)?;
            f.send(CONTINUATION, END_HEADERS, 1, b"")
        },
        expect: Connection(&[Reason::PROTOCOL_ERROR, Reason::STREAM_CLOSED]),
    },
    Case {
        id: "5.1/12",
        what: "WINDOW_UPDATE, PRIORITY and RST_STREAM on a half-closed stream are allowed",
        run: |f, host| {
            half_closed(f, host)?;
            f.window(1, 100)?;
            f.send(PRIORITY, 0, 1, &priority(0, 255))?;
            f.reset(1, Reason::CANCEL)
        },
        expect: Alive,
    },
    Case {
        id: "5.1/13",
        what: "DATA behind END_STREAM of DATA are a stream error",
        run: |f, host| {
            f.post(1, host, HELD)?;
            f.send(DATA, END_STREAM, 1, b"x")?;
            f.head_of(1)?;
            f.send(DATA, 0, 1, b"x")
        },
        expect: Stream(1, CLOSED),
    },
    Case {
        id: "5.1/14",
        what: "DATA behind trailers are a stream error",
        run: |f, host| {
            f.post(1, host, HELD)?;
            f.head_of(1)?;
            trailers(f, 1)?;
            f.send(DATA, 0, 1, b"x")
        },
        expect: Stream(1, CLOSED),
    },
];

const OVER: &[Case] = &[
    Case {
        id: "5.1/15",
        what: "DATA on a stream that both have ended lead to nothing",
        run: |f, host| {
            ended(f, host)?;
            f.send(DATA, END_STREAM, 1, b"x")
        },
        expect: Dead(1),
    },
    Case {
        id: "5.1/16",
        what: "HEADERS on a stream that both have ended lead to nothing",
        run: |f, host| {
            ended(f, host)?;
            f.get(1, host, TEXT)
        },
        expect: Dead(1),
    },
    Case {
        id: "5.1/17",
        what: "CONTINUATION on a stream that both have ended is a connection error",
        run: |f, host| {
            ended(f, host)?;
            f.send(CONTINUATION, END_HEADERS, 1, b"")
        },
        expect: Connection(&[Reason::PROTOCOL_ERROR, Reason::STREAM_CLOSED]),
    },
    Case {
        id: "5.1/18",
        what: "WINDOW_UPDATE, PRIORITY and RST_STREAM on a stream that both have ended are no error",
        run: |f, host| {
            ended(f, host)?;
            f.window(1, 100)?;
            f.send(PRIORITY, 0, 1, &priority(0, 255))?;
            f.reset(1, Reason::CANCEL)
        },
        expect: Alive,
    },
    Case {
        id: "5.1/19",
        what: "DATA on a stream the client has reset lead to nothing",
        run: |f, host| {
            reset_here(f, host)?;
            f.send(DATA, END_STREAM, 1, b"x")
        },
        expect: Dead(1),
    },
    Case {
        id: "5.1/20",
        what: "HEADERS on a stream the client has reset lead to nothing",
        run: |f, host| {
            reset_here(f, host)?;
            f.get(1, host, TEXT)
        },
        expect: Dead(1),
    },
    Case {
        id: "5.1/21",
        what: "CONTINUATION on a stream the client has reset is a connection error",
        run: |f, host| {
            reset_here(f, host)?;
            f.send(CONTINUATION, END_HEADERS, 1, b"")
        },
        expect: Connection(&[Reason::PROTOCOL_ERROR, Reason::STREAM_CLOSED]),
    },
    Case {
        id: "5.1/22",
        what: "DATA on their way to a stream that the gateway has reset are discarded",
        run: |f, host| {
            reset_there(f, host)?;
            f.send(DATA, 0, 1, b"x")?;
            f.send(DATA, END_STREAM, 1, b"x")
        },
        expect: Alive,
    },
    Case {
        id: "5.1/23",
        what: "HEADERS on their way to a stream that the gateway has reset are discarded",
        run: |f, host| {
            reset_there(f, host)?;
            trailers(f, 1)
        },
        expect: Alive,
    },
    Case {
        id: "5.1/24",
        what: "what HEADERS on their way to such a stream put into the table is there for the next",
        run: |f, host| {
            reset_there(f, host)?;
            f.head(1, END_STREAM, &Block::new().inserted("content-type", "text/x-late"))?;
            f.head(3, 0, &Block::request("POST", host, ECHO).indexed(62))?;
            f.send(DATA, END_STREAM, 3, b"x")?;
            match f.answered(3, "200")?.field("content-type") {
                Some("text/x-late") => Ok(()),
                other => Err(format!("{other:?}")),
            }
        },
        expect: Alive,
    },
    Case {
        id: "5.1/25",
        what: "WINDOW_UPDATE, RST_STREAM and PRIORITY on their way to such a stream are discarded",
        run: |f, host| {
            reset_there(f, host)?;
            f.window(1, 100)?;
            f.send(PRIORITY, 0, 1, &priority(0, 255))?;
            f.send(RST_STREAM, 0, 1, &[0, 0, 0, 8])
        },
        expect: Alive,
    },
];

#[test]
fn idle_streams() {
    Site::clear().hold(Start::Greeted, IDLE);
}

#[test]
fn half_closed_streams() {
    Site::clear().hold(Start::Greeted, HALF_CLOSED);
}

#[test]
fn closed_streams() {
    Site::clear().hold(Start::Greeted, OVER);
}
