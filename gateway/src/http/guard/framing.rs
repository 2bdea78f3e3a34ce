//! What a head says about its body: Content-Length and Transfer-Encoding, RFC 9112 §6, without its tolerances.

use super::fault::Fault;

/// How a body is delimited, RFC 9112 §6.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes. No body is a length of zero.
    Length(u64),
    Chunked,
    /// All that comes before the connection ends. No request has such a body.
    UntilClose,
}

/// The two framing fields of one head.
#[derive(Debug, Default)]
pub(super) struct FramingFields {
    length: Option<u64>,
    is_chunked: bool,
}

impl FramingFields {
    /// Takes note of a field if it is one of the two.
    pub(super) fn note(&mut self, name: &[u8], value: &[u8], is_http_11: bool) -> Result<(), Fault> {
        match name.len() {
            14 if name.eq_ignore_ascii_case(b"content-length") => self.length(value),
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => self.coding(value, is_http_11),
            _ => Ok(()),
        }
    }

    /// What they say together; `None` where there is neither.
    pub(super) fn framing(&self) -> Option<Framing> {
        if self.is_chunked {
            Some(Framing::Chunked)
        } else {
            self.length.map(Framing::Length)
        }
    }

    fn length(&mut self, value: &[u8]) -> Result<(), Fault> {
        if self.is_chunked {
            return Err(Fault::LengthWithCoding);
        }
        if self.length.is_some() {
            return Err(Fault::LengthRepeated);
        }
        self.length = Some(content_length(value).ok_or(Fault::LengthInvalid)?);
        Ok(())
    }

    fn coding(&mut self, value: &[u8], is_http_11: bool) -> Result<(), Fault> {
        if !is_http_11 {
            return Err(Fault::CodingVersion);
        }
        if self.length.is_some() {
            return Err(Fault::LengthWithCoding);
        }
        if self.is_chunked {
            return Err(Fault::CodingRepeated);
        }
        // Other codings are registered, but nobody sends them, and `gzip, chunked` read by a peer that only looks for
        // `chunked` is a body of another length.
        if !value.eq_ignore_ascii_case(b"chunked") {
            return Err(Fault::CodingUnsupported);
        }
        self.is_chunked = true;
        Ok(())
    }
}

/// `1*DIGIT`, and no more than hyper can count to: it keeps the two highest values for itself.
fn content_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    let mut length: u64 = 0;
    for &byte in value {
        let digit = byte.is_ascii_digit().then(|| byte - b'0')?;
        length = length.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    (length <= u64::MAX - 2).then_some(length)
}
