//! How a conversation has to end.
//!
//! Where RFC 9113 leaves a server a choice, each of its ways is right here:
//!
//! - A stream error may be made one of the connection (§5.4.1), which then ends.
//! - PROTOCOL_ERROR may stand for any other code (§5.4). RFC 7540 did not say so, and hyper makes much use of it.
//!
//! One choice is not left: §5.4.1 lets a server close without GOAWAY, and a client that has done something wrong then
//! cannot tell what. Only a wrong preface may be answered so, as §3.4 says in so many words.

use super::NOBODY;
use crate::support::frames::{Done, Event, Frames, PING, value};
use h2::Reason;

/// How a conversation has to end.
#[derive(Clone, Copy)]
pub(super) enum Expect {
    /// A connection error (§5.4.1): GOAWAY with one of these, and the end.
    Connection(&'static [Reason]),
    /// A stream error on this stream (§5.4.2): RST_STREAM with one of these, and a connection that goes on.
    Stream(u32, &'static [Reason]),
    /// A malformed request (§8.1.1): a stream error PROTOCOL_ERROR, or a response that says 400 before.
    Malformed(u32),
    /// As malformed, found by the gateway itself behind the head: hyper then resets with INTERNAL_ERROR, which may stand
    /// for any other code, too (§5.4).
    MalformedLate(u32),
    /// A request that is refused, well-formed or not: as malformed, or with any error status.
    Refused(u32),
    /// A closed stream that gets something (§5.1): it may be discarded, or be an error of the stream or of the
    /// connection. Nothing may come on the stream but its reset.
    Dead(u32),
    /// The end of the connection, with GOAWAY or without it.
    Closed,
    /// No HTTP/2 at all: the end of the connection, whatever it says before, and no answer to a PING.
    NoPreface,
    /// A whole response on this stream, with status 200, and a connection that goes on.
    Answered(u32),
    /// A connection that goes on: nothing was wrong.
    Alive,
    /// As [`Self::Alive`], or a stream error PROTOCOL_ERROR: what RFC 7540 made one, and RFC 9113 says no more of.
    AliveOr(u32),
}

/// §5.4.1.
pub(super) const PROTOCOL: Expect = Expect::Connection(&[Reason::PROTOCOL_ERROR]);
pub(super) const FRAME_SIZE: Expect = Expect::Connection(&[Reason::FRAME_SIZE_ERROR]);
pub(super) const FLOW_CONTROL: Expect = Expect::Connection(&[Reason::FLOW_CONTROL_ERROR]);
pub(super) const COMPRESSION: Expect = Expect::Connection(&[Reason::COMPRESSION_ERROR]);

impl Expect {
    /// Reads to the end that is expected, or to one that is not.
    pub(super) fn is_met(self, frames: &mut Frames) -> Done {
        match self {
            Self::Connection(reasons) => ends(frames, reasons),
            Self::Stream(stream, reasons) => fails(frames, stream, reasons, |_| false),
            Self::Malformed(stream) => fails(frames, stream, &[Reason::PROTOCOL_ERROR], |status| status == "400"),
            Self::MalformedLate(stream) => fails(frames, stream, &[Reason::INTERNAL_ERROR], |status| status == "400"),
            Self::Refused(stream) => fails(frames, stream, &[Reason::PROTOCOL_ERROR], |status| {
                status.starts_with(['4', '5'])
            }),
            Self::Dead(stream) => is_dead(frames, stream),
            Self::Closed => frames.rest().map(drop),
            Self::NoPreface => speaks_nothing(frames),
            Self::Answered(stream) => {
                frames.answered(stream, "200")?;
                goes_on(frames)
            }
            Self::Alive => goes_on(frames),
            Self::AliveOr(stream) => is_alive_or(frames, stream),
        }
    }
}

/// GOAWAY with one of `reasons`, then the end.
fn ends(frames: &mut Frames, reasons: &[Reason]) -> Done {
    loop {
        match frames.next()? {
            Event::GoAway { reason, .. } => return goes_away(frames, reason, reasons),
            Event::Closed => return Err(format!("no GOAWAY, and {reasons:?} was to come")),
            _ => {}
        }
    }
}

/// One of these, or the code that stands for all (§5.4).
fn fits(reason: Reason, reasons: &[Reason]) -> bool {
    reason == Reason::PROTOCOL_ERROR || reasons.contains(&reason)
}

/// The end, behind a GOAWAY that came.
pub(super) fn goes_away(frames: &mut Frames, reason: Reason, reasons: &[Reason]) -> Done {
    if !fits(reason, reasons) {
        return Err(format!("GOAWAY {reason:?}, and not {reasons:?}"));
    }
    // What was under way may still come.
    while frames.next()? != Event::Closed {}
    Ok(())
}

/// An error of the stream with one of `reasons`, or a whole response with a status that `is_error`.
fn fails(frames: &mut Frames, stream: u32, reasons: &[Reason], is_error: fn(&str) -> bool) -> Done {
    let mut is_told = false;
    loop {
        let event = frames.next()?;
        match &event {
            Event::GoAway { reason, .. } => return goes_away(frames, *reason, reasons),
            Event::Closed => return Err(format!("no GOAWAY and no RST_STREAM, and {reasons:?} was to come")),
            Event::Reset { stream: of, reason } if *of == stream => {
                // Behind a whole response NO_ERROR asks the client to send no more (§8.1).
                let is_right = fits(*reason, reasons) || is_told && *reason == Reason::NO_ERROR;
                return if is_right {
                    goes_on(frames)
                } else {
                    Err(format!("{event}, and not {reasons:?}"))
                };
            }
            Event::Head { stream: of, fields, .. } if *of == stream => {
                is_told |= value(fields, ":status").is_some_and(is_error);
            }
            _ => {}
        }
        if event.stream() == Some(stream) && event.ends() {
            return if is_told {
                goes_on(frames)
            } else {
                Err(format!("a whole response, and {reasons:?} was to come"))
            };
        }
    }
}

/// Nothing on `stream` but what says that it is closed.
fn is_dead(frames: &mut Frames, stream: u32) -> Done {
    let closed = [Reason::STREAM_CLOSED];
    let from = frames.seen.len();
    let alive = goes_on(frames);
    let said = &frames.seen[from..];
    let is_wrong = |event: &&Event| match event {
        Event::Reset { stream: of, reason } => *of == stream && !fits(*reason, &closed),
        event => event.stream() == Some(stream),
    };
    if let Some(event) = said.iter().find(is_wrong) {
        return Err(format!("{event} on a closed stream"));
    }
    let goodbye = said.iter().find_map(|event| match event {
        Event::GoAway { reason, .. } => Some(*reason),
        _ => None,
    });
    if let Some(reason) = goodbye {
        return goes_away(frames, reason, &closed);
    }
    alive
}

fn speaks_nothing(frames: &mut Frames) -> Done {
    let payload = [0xa5; 8];
    frames.send(PING, 0, 0, &payload)?;
    if frames.rest_until(&payload)? {
        return Err("PING is answered".to_owned());
    }
    Ok(())
}

fn is_alive_or(frames: &mut Frames, stream: u32) -> Done {
    let from = frames.seen.len();
    let alive = frames.round_trip();
    let allowed = |event: &Event| match event {
        Event::Reset { stream: of, reason } => *of == stream && *reason == Reason::PROTOCOL_ERROR,
        Event::GoAway { reason, .. } => *reason == Reason::PROTOCOL_ERROR,
        _ => false,
    };
    if frames.seen[from..].iter().any(allowed) {
        Ok(())
    } else {
        alive
    }
}

/// The connection is as good as new: it answers another request.
fn goes_on(frames: &mut Frames) -> Done {
    frames.round_trip()?;
    // Above the streams of nearly every case.
    let stream = 0x7fff_fff1;
    if frames.seen.iter().any(|event| event.stream() > Some(stream)) {
        return Ok(());
    }
    // An answer without a body needs no window.
    frames.get(stream, NOBODY, "/")?;
    frames.answered(stream, "204").map(drop)
}
