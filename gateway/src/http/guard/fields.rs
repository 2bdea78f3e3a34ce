//! Field lines, as they stand in heads and in trailer sections: RFC 9112 §5, without its tolerances.

use super::body::Bounds;
use super::class;
use super::fault::Fault;

/// What `http` and hyper can hold as a name.
const NAME_BYTES_MAX: usize = u16::MAX as usize;

/// A lexer over field lines that can stop at any byte and go on from there.
#[derive(Debug, Default)]
pub(super) struct Fields {
    stage: Stage,
    name: Span,
    value: Span,
    count: usize,
}

/// What the next byte belongs to.
#[derive(Debug, Default, Clone, Copy)]
enum Stage {
    #[default]
    LineStart,
    Name,
    BeforeValue,
    Value,
    LineFeed,
    LastLineFeed,
}

/// Bytes of a unit, by their place from its start.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Span {
    pub(super) fn of(self, unit: &[u8]) -> &[u8] {
        unit.get(self.start..self.end).unwrap_or_default()
    }
}

pub(super) enum Event {
    Partial,
    /// A field line ended. The value has no white space around it.
    Field {
        name: Span,
        value: Span,
    },
    /// The empty line ended.
    End,
}

impl Fields {
    /// Reads on from `at` to the end of the next line.
    pub(super) fn next(&mut self, unit: &[u8], at: &mut usize, count_max: usize) -> Result<Event, Fault> {
        loop {
            let rest = unit.get(*at..).unwrap_or_default();
            match self.stage {
                Stage::LineStart => {
                    let Some(&byte) = rest.first() else {
                        return Ok(Event::Partial);
                    };
                    self.stage = self.line_start(byte, count_max)?;
                    self.name.start = *at;
                    *at += 1;
                }
                Stage::Name => {
                    *at += class::run(rest, class::TOKEN);
                    let Some(&byte) = unit.get(*at) else {
                        return Ok(Event::Partial);
                    };
                    after_name(byte)?;
                    if *at - self.name.start > NAME_BYTES_MAX {
                        return Err(Fault::HeadBytes);
                    }
                    self.name.end = *at;
                    *at += 1;
                    self.stage = Stage::BeforeValue;
                }
                Stage::BeforeValue => {
                    *at += class::blank_run(rest);
                    if *at >= unit.len() {
                        return Ok(Event::Partial);
                    }
                    self.value.start = *at;
                    self.stage = Stage::Value;
                }
                Stage::Value => {
                    *at += class::value_run(rest);
                    let Some(&byte) = unit.get(*at) else {
                        return Ok(Event::Partial);
                    };
                    after_value(byte)?;
                    self.value.end = *at;
                    *at += 1;
                    self.stage = Stage::LineFeed;
                }
                Stage::LineFeed | Stage::LastLineFeed => {
                    let Some(&byte) = rest.first() else {
                        return Ok(Event::Partial);
                    };
                    if byte != b'\n' {
                        return Err(Fault::BareCr);
                    }
                    *at += 1;
                    if matches!(self.stage, Stage::LastLineFeed) {
                        return Ok(Event::End);
                    }
                    self.stage = Stage::LineStart;
                    return Ok(Event::Field {
                        name: self.name,
                        value: trimmed(unit, self.value),
                    });
                }
            }
        }
    }

    /// Reads a trailer section, which begins at the start of `unit`. True when it is complete, with its end in `at`.
    pub(super) fn trailers(&mut self, unit: &[u8], at: &mut usize, bounds: &Bounds) -> Result<bool, Fault> {
        let seen = unit.get(..bounds.trailer_bytes).unwrap_or(unit);
        loop {
            let event = self.next(seen, at, bounds.trailer_count).map_err(|fault| match fault {
                Fault::FieldCount => Fault::TrailerCount,
                other => other,
            })?;
            match event {
                Event::Partial if unit.len() > bounds.trailer_bytes => return Err(Fault::TrailerBytes),
                Event::Partial => return Ok(false),
                Event::Field { name, .. } if is_forbidden_trailer(name.of(unit)) => return Err(Fault::TrailerField),
                Event::Field { .. } => {}
                Event::End => return Ok(true),
            }
        }
    }

    fn line_start(&mut self, byte: u8, count_max: usize) -> Result<Stage, Fault> {
        match byte {
            b'\r' => Ok(Stage::LastLineFeed),
            b' ' | b'\t' => Err(Fault::ObsFold),
            b'\n' => Err(Fault::BareLf),
            b'\0' => Err(Fault::Nul),
            _ if self.count >= count_max => Err(Fault::FieldCount),
            _ if !class::is(byte, class::TOKEN) => Err(Fault::FieldName),
            _ => {
                self.count += 1;
                Ok(Stage::Name)
            }
        }
    }
}

/// What may stand behind a field name is a colon.
fn after_name(byte: u8) -> Result<(), Fault> {
    match byte {
        b':' => Ok(()),
        b' ' | b'\t' => Err(Fault::SpaceBeforeColon),
        b'\n' => Err(Fault::BareLf),
        b'\0' => Err(Fault::Nul),
        _ => Err(Fault::FieldName),
    }
}

/// What may stand behind a field value is a CR.
fn after_value(byte: u8) -> Result<(), Fault> {
    match byte {
        b'\r' => Ok(()),
        b'\n' => Err(Fault::BareLf),
        b'\0' => Err(Fault::Nul),
        _ => Err(Fault::ControlByte),
    }
}

fn trimmed(unit: &[u8], value: Span) -> Span {
    let visible = value
        .of(unit)
        .iter()
        .rposition(|&byte| !class::is_blank(byte))
        .map_or(0, |last| last + 1);
    Span {
        start: value.start,
        end: value.start + visible,
    }
}

/// Fields that frame, route, authorise or modify a message, or say how its content is to be read, mean something only
/// before the content: RFC 9110 §6.5.1. Whoever merges trailers into the head would act on them after the fact.
fn is_forbidden_trailer(name: &[u8]) -> bool {
    const FORBIDDEN: [&str; 31] = [
        "authorization",
        "cache-control",
        "connection",
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
        "cookie",
        "expect",
        "forwarded",
        "host",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "keep-alive",
        "max-forwards",
        "pragma",
        "proxy-authorization",
        "proxy-connection",
        "range",
        "set-cookie",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "via",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
    ];
    FORBIDDEN
        .iter()
        .any(|forbidden| name.eq_ignore_ascii_case(forbidden.as_bytes()))
}
