//! One request head: the request line, and the fields that frame and route the request.

use super::HeadLimits;
use super::authority::{self, Authority};
use super::class;
use super::fault::Fault;
use super::fields::{Event, Fields, Span};
use super::framing::{Framing, FramingFields};

/// A reader of one head that can stop at any byte and go on from there.
#[derive(Debug, Default)]
pub(super) struct Head {
    stage: Stage,
    /// The first byte not yet looked at, and the first of the element being read; both from the head's start.
    at: usize,
    mark: usize,
    is_options: bool,
    is_http_11: bool,
    /// The authority of an absolute-form target, and the port its scheme implies.
    authority: Option<(Span, u16)>,
    host: Option<Span>,
    framing: FramingFields,
    upgrade: Upgrade,
    fields: Fields,
}

/// What the next byte belongs to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Stage {
    #[default]
    Start,
    StartLineFeed,
    Method,
    TargetStart,
    Path,
    Query,
    Version,
    LineFeed,
    Fields,
}

/// What makes a request one that may leave HTTP behind it, RFC 9110 §7.8.
#[derive(Debug, Default)]
struct Upgrade {
    is_get: bool,
    /// Connection lists it.
    is_option: bool,
    is_offered: bool,
}

/// A complete head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Complete {
    pub(super) bytes: usize,
    pub(super) framing: Framing,
    /// Whether the answer may be 101, and what follows no HTTP.
    pub(super) may_upgrade: bool,
}

impl Head {
    /// Whether a part of a request has come; an empty line before it is none.
    pub(super) fn begun(&self) -> bool {
        match self.stage {
            Stage::Start | Stage::StartLineFeed => false,
            Stage::Method => self.at > self.mark,
            _ => true,
        }
    }

    /// Reads on in the head at the start of `unit`; when it is complete, says how long it is and what follows it.
    pub(super) fn read(&mut self, unit: &[u8], limits: &HeadLimits) -> Result<Option<Complete>, Fault> {
        let seen = unit.get(..limits.head_bytes).unwrap_or(unit);
        let framing = self.read_within(seen, limits)?;
        if framing.is_none() && unit.len() > limits.head_bytes {
            return Err(Fault::HeadBytes);
        }
        Ok(framing.map(|framing| Complete {
            bytes: self.at,
            framing,
            may_upgrade: self.may_upgrade(framing),
        }))
    }

    fn read_within(&mut self, unit: &[u8], limits: &HeadLimits) -> Result<Option<Framing>, Fault> {
        while self.stage != Stage::Fields {
            if !self.request_line(unit, limits)? {
                return Ok(None);
            }
        }
        loop {
            match self.fields.next(unit, &mut self.at, limits.header_count)? {
                Event::Partial => return Ok(None),
                Event::Field { name, value } => self.field(unit, name, value)?,
                Event::End => return self.end(unit).map(Some),
            }
        }
    }

    /// Reads one element of the request line, or as much of it as has come. False when there is no more to read.
    fn request_line(&mut self, unit: &[u8], limits: &HeadLimits) -> Result<bool, Fault> {
        let rest = unit.get(self.at..).unwrap_or_default();
        match self.stage {
            Stage::Start => match rest.first() {
                None => return Ok(false),
                Some(b'\r') => self.enter(Stage::StartLineFeed, 1),
                Some(_) => self.enter(Stage::Method, 0),
            },
            Stage::StartLineFeed => match rest.first() {
                None => return Ok(false),
                // One empty line is tolerated: old clients send it behind a body, RFC 9112 §2.2.
                Some(b'\n') => self.enter(Stage::Method, 1),
                Some(_) => return Err(Fault::BareCr),
            },
            Stage::Method => {
                self.at += class::run(rest, class::TOKEN);
                let Some(&byte) = unit.get(self.at) else {
                    return Ok(false);
                };
                self.method(unit, byte)?;
                self.enter(Stage::TargetStart, 1);
            }
            Stage::TargetStart => match rest.first() {
                None => return Ok(false),
                Some(b'/' | b'*' | b'h' | b'H') => self.enter(Stage::Path, 0),
                Some(b' ' | b'\t' | b'\r') => return Err(Fault::RequestLine),
                Some(&byte) => return Err(in_target(byte)),
            },
            Stage::Path | Stage::Query => return self.target(unit, limits),
            Stage::Version => {
                let Some(minor) = version(rest)? else { return Ok(false) };
                self.is_http_11 = minor == 1;
                self.enter(Stage::LineFeed, b"HTTP/1.1\r".len());
            }
            Stage::LineFeed => match rest.first() {
                None => return Ok(false),
                Some(b'\n') => self.enter(Stage::Fields, 1),
                Some(_) => return Err(Fault::BareCr),
            },
            Stage::Fields => {}
        }
        Ok(true)
    }

    /// Goes over `bytes`; the next element begins behind them.
    fn enter(&mut self, stage: Stage, bytes: usize) {
        self.at += bytes;
        self.mark = self.at;
        self.stage = stage;
    }

    /// Judges the method, and the byte behind it.
    fn method(&mut self, unit: &[u8], byte: u8) -> Result<(), Fault> {
        let method = Span {
            start: self.mark,
            end: self.at,
        }
        .of(unit);
        match (method, byte) {
            // The only empty method that comes from a client and not from an attack or a mistaken protocol.
            (b"", b'\r') => Err(Fault::EmptyLine),
            (b"", b' ') => Err(Fault::RequestLine),
            (b"CONNECT", b' ') => Err(Fault::Connect),
            (b"PRI", b' ') => Err(Fault::Preface),
            (_, b' ') => {
                self.is_options = method == b"OPTIONS";
                self.upgrade.is_get = method == b"GET";
                Ok(())
            }
            (_, b'\r' | b'\t') => Err(Fault::RequestLine),
            (_, b'\n') => Err(Fault::BareLf),
            (_, b'\0') => Err(Fault::Nul),
            _ => Err(Fault::Method),
        }
    }

    fn target(&mut self, unit: &[u8], limits: &HeadLimits) -> Result<bool, Fault> {
        let rest = unit.get(self.at..).unwrap_or_default();
        let in_query = self.stage == Stage::Query;
        self.at += class::run(rest, if in_query { class::QUERY } else { class::PATH });
        if self.at - self.mark > limits.uri_bytes {
            return Err(Fault::UriBytes);
        }
        match unit.get(self.at) {
            None => return Ok(false),
            Some(b'?') => {
                // Only a path ends here: a query may hold question marks.
                self.at += 1;
                self.stage = Stage::Query;
            }
            Some(b' ') => {
                self.form(unit)?;
                self.enter(Stage::Version, 1);
            }
            // No version: HTTP/0.9, or a target with a line break in it.
            Some(b'\r' | b'\t') => return Err(Fault::RequestLine),
            Some(&byte) => return Err(in_target(byte)),
        }
        Ok(true)
    }

    /// Judges the whole target: origin-form, asterisk-form for OPTIONS, or absolute-form, RFC 9112 §3.2.
    fn form(&mut self, unit: &[u8]) -> Result<(), Fault> {
        let target = Span {
            start: self.mark,
            end: self.at,
        }
        .of(unit);
        match target.first() {
            Some(b'/') => return Ok(()),
            Some(b'*') if self.is_options && target.len() == 1 => return Ok(()),
            Some(b'*') | None => return Err(Fault::Target),
            Some(_) => {}
        }
        let (scheme_bytes, port) = scheme(target).ok_or(Fault::Target)?;
        let behind = target.get(scheme_bytes..).unwrap_or_default();
        let bytes = behind
            .iter()
            .position(|byte| matches!(byte, b'/' | b'?'))
            .unwrap_or(behind.len());
        let start = self.mark + scheme_bytes;
        let span = Span {
            start,
            end: start + bytes,
        };
        authority::authority(span.of(unit))?;
        self.authority = Some((span, port));
        Ok(())
    }

    fn field(&mut self, unit: &[u8], name: Span, value: Span) -> Result<(), Fault> {
        // Of all names only a few matter here, and they differ in length.
        let name = name.of(unit);
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => return self.host(unit, value),
            7 if name.eq_ignore_ascii_case(b"upgrade") => self.upgrade.is_offered = true,
            10 if name.eq_ignore_ascii_case(b"connection") => {
                self.upgrade.is_option |= lists(value.of(unit), b"upgrade");
            }
            _ => return self.framing.note(name, value.of(unit), self.is_http_11),
        }
        Ok(())
    }

    fn may_upgrade(&self, framing: Framing) -> bool {
        let Upgrade {
            is_get,
            is_option,
            is_offered,
        } = self.upgrade;
        is_get && is_option && is_offered && self.is_http_11 && framing == Framing::Length(0)
    }

    fn host(&mut self, unit: &[u8], value: Span) -> Result<(), Fault> {
        if self.host.is_some() {
            return Err(Fault::HostRepeated);
        }
        Authority::parse(value.of(unit)).ok_or(Fault::HostInvalid)?;
        self.host = Some(value);
        Ok(())
    }

    fn end(&self, unit: &[u8]) -> Result<Framing, Fault> {
        match (self.host, self.authority) {
            (None, _) if self.is_http_11 => return Err(Fault::HostMissing),
            (Some(host), Some((named, port))) => {
                authority::agreement(Some(named.of(unit)), [host.of(unit)], port)?;
            }
            _ => {}
        }
        Ok(self.framing.framing().unwrap_or(Framing::Length(0)))
    }
}

/// What is wrong with a byte that a target cannot hold.
fn in_target(byte: u8) -> Fault {
    match byte {
        b'\n' => Fault::BareLf,
        b'\0' => Fault::Nul,
        _ => Fault::Target,
    }
}

/// The minor version of `HTTP/1.x` CR at the front of `rest`, once all of it has come.
///
/// A well-formed version that is not 1.0 or 1.1 is 505. That includes 1.2 to 1.9, which RFC 9110 §2.5 would rather
/// have read as 1.1: they do not exist, and hyper refuses them.
fn version(rest: &[u8]) -> Result<Option<u8>, Fault> {
    match rest {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'1', b'\r', ..] => return Ok(Some(1)),
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0', b'\r', ..] => return Ok(Some(0)),
        _ => {}
    }
    for (expected, &byte) in b"HTTP/d.d".iter().zip(rest) {
        match byte {
            b'\n' => return Err(Fault::BareLf),
            b'\0' => return Err(Fault::Nul),
            b' ' | b'\t' => return Err(Fault::RequestLine),
            b'0'..=b'9' if *expected == b'd' => {}
            _ if byte == *expected && *expected != b'd' => {}
            _ => return Err(Fault::Version),
        }
    }
    let [_, _, _, _, _, major, _, minor, behind @ ..] = rest else {
        return Ok(None);
    };
    if *major != b'1' || *minor > b'1' {
        return Err(Fault::VersionUnsupported);
    }
    match behind.first() {
        None => Ok(None),
        Some(b'\n') => Err(Fault::BareLf),
        Some(b'\0') => Err(Fault::Nul),
        Some(b' ' | b'\t') => Err(Fault::RequestLine),
        Some(_) => Err(Fault::Version),
    }
}

/// Whether a comma-separated list has this member, in any case (RFC 9110 §5.6.1).
fn lists(value: &[u8], member: &[u8]) -> bool {
    let mut items = value.split(|&byte| byte == b',');
    items.any(|item| item.trim_ascii().eq_ignore_ascii_case(member))
}

/// How long the scheme of an absolute-form target is with its `://`, and the port it implies.
fn scheme(target: &[u8]) -> Option<(usize, u16)> {
    [(&b"http://"[..], 80), (b"https://", 443)]
        .into_iter()
        .find_map(|(scheme, port)| {
            let front = target.get(..scheme.len())?;
            front.eq_ignore_ascii_case(scheme).then_some((scheme.len(), port))
        })
}
