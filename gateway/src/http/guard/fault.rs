//! Everything the guard refuses, with the status, the name and the sentence for it. `tests/it/golden` has
//! a case of each.

use super::{Phase, Rejection};

/// One reason to refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    EmptyLine,
    Method,
    Connect,
    Preface,
    RequestLine,
    Target,
    Userinfo,
    Authority,
    AuthorityMismatch,
    Version,
    VersionUnsupported,
    Nul,
    BareCr,
    BareLf,
    ObsFold,
    FieldName,
    SpaceBeforeColon,
    ControlByte,
    HostMissing,
    HostRepeated,
    HostInvalid,
    LengthRepeated,
    LengthInvalid,
    LengthWithCoding,
    CodingRepeated,
    CodingUnsupported,
    CodingVersion,
    HeadBytes,
    FieldCount,
    UriBytes,
    ChunkSize,
    ChunkExtension,
    ChunkLineBytes,
    ChunkExtensionBytes,
    ChunkEnd,
    TrailerField,
    TrailerCount,
    TrailerBytes,
}

impl Fault {
    pub(super) fn rejection(self, phase: Phase) -> Rejection {
        let (status, code, reason) = self.answer();
        Rejection {
            status,
            code,
            reason,
            phase,
        }
    }

    /// One line for a person.
    pub(super) fn reason(self) -> &'static str {
        let (_, _, reason) = self.answer();
        reason
    }

    fn answer(self) -> (u16, &'static str, &'static str) {
        match self {
            // The request line.
            Self::EmptyLine => (400, "empty-line", "more than one empty line before the request line"),
            Self::Method => (400, "method", "the method is not a token"),
            Self::Connect => (405, "connect", "CONNECT is not served on HTTP/1"),
            Self::Preface => (400, "preface", "the HTTP/2 preface inside an HTTP/1 connection"),
            Self::RequestLine => (
                400,
                "request-line",
                "the request line is not: method SP target SP version CRLF",
            ),
            Self::Target => (
                400,
                "target",
                "the request target is neither a path, an http URI, nor * for OPTIONS",
            ),
            Self::Userinfo => (400, "userinfo", "the request target names a user"),
            Self::Authority => (400, "authority", "the request target names no valid host and port"),
            Self::AuthorityMismatch => (
                400,
                "authority-mismatch",
                "the request target and Host name different hosts",
            ),
            Self::UriBytes => (414, "uri-bytes", "the request target is too long"),
            Self::Version => (400, "version", "the version is not HTTP/1.0 or HTTP/1.1"),
            Self::VersionUnsupported => (505, "version-unsupported", "this version of HTTP is not spoken here"),
            // Lines, in a head or a trailer section.
            Self::Nul => (400, "nul", "a NUL byte"),
            Self::BareCr => (400, "bare-cr", "a CR without LF"),
            Self::BareLf => (400, "bare-lf", "a LF without CR"),
            Self::ObsFold => (400, "obs-fold", "a field line that begins with white space"),
            Self::FieldName => (400, "field-name", "a field without a valid name and a colon"),
            Self::SpaceBeforeColon => (
                400,
                "space-before-colon",
                "white space between a field name and its colon",
            ),
            Self::ControlByte => (400, "control-byte", "a control byte in a field value"),
            // The head as a whole.
            Self::HostMissing => (400, "host-missing", "a request without Host"),
            Self::HostRepeated => (400, "host-repeated", "more than one Host"),
            Self::HostInvalid => (400, "host-invalid", "Host is not a host with an optional port"),
            Self::LengthRepeated => (400, "content-length-repeated", "more than one Content-Length"),
            Self::LengthInvalid => (400, "content-length-invalid", "Content-Length is not a number of bytes"),
            Self::LengthWithCoding => (
                400,
                "content-length-and-transfer-encoding",
                "both Content-Length and Transfer-Encoding",
            ),
            Self::CodingRepeated => (400, "transfer-encoding-repeated", "more than one Transfer-Encoding"),
            Self::CodingUnsupported => (
                400,
                "transfer-encoding",
                "a Transfer-Encoding that is not just: chunked",
            ),
            Self::CodingVersion => (400, "transfer-encoding-version", "Transfer-Encoding on HTTP/1.0"),
            Self::HeadBytes => (431, "head-bytes", "the head is too long"),
            Self::FieldCount => (431, "head-fields", "too many fields in the head"),
            // Chunks and trailers.
            Self::ChunkSize => (
                400,
                "chunk-size",
                "a chunk size that is not up to 16 hexadecimal digits and CRLF",
            ),
            Self::ChunkExtension => (
                400,
                "chunk-extension",
                "a chunk extension that is not ;name or ;name=value",
            ),
            Self::ChunkLineBytes => (400, "chunk-line-bytes", "a chunk-size line is too long"),
            Self::ChunkExtensionBytes => (400, "chunk-extension-bytes", "too many bytes of chunk extensions"),
            Self::ChunkEnd => (400, "chunk-end", "a chunk that does not end with CRLF"),
            Self::TrailerField => (400, "trailer-field", "a field that may not be sent as a trailer"),
            Self::TrailerCount => (400, "trailer-fields", "too many trailer fields"),
            Self::TrailerBytes => (400, "trailer-bytes", "the trailer section is too long"),
        }
    }
}
