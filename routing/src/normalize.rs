//! One spelling for every path, so that a match, a grant and an upstream all see the same one.

use std::borrow::Cow;

/// How [`normalize_path`] treats what RFC 3986 leaves open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NormalizeOptions {
    /// `//` becomes `/`. On by default, as in nginx: most servers behind a gateway treat them alike, so a rule
    /// for `/admin` must not be passed by with `//admin`.
    pub merge_slashes: bool,
}

impl Default for NormalizeOptions {
    fn default() -> Self {
        Self { merge_slashes: true }
    }
}

/// Why a path is refused. `at` is a byte offset in the path as received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Not empty, and does not begin with a slash.
    #[error("the path does not begin with `/`")]
    NotAbsolute,
    /// `%2F`: servers disagree whether it separates segments.
    #[error("`%2F` at byte {at}: an encoded slash is refused")]
    EncodedSlash {
        /// Where.
        at: usize,
    },
    /// `\` or `%5C`: some servers take it for a slash.
    #[error("a backslash at byte {at}, plain or encoded, is refused")]
    Backslash {
        /// Where.
        at: usize,
    },
    /// `%00`: it ends the path for servers written in C.
    #[error("`%00` at byte {at} is refused")]
    Nul {
        /// Where.
        at: usize,
    },
    /// `%` without two hexadecimal digits.
    #[error("`%` at byte {at} is not followed by two hexadecimal digits")]
    BadEscape {
        /// Where.
        at: usize,
    },
    /// A byte below 0x20, or 0x7F, as such.
    #[error("a control byte at byte {at} is refused")]
    Control {
        /// Where.
        at: usize,
    },
    /// `?` or `#`: what was given is more than a path.
    #[error("`?` or `#` at byte {at} does not belong to a path")]
    Delimiter {
        /// Where.
        at: usize,
    },
    /// A `..` with nothing left to take away (RFC 3986 would ignore it; no honest client sends one).
    #[error("`..` climbs above the root")]
    AboveRoot,
}

/// Normalises the path of a request target (RFC 3986, section 6.2.2, as far as a server may).
///
/// Dot segments are taken out, percent-encoded unreserved characters decoded, the other escapes written in upper
/// case, duplicate slashes merged where `options` says so, and bytes that may not stand in a path (a space, `{`,
/// anything beyond ASCII) encoded. An empty path is `/`. A path that is normal already is borrowed, and costs one
/// scan. The result is its own normal form.
///
/// Escaped control bytes other than `%00` stay escaped.
///
/// # Errors
/// Whatever servers are known to read in more than one way is refused: see [`PathError`].
pub fn normalize_path(raw: &str, options: NormalizeOptions) -> Result<Cow<'_, str>, PathError> {
    if raw.is_empty() {
        return Ok(Cow::Borrowed("/"));
    }
    let Some(relative) = raw.strip_prefix('/') else {
        return Err(PathError::NotAbsolute);
    };
    if is_normal(relative.as_bytes(), options) {
        return Ok(Cow::Borrowed(raw));
    }
    rewrite(relative, options).map(Cow::Owned)
}

/// What a byte is within a segment.
enum Kind {
    /// `pchar` of RFC 3986 but for `%`: stays as it is.
    Plain,
    /// Begins an escape.
    Percent,
    /// May not stand in a path, and is written as an escape.
    Encode,
    Backslash,
    Control,
    Delimiter,
}

fn kind(byte: u8) -> Kind {
    match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => Kind::Plain,
        b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b':' | b'@' => Kind::Plain,
        b'%' => Kind::Percent,
        b'\\' => Kind::Backslash,
        b'?' | b'#' => Kind::Delimiter,
        0..=0x1F | 0x7F => Kind::Control,
        _ => Kind::Encode,
    }
}

fn is_unreserved(byte: u8) -> bool {
    matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~')
}

/// True when rewriting `relative` (the path behind its first slash) would change nothing. False decides nothing:
/// the rewrite finds out what is wrong, if anything is.
fn is_normal(relative: &[u8], options: NormalizeOptions) -> bool {
    let mut rest = relative;
    let mut segment_begins = true;
    while let Some((byte, after)) = rest.split_first() {
        match byte {
            b'/' => {
                if segment_begins && options.merge_slashes {
                    return false;
                }
                segment_begins = true;
                rest = after;
                continue;
            }
            b'.' if segment_begins && matches!(after, [] | [b'/', ..] | [b'.'] | [b'.', b'/', ..]) => return false,
            _ => {}
        }
        segment_begins = false;
        rest = match kind(*byte) {
            Kind::Plain => after,
            Kind::Percent => match after {
                [
                    high @ (b'0'..=b'9' | b'A'..=b'F'),
                    low @ (b'0'..=b'9' | b'A'..=b'F'),
                    after @ ..,
                ] if stays_escaped(*high, *low) => after,
                _ => return false,
            },
            _ => return false,
        };
    }
    true
}

/// Whether the escape of these two digits belongs in a normal path.
fn stays_escaped(high: u8, low: u8) -> bool {
    escaped_byte(high, low).is_some_and(|byte| !is_unreserved(byte) && !matches!(byte, b'/' | b'\\' | 0))
}

fn escaped_byte(high: u8, low: u8) -> Option<u8> {
    let high = char::from(high).to_digit(16)?;
    let low = char::from(low).to_digit(16)?;
    u8::try_from(high * 16 + low).ok()
}

fn rewrite(relative: &str, options: NormalizeOptions) -> Result<String, PathError> {
    // The result as a row of `/segment`; a few escapes may make it longer than what came in.
    let mut out = String::with_capacity(relative.len() + 16);
    let mut at = 1;
    let mut segments = relative.split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        let begin = out.len();
        out.push('/');
        write_segment(segment, at, &mut out)?;
        at += segment.len() + 1;
        match out.get(begin + 1..).unwrap_or_default() {
            "." => out.truncate(begin),
            ".." => {
                out.truncate(begin);
                let parent = out.rfind('/').ok_or(PathError::AboveRoot)?;
                out.truncate(parent);
            }
            "" if options.merge_slashes && !is_last => {
                out.truncate(begin);
                continue;
            }
            _ => continue,
        }
        // `/a/.` and `/a/b/..` name the folder `/a/`.
        if is_last {
            out.push('/');
        }
    }
    Ok(out)
}

/// Writes one segment in its normal spelling; `at` is its place in the path, for the error.
pub(crate) fn write_segment(segment: &str, at: usize, out: &mut String) -> Result<(), PathError> {
    let mut bytes = segment.bytes().enumerate();
    while let Some((offset, byte)) = bytes.next() {
        let at = at + offset;
        match kind(byte) {
            Kind::Plain => out.push(char::from(byte)),
            Kind::Encode => write_escape(byte, out),
            Kind::Percent => {
                let digits = (bytes.next(), bytes.next());
                let (Some((_, high)), Some((_, low))) = digits else {
                    return Err(PathError::BadEscape { at });
                };
                match escaped_byte(high, low).ok_or(PathError::BadEscape { at })? {
                    b'/' => return Err(PathError::EncodedSlash { at }),
                    b'\\' => return Err(PathError::Backslash { at }),
                    0 => return Err(PathError::Nul { at }),
                    byte if is_unreserved(byte) => out.push(char::from(byte)),
                    byte => write_escape(byte, out),
                }
            }
            Kind::Backslash => return Err(PathError::Backslash { at }),
            Kind::Control => return Err(PathError::Control { at }),
            Kind::Delimiter => return Err(PathError::Delimiter { at }),
        }
    }
    Ok(())
}

fn write_escape(byte: u8, out: &mut String) {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F',
    ];
    out.push('%');
    for nibble in [byte >> 4, byte & 15] {
        out.push(DIGITS.get(usize::from(nibble)).copied().unwrap_or('0'));
    }
}

#[cfg(test)]
mod tests;
