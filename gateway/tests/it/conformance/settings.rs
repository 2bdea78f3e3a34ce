//! SETTINGS (RFC 9113 §6.5).

use super::expect::Expect::{Alive, Answered};
use super::expect::{FLOW_CONTROL, FRAME_SIZE, PROTOCOL};
use super::{Case, ECHO, HELD, Site, Start, TEXT};
use crate::support::frames::{
    ACK, DATA, Done, ENABLE_PUSH, END_STREAM, Event, Frames, HEADER_TABLE_SIZE, INITIAL_WINDOW_SIZE,
    MAX_CONCURRENT_STREAMS, MAX_FRAME_SIZE, SETTINGS, WINDOW_BYTES_MAX, settings,
};

/// Sets these, and waits until they are acknowledged.
fn agreed(f: &mut Frames, values: &[(u16, u32)]) -> Done {
    f.set(values)?;
    f.wait(|event| *event == Event::SettingsAck).map(drop)
}

/// Two answers with the same fields, so that the second has a reason to name an entry of the table.
fn two_answers(f: &mut Frames, host: &str, from: u32) -> Done {
    for stream in [from, from + 2] {
        f.get(stream, host, TEXT)?;
        f.answered(stream, "200")?;
    }
    Ok(())
}

const WRONG: &[Case] = &[
    Case {
        id: "6.5/1",
        what: "SETTINGS ACK with a payload is a connection error",
        run: |f, _| f.send(SETTINGS, ACK, 0, &settings(&[(ENABLE_PUSH, 0)])),
        expect: FRAME_SIZE,
    },
    Case {
        id: "6.5/2",
        what: "SETTINGS on a stream are a connection error",
        run: |f, _| f.send(SETTINGS, 0, 1, &settings(&[(ENABLE_PUSH, 0)])),
        expect: PROTOCOL,
    },
    Case {
        id: "6.5/3",
        what: "SETTINGS ACK on a stream is a connection error",
        run: |f, host| {
            f.post(1, host, ECHO)?;
            f.send(SETTINGS, ACK, 1, b"")
        },
        expect: PROTOCOL,
    },
    Case {
        id: "6.5/4",
        what: "SETTINGS of three bytes are a connection error",
        run: |f, _| f.send(SETTINGS, 0, 0, &[0; 3]),
        expect: FRAME_SIZE,
    },
    Case {
        id: "6.5/5",
        what: "SETTINGS of seven bytes are a connection error",
        run: |f, _| f.send(SETTINGS, 0, 0, &[0; 7]),
        expect: FRAME_SIZE,
    },
    Case {
        id: "6.5.2/1",
        what: "ENABLE_PUSH that is neither 0 nor 1 is a connection error",
        run: |f, _| f.set(&[(ENABLE_PUSH, 2)]),
        expect: PROTOCOL,
    },
    Case {
        id: "6.5.2/2",
        what: "INITIAL_WINDOW_SIZE above 2^31-1 is a connection error",
        run: |f, _| f.set(&[(INITIAL_WINDOW_SIZE, WINDOW_BYTES_MAX + 1)]),
        expect: FLOW_CONTROL,
    },
    Case {
        id: "6.5.2/3",
        what: "MAX_FRAME_SIZE below 2^14 is a connection error",
        run: |f, _| f.set(&[(MAX_FRAME_SIZE, (1 << 14) - 1)]),
        expect: PROTOCOL,
    },
    Case {
        id: "6.5.2/4",
        what: "MAX_FRAME_SIZE above 2^24-1 is a connection error",
        run: |f, _| f.set(&[(MAX_FRAME_SIZE, 1 << 24)]),
        expect: PROTOCOL,
    },
    Case {
        id: "6.5.2/5",
        what: "a wrong value behind right ones is a connection error",
        run: |f, _| f.set(&[(0xfeed, 1), (ENABLE_PUSH, 0), (MAX_FRAME_SIZE, 0)]),
        expect: PROTOCOL,
    },
];

const RIGHT: &[Case] = &[
    Case {
        id: "6.5.2/6",
        what: "settings that nobody knows are ignored",
        run: |f, _| agreed(f, &[(0, 0), (0x0a0a, u32::MAX), (0xffff, 1)]),
        expect: Alive,
    },
    Case {
        id: "6.5.2/7",
        what: "the largest and the smallest of all values are taken",
        run: |f, _| {
            let largest = [
                (ENABLE_PUSH, 1),
                (INITIAL_WINDOW_SIZE, WINDOW_BYTES_MAX),
                (MAX_FRAME_SIZE, (1 << 24) - 1),
            ];
            agreed(f, &largest)?;
            agreed(
                f,
                &[(ENABLE_PUSH, 0), (INITIAL_WINDOW_SIZE, 0), (MAX_FRAME_SIZE, 1 << 14)],
            )
        },
        expect: Alive,
    },
    Case {
        id: "6.5.2/8",
        what: "without a table for its fields the gateway sends what needs none",
        run: |f, host| {
            agreed(f, &[(HEADER_TABLE_SIZE, 0)])?;
            two_answers(f, host, 1)
        },
        expect: Alive,
    },
    Case {
        id: "6.5.2/9",
        what: "a table that shrinks while it is used is used no more than it allows",
        run: |f, host| {
            two_answers(f, host, 1)?;
            agreed(f, &[(HEADER_TABLE_SIZE, 64)])?;
            two_answers(f, host, 5)?;
            agreed(f, &[(HEADER_TABLE_SIZE, 0), (HEADER_TABLE_SIZE, 4096)])?;
            two_answers(f, host, 9)
        },
        expect: Alive,
    },
    Case {
        id: "6.5.2/10",
        what: "a table of any size is offered",
        run: |f, host| {
            agreed(f, &[(HEADER_TABLE_SIZE, u32::MAX)])?;
            two_answers(f, host, 1)
        },
        expect: Alive,
    },
    Case {
        id: "6.5.2/11",
        what: "MAX_CONCURRENT_STREAMS of a client is about pushes: its own streams are answered",
        run: |f, host| {
            agreed(f, &[(MAX_CONCURRENT_STREAMS, 0)])?;
            f.get(1, host, TEXT)
        },
        expect: Answered(1),
    },
    Case {
        id: "6.5.2/12",
        what: "frames of the gateway's stay small as long as the client allows no other",
        run: |f, host| {
            // The reader of these conversations takes none above 2^14 bytes.
            f.post(1, host, ECHO)?;
            for _ in 0..3 {
                f.send(DATA, 0, 1, &[b'x'; 1 << 14])?;
            }
            f.send(DATA, END_STREAM, 1, b"")?;
            f.answered(1, "200").map(drop)
        },
        expect: Alive,
    },
    Case {
        id: "6.5.3/1",
        what: "each SETTINGS is acknowledged",
        run: |f, _| {
            for size in 0..16 {
                f.set(&[(INITIAL_WINDOW_SIZE, size)])?;
            }
            f.round_trip()?;
            f.round_trip()?;
            // One more for those of the preface.
            let count = f.seen.iter().filter(|event| **event == Event::SettingsAck).count();
            if count == 17 {
                Ok(())
            } else {
                Err(format!("{count} of 17"))
            }
        },
        expect: Alive,
    },
    Case {
        id: "6.5.3/2",
        what: "of a setting that comes twice the last value counts",
        run: |f, host| {
            agreed(f, &[(INITIAL_WINDOW_SIZE, 100), (INITIAL_WINDOW_SIZE, 1)])?;
            f.get(1, host, TEXT)?;
            f.head_of(1)?;
            match f.data_of(1)? {
                (bytes, false) if bytes.len() == 1 => Ok(()),
                (bytes, _) => Err(format!("DATA of {} bytes", bytes.len())),
            }
        },
        expect: Alive,
    },
    Case {
        id: "6.5.3/3",
        what: "SETTINGS are acknowledged while streams are open",
        run: |f, host| {
            f.get(1, host, HELD)?;
            f.head_of(1)?;
            agreed(f, &[(INITIAL_WINDOW_SIZE, 1 << 20)])
        },
        expect: Alive,
    },
];

#[test]
fn wrong_settings() {
    Site::clear().hold(Start::Greeted, WRONG);
}

#[test]
fn settings_are_kept() {
    Site::clear().hold(Start::Greeted, RIGHT);
}

#[test]
fn settings_over_tls() {
    let site = Site::tls();
    site.hold(Start::Greeted, WRONG);
    site.hold(Start::Greeted, RIGHT);
}
