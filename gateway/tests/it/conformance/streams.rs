//! How streams are numbered, how many there may be, and what is said of their order (RFC 9113 §5.1.1 to §5.3).

use super::expect::Expect::{Alive, AliveOr, Connection, Stream};
use super::expect::PROTOCOL;
use super::{Case, ECHO, Site, Start, TEXT};
use crate::support::frames::{
    DATA, Done, END_HEADERS, END_STREAM, Event, Frames, HEADERS, MAX_CONCURRENT_STREAMS, PRIORITY, WITH_PRIORITY,
    priority,
};
use crate::support::hpack::Block;
use h2::Reason;

const NUMBERS: &[Case] = &[
    Case {
        id: "5.1.1/1",
        what: "an even identifier is a connection error",
        run: |f, host| f.get(2, host, TEXT),
        expect: PROTOCOL,
    },
    Case {
        id: "5.1.1/2",
        what: "an identifier below one that was used is a connection error",
        run: |f, host| {
            f.get(5, host, TEXT)?;
            f.get(3, host, TEXT)
        },
        expect: Connection(&[Reason::PROTOCOL_ERROR, Reason::STREAM_CLOSED]),
    },
    Case {
        id: "5.1.1/3",
        what: "an identifier that was used is a connection error",
        run: |f, host| {
            f.get(1, host, TEXT)?;
            f.answered(1, "200")?;
            f.get(3, host, TEXT)?;
            f.answered(3, "200")?;
            f.get(1, host, TEXT)
        },
        expect: Connection(&[Reason::PROTOCOL_ERROR, Reason::STREAM_CLOSED]),
    },
    Case {
        id: "5.1.1/4",
        what: "identifiers may be skipped",
        run: |f, host| {
            for stream in [1, 7, 1001, 0x7000_0001] {
                f.get(stream, host, TEXT)?;
                f.answered(stream, "200")?;
            }
            Ok(())
        },
        expect: Alive,
    },
    Case {
        id: "5.1.1/5",
        what: "the largest identifier is one",
        run: |f, host| {
            f.get(0x7fff_ffff, host, TEXT)?;
            f.answered(0x7fff_ffff, "200").map(drop)
        },
        expect: Alive,
    },
];

/// As many open streams as the gateway allows, from 1 on. Gives the number of the next.
fn open_all(f: &mut Frames, host: &str) -> Done<u32> {
    let count = f.setting(MAX_CONCURRENT_STREAMS).ok_or("the gateway has no limit")?;
    for stream in (1..).step_by(2).take(count as usize) {
        f.post(stream, host, ECHO)?;
    }
    f.round_trip()?;
    Ok(2 * count + 1)
}

const COUNT: &[Case] = &[
    Case {
        id: "5.1.2/1",
        what: "a stream too many is refused, and no other",
        run: |f, host| {
            let next = open_all(f, host)?;
            f.get(next, host, TEXT)?;
            match f.wait(|event| matches!(event, Event::Reset { .. }))? {
                Event::Reset { stream, reason } if stream == next && reason != Reason::REFUSED_STREAM => {
                    Err(format!("{reason:?}, with which nobody tries again"))
                }
                Event::Reset { stream, .. } if stream == next => Ok(()),
                event => Err(event.to_string()),
            }?;
            f.send(DATA, END_STREAM, 1, b"")?;
            f.wait(|event| event.stream() == Some(1) && event.ends()).map(drop)
        },
        expect: Alive,
    },
    Case {
        id: "5.1.2/2",
        what: "a stream that has ended makes room for another",
        run: |f, host| {
            let next = open_all(f, host)?;
            f.send(DATA, END_STREAM, 3, b"")?;
            f.wait(|event| event.stream() == Some(3) && event.ends())?;
            f.get(next, host, TEXT)?;
            f.answered(next, "200").map(drop)
        },
        expect: Alive,
    },
    Case {
        id: "5.1.2/3",
        what: "a stream that was reset makes room for another",
        run: |f, host| {
            let next = open_all(f, host)?;
            f.reset(3, Reason::CANCEL)?;
            f.round_trip()?;
            f.get(next, host, TEXT)?;
            f.answered(next, "200").map(drop)
        },
        expect: Alive,
    },
    Case {
        id: "5.1.2/4",
        what: "streams that are only named by PRIORITY do not count",
        run: |f, host| {
            for stream in (1..513).step_by(2) {
                f.send(PRIORITY, 0, stream, &priority(0, 15))?;
            }
            f.get(513, host, TEXT)?;
            f.answered(513, "200").map(drop)
        },
        expect: Alive,
    },
];

/// A GET with the fields of WITH_PRIORITY.
fn prior(f: &mut Frames, stream: u32, host: &str, dependency: u32, weight: u8) -> Done {
    let payload = [&priority(dependency, weight), Block::request("GET", host, TEXT).bytes()].concat();
    f.send(HEADERS, END_STREAM | END_HEADERS | WITH_PRIORITY, stream, &payload)
}

const ORDER: &[Case] = &[
    Case {
        id: "5.3/1",
        what: "HEADERS may bring a priority, of any weight, exclusive, and on a stream that never was",
        run: |f, host| {
            for (stream, dependency, weight) in [(1, 0, 0), (3, 1, 255), (5, 1 << 31, 15), (7, 1 << 31 | 1001, 15)] {
                prior(f, stream, host, dependency, weight)?;
                f.answered(stream, "200")?;
            }
            Ok(())
        },
        expect: Alive,
    },
    Case {
        id: "5.3/2",
        what: "PRIORITY may come on idle, open and closed streams",
        run: |f, host| {
            f.get(1, host, TEXT)?;
            f.answered(1, "200")?;
            f.post(3, host, ECHO)?;
            for stream in [1, 3, 5] {
                f.send(PRIORITY, 0, stream, &priority(1 << 31 | 9, 255))?;
            }
            f.send(DATA, END_STREAM, 3, b"")?;
            f.answered(3, "200").map(drop)
        },
        expect: Alive,
    },
    Case {
        id: "5.3/3",
        what: "HEADERS that make a stream depend on itself: RFC 7540 had a stream error for them",
        run: |f, host| prior(f, 1, host, 1, 15),
        expect: AliveOr(1),
    },
    Case {
        id: "5.3/4",
        what: "PRIORITY that makes a stream depend on itself: RFC 7540 had a stream error for it",
        run: |f, host| {
            f.post(1, host, ECHO)?;
            f.head_of(1)?;
            f.send(PRIORITY, 0, 1, &priority(1, 15))
        },
        expect: AliveOr(1),
    },
    Case {
        id: "5.3/5",
        what: "PRIORITY of the wrong length is a stream error, or one of the connection (see §6.3)",
        run: |f, host| {
            f.post(1, host, ECHO)?;
            f.head_of(1)?;
            f.send(PRIORITY, 0, 1, &[0; 6])
        },
        expect: Stream(1, &[Reason::FRAME_SIZE_ERROR]),
    },
];

#[test]
fn stream_identifiers() {
    Site::clear().hold(Start::Greeted, NUMBERS);
}

#[test]
fn concurrent_streams() {
    Site::clear().hold(Start::Greeted, COUNT);
}

#[test]
fn priorities() {
    Site::clear().hold(Start::Greeted, ORDER);
}
