//! Chunk-size lines: RFC 9112 §7.1.

use super::class;
use super::fault::Fault;

/// A complete chunk-size line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) size: u64,
    /// The whole line with its CRLF.
    pub(super) bytes: usize,
    /// What stands between the size and the CRLF.
    pub(super) extension_bytes: usize,
}

/// Sixteen digits are all a `u64` holds; more could only be leading zeros, or an overflow in the next server.
const SIZE_DIGITS_MAX: usize = 16;

/// Where behind the size the next byte falls. White space may only lead to more: `5 SP CRLF` is not in the grammar,
/// so the states named for blanks cannot end the line.
#[derive(Debug, Clone, Copy)]
enum Stage {
    AfterSize,
    BlankBeforeSemicolon,
    BeforeName,
    Name,
    BlankAfterName,
    BeforeValue,
    Token,
    Quoted,
    Escaped,
    AfterQuoted,
    LineFeed,
}

/// Reads the line at the front of `rest`; `None` when its end has not come.
///
/// A line is short and bounded, so a partial one is simply read again from its start.
pub(super) fn line(rest: &[u8], bytes_max: usize) -> Result<Option<Line>, Fault> {
    let seen = rest.get(..bytes_max).unwrap_or(rest);
    let partial = if rest.len() > bytes_max {
        Err(Fault::ChunkLineBytes)
    } else {
        Ok(None)
    };
    let mut size: u64 = 0;
    let mut digits = 0;
    for &byte in seen {
        let Some(digit) = char::from(byte).to_digit(16) else {
            break;
        };
        digits += 1;
        if digits > SIZE_DIGITS_MAX {
            return Err(Fault::ChunkSize);
        }
        size = size << 4 | u64::from(digit);
    }
    if digits == 0 {
        return if seen.is_empty() {
            partial
        } else {
            Err(Fault::ChunkSize)
        };
    }
    let mut stage = Stage::AfterSize;
    for (place, &byte) in seen.iter().enumerate().skip(digits) {
        if matches!(stage, Stage::LineFeed) {
            if byte != b'\n' {
                return Err(Fault::BareCr);
            }
            return Ok(Some(Line {
                size,
                bytes: place + 1,
                extension_bytes: place - 1 - digits,
            }));
        }
        stage = stage.next(byte)?;
    }
    partial
}

impl Stage {
    /// `chunk-ext = *( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )`
    fn next(self, byte: u8) -> Result<Self, Fault> {
        let is_token = class::is(byte, class::TOKEN);
        let is_blank = class::is_blank(byte);
        Ok(match (self, byte) {
            (_, b'\n') => return Err(Fault::BareLf),
            (_, b'\0') => return Err(Fault::Nul),
            (Self::AfterSize | Self::Name | Self::Token | Self::AfterQuoted, b'\r') => Self::LineFeed,
            (Self::AfterSize, b';') => Self::BeforeName,
            (Self::AfterSize, _) if is_blank => Self::BlankBeforeSemicolon,
            (Self::AfterSize, _) => return Err(Fault::ChunkSize),
            (Self::BlankBeforeSemicolon | Self::BlankAfterName | Self::Name, b';') => Self::BeforeName,
            (Self::Token | Self::AfterQuoted, b';') => Self::BeforeName,
            (Self::BlankBeforeSemicolon | Self::BlankAfterName | Self::BeforeName | Self::BeforeValue, _)
                if is_blank =>
            {
                self
            }
            (Self::BeforeName | Self::Name, _) if is_token => Self::Name,
            (Self::Name, _) if is_blank => Self::BlankAfterName,
            (Self::Name | Self::BlankAfterName, b'=') => Self::BeforeValue,
            (Self::BeforeValue, b'"') => Self::Quoted,
            (Self::BeforeValue | Self::Token, _) if is_token => Self::Token,
            (Self::Token | Self::AfterQuoted, _) if is_blank => Self::BlankBeforeSemicolon,
            (Self::Quoted, b'"') => Self::AfterQuoted,
            (Self::Quoted, b'\\') => Self::Escaped,
            (Self::Quoted | Self::Escaped, _) if byte == b'\t' || !byte.is_ascii_control() => Self::Quoted,
            _ => return Err(Fault::ChunkExtension),
        })
    }
}
