//! What servers answer: responses that must not pass, and odd ones that must.
//!
//! The unit tests of `http/guard` run both tables through the guard of responses, cut at every byte; integration tests
//! have a server of their own send them. The limits are the defaults of `limits.rs`.

use super::malformed::long;

/// The request that is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    Get,
    Head,
    /// GET with `Connection: upgrade` and `Upgrade`.
    Upgrade,
}

/// How much of a bad response is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Harm {
    /// Nothing, but interim responses before it.
    Head,
    /// Its head; its body breaks off.
    Body,
    /// All of it: what follows it is what must not pass, and the connection serves no other request.
    Behind,
}

/// A response that must not pass as it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bad {
    /// Unique in its table.
    pub(crate) name: &'static str,
    pub(crate) asked: Asked,
    pub(crate) harm: Harm,
    /// What the server sends, all at once or cut anywhere.
    pub(crate) bytes: &'static [u8],
}

/// What a good response ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ends {
    /// Its own last byte.
    Itself,
    /// The connection.
    Close,
    /// HTTP: what follows its head is another protocol's.
    Http,
}

/// A response that looks odd and is valid, with interim ones before it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Good {
    /// Unique in its table.
    pub(crate) name: &'static str,
    pub(crate) asked: Asked,
    pub(crate) bytes: &'static [u8],
    pub(crate) status: u16,
    /// Its content, or the first bytes of the other protocol.
    pub(crate) body: &'static [u8],
    pub(crate) ends: Ends,
}

const fn bad(asked: Asked, harm: Harm, name: &'static str, bytes: &'static [u8]) -> Bad {
    Bad {
        name,
        asked,
        harm,
        bytes,
    }
}

/// A head that must not pass, in answer to GET.
const fn head(name: &'static str, bytes: &'static [u8]) -> Bad {
    bad(Asked::Get, Harm::Head, name, bytes)
}

/// A good response to GET, and more behind it.
const fn behind(name: &'static str, bytes: &'static [u8]) -> Bad {
    bad(Asked::Get, Harm::Behind, name, bytes)
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\n";
const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/// `front` and then `rest`, N bytes in all.
const fn joined<const N: usize>(front: &[u8], rest: &[u8]) -> [u8; N] {
    long(front, b"", rest)
}

/// One field that must not pass.
macro_rules! field {
    ($name:literal, $lines:literal) => {{
        static BYTES: [u8; OK.len() + $lines.len()] = joined(OK, $lines);
        head($name, &BYTES)
    }};
}

/// A chunked body that must not pass.
macro_rules! body {
    ($name:literal, $body:literal) => {{
        static BYTES: [u8; CHUNKED.len() + $body.len()] = joined(CHUNKED, $body);
        bad(Asked::Get, Harm::Body, $name, &BYTES)
    }};
}

/// One byte more than a head may have, and heads that never end.
static LONG_HEAD: [u8; 64 * 1024 + 1] = long(b"HTTP/1.1 200 OK\r\nX-Long: ", b"a", b"\r\n\r\n");
static LONG_REASON: [u8; 64 * 1024 + 1] = long(b"HTTP/1.1 200 ", b"a", b"\r\n\r\n");
static ENDLESS_VALUE: [u8; 65 * 1024] = long(b"HTTP/1.1 200 OK\r\nX-Long: ", b"a", b"");
static ENDLESS_NAME: [u8; 65 * 1024] = long(b"HTTP/1.1 200 OK\r\nX-", b"a", b"");
/// 101 fields.
static MANY_FIELDS: [u8; OK.len() + 101 * 6 + 2] = long(OK, b"x: y\r\n", b"\r\n");
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
const EMPTY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
/// One interim response more than there may be, and as many.
static MANY_INTERIMS: [u8; CONTINUE.len() * 17 + EMPTY.len()] = long(CONTINUE, CONTINUE, EMPTY);
static MOST_INTERIMS: [u8; CONTINUE.len() * 16 + EMPTY.len()] = long(CONTINUE, CONTINUE, EMPTY);
const CHUNKS: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n";
static LONG_EXTENSION: [u8; CHUNKED.len() + 257 + 7] = long(
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=",
    b"b",
    b"\r\nhello\r\n",
);
static MANY_EXTENSIONS: [u8; CHUNKED.len() + 300 * 40] =
    long(CHUNKED, b"1;name=0123456789012345678901234567\r\nx\r\n", b"");
static LONG_TRAILERS: [u8; CHUNKS.len() + 8 * 1024 + 1] = long(
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Long: ",
    b"a",
    b"\r\n\r\n",
);
static MANY_TRAILERS: [u8; CHUNKS.len() + 101 * 6 + 2] = long(CHUNKS, b"x: y\r\n", b"\r\n");

pub(crate) static BAD: &[Bad] = &[
    // What is no response at all.
    head("empty-line-before", b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    head("bare-lf-before", b"\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    head("space-before", b" HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    head("http-0.9", b"<html>hello</html>"),
    head("tls-alert", b"\x15\x03\x01\x00\x02\x02\x46"),
    head("http2-settings", b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64"),
    head("other-protocol", b"SSH-2.0-OpenSSH_9.2\r\n"),
    head("shoutcast", b"ICY 200 OK\r\n\r\n"),
    head("request", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    // The version.
    head("version-lower-case", b"http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    head("version-2.0", b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"),
    head("version-2", b"HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n"),
    head("version-0.9", b"HTTP/0.9 200 OK\r\nContent-Length: 0\r\n\r\n"),
    head("version-1.2", b"HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n"),
    head("version-1.10", b"HTTP/1.10 200 OK\r\nContent-Length: 0\r\n\r\n"),
    head("version-1", b"HTTP/1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    head("version-comma", b"HTTP/1,1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    head("version-letter", b"HTTP/1.x 200 OK\r\nContent-Length: 0\r\n\r\n"),
    head("version-tab", b"HTTP/1.1\t200 OK\r\nContent-Length: 0\r\n\r\n"),
    head("version-two-spaces", b"HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n"),
    head("version-alone", b"HTTP/1.1\r\nContent-Length: 0\r\n\r\n"),
    head("version-alone-bare-lf", b"HTTP/1.1\nContent-Length: 0\r\n\r\n"),
    // The status.
    head("status-absent", b"HTTP/1.1 OK\r\nContent-Length: 0\r\n\r\n"),
    head("status-two-digits", b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n"),
    head("status-four-digits", b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n"),
    head("status-000", b"HTTP/1.1 000 OK\r\nContent-Length: 0\r\n\r\n"),
    head("status-099", b"HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n"),
    head("status-600", b"HTTP/1.1 600 OK\r\nContent-Length: 0\r\n\r\n"),
    head("status-999", b"HTTP/1.1 999 OK\r\nContent-Length: 0\r\n\r\n"),
    head("status-sign", b"HTTP/1.1 +20 OK\r\nContent-Length: 0\r\n\r\n"),
    head("status-hexadecimal", b"HTTP/1.1 2a0 OK\r\nContent-Length: 0\r\n\r\n"),
    head("status-fraction", b"HTTP/1.1 200.1 OK\r\nContent-Length: 0\r\n\r\n"),
    head("status-tab", b"HTTP/1.1 200\tOK\r\nContent-Length: 0\r\n\r\n"),
    head("status-bare-lf", b"HTTP/1.1 200\nContent-Length: 0\r\n\r\n"),
    head("status-bare-cr", b"HTTP/1.1 200\rContent-Length: 0\r\n\r\n"),
    head("status-nul", b"HTTP/1.1 2\x0000 OK\r\nContent-Length: 0\r\n\r\n"),
    // The reason.
    head("reason-bare-lf", b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n"),
    head("reason-bare-cr", b"HTTP/1.1 200 O\rK\r\nContent-Length: 0\r\n\r\n"),
    head("reason-nul", b"HTTP/1.1 200 O\0K\r\nContent-Length: 0\r\n\r\n"),
    head("reason-escape", b"HTTP/1.1 200 \x1b[31mOK\r\nContent-Length: 0\r\n\r\n"),
    head("reason-delete", b"HTTP/1.1 200 OK\x7f\r\nContent-Length: 0\r\n\r\n"),
    head("reason-long", &LONG_REASON),
    // Field lines.
    field!("fold-first", b" X: y\r\nContent-Length: 0\r\n\r\n"),
    field!("fold-space", b"X: y\r\n z\r\nContent-Length: 0\r\n\r\n"),
    field!("fold-tab", b"X: y\r\n\tz\r\nContent-Length: 0\r\n\r\n"),
    field!("fold-length", b"Content-Length:\r\n 5\r\n\r\nhello"),
    field!("name-empty", b": y\r\nContent-Length: 0\r\n\r\n"),
    field!("name-alone", b"X\r\nContent-Length: 0\r\n\r\n"),
    field!("name-separator", b"X(y): z\r\nContent-Length: 0\r\n\r\n"),
    field!("name-not-ascii", b"X\xc3\xa9: z\r\nContent-Length: 0\r\n\r\n"),
    field!("name-nul", b"X\0: z\r\nContent-Length: 0\r\n\r\n"),
    field!("name-bare-lf", b"X\n: z\r\nContent-Length: 0\r\n\r\n"),
    field!("space-before-colon", b"Content-Length : 5\r\n\r\nhello"),
    field!("tab-before-colon", b"Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n"),
    field!("value-bare-lf", b"X: y\nContent-Length: 0\r\n\r\n"),
    field!("value-bare-cr", b"X: y\rContent-Length: 0\r\n\r\n"),
    field!("value-nul", b"X: y\0\r\nContent-Length: 0\r\n\r\n"),
    field!("value-control", b"X: y\x01\r\nContent-Length: 0\r\n\r\n"),
    field!("value-delete", b"X: y\x7f\r\nContent-Length: 0\r\n\r\n"),
    field!("end-bare-lf", b"Content-Length: 0\r\n\n"),
    field!("end-bare-cr", b"Content-Length: 0\r\n\rX"),
    head("fields-many", &MANY_FIELDS),
    head("head-long", &LONG_HEAD),
    head("value-endless", &ENDLESS_VALUE),
    head("name-endless", &ENDLESS_NAME),
    // Content-Length.
    field!("length-empty", b"Content-Length:\r\n\r\nhello"),
    field!("length-letters", b"Content-Length: five\r\n\r\nhello"),
    field!("length-plus", b"Content-Length: +5\r\n\r\nhello"),
    field!("length-minus", b"Content-Length: -1\r\n\r\nhello"),
    field!("length-hexadecimal", b"Content-Length: 0x5\r\n\r\nhello"),
    field!("length-fraction", b"Content-Length: 5.0\r\n\r\nhello"),
    field!("length-space-inside", b"Content-Length: 5 5\r\n\r\nhello"),
    field!("length-list-equal", b"Content-Length: 5, 5\r\n\r\nhello"),
    field!("length-list-other", b"Content-Length: 5, 4\r\n\r\nhello"),
    field!("length-highest", b"Content-Length: 18446744073709551615\r\n\r\nhello"),
    field!("length-wraps", b"Content-Length: 18446744073709551621\r\n\r\nhello"),
    field!("length-repeated-equal", b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
    field!("length-repeated-other", b"Content-Length: 5\r\nX: y\r\ncontent-length: 4\r\n\r\nhello"),
    // Transfer-Encoding.
    field!("coding-then-length", b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
    field!("length-then-coding", b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    field!("coding-empty", b"Transfer-Encoding:\r\n\r\nhello"),
    field!("coding-identity", b"Transfer-Encoding: identity\r\n\r\nhello"),
    field!("coding-gzip", b"Transfer-Encoding: gzip\r\n\r\nhello"),
    field!("coding-gzip-chunked", b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    field!("coding-chunked-gzip", b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n"),
    field!("coding-chunked-twice", b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
    field!("coding-comma", b"Transfer-Encoding: chunked,\r\n\r\n0\r\n\r\n"),
    field!("coding-quoted", b"Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n"),
    field!("coding-parameter", b"Transfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n"),
    field!("coding-prefix", b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    field!("coding-vertical-tab", b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n"),
    field!("coding-repeated", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    head("coding-1.0", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    bad(Asked::Head, Harm::Head, "head-length-and-coding", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"),
    bad(Asked::Head, Harm::Head, "head-length-repeated", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n"),
    // Responses without a body, and those that are not the last.
    head("204-length", b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello"),
    head("204-coding", b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    head("304-length-repeated", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n"),
    head("100-length", b"HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    head("103-coding", b"HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    head("interim-then-body", b"HTTP/1.1 100 Continue\r\n\r\nhello"),
    head("interim-then-empty-line", b"HTTP/1.1 100 Continue\r\n\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    head("interims-many", &MANY_INTERIMS),
    head("101-unasked", b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"),
    head("101-unasked-behind-100", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: b\r\n\r\n"),
    bad(Asked::Head, Harm::Head, "101-unasked-head", b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: b\r\n\r\n"),
    bad(Asked::Upgrade, Harm::Head, "101-length", b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: b\r\nContent-Length: 5\r\n\r\nhello"),
    bad(Asked::Upgrade, Harm::Head, "101-coding", b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: b\r\nTransfer-Encoding: chunked\r\n\r\n"),
    // Chunks and trailers.
    body!("chunk-size-empty", b"\r\nhello\r\n0\r\n\r\n"),
    body!("chunk-size-letters", b"xyz\r\nhello\r\n0\r\n\r\n"),
    body!("chunk-size-prefix", b"0x5\r\nhello\r\n0\r\n\r\n"),
    body!("chunk-size-sign", b"+5\r\nhello\r\n0\r\n\r\n"),
    body!("chunk-size-space", b"5 \r\nhello\r\n0\r\n\r\n"),
    body!("chunk-size-17-digits", b"00000000000000005\r\nhello\r\n0\r\n\r\n"),
    body!("chunk-size-bare-lf", b"5\nhello\r\n0\r\n\r\n"),
    body!("chunk-size-bare-cr", b"5\rhello\r\n0\r\n\r\n"),
    body!("chunk-extension-empty", b"5;\r\nhello\r\n0\r\n\r\n"),
    body!("chunk-extension-lf", b"5;a\nb\r\nhello\r\n0\r\n\r\n"),
    body!("chunk-extension-nul", b"5;a=\0\r\nhello\r\n0\r\n\r\n"),
    bad(Asked::Get, Harm::Body, "chunk-extension-long", &LONG_EXTENSION),
    bad(Asked::Get, Harm::Body, "chunk-extensions-many", &MANY_EXTENSIONS),
    body!("chunk-longer-than-size", b"4\r\nhello\r\n0\r\n\r\n"),
    body!("chunk-end-bare-lf", b"5\r\nhello\n0\r\n\r\n"),
    body!("chunk-end-absent", b"5\r\nhello0\r\n\r\n"),
    body!("last-chunk-then-response", b"0\r\nHTTP/1.1 200 OK\r\n\r\n"),
    body!("trailer-length", b"0\r\nContent-Length: 5\r\n\r\n"),
    body!("trailer-coding", b"0\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n"),
    body!("trailer-cookie", b"0\r\nSet-Cookie: a=b\r\n\r\n"),
    body!("trailer-space-before-colon", b"0\r\nX : y\r\n\r\n"),
    body!("trailer-fold", b"0\r\nX: y\r\n z\r\n\r\n"),
    body!("trailer-bare-lf", b"0\r\nX: y\n\r\n"),
    body!("trailer-nul", b"0\r\nX: \0\r\n\r\n"),
    bad(Asked::Get, Harm::Body, "trailers-long", &LONG_TRAILERS),
    bad(Asked::Get, Harm::Body, "trailers-many", &MANY_TRAILERS),
    // What no request asked for.
    behind("length-short", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello!"),
    behind("length-zero-body", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nhello"),
    behind("length-then-empty-line", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello\r\n"),
    behind("length-then-response", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"),
    behind("length-then-interim", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 100 Continue\r\n\r\n"),
    behind("chunks-then-bytes", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nX"),
    behind("chunks-then-chunk", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
    behind("chunks-then-response", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"),
    behind("204-body", b"HTTP/1.1 204 No Content\r\n\r\nhello"),
    behind("304-body", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello"),
    bad(Asked::Head, Harm::Behind, "head-body", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
    bad(Asked::Head, Harm::Behind, "head-chunks", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    bad(Asked::Upgrade, Harm::Behind, "upgrade-refused-frames", b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n\x81\x05hello"),
];

const fn good(name: &'static str, status: u16, body: &'static [u8], bytes: &'static [u8]) -> Good {
    asked(Asked::Get, name, status, body, bytes)
}

const fn asked(asked: Asked, name: &'static str, status: u16, body: &'static [u8], bytes: &'static [u8]) -> Good {
    Good {
        name,
        asked,
        bytes,
        status,
        body,
        ends: Ends::Itself,
    }
}

/// One that ends with its connection.
const fn until_close(name: &'static str, body: &'static [u8], bytes: &'static [u8]) -> Good {
    Good {
        ends: Ends::Close,
        ..good(name, 200, body, bytes)
    }
}

/// One that ends HTTP on its connection.
const fn tunnel(name: &'static str, body: &'static [u8], bytes: &'static [u8]) -> Good {
    Good {
        ends: Ends::Http,
        ..asked(Asked::Upgrade, name, 101, body, bytes)
    }
}

pub(crate) static GOOD: &[Good] = &[
    good("plain", 200, b"hello", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
    good("reason-empty", 200, b"", b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n"),
    good("reason-absent", 200, b"", b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"),
    good("reason-spaces", 404, b"", b"HTTP/1.1 404  Not \t there \r\nContent-Length: 0\r\n\r\n"),
    good("reason-latin1", 200, b"", b"HTTP/1.1 200 D'accord, tr\xe8s bien\r\nContent-Length: 0\r\n\r\n"),
    good("reason-of-another", 500, b"", b"HTTP/1.1 500 200 OK HTTP/1.1\r\nContent-Length: 0\r\n\r\n"),
    good("status-unknown", 299, b"", b"HTTP/1.1 299 Hm\r\nContent-Length: 0\r\n\r\n"),
    good("status-599", 599, b"", b"HTTP/1.1 599 Hm\r\nContent-Length: 0\r\n\r\n"),
    good("status-205", 205, b"", b"HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n"),
    good("fields-odd-case", 200, b"hello", b"HTTP/1.1 200 OK\r\ncONTENT-lENGTH:5\r\n\r\nhello"),
    good("fields-blanks", 200, b"hello", b"HTTP/1.1 200 OK\r\nX:\r\nY: \t\r\nContent-Length: \t5 \t\r\n\r\nhello"),
    good("fields-repeated", 200, b"", b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\nContent-Length: 0\r\n\r\n"),
    good("name-all-tchar", 200, b"", b"HTTP/1.1 200 OK\r\n!#$%&'*+-.^_`|~0: b\r\nContent-Length: 0\r\n\r\n"),
    good("value-not-ascii", 200, b"", b"HTTP/1.1 200 OK\r\nX: caf\xe9 \xe2\x82\xac \x80\xff\r\nContent-Length: 0\r\n\r\n"),
    good("length-zeros", 200, b"hello", b"HTTP/1.1 200 OK\r\nContent-Length: 0000000000000000000005\r\n\r\nhello"),
    good("length-closes", 200, b"hello", b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello"),
    good("body-looks-like-response", 200, b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"),
    good("version-1.0-length", 200, b"hello", b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
    good("version-1.0-kept", 200, b"hello", b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello"),
    until_close("version-1.0-close", b"hello", b"HTTP/1.0 200 OK\r\n\r\nhello"),
    until_close("close", b"hello\r\n\0\nHTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\nhello\r\n\0\nHTTP/1.1 200 OK\r\n\r\n"),
    until_close("close-empty", b"", b"HTTP/1.1 200\r\nX: y\r\n\r\n"),
    good("chunks", 200, b"hello0123456789", b"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n5\r\nhello\r\nA\r\n0123456789\r\n0\r\n\r\n"),
    good("chunks-none", 200, b"", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    good("chunks-zeros", 200, b"hello", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0000000000000005\r\nhello\r\n00\r\n\r\n"),
    good("chunks-extensions", 200, b"hello", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5 ;a;b=c;d=\"e\\\"\x80;\"\r\nhello\r\n0;z\r\n\r\n"),
    good("chunks-of-crlf", 200, b"\r\n\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n\r\n\r\n\r\n0\r\n\r\n"),
    good("trailers", 200, b"hello", b"HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-Empty:\r\n\r\n"),
    good("204", 204, b"", b"HTTP/1.1 204 No Content\r\n\r\n"),
    good("204-length-zero", 204, b"", b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"),
    good("304-length", 304, b"", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n"),
    good("304-coding", 304, b"", b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n"),
    good("304-neither", 304, b"", b"HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n"),
    asked(Asked::Head, "head-length", 200, b"", b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"),
    asked(Asked::Head, "head-coding", 200, b"", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
    asked(Asked::Head, "head-neither", 200, b"", b"HTTP/1.1 200 OK\r\n\r\n"),
    asked(Asked::Head, "head-404", 404, b"", b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\n"),
    asked(Asked::Head, "head-interim", 200, b"", b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
    good("100", 200, b"hello", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
    good("100-length-zero", 200, b"", b"HTTP/1.1 100\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    good("100-1.0", 200, b"", b"HTTP/1.0 100 Continue\r\n\r\nHTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"),
    good("interims", 200, b"", b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 199 Hm\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    good("interims-most", 200, b"", &MOST_INTERIMS),
    tunnel("101", b"", b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"),
    tunnel("101-frames", b"\x81\x05hello\n\r\0HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x05hello\n\r\0HTTP/1.1 200 OK\r\n\r\n"),
    tunnel("101-behind-100", b"x", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: b\r\nContent-Length: 0\r\n\r\nx"),
    asked(Asked::Upgrade, "upgrade-refused", 426, b"hello", b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: b\r\nConnection: upgrade\r\nContent-Length: 5\r\n\r\nhello"),
    asked(Asked::Upgrade, "upgrade-ignored", 200, b"hello", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
];
