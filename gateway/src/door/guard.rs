//! The guard: a strict framer between the socket and hyper, so that hyper never sees a head it might read differently
//! from the next server.
//!
//! hyper deletes Content-Length beside Transfer-Encoding, merges equal repeats and takes a bare LF, and once it has
//! parsed a head nobody can tell. So the bytes are judged before: [`Guard::scan`] says how many of them may go on,
//! and the first that may not ends the connection. No IO, no clock, no allocation here; every byte of a head is
//! looked at once, however it trickles in.
//!
//! Bytes are judged in the order they came, so a verdict depends on what was sent, never on how it was cut into
//! reads. Grammar: RFC 9112 and RFC 9110, narrower where a looser reading has been used for request smuggling.

mod authority;
mod chunk;
mod class;
mod fault;
mod fields;
mod head;
#[cfg(test)]
mod tests;

pub(crate) use authority::agreed;

use crate::limits;
use fault::Fault;
use fields::Fields;
use head::{Framing, Head};

/// The bounds one guard keeps. All are inclusive: a head of exactly `head_bytes` passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HeadLimits {
    /// Request line, fields, the empty line and a tolerated empty line before them. 431 beyond it.
    pub(crate) head_bytes: usize,
    /// Fields of one head, and of one trailer section. 431 beyond it, 400 for trailers.
    pub(crate) header_count: usize,
    /// The request target. 414 beyond it. `http::Uri` holds no more than 65,534.
    pub(crate) uri_bytes: usize,
    /// A chunk-size line with its extensions and its CRLF. 400 beyond it.
    pub(crate) chunk_line_bytes: usize,
    /// A trailer section with its closing empty line, and apart from it the extensions of all chunks of one body.
    /// 400 beyond it.
    pub(crate) trailer_bytes: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self {
            head_bytes: limits::HEADER_BYTES,
            header_count: limits::HEADER_COUNT,
            uri_bytes: limits::URI_BYTES,
            chunk_line_bytes: limits::CHUNK_LINE_BYTES,
            trailer_bytes: limits::TRAILER_BYTES,
        }
    }
}

/// What one call of [`Guard::scan`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scan {
    /// Bytes from the start of the input that may be handed to hyper, also when the verdict is `Reject`.
    pub(crate) pass: usize,
    pub(crate) verdict: Verdict,
}

/// What is to be done with the bytes behind [`Scan::pass`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// There are none: the whole input may go on.
    Ok,
    /// A part of a head, chunk-size line, chunk end or trailer section: to be kept and presented again with more.
    NeedMore,
    /// Nothing behind may go on, now or later.
    Reject(Rejection),
}

/// Why a request was refused, and how that is answered. The connection is to be closed behind the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct Rejection {
    /// The HTTP status.
    pub(crate) status: u16,
    /// A short stable name, for metrics and the access log.
    pub(crate) code: &'static str,
    /// One line for a person. It never repeats what the client sent.
    pub(crate) reason: &'static str,
    pub(crate) phase: Phase,
}

/// Which part of a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The head: the request with the ordinal [`Guard::heads`] + 1 never existed for hyper.
    Head,
    /// The framing of a body whose head, the one with the ordinal [`Guard::heads`], was passed: a handler may
    /// already be at work on it, and its answer may already be on its way.
    Body,
}

/// Where in the stream the next byte falls, for the caller's timers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Where {
    /// No byte of a head has come. A tolerated empty line counts as none.
    BetweenRequests,
    /// A part of a head has come.
    InHead,
    /// A body is not complete: `left` is what Content-Length still promises, `None` in a chunked body.
    InBody { left: Option<u64> },
    /// [`Guard::upgraded`] was called.
    Tunnel,
    /// A request was refused.
    Rejected,
}

/// One HTTP/1 connection's guard.
#[derive(Debug)]
pub(crate) struct Guard {
    limits: HeadLimits,
    unit: Unit,
    /// Bytes of chunk extensions in the current body.
    extension_bytes: usize,
    heads: u64,
}

/// The stream is cut into units. A unit with a grammar passes whole or not at all; the input of a scan begins where
/// the current unit does, or inside it where its bytes pass as they come.
#[derive(Debug)]
enum Unit {
    Head(Head),
    Fixed { left: u64 },
    ChunkLine,
    ChunkData { left: u64 },
    ChunkEnd,
    Trailers { fields: Fields, at: usize },
    Tunnel,
    Rejected(Rejection),
}

/// One step over the front of the remaining input.
enum Step {
    Pass(usize),
    Partial,
}

impl Guard {
    pub(crate) fn new(limits: HeadLimits) -> Self {
        Self {
            limits,
            unit: Unit::Head(Head::default()),
            extension_bytes: 0,
            heads: 0,
        }
    }

    /// Judges `input`, which begins at the first byte not yet passed.
    ///
    /// `pass` bytes of it may go to hyper: whole heads, body bytes, chunk framing. With [`Verdict::NeedMore`] the
    /// caller keeps the rest and presents it again with more behind it; the guard remembers how far it has looked,
    /// so a trickled head costs no more than a whole one. With pipelining everything before the offending head is
    /// in `pass`. After a rejection every scan passes nothing and repeats it.
    pub(crate) fn scan(&mut self, input: &[u8]) -> Scan {
        let mut pass = 0;
        loop {
            let rest = input.get(pass..).unwrap_or_default();
            if rest.is_empty() && !matches!(self.unit, Unit::Rejected(_)) {
                return Scan {
                    pass,
                    verdict: Verdict::Ok,
                };
            }
            match self.step(rest) {
                Ok(Step::Pass(bytes)) => pass += bytes,
                Ok(Step::Partial) => {
                    return Scan {
                        pass,
                        verdict: Verdict::NeedMore,
                    };
                }
                Err(rejection) => {
                    self.unit = Unit::Rejected(rejection);
                    return Scan {
                        pass,
                        verdict: Verdict::Reject(rejection),
                    };
                }
            }
        }
    }

    /// Complete heads passed so far: the ordinal of the newest request hyper may know of.
    pub(crate) fn heads(&self) -> u64 {
        self.heads
    }

    pub(crate) fn state(&self) -> Where {
        match &self.unit {
            Unit::Head(head) if head.begun() => Where::InHead,
            Unit::Head(_) => Where::BetweenRequests,
            Unit::Fixed { left } => Where::InBody { left: Some(*left) },
            Unit::ChunkLine | Unit::ChunkData { .. } | Unit::ChunkEnd | Unit::Trailers { .. } => {
                Where::InBody { left: None }
            }
            Unit::Tunnel => Where::Tunnel,
            Unit::Rejected(_) => Where::Rejected,
        }
    }

    /// From now on everything passes: the connection left HTTP. To be called before the 101 is written, because the
    /// client's first frame may follow it at once.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "connections that leave HTTP come with the tunnel")
    )]
    pub(crate) fn upgraded(&mut self) {
        self.unit = Unit::Tunnel;
    }

    fn step(&mut self, rest: &[u8]) -> Result<Step, Rejection> {
        match &mut self.unit {
            Unit::Head(_) => self.head(rest).map_err(|fault| fault.rejection(Phase::Head)),
            Unit::Fixed { left } => {
                let bytes = take(left, rest);
                if *left == 0 {
                    self.unit = Unit::Head(Head::default());
                }
                Ok(Step::Pass(bytes))
            }
            Unit::ChunkData { left } => {
                let bytes = take(left, rest);
                if *left == 0 {
                    self.unit = Unit::ChunkEnd;
                }
                Ok(Step::Pass(bytes))
            }
            Unit::ChunkLine | Unit::ChunkEnd | Unit::Trailers { .. } => {
                self.framing(rest).map_err(|fault| fault.rejection(Phase::Body))
            }
            Unit::Tunnel => Ok(Step::Pass(rest.len())),
            Unit::Rejected(rejection) => Err(*rejection),
        }
    }

    fn head(&mut self, rest: &[u8]) -> Result<Step, Fault> {
        let Unit::Head(head) = &mut self.unit else {
            return Ok(Step::Partial);
        };
        let Some((bytes, framing)) = head.read(rest, &self.limits)? else {
            return Ok(Step::Partial);
        };
        self.heads += 1;
        self.extension_bytes = 0;
        self.unit = match framing {
            Framing::Length(0) => Unit::Head(Head::default()),
            Framing::Length(left) => Unit::Fixed { left },
            Framing::Chunked => Unit::ChunkLine,
        };
        Ok(Step::Pass(bytes))
    }

    /// The framing of a chunked body, all but its data.
    fn framing(&mut self, rest: &[u8]) -> Result<Step, Fault> {
        let (bytes, next) = match &mut self.unit {
            Unit::ChunkLine => {
                let Some(line) = chunk::line(rest, self.limits.chunk_line_bytes)? else {
                    return Ok(Step::Partial);
                };
                self.extension_bytes += line.extension_bytes;
                if self.extension_bytes > self.limits.trailer_bytes {
                    return Err(Fault::ChunkExtensionBytes);
                }
                let next = match line.size {
                    0 => Unit::Trailers {
                        fields: Fields::default(),
                        at: 0,
                    },
                    left => Unit::ChunkData { left },
                };
                (line.bytes, next)
            }
            Unit::ChunkEnd => match rest {
                [b'\r', b'\n', ..] => (2, Unit::ChunkLine),
                [b'\r'] => return Ok(Step::Partial),
                _ => return Err(Fault::ChunkEnd),
            },
            Unit::Trailers { fields, at } => {
                if !fields.trailers(rest, at, &self.limits)? {
                    return Ok(Step::Partial);
                }
                (*at, Unit::Head(Head::default()))
            }
            _ => return Ok(Step::Partial),
        };
        self.unit = next;
        Ok(Step::Pass(bytes))
    }
}

/// How many of `rest` belong to a run with `left` bytes to come, which are counted off.
fn take(left: &mut u64, rest: &[u8]) -> usize {
    // Where the run is longer than memory can hold, the rest is what there is.
    let bytes = usize::try_from(*left).map_or(rest.len(), |left| left.min(rest.len()));
    *left -= bytes as u64;
    bytes
}
