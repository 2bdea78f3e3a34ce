//! Responses: the guard between a server's socket and hyper's client.
//!
//! A server that is broken, or that somebody talks into it, can answer so that this side and the next client disagree
//! about where the answer ends: what is left over is then taken for the answer to the next request (RFC 9112 §11.2).
//! hyper's client takes a bare LF, merges equal lengths, reads a coding it does not know until the connection ends, and
//! skips interim responses without end. So what servers send is judged as strictly as what clients send, and a
//! connection carries no byte that no request asked for.
//!
//! Requests are not pipelined: a caller puts the next one on the connection when the response to the one before it is
//! complete. No IO, no clock, no allocation here.

mod head;

use super::body::{Body, Bounds};
use super::fault::Fault;
use super::framing::Framing;
use super::{Scan, Step, Verdict};
use crate::limits;
use head::{Head, Next};

/// The bounds one guard keeps. All are inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ResponseLimits {
    /// Status line, fields and the empty line, of each response by itself.
    pub(crate) head_bytes: usize,
    /// Fields of one head, and of one trailer section.
    pub(crate) header_count: usize,
    /// Interim responses to one request.
    pub(crate) interim_count: usize,
    /// A chunk-size line with its extensions and its CRLF.
    pub(crate) chunk_line_bytes: usize,
    /// A trailer section with its closing empty line, and apart from it the extensions of all chunks of one body.
    pub(crate) trailer_bytes: usize,
}

impl Default for ResponseLimits {
    fn default() -> Self {
        Self {
            head_bytes: limits::OUTGOING_HEAD_BYTES,
            header_count: limits::OUTGOING_HEADER_COUNT,
            interim_count: limits::OUTGOING_INTERIM_COUNT,
            chunk_line_bytes: limits::CHUNK_LINE_BYTES,
            trailer_bytes: limits::TRAILER_BYTES,
        }
    }
}

impl ResponseLimits {
    fn body(&self) -> Bounds {
        Bounds {
            chunk_line_bytes: self.chunk_line_bytes,
            trailer_bytes: self.trailer_bytes,
            trailer_count: self.header_count,
        }
    }
}

/// What of a request decides how its response is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    /// HEAD: whatever the response says of a length, no body follows (RFC 9112 §6.3).
    pub(crate) is_head: bool,
    /// It asks for another protocol: 101 is an answer, and ends HTTP on the connection.
    pub(crate) may_upgrade: bool,
}

/// Why a response was refused. The connection serves no further request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadResponse {
    #[error("bytes that answer no request")]
    Unasked,
    #[error("the status line is not: version SP status SP reason CRLF")]
    StatusLine,
    #[error("the version is not HTTP/1.0 or HTTP/1.1")]
    Version,
    #[error("the status is not a number from 100 to 599")]
    Status,
    #[error("a control byte in the reason phrase")]
    Reason,
    #[error("too many interim responses")]
    Interims,
    #[error("a change of protocol that the request did not ask for")]
    Upgrade,
    #[error("Content-Length in a response that cannot have a body")]
    LengthWithoutBody,
    #[error("Transfer-Encoding in a response that cannot have a body")]
    CodingWithoutBody,
    /// A fault that requests can have too.
    #[error("{}", .0.reason())]
    Message(Fault),
}

impl BadResponse {
    /// Whether it is too large, and nothing else is wrong with it.
    pub(crate) fn is_size(self) -> bool {
        use Fault::{FieldCount, HeadBytes, TrailerBytes, TrailerCount};
        matches!(
            self,
            Self::Message(HeadBytes | FieldCount | TrailerBytes | TrailerCount)
        )
    }
}

impl From<Fault> for BadResponse {
    fn from(fault: Fault) -> Self {
        Self::Message(fault)
    }
}

/// Where in the stream the next byte falls. A stream that ends where a response is under way, but in
/// [`At::UntilClose`], cuts it short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    /// Nowhere: no request waits for one.
    Idle,
    /// Before a response: no byte of it has come, though interim ones may have.
    BeforeHead,
    /// A part of a head has come.
    InHead,
    /// A body is not complete: `left` is what Content-Length still promises, `None` in a chunked body.
    InBody { left: Option<u64> },
    /// In a body that nothing but the stream's end delimits.
    UntilClose,
    /// The connection left HTTP.
    Tunnel,
    /// A response was refused.
    Refused,
}

/// The guard of one HTTP/1 connection to a server.
#[derive(Debug)]
pub(crate) struct ResponseGuard {
    limits: ResponseLimits,
    asked: Asked,
    /// Interim responses to the present request.
    interims: usize,
    unit: Unit,
}

/// As with requests, a unit with a grammar passes whole or not at all.
#[derive(Debug)]
enum Unit {
    Idle,
    Head(Head),
    Body(Body),
    Tunnel,
    Refused(BadResponse),
}

impl ResponseGuard {
    pub(crate) fn new(limits: ResponseLimits) -> Self {
        Self {
            limits,
            asked: Asked::default(),
            interims: 0,
            unit: Unit::Idle,
        }
    }

    /// A request is about to be put on the connection. To be called before its first byte is written, because a server
    /// may answer at once.
    ///
    /// Before the response to the one before it is complete this does nothing, and its own response is refused: the
    /// connection must not be shared in this way.
    pub(crate) fn expects(&mut self, asked: Asked) {
        if matches!(self.unit, Unit::Idle) {
            self.asked = asked;
            self.interims = 0;
            self.unit = Unit::Head(Head::default());
        }
    }

    /// Judges `input`, which begins at the first byte not yet passed, by the contract of [`super::Guard::scan`].
    ///
    /// A response that is followed by bytes nobody asked for is in `pass` whole, and the verdict refuses the rest.
    pub(crate) fn scan(&mut self, input: &[u8]) -> Scan<BadResponse> {
        if let Unit::Refused(reason) = self.unit {
            return Scan {
                pass: 0,
                verdict: Verdict::Reject(reason),
            };
        }
        let scan = Scan::of(input, |rest| self.step(rest));
        if let Verdict::Reject(reason) = scan.verdict {
            self.unit = Unit::Refused(reason);
        }
        scan
    }

    pub(crate) fn state(&self) -> At {
        match &self.unit {
            Unit::Idle => At::Idle,
            Unit::Head(head) if head.begun() => At::InHead,
            Unit::Head(_) => At::BeforeHead,
            Unit::Body(body) if body.is_until_close() => At::UntilClose,
            Unit::Body(body) => At::InBody { left: body.left() },
            Unit::Tunnel => At::Tunnel,
            Unit::Refused(_) => At::Refused,
        }
    }

    /// Interim responses to the present request so far.
    pub(crate) fn interims(&self) -> usize {
        self.interims
    }

    fn step(&mut self, rest: &[u8]) -> Result<Step, BadResponse> {
        match &mut self.unit {
            Unit::Idle => Err(BadResponse::Unasked),
            Unit::Head(head) => {
                let Some((bytes, next)) = head.read(rest, &self.limits, self.asked)? else {
                    return Ok(Step::Partial);
                };
                self.unit = match next {
                    Next::Response => {
                        self.interims += 1;
                        if self.interims > self.limits.interim_count {
                            return Err(BadResponse::Interims);
                        }
                        Unit::Head(Head::default())
                    }
                    Next::Tunnel => Unit::Tunnel,
                    Next::Body(Framing::Length(0)) => Unit::Idle,
                    Next::Body(framing) => Unit::Body(Body::new(framing)),
                };
                Ok(Step::Pass(bytes))
            }
            Unit::Body(body) => {
                let step = body.step(rest, &self.limits.body())?;
                if body.is_complete() {
                    self.unit = Unit::Idle;
                }
                Ok(step)
            }
            Unit::Tunnel => Ok(Step::Pass(rest.len())),
            Unit::Refused(reason) => Err(*reason),
        }
    }
}
