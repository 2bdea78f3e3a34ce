//! The guards: strict framers between a socket and hyper, so that hyper never sees a head it might read differently
//! from the next server or client. [`Guard`] judges requests, [`response::ResponseGuard`] what servers answer.
//!
//! hyper deletes Content-Length beside Transfer-Encoding, merges equal repeats and takes a bare LF, and once it has
//! parsed a head nobody can tell. So the bytes are judged before: [`Guard::scan`] says how many of them may go on,
//! and the first that may not ends the connection. No IO, no clock, no allocation here; every byte of a head is
//! looked at once, however it trickles in.
//!
//! Bytes are judged in the order they came, so a verdict depends on what was sent, never on how it was cut into
//! reads. Grammar: RFC 9112 and RFC 9110, narrower where a looser reading has been used for request smuggling.

mod authority;
mod body;
mod chunk;
mod class;
mod fault;
mod fields;
mod framing;
mod head;
pub(crate) mod response;
#[cfg(test)]
mod tests;

pub(crate) use authority::{Authority, agreed};

use crate::limits;
use body::{Body, Bounds};
use fault::Fault;
use framing::Framing;
use head::Head;

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

impl HeadLimits {
    fn body(&self) -> Bounds {
        Bounds {
            chunk_line_bytes: self.chunk_line_bytes,
            trailer_bytes: self.trailer_bytes,
            trailer_count: self.header_count,
        }
    }
}

/// What one scan found; `R` says why something was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scan<R = Rejection> {
    /// Bytes from the start of the input that may be handed to hyper, also when the verdict is `Reject`.
    pub(crate) pass: usize,
    pub(crate) verdict: Verdict<R>,
}

/// What is to be done with the bytes behind [`Scan::pass`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict<R = Rejection> {
    /// There are none: the whole input may go on.
    Ok,
    /// A part of a head, chunk-size line, chunk end or trailer section: to be kept and presented again with more.
    /// Where the state is [`Where::MayUpgrade`], to be kept until it is not.
    NeedMore,
    /// Nothing behind may go on, now or later.
    Reject(R),
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
    /// A head that asks to leave HTTP was passed: GET without a body, whose Connection lists `upgrade` beside an Upgrade
    /// field (RFC 9110 §7.8). Its answer decides what the bytes behind it are, and until [`Guard::resume`] none of them
    /// is judged or passed.
    MayUpgrade,
    /// A request was refused.
    Rejected,
}

/// One HTTP/1 connection's guard.
#[derive(Debug)]
pub(crate) struct Guard {
    limits: HeadLimits,
    unit: Unit,
    heads: u64,
}

/// The stream is cut into units. A unit with a grammar passes whole or not at all; the input of a scan begins where
/// the current unit does, or inside it where its bytes pass as they come.
#[derive(Debug)]
enum Unit {
    Head(Head),
    Body(Body),
    MayUpgrade,
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
        if let Unit::Rejected(rejection) = self.unit {
            return Scan {
                pass: 0,
                verdict: Verdict::Reject(rejection),
            };
        }
        let scan = Scan::of(input, |rest| self.step(rest));
        if let Verdict::Reject(rejection) = scan.verdict {
            self.unit = Unit::Rejected(rejection);
        }
        scan
    }

    /// Complete heads passed so far: the ordinal of the newest request hyper may know of.
    pub(crate) fn heads(&self) -> u64 {
        self.heads
    }

    pub(crate) fn state(&self) -> Where {
        match &self.unit {
            Unit::Head(head) if head.begun() => Where::InHead,
            Unit::Head(_) => Where::BetweenRequests,
            Unit::Body(body) => Where::InBody { left: body.left() },
            Unit::MayUpgrade => Where::MayUpgrade,
            Unit::Rejected(_) => Where::Rejected,
        }
    }

    /// The request that might have left HTTP was answered and did not: what is behind it is the next head.
    pub(crate) fn resume(&mut self) {
        if matches!(self.unit, Unit::MayUpgrade) {
            self.unit = Unit::Head(Head::default());
        }
    }

    fn step(&mut self, rest: &[u8]) -> Result<Step, Rejection> {
        match &mut self.unit {
            Unit::Head(_) => self.head(rest).map_err(|fault| fault.rejection(Phase::Head)),
            Unit::Body(body) => {
                let step = body
                    .step(rest, &self.limits.body())
                    .map_err(|fault| fault.rejection(Phase::Body))?;
                if body.is_complete() {
                    self.unit = Unit::Head(Head::default());
                }
                Ok(step)
            }
            Unit::MayUpgrade => Ok(Step::Partial),
            Unit::Rejected(rejection) => Err(*rejection),
        }
    }

    fn head(&mut self, rest: &[u8]) -> Result<Step, Fault> {
        let Unit::Head(head) = &mut self.unit else {
            return Ok(Step::Partial);
        };
        let Some(complete) = head.read(rest, &self.limits)? else {
            return Ok(Step::Partial);
        };
        self.heads += 1;
        self.unit = match complete.framing {
            _ if complete.may_upgrade => Unit::MayUpgrade,
            Framing::Length(0) => Unit::Head(Head::default()),
            framing => Unit::Body(Body::new(framing)),
        };
        Ok(Step::Pass(complete.bytes))
    }
}

impl<R> Scan<R> {
    /// Goes over `input` in steps, each at the front of what the one before left.
    fn of(input: &[u8], mut step: impl FnMut(&[u8]) -> Result<Step, R>) -> Self {
        let mut pass = 0;
        let verdict = loop {
            let rest = input.get(pass..).unwrap_or_default();
            if rest.is_empty() {
                break Verdict::Ok;
            }
            match step(rest) {
                Ok(Step::Pass(bytes)) => pass += bytes,
                Ok(Step::Partial) => break Verdict::NeedMore,
                Err(refused) => break Verdict::Reject(refused),
            }
        };
        Self { pass, verdict }
    }
}
