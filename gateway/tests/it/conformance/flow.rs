//! Flow control, of what the gateway sends and of what it takes (RFC 9113 §5.2, §6.9).

use super::expect::Expect::{Alive, Stream};
use super::expect::{FLOW_CONTROL, FRAME_SIZE, PROTOCOL};
use super::{Case, ECHO, HELD, MANY, MANY_BYTES, NOBODY, Site, Start, TEXT};
use crate::support::frames::{
    DATA, Done, END_STREAM, Event, Frames, INITIAL_WINDOW_SIZE, PADDED, PAYLOAD_BYTES, WINDOW_BYTES, WINDOW_BYTES_MAX,
    WINDOW_UPDATE, padded,
};
use h2::Reason;

/// DATA of exactly so many bytes, with the end of the stream or without it.
fn takes(f: &mut Frames, stream: u32, expected: usize, is_last: bool) -> Done<Vec<u8>> {
    let (bytes, ends) = f.data_of(stream)?;
    if (bytes.len(), ends) == (expected, is_last) {
        return Ok(bytes);
    }
    Err(format!(
        "DATA of {} bytes, end {ends}, and not {expected}, end {is_last}",
        bytes.len()
    ))
}

/// No DATA come for now. Whatever was ready has gone out before the second PING is answered.
fn is_silent(f: &mut Frames, stream: u32) -> Done {
    let from = f.seen.len();
    f.round_trip()?;
    f.round_trip()?;
    let is_data = |event: &&Event| matches!(event, Event::Data { .. }) && event.stream() == Some(stream);
    let data = f.seen[from..].iter().find(is_data);
    data.map_or(Ok(()), |event| Err(format!("{event}, with no window for it")))
}

fn set(f: &mut Frames, window: u32) -> Done {
    f.set(&[(INITIAL_WINDOW_SIZE, window)])
}

/// How much a client may send on `stream` now, having sent `sent` bytes on the connection and `own` on the stream.
fn room(f: &Frames, stream: u32, sent: usize, own: usize) -> usize {
    let updates = |of: u32| -> usize {
        let update = |event: &Event| match event {
            Event::Window { stream, bytes } if *stream == of => *bytes as usize,
            _ => 0,
        };
        f.seen.iter().map(update).sum()
    };
    let initial = f
        .setting(INITIAL_WINDOW_SIZE)
        .map_or(WINDOW_BYTES, |bytes| bytes as usize);
    let connection = (WINDOW_BYTES + updates(0)).saturating_sub(sent);
    connection.min((initial + updates(stream)).saturating_sub(own))
}

/// Sends `count` frames of DATA on `stream`, each as soon as the windows allow it.
fn pour(f: &mut Frames, stream: u32, flags: u8, payload: &[u8], count: usize, sent: &mut usize) -> Done {
    for own in (0..count).map(|index| index * payload.len()) {
        while room(f, stream, *sent, own) < payload.len() {
            f.next()?;
        }
        f.send(DATA, flags, stream, payload)?;
        *sent += payload.len();
    }
    Ok(())
}

/// More than the connection's window, which the gateway says at the start.
const CONNECTION_BYTES: usize = tidegate::limits::H2_CONNECTION_WINDOW_BYTES as usize + WINDOW_BYTES;
/// Frames that a stream's window takes without an update.
const STREAM_FRAMES: usize = tidegate::limits::H2_STREAM_WINDOW_BYTES as usize / PAYLOAD_BYTES;
/// Streams of [`STREAM_FRAMES`] that are more than the connection's window.
const STREAMS: u32 = (CONNECTION_BYTES / (STREAM_FRAMES * PAYLOAD_BYTES)) as u32 + 1;

const UPDATES: &[Case] = &[
    Case {
        id: "6.9/1",
        what: "an increment of 0 on a stream is a stream error",
        run: |f, host| {
            f.post(1, host, ECHO)?;
            f.head_of(1)?;
            f.window(1, 0)
        },
        expect: Stream(1, &[Reason::PROTOCOL_ERROR]),
    },
    Case {
        id: "6.9/2",
        what: "an increment of 0 on the connection is a connection error",
        run: |f, _| f.window(0, 0),
        expect: PROTOCOL,
    },
    Case {
        id: "6.9/3",
        what: "WINDOW_UPDATE of three bytes is a connection error",
        run: |f, _| f.send(WINDOW_UPDATE, 0, 0, &[0, 0, 1]),
        expect: FRAME_SIZE,
    },
    Case {
        id: "6.9/4",
        what: "WINDOW_UPDATE of five bytes on a stream is a connection error",
        run: |f, host| {
            f.post(1, host, ECHO)?;
            f.send(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 0, 1])
        },
        expect: FRAME_SIZE,
    },
    Case {
        id: "6.9/5",
        what: "the reserved bit of an increment is ignored",
        run: |f, host| {
            set(f, 0)?;
            f.get(1, host, TEXT)?;
            f.head_of(1)?;
            f.window(1, 1 << 31 | 2)?;
            takes(f, 1, 2, false).map(drop)
        },
        expect: Alive,
    },
    Case {
        id: "6.9.1/1",
        what: "a connection's window above 2^31-1 is a connection error",
        run: |f, _| {
            f.window(0, WINDOW_BYTES_MAX)?;
            f.window(0, WINDOW_BYTES_MAX)
        },
        expect: FLOW_CONTROL,
    },
    Case {
        id: "6.9.1/2",
        what: "a stream's window above 2^31-1 is a stream error",
        run: |f, host| {
            f.post(1, host, ECHO)?;
            f.head_of(1)?;
            f.window(1, WINDOW_BYTES_MAX)?;
            f.window(1, WINDOW_BYTES_MAX)
        },
        expect: Stream(1, &[Reason::FLOW_CONTROL_ERROR]),
    },
    Case {
        id: "6.9.1/3",
        what: "windows of 2^31-1 are windows",
        run: |f, host| {
            f.window(0, WINDOW_BYTES_MAX - 65_535)?;
            f.post(1, host, ECHO)?;
            f.window(1, WINDOW_BYTES_MAX - 65_535)?;
            f.send(DATA, END_STREAM, 1, b"x")?;
            f.answered(1, "200").map(drop)
        },
        expect: Alive,
    },
];

const SENDING: &[Case] = &[
    Case {
        id: "6.9.1/4",
        what: "DATA are cut to the stream's window",
        run: |f, host| {
            set(f, 1)?;
            f.get(1, host, TEXT)?;
            f.head_of(1)?;
            takes(f, 1, 1, false)?;
            is_silent(f, 1)?;
            f.window(1, 3)?;
            takes(f, 1, 3, false)?;
            is_silent(f, 1)
        },
        expect: Alive,
    },
    Case {
        id: "6.9.1/5",
        what: "a body that fills its window to the last byte ends without another",
        run: |f, host| {
            f.get(1, host, TEXT)?;
            let length = f.answered(1, "200")?.body.len();
            set(f, u32::try_from(length).expect("a short text"))?;
            f.get(3, host, TEXT)?;
            let again = f.answered(3, "200")?.body.len();
            if again == length {
                Ok(())
            } else {
                Err(format!("{again} bytes of {length}"))
            }
        },
        expect: Alive,
    },
    Case {
        id: "6.9.1/6",
        what: "DATA of all streams are cut to the connection's window, and go on with it",
        run: |f, host| {
            set(f, WINDOW_BYTES_MAX)?;
            f.post(1, host, ECHO)?;
            f.head_of(1)?;
            let mut sent = 0;
            pour(f, 1, 0, &[b'x'; PAYLOAD_BYTES], 5, &mut sent)?;
            let mut got = f.seen.iter().map(data_bytes).sum::<usize>();
            while got < WINDOW_BYTES {
                got += f.data_of(1)?.0.len();
            }
            is_silent(f, 1)?;
            f.get(3, host, TEXT)?;
            f.head_of(3)?;
            is_silent(f, 3)?;
            if got != WINDOW_BYTES {
                return Err(format!("{got} bytes"));
            }
            f.window(0, WINDOW_BYTES_MAX - 65_535)?;
            let of_one = |event: &&Event| event.stream() == Some(1);
            let is_whole = |seen: &[Event]| {
                seen.iter().filter(of_one).map(data_bytes).sum::<usize>() == sent
                    && seen.iter().any(|event| event.stream() == Some(3) && event.ends())
            };
            while !is_whole(&f.seen) {
                f.wait(|event| data_bytes(event) > 0 || event.ends())?;
            }
            Ok(())
        },
        expect: Alive,
    },
    Case {
        id: "6.9.1/12",
        what: "a body of many small pieces waits for its window, and another stream passes it by",
        run: |f, host| {
            set(f, 0)?;
            f.get(1, host, MANY)?;
            f.head_of(1)?;
            is_silent(f, 1)?;
            f.get(3, host, TEXT)?;
            f.window(3, 1000)?;
            f.answered(3, "200")?;
            is_silent(f, 1)?;
            f.window(1, WINDOW_BYTES_MAX)?;
            let mut got = 0;
            loop {
                let (bytes, ends) = f.data_of(1)?;
                got += bytes.len();
                if ends {
                    break;
                }
            }
            if got == MANY_BYTES {
                Ok(())
            } else {
                Err(format!("{got} bytes"))
            }
        },
        expect: Alive,
    },
    Case {
        id: "6.9.2/1",
        what: "a new initial window is one for streams that are open, too",
        run: |f, host| {
            set(f, 0)?;
            f.get(1, host, TEXT)?;
            f.head_of(1)?;
            is_silent(f, 1)?;
            set(f, 1)?;
            takes(f, 1, 1, false)?;
            is_silent(f, 1)
        },
        expect: Alive,
    },
    Case {
        id: "6.9.2/2",
        what: "a window that became negative is filled up before it counts",
        run: |f, host| {
            set(f, 3)?;
            f.get(1, host, TEXT)?;
            f.head_of(1)?;
            takes(f, 1, 3, false)?;
            // 3 of 2 are used: the window is -1, and an update by 1 makes it 0.
            set(f, 2)?;
            is_silent(f, 1)?;
            f.window(1, 1)?;
            is_silent(f, 1)?;
            f.window(1, 2)?;
            takes(f, 1, 2, false)?;
            is_silent(f, 1)
        },
        expect: Alive,
    },
    Case {
        id: "6.9.2/3",
        what: "an initial window that makes a stream's larger than 2^31-1 is a connection error",
        run: |f, host| {
            set(f, 100)?;
            f.get(1, host, HELD)?;
            f.head_of(1)?;
            f.window(1, WINDOW_BYTES_MAX - 100)?;
            set(f, WINDOW_BYTES_MAX)
        },
        expect: FLOW_CONTROL,
    },
    Case {
        id: "6.9.2/4",
        what: "an initial window leaves the connection's as it is",
        run: |f, host| {
            set(f, 0)?;
            set(f, WINDOW_BYTES_MAX)?;
            f.post(1, host, ECHO)?;
            f.head_of(1)?;
            let mut sent = 0;
            pour(f, 1, 0, &[b'x'; PAYLOAD_BYTES], 5, &mut sent)?;
            let mut got = f.seen.iter().map(data_bytes).sum::<usize>();
            while got < WINDOW_BYTES {
                got += f.data_of(1)?.0.len();
            }
            is_silent(f, 1)
        },
        expect: Alive,
    },
];

fn data_bytes(event: &Event) -> usize {
    match event {
        Event::Data { bytes, .. } => bytes.len(),
        _ => 0,
    }
}

/// More than what sockets and windows between the gateway and a server hold that reads nothing.
const TAKEN_FRAMES: usize = 16 * 1024 * 1024 / PAYLOAD_BYTES;

const TAKING: &[Case] = &[
    Case {
        id: "6.9.1/7",
        what: "DATA above the stream's window are an error of the stream",
        run: |f, host| {
            f.post(1, host, HELD)?;
            // The connection's window is kept to, the stream's is not, until nobody behind the gateway takes any more.
            for sent in (0..STREAM_FRAMES + TAKEN_FRAMES).map(|frames| frames * PAYLOAD_BYTES) {
                while room(f, 0, sent, 0) < PAYLOAD_BYTES {
                    f.next()?;
                }
                let reset = |event: &Event| match event {
                    Event::Reset { reason, .. } => Some(*reason),
                    _ => None,
                };
                match f.seen.iter().find_map(reset) {
                    None => f.send(DATA, 0, 1, &[b'x'; PAYLOAD_BYTES])?,
                    Some(Reason::FLOW_CONTROL_ERROR) => return Ok(()),
                    Some(reason) => return Err(format!("reset with {reason:?}")),
                }
            }
            Err("all of it was taken".to_owned())
        },
        expect: Alive,
    },
    Case {
        id: "6.9.1/8",
        what: "the gateway makes room for what it takes, the padding included",
        run: |f, host| {
            f.post(1, host, ECHO)?;
            let payload = padded(b"x", 255);
            let count = CONNECTION_BYTES / payload.len() + 1;
            pour(f, 1, PADDED, &payload, count, &mut 0)?;
            f.send(DATA, END_STREAM, 1, b"")?;
            f.wait(|event| event.stream() == Some(1) && event.ends())?;
            let got = f.seen.iter().map(data_bytes).sum::<usize>();
            if got == count {
                Ok(())
            } else {
                Err(format!("{got} of {count} bytes came back"))
            }
        },
        expect: Alive,
    },
    Case {
        id: "6.9.1/9",
        what: "the gateway makes room for DATA of streams that it has reset",
        run: |f, host| {
            let mut sent = 0;
            for stream in (1..).step_by(2).take(STREAMS as usize) {
                f.post(stream, host, ECHO)?;
                f.window(stream, WINDOW_BYTES_MAX)?;
                f.wait(|event| matches!(event, Event::Reset { .. }) && event.stream() == Some(stream))?;
                pour(f, stream, 0, &[b'x'; PAYLOAD_BYTES], STREAM_FRAMES, &mut sent)?;
            }
            Ok(())
        },
        expect: Alive,
    },
    Case {
        id: "6.9.1/10",
        what: "the gateway makes room for DATA that came behind its answer",
        run: |f, _| {
            let mut sent = 0;
            for stream in (1..).step_by(2).take(STREAMS as usize) {
                f.post(stream, NOBODY, "/")?;
                f.answered(stream, "204")?;
                pour(f, stream, 0, &[b'x'; PAYLOAD_BYTES], STREAM_FRAMES, &mut sent)?;
            }
            Ok(())
        },
        expect: Alive,
    },
    Case {
        id: "6.9.1/11",
        what: "the gateway makes room for DATA that nobody has read when the client resets their stream",
        run: |f, host| {
            let mut sent = 0;
            for stream in (1..).step_by(2).take(STREAMS as usize) {
                f.post(stream, host, HELD)?;
                f.head_of(stream)?;
                pour(f, stream, 0, &[b'x'; PAYLOAD_BYTES], STREAM_FRAMES, &mut sent)?;
                f.reset(stream, Reason::CANCEL)?;
            }
            Ok(())
        },
        expect: Alive,
    },
];

#[test]
fn window_updates() {
    Site::clear().hold(Start::Greeted, UPDATES);
}

#[test]
fn what_the_gateway_sends_keeps_to_its_windows() {
    Site::clear().hold(Start::Greeted, SENDING);
}

#[test]
fn what_the_gateway_takes_has_windows() {
    Site::clear().hold(Start::Greeted, TAKING);
}
