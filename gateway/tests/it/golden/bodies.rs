//! Chunked bodies that must not pass, in the manner of `malformed.rs`.

use super::malformed::{Case, bad, long};

const CHUNKED: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

/// A chunked request whose body is `body`, N bytes in all.
const fn chunked<const N: usize>(body: &[u8]) -> [u8; N] {
    long(CHUNKED, b"", body)
}

macro_rules! body {
    ($name:literal, $body:literal) => {{
        static BYTES: [u8; CHUNKED.len() + $body.len()] = chunked($body);
        bad($name, &BYTES)
    }};
}

static LONG_EXTENSION: [u8; CHUNKED.len() + 257 + 7] = long(
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a=",
    b"b",
    b"\r\nhello\r\n",
);
static MANY_EXTENSIONS: [u8; CHUNKED.len() + 300 * 40] =
    long(CHUNKED, b"1;name=0123456789012345678901234567\r\nx\r\n", b"");
static LONG_TRAILERS: [u8; CHUNKED.len() + 3 + 8193] = long(
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Long: ",
    b"a",
    b"\r\n\r\n",
);
static MANY_TRAILERS: [u8; CHUNKED.len() + 3 + 101 * 6 + 2] = long(
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
    b"x: y\r\n",
    b"\r\n",
);

/// The head of each is good, so its handler may be called before the fault comes; its body never completes.
pub(crate) static CASES: &[Case] = &[
    body!("chunk-size-empty", b"\r\nhello\r\n0\r\n\r\n"),
    body!("chunk-size-letters", b"xyz\r\nhello\r\n0\r\n\r\n"),
    body!("chunk-size-prefix", b"0x5\r\nhello\r\n0\r\n\r\n"),
    body!("chunk-size-plus", b"+5\r\nhello\r\n0\r\n\r\n"),
    body!("chunk-size-minus", b"-5\r\nhello\r\n0\r\n\r\n"),
    body!("chunk-size-underscore", b"1_0\r\nhellohello\r\n0\r\n\r\n"),
    body!("chunk-size-space-before", b" 5\r\nhello\r\n0\r\n\r\n"),
    body!("chunk-size-space-behind", b"5 \r\nhello\r\n0\r\n\r\n"),
    body!("chunk-size-comma", b"5,5\r\nhello\r\n0\r\n\r\n"),
    body!("chunk-size-17-digits", b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
    body!("chunk-size-17-zeros", b"00000000000000005\r\nhello\r\n0\r\n\r\n"),
    body!("chunk-size-nul", b"5\0\r\nhello\r\n0\r\n\r\n"),
    body!("chunk-size-bare-lf", b"5\nhello\r\n0\r\n\r\n"),
    body!("chunk-size-bare-cr", b"5\rhello\r\n0\r\n\r\n"),
    body!("chunk-size-two-crs", b"5\r\r\nhello\r\n0\r\n\r\n"),
    body!("chunk-size-empty-line-before", b"\r\n5\r\nhello\r\n0\r\n\r\n"),
    body!("chunk-extension-empty", b"5;\r\nhello\r\n0\r\n\r\n"),
    body!("chunk-extension-no-name", b"5;=a\r\nhello\r\n0\r\n\r\n"),
    body!("chunk-extension-no-value", b"5;a=\r\nhello\r\n0\r\n\r\n"),
    body!("chunk-extension-bare-lf", b"5;a\nb\r\nhello\r\n0\r\n\r\n"),
    body!("chunk-extension-bare-cr", b"5;a\rb\r\nhello\r\n0\r\n\r\n"),
    body!("chunk-extension-quote-open", b"5;a=\"b\r\nhello\r\n0\r\n\r\n"),
    body!("chunk-extension-quote-lf", b"5;a=\"\n\"\r\nhello\r\n0\r\n\r\n"),
    body!("chunk-extension-behind-quote", b"5;a=\"b\"c\r\nhello\r\n0\r\n\r\n"),
    body!("chunk-extension-control", b"5;a=\x01\r\nhello\r\n0\r\n\r\n"),
    body!("chunk-extension-two-words", b"5;a b\r\nhello\r\n0\r\n\r\n"),
    bad("chunk-extension-long", &LONG_EXTENSION),
    bad("chunk-extensions-many", &MANY_EXTENSIONS),
    body!("chunk-longer-than-size", b"4\r\nhello\r\n0\r\n\r\n"),
    body!("chunk-end-bare-lf", b"5\r\nhello\n0\r\n\r\n"),
    body!("chunk-end-bare-cr", b"5\r\nhello\r0\r\n\r\n"),
    body!("chunk-end-absent", b"5\r\nhello0\r\n\r\n"),
    body!("last-chunk-bare-lf", b"0\n\r\n"),
    body!("last-chunk-then-bare-lf", b"0\r\n\n"),
    body!("trailer-length", b"0\r\nContent-Length: 5\r\n\r\n"),
    body!("trailer-coding", b"0\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n"),
    body!("trailer-host", b"0\r\nhost: b\r\n\r\n"),
    body!("trailer-trailer", b"0\r\nTrailer: x\r\n\r\n"),
    body!("trailer-authorization", b"0\r\nAuthorization: Basic eDp5\r\n\r\n"),
    body!("trailer-space-before-colon", b"0\r\nX : y\r\n\r\n"),
    body!("trailer-no-colon", b"0\r\nX\r\n\r\n"),
    body!("trailer-request", b"0\r\nGET / HTTP/1.1\r\n\r\n"),
    body!("trailer-fold", b"0\r\nX: y\r\n z\r\n\r\n"),
    body!("trailer-bare-lf", b"0\r\nX: y\n\r\n"),
    body!("trailer-bare-cr", b"0\r\nX: y\rz\r\n\r\n"),
    body!("trailer-nul", b"0\r\nX: \0\r\n\r\n"),
    bad("trailers-long", &LONG_TRAILERS),
    bad("trailers-many", &MANY_TRAILERS),
];
