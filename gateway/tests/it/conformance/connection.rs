//! How a connection begins, how it ends for an error, and what has to be ignored (RFC 9113 §3.4, §5.4, §5.5, §7).

use super::expect::Expect::{Alive, Answered, Closed, Connection, NoPreface};
use super::expect::{PROTOCOL, goes_away};
use super::{Case, ECHO, HELD, Site, Start, TEXT};
use crate::support::frames::{
    ACK, ENABLE_CONNECT_PROTOCOL, ENABLE_PUSH, END_STREAM, Event, GOAWAY, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, PING,
    PREFACE, SETTINGS, UNKNOWN, WINDOW_BYTES_MAX, WINDOW_UPDATE,
};
use h2::Reason;

const PREFACES: &[Case] = &[
    Case {
        id: "3.4/1",
        what: "the gateway's first frame is SETTINGS, with nothing in it that a server must not say",
        run: |f, _| {
            f.greet(&[])?;
            let is_in =
                |id, range: std::ops::RangeInclusive<u32>| f.setting(id).is_none_or(|value| range.contains(&value));
            let is_right = is_in(ENABLE_PUSH, 0..=0)
                && is_in(INITIAL_WINDOW_SIZE, 0..=WINDOW_BYTES_MAX)
                && is_in(MAX_FRAME_SIZE, 1 << 14..=(1 << 24) - 1)
                && is_in(ENABLE_CONNECT_PROTOCOL, 0..=1);
            is_right.then_some(()).ok_or(format!("{:?}", f.settings))
        },
        expect: Alive,
    },
    Case {
        id: "3.4/2",
        what: "a request right behind the preface, before the gateway said anything, is answered",
        run: |f, host| {
            f.write(PREFACE)?;
            f.set(&[])?;
            f.get(1, host, TEXT)
        },
        expect: Answered(1),
    },
    Case {
        id: "3.4/3",
        what: "a preface that comes byte by byte is one",
        run: |f, host| {
            for byte in PREFACE {
                f.write([*byte])?;
            }
            f.set(&[])?;
            f.get(1, host, TEXT)
        },
        expect: Answered(1),
    },
    Case {
        id: "3.4/4",
        what: "a preface with a wrong end is refused, with GOAWAY or without",
        run: |f, _| f.write(b"PRI * HTTP/2.0\r\n\r\nMS\r\n\r\n"),
        expect: NoPreface,
    },
    Case {
        id: "3.4/5",
        what: "bytes that are no preface at all are refused, with GOAWAY or without",
        run: |f, _| f.write(b"\x16\x03\x01\x00\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\r\n\r\nSM\r\n\r\n"),
        expect: NoPreface,
    },
    Case {
        id: "3.4/6",
        what: "a preface that goes on with another frame than SETTINGS is refused, with GOAWAY or without",
        run: |f, _| {
            f.write(PREFACE)?;
            f.send(PING, 0, 0, b"tidegate")
        },
        expect: NoPreface,
    },
    Case {
        id: "3.4/7",
        what: "a preface that goes on with a request is refused, with GOAWAY or without",
        run: |f, host| {
            f.write(PREFACE)?;
            f.get(1, host, TEXT)
        },
        expect: NoPreface,
    },
    Case {
        id: "3.4/8",
        what: "a preface that goes on with an acknowledgement is refused, with GOAWAY or without",
        run: |f, _| {
            f.write(PREFACE)?;
            f.send(SETTINGS, ACK, 0, b"")
        },
        expect: NoPreface,
    },
    Case {
        id: "3.4/9",
        what: "SETTINGS of a preface that are wrong end the connection",
        run: |f, _| {
            f.write(PREFACE)?;
            f.set(&[(ENABLE_PUSH, 2)])
        },
        expect: PROTOCOL,
    },
];

const ENDS: &[Case] = &[
    Case {
        id: "5.4.1/1",
        what: "GOAWAY for an error names the last stream that was answered, and then the connection ends",
        run: |f, host| {
            f.get(5, host, TEXT)?;
            f.answered(5, "200")?;
            f.send(PING, 0, 3, b"tidegate")?;
            match f.wait(|event| matches!(event, Event::GoAway { .. }))? {
                Event::GoAway { last: 5, reason } => goes_away(f, reason, &[Reason::PROTOCOL_ERROR]),
                event => Err(format!("{event}, and not 5")),
            }
        },
        expect: Closed,
    },
    Case {
        id: "5.4.1/2",
        what: "a connection error ends responses that are under way, too",
        run: |f, host| {
            f.get(1, host, HELD)?;
            f.head_of(1)?;
            f.post(3, host, ECHO)?;
            f.head_of(3)?;
            f.send(PING, 0, 3, b"tidegate")
        },
        expect: PROTOCOL,
    },
    Case {
        id: "5.4.2/1",
        what: "RST_STREAM is not answered with RST_STREAM",
        run: |f, host| {
            f.post(1, host, ECHO)?;
            f.head_of(1)?;
            f.reset(1, Reason::CANCEL)?;
            // The answer to the first PING goes out before anything that was waiting.
            f.round_trip()?;
            f.round_trip()?;
            let is_reset = f.seen.iter().any(|event| matches!(event, Event::Reset { .. }));
            if is_reset { Err("RST_STREAM".to_owned()) } else { Ok(()) }
        },
        expect: Alive,
    },
    Case {
        id: "5.4.2/2",
        what: "an error of one stream leaves the others alone",
        run: |f, host| {
            f.post(1, host, ECHO)?;
            f.head_of(1)?;
            f.post(3, host, ECHO)?;
            f.head_of(3)?;
            f.window(1, WINDOW_BYTES_MAX)?;
            f.wait(|event| matches!(event, Event::Reset { stream: 1, .. }))?;
            f.send(0, END_STREAM, 3, b"on it goes")?;
            let (bytes, _) = f.data_of(3)?;
            if bytes == b"on it goes" {
                Ok(())
            } else {
                Err(format!("{bytes:?}"))
            }
        },
        expect: Alive,
    },
];

const EXTENSIONS: &[Case] = &[
    Case {
        id: "5.5/1",
        what: "frames of unknown types are discarded, on the connection and on streams of any state",
        run: |f, host| {
            f.get(1, host, TEXT)?;
            f.answered(1, "200")?;
            f.post(3, host, ECHO)?;
            for stream in [0, 1, 3, 5, 8] {
                f.send(UNKNOWN, 0xff, stream, b"what is this?")?;
                f.send(0xff, 0, stream, b"")?;
            }
            f.send(0, END_STREAM, 3, b"")
        },
        expect: Answered(3),
    },
    Case {
        id: "5.5/2",
        what: "a frame of an unknown type within a field block is a connection error",
        run: |f, host| {
            f.open_block(1, host, TEXT)?;
            f.send(UNKNOWN, 0, 1, b"what is this?")
        },
        expect: PROTOCOL,
    },
    Case {
        id: "5.5/3",
        what: "so is one on the connection",
        run: |f, host| {
            f.open_block(1, host, TEXT)?;
            f.send(UNKNOWN, 0, 0, b"")
        },
        expect: PROTOCOL,
    },
    Case {
        id: "7/1",
        what: "RST_STREAM with an unknown code is RST_STREAM",
        run: |f, host| {
            f.get(1, host, HELD)?;
            f.head_of(1)?;
            f.reset(1, Reason::from(0xfeed_beef))
        },
        expect: Alive,
    },
    Case {
        id: "7/2",
        what: "GOAWAY with an unknown code is GOAWAY: the stream under way comes to its end",
        run: |f, host| {
            f.post(1, host, ECHO)?;
            f.head_of(1)?;
            f.send(GOAWAY, 0, 0, &[0, 0, 0, 0, 0xfe, 0xed, 0xbe, 0xef])?;
            f.send(0, END_STREAM, 1, b"the last")?;
            let (bytes, _) = f.data_of(1)?;
            if bytes == b"the last" {
                Ok(())
            } else {
                Err(format!("{bytes:?}"))
            }
        },
        expect: Closed,
    },
    Case {
        id: "7/3",
        what: "a connection error is told from among several wrongs",
        run: |f, _| {
            f.send(PING, 0, 1, b"seven..")?;
            f.send(WINDOW_UPDATE, 0, 0, &[0; 4])
        },
        expect: Connection(&[Reason::PROTOCOL_ERROR, Reason::FRAME_SIZE_ERROR]),
    },
];

#[test]
fn prefaces() {
    Site::clear().hold(Start::Bare, PREFACES);
}

#[test]
fn errors_of_connections_and_streams() {
    Site::clear().hold(Start::Greeted, ENDS);
}

#[test]
fn extensions_and_unknown_codes() {
    Site::clear().hold(Start::Greeted, EXTENSIONS);
}

#[test]
fn the_same_over_tls() {
    let site = Site::tls();
    site.hold(Start::Bare, PREFACES);
    site.hold(Start::Greeted, ENDS);
    site.hold(Start::Greeted, EXTENSIONS);
}
