//! One response head: the status line, and the fields that frame the response.

use super::super::class;
use super::super::fault::Fault;
use super::super::fields::{Event, Fields};
use super::super::framing::{Framing, FramingFields};
use super::{Asked, BadResponse, ResponseLimits};

/// What a status line begins with, `d` for a digit.
const VERSION: &[u8] = b"HTTP/d.d";
/// What it nearly always begins with.
const COMMON: &[u8] = b"HTTP/1.1 ";

/// A reader of one head that can stop at any byte and go on from there.
#[derive(Debug, Default)]
pub(super) struct Head {
    stage: Stage,
    /// The first byte not yet looked at, from the head's start.
    at: usize,
    is_http_11: bool,
    status: u16,
    framing: FramingFields,
    fields: Fields,
}

/// What the next byte belongs to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Stage {
    #[default]
    Version,
    BeforeStatus,
    Status,
    AfterStatus,
    Reason,
    LineFeed,
    Fields,
}

/// What follows a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Another response to the same request: this one was interim.
    Response,
    /// Another protocol.
    Tunnel,
    /// The response's body; none is a length of zero.
    Body(Framing),
}

impl Head {
    /// Whether a part of it has come.
    pub(super) fn begun(&self) -> bool {
        self.at > 0
    }

    /// Reads on in the head at the start of `unit`; when it is complete, says how long it is and what follows it.
    pub(super) fn read(
        &mut self,
        unit: &[u8],
        limits: &ResponseLimits,
        asked: Asked,
    ) -> Result<Option<(usize, Next)>, BadResponse> {
        let seen = unit.get(..limits.head_bytes).unwrap_or(unit);
        while self.stage != Stage::Fields {
            if !self.status_line(seen)? {
                return partial(unit, limits);
            }
        }
        loop {
            match self.fields.next(seen, &mut self.at, limits.header_count)? {
                Event::Partial => return partial(unit, limits),
                Event::Field { name, value } => {
                    self.framing.note(name.of(seen), value.of(seen), self.is_http_11)?;
                }
                Event::End => return Ok(Some((self.at, self.next(asked)?))),
            }
        }
    }

    /// Reads one element of the status line, or as much of it as has come. False when there is no more to read.
    fn status_line(&mut self, unit: &[u8]) -> Result<bool, BadResponse> {
        match self.stage {
            // No look at each byte where there is no need for one.
            Stage::Version if self.at == 0 && unit.starts_with(COMMON) => {
                (self.stage, self.at, self.is_http_11) = (Stage::Status, COMMON.len(), true);
            }
            Stage::Reason => self.at += class::value_run(unit.get(self.at..).unwrap_or_default()),
            _ => {}
        }
        let Some(&byte) = unit.get(self.at) else {
            return Ok(false);
        };
        self.stage = match self.stage {
            Stage::Version => self.version(byte)?,
            Stage::BeforeStatus if byte == b' ' => Stage::Status,
            Stage::Status => self.status(byte)?,
            // The reason may be empty, and many servers leave out the space before an empty one.
            Stage::AfterStatus if byte == b' ' => Stage::Reason,
            Stage::AfterStatus | Stage::Reason if byte == b'\r' => Stage::LineFeed,
            Stage::Reason => return Err(not_here(byte, BadResponse::Reason)),
            Stage::LineFeed if byte == b'\n' => Stage::Fields,
            Stage::LineFeed => return Err(Fault::BareCr.into()),
            Stage::AfterStatus if byte.is_ascii_digit() => return Err(BadResponse::Status),
            Stage::BeforeStatus | Stage::AfterStatus | Stage::Fields => {
                return Err(not_here(byte, BadResponse::StatusLine));
            }
        };
        self.at += 1;
        Ok(true)
    }

    /// Takes the next byte of the version. One that is well formed and not 1.0 or 1.1 exists, but not on this
    /// connection; what is not well formed is no HTTP at all.
    fn version(&mut self, byte: u8) -> Result<Stage, BadResponse> {
        let is_expected = match VERSION.get(self.at) {
            Some(b'd') => byte.is_ascii_digit(),
            expected => expected == Some(&byte),
        };
        if !is_expected {
            return Err(not_here(byte, BadResponse::StatusLine));
        }
        match self.at {
            5 if byte != b'1' => Err(BadResponse::Version),
            7 if byte > b'1' => Err(BadResponse::Version),
            7 => {
                self.is_http_11 = byte == b'1';
                Ok(Stage::BeforeStatus)
            }
            _ => Ok(Stage::Version),
        }
    }

    /// Takes the next digit of the status. `http` could hold up to 999, but RFC 9110 §15 defines no class beyond 599 and
    /// calls such a status invalid: caches and clients would each make of it what they like.
    fn status(&mut self, byte: u8) -> Result<Stage, BadResponse> {
        if !byte.is_ascii_digit() {
            return Err(not_here(byte, BadResponse::Status));
        }
        let is_class = (b'1'..=b'5').contains(&byte);
        if self.status == 0 && !is_class {
            return Err(BadResponse::Status);
        }
        self.status = self.status * 10 + u16::from(byte - b'0');
        Ok(if self.status < 100 {
            Stage::Status
        } else {
            Stage::AfterStatus
        })
    }

    /// RFC 9112 §6.3.
    fn next(&self, asked: Asked) -> Result<Next, BadResponse> {
        let framing = self.framing.framing();
        if matches!(self.status, 100..=199 | 204) {
            // RFC 9112 §6.1 and RFC 9110 §8.6 forbid both fields here. A length of zero is common with 204 and says
            // nothing that is not so; any other is a body that one side reads and the other does not.
            match framing {
                None | Some(Framing::Length(0)) => {}
                Some(Framing::Chunked) => return Err(BadResponse::CodingWithoutBody),
                Some(_) => return Err(BadResponse::LengthWithoutBody),
            }
        }
        match self.status {
            101 if asked.may_upgrade => Ok(Next::Tunnel),
            101 => Err(BadResponse::Upgrade),
            100..=199 => Ok(Next::Response),
            204 | 304 => Ok(Next::Body(Framing::Length(0))),
            _ if asked.is_head => Ok(Next::Body(Framing::Length(0))),
            _ => Ok(Next::Body(framing.unwrap_or(Framing::UntilClose))),
        }
    }
}

/// What it means that there is no more to read.
fn partial<T>(unit: &[u8], limits: &ResponseLimits) -> Result<Option<T>, BadResponse> {
    if unit.len() > limits.head_bytes {
        Err(Fault::HeadBytes.into())
    } else {
        Ok(None)
    }
}

/// What is wrong with a byte that a status line cannot have in this place.
fn not_here(byte: u8, otherwise: BadResponse) -> BadResponse {
    match byte {
        b'\n' => Fault::BareLf.into(),
        b'\0' => Fault::Nul.into(),
        _ => otherwise,
    }
}
