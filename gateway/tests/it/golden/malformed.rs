//! Requests that must not pass, each with the status of its answer. The connection closes behind every one of them.
//!
//! The unit tests of `http/guard` run this table through the guard, cut at every byte; the integration tests send it
//! to a listener and count the calls of the handler. The limits are the defaults of `limits.rs`.

/// A request, and how it is answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    /// Unique among all tables of this file.
    pub(crate) name: &'static str,
    /// What the client sends, all at once or cut anywhere.
    pub(crate) bytes: &'static [u8],
    /// The status of the last answer.
    pub(crate) status: u16,
}

const fn case(status: u16, name: &'static str, bytes: &'static [u8]) -> Case {
    Case { name, bytes, status }
}

pub(super) const fn bad(name: &'static str, bytes: &'static [u8]) -> Case {
    case(400, name, bytes)
}

/// `head`, then `fill` over and over, then `tail`: N bytes in all.
// A wrong index is an error of compilation: only statics call this.
#[allow(clippy::indexing_slicing)]
pub(super) const fn long<const N: usize>(head: &[u8], fill: &[u8], tail: &[u8]) -> [u8; N] {
    let mut bytes = [0; N];
    let mut at = 0;
    while at < N {
        bytes[at] = if at < head.len() {
            head[at]
        } else if at < N - tail.len() {
            fill[(at - head.len()) % fill.len()]
        } else {
            tail[at - (N - tail.len())]
        };
        at += 1;
    }
    bytes
}

const END: &[u8] = b" HTTP/1.1\r\nHost: a\r\n\r\n";
/// One byte more than a target may have.
static LONG_TARGET: [u8; 4 + 8193 + END.len()] = long(b"GET /", b"a", END);
static LONG_QUERY: [u8; 4 + 8193 + END.len()] = long(b"GET /?", b"a=b&", END);
static ENDLESS_TARGET: [u8; 9000] = long(b"GET /", b"a", b"");
/// One byte more than a head may have, and heads that never end.
static LONG_HEAD: [u8; 32 * 1024 + 1] = long(b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: ", b"a", b"\r\n\r\n");
static LONG_NAME: [u8; 33 * 1024] = long(b"GET / HTTP/1.1\r\nHost: a\r\nX-", b"a", b": b\r\n\r\n");
static ENDLESS_VALUE: [u8; 33 * 1024] = long(b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: ", b"a", b"");
static ENDLESS_METHOD: [u8; 33 * 1024] = long(b"GET", b"X", b"");
/// 101 fields with Host.
static MANY_FIELDS: [u8; 25 + 100 * 6 + 2] = long(b"GET / HTTP/1.1\r\nHost: a\r\n", b"x: y\r\n", b"\r\n");

/// Nothing of these may reach a handler.
pub(crate) static CASES: &[Case] = &[
    // Before the request line.
    bad("two-empty-lines", b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("bare-lf-before-method", b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("bare-cr-before-method", b"\rGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("space-before-method", b" GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("tab-before-method", b"\tGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("nul-before-method", b"\0GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("byte-order-mark", b"\xef\xbb\xbfGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("tls-hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    // The method.
    bad("method-separator", b"G(T / HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("method-colon", b"GET: / HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("method-quoted", b"\"GET\" / HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("method-not-ascii", b"G\xc3\x89T / HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("method-control", b"GE\x01T / HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("method-nul", b"GE\0T / HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("method-alone", b"GET\r\nHost: a\r\n\r\n"),
    bad("method-bare-lf", b"GET\n/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("method-tab-target", b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("preface-method", b"PRI * HTTP/1.1\r\nHost: a\r\n\r\n"),
    case(405, "connect", b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"),
    case(405, "connect-path", b"CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n"),
    // The request line's shape.
    bad("http-0.9", b"GET /\r\n\r\n"),
    bad("no-target", b"GET HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("two-spaces-before-target", b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("two-spaces-before-version", b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("space-behind-version", b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n"),
    bad("tab-behind-version", b"GET / HTTP/1.1\t\r\nHost: a\r\n\r\n"),
    bad("tab-before-version", b"GET /\tHTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("bare-lf-behind-version", b"GET / HTTP/1.1\nHost: a\r\n\r\n"),
    bad("bare-cr-behind-version", b"GET / HTTP/1.1\rHost: a\r\n\r\n"),
    bad("two-crs-behind-version", b"GET / HTTP/1.1\r\r\nHost: a\r\n\r\n"),
    // The target.
    bad("target-space", b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("target-tab", b"GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("target-nul", b"GET /a\0b HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("target-control", b"GET /a\x01b HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("target-delete", b"GET /a\x7fb HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("target-utf8", b"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("target-latin1", b"GET /\xe9 HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("target-bare-cr", b"GET /a\rb HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("target-bare-lf", b"GET /a\nb HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("target-fragment", b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("target-only-fragment", b"GET #b HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("query-fragment", b"GET /?a#b HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("target-less-than", b"GET /<a HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("target-backtick", b"GET /`a HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("query-quote", b"GET /?\"a\" HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("query-greater-than", b"GET /?a>b HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("query-nul", b"GET /?a\0 HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("target-relative", b"GET index.html HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("target-relative-h", b"GET hello HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("target-only-query", b"GET ?a=b HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("target-authority", b"GET example.com:80 HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("star-for-get", b"GET * HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("star-and-more", b"OPTIONS *a HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("star-query", b"OPTIONS *?a HTTP/1.1\r\nHost: a\r\n\r\n"),
    case(414, "target-long", &LONG_TARGET),
    case(414, "query-long", &LONG_QUERY),
    case(414, "target-endless", &ENDLESS_TARGET),
    // Absolute-form targets.
    bad("scheme-ftp", b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("scheme-httpx", b"GET httpx://a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("scheme-one-slash", b"GET http:/a HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("scheme-no-slash", b"GET http:a HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("authority-empty", b"GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("authority-absent", b"GET http:// HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("authority-only-port", b"GET http://:80/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("userinfo", b"GET http://u:p@a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("userinfo-empty", b"GET http://@a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("userinfo-disguise", b"GET http://a:80@b/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("authority-port-letters", b"GET http://a:b/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad(
        "authority-port-high",
        b"GET http://a:65536/ HTTP/1.1\r\nHost: a:65536\r\n\r\n",
    ),
    bad(
        "authority-bracket-open",
        b"GET http://[::1/ HTTP/1.1\r\nHost: [::1]\r\n\r\n",
    ),
    bad("authority-percent", b"GET http://%61/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("authority-backslash", b"GET http://a\\b/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("authority-other-host", b"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("authority-other-port", b"GET http://a:81/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad(
        "authority-other-scheme-port",
        b"GET https://a/ HTTP/1.1\r\nHost: a:80\r\n\r\n",
    ),
    bad("authority-without-host", b"GET http://a/ HTTP/1.1\r\n\r\n"),
    bad("authority-1.0-other-host", b"GET http://b/ HTTP/1.0\r\nHost: a\r\n\r\n"),
    // The version.
    bad("version-lower-case", b"GET / http/1.1\r\nHost: a\r\n\r\n"),
    bad("version-major-only", b"GET / HTTP/1\r\nHost: a\r\n\r\n"),
    bad("version-no-minor", b"GET / HTTP/1.\r\nHost: a\r\n\r\n"),
    bad("version-three-parts", b"GET / HTTP/1.1.1\r\nHost: a\r\n\r\n"),
    bad("version-two-digits", b"GET / HTTP/1.10\r\nHost: a\r\n\r\n"),
    bad("version-leading-zero", b"GET / HTTP/01.1\r\nHost: a\r\n\r\n"),
    bad("version-comma", b"GET / HTTP/1,1\r\nHost: a\r\n\r\n"),
    bad("version-no-dot", b"GET / HTTP/11\r\nHost: a\r\n\r\n"),
    bad("version-space", b"GET / HTTP /1.1\r\nHost: a\r\n\r\n"),
    bad("version-letter", b"GET / HTTP/1.x\r\nHost: a\r\n\r\n"),
    bad("version-suffix", b"GET / HTTP/1.1x\r\nHost: a\r\n\r\n"),
    bad("version-nul", b"GET / HTTP/1.1\0\r\nHost: a\r\n\r\n"),
    bad("version-other-name", b"GET / HTPP/1.1\r\nHost: a\r\n\r\n"),
    bad("version-other-protocol", b"GET / RTSP/1.0\r\nHost: a\r\n\r\n"),
    case(505, "version-2.0", b"GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
    case(505, "version-3.0", b"GET / HTTP/3.0\r\nHost: a\r\n\r\n"),
    case(505, "version-0.9", b"GET / HTTP/0.9\r\nHost: a\r\n\r\n"),
    case(505, "version-1.2", b"GET / HTTP/1.2\r\nHost: a\r\n\r\n"),
    // Field lines.
    bad("bare-lf-behind-field", b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n"),
    bad("bare-lf-ends-head", b"GET / HTTP/1.1\r\nHost: a\r\n\n"),
    bad("bare-lf-everywhere", b"GET / HTTP/1.1\nHost: a\n\n"),
    bad("bare-cr-ends-head", b"GET / HTTP/1.1\r\nHost: a\r\n\rX"),
    bad("bare-cr-in-value", b"GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n"),
    bad("two-crs-behind-field", b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n"),
    bad(
        "bare-cr-smuggles-field",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a\rContent-Length: 5\r\n\r\n",
    ),
    bad("bare-lf-in-name", b"GET / HTTP/1.1\r\nHost: a\r\nX\nY: b\r\n\r\n"),
    bad("fold-space", b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n"),
    bad("fold-tab", b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n\tb\r\n\r\n"),
    bad("fold-before-first-field", b"GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
    bad("fold-blank-line", b"GET / HTTP/1.1\r\nHost: a\r\n \r\n\r\n"),
    bad("space-before-colon", b"GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n"),
    bad("tab-before-colon", b"GET / HTTP/1.1\r\nHost: a\r\nX\t: b\r\n\r\n"),
    bad("space-before-colon-host", b"GET / HTTP/1.1\r\nHost : a\r\n\r\n"),
    bad(
        "space-before-colon-length",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\nhello",
    ),
    bad(
        "space-before-colon-coding",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    ),
    bad("name-empty", b"GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n"),
    bad("no-colon", b"GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n"),
    bad("no-colon-first", b"GET / HTTP/1.1\r\nX\r\nHost: a\r\n\r\n"),
    bad("name-space", b"GET / HTTP/1.1\r\nHost: a\r\nX Y: b\r\n\r\n"),
    bad("name-paren", b"GET / HTTP/1.1\r\nHost: a\r\nX(Y): b\r\n\r\n"),
    bad("name-slash", b"GET / HTTP/1.1\r\nHost: a\r\nX/Y: b\r\n\r\n"),
    bad("name-quoted", b"GET / HTTP/1.1\r\nHost: a\r\n\"X\": b\r\n\r\n"),
    bad("name-at", b"GET / HTTP/1.1\r\nHost: a\r\nX@Y: b\r\n\r\n"),
    bad("name-brace", b"GET / HTTP/1.1\r\nHost: a\r\n{X}: b\r\n\r\n"),
    bad("name-utf8", b"GET / HTTP/1.1\r\nHost: a\r\nX\xc3\xa9: b\r\n\r\n"),
    bad("name-control", b"GET / HTTP/1.1\r\nHost: a\r\nX\x01: b\r\n\r\n"),
    bad(
        "name-control-length",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length\x0b: 5\r\n\r\nhello",
    ),
    bad("name-nul", b"GET / HTTP/1.1\r\nHost: a\r\nX\0: b\r\n\r\n"),
    bad("name-delete", b"GET / HTTP/1.1\r\nHost: a\r\nX\x7f: b\r\n\r\n"),
    bad("value-nul", b"GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n"),
    bad("value-control", b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x01b\r\n\r\n"),
    bad("value-vertical-tab", b"GET / HTTP/1.1\r\nHost: a\r\nX: \x0bb\r\n\r\n"),
    bad("value-form-feed", b"GET / HTTP/1.1\r\nHost: a\r\nX: b\x0c\r\n\r\n"),
    bad("value-escape", b"GET / HTTP/1.1\r\nHost: a\r\nX: \x1b[31m\r\n\r\n"),
    bad("value-delete", b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x7f\r\n\r\n"),
    case(431, "head-long", &LONG_HEAD),
    case(431, "name-long", &LONG_NAME),
    case(431, "value-endless", &ENDLESS_VALUE),
    case(431, "method-endless", &ENDLESS_METHOD),
    case(431, "fields-many", &MANY_FIELDS),
    // Host.
    bad("host-missing", b"GET / HTTP/1.1\r\n\r\n"),
    bad(
        "host-missing-others",
        b"GET / HTTP/1.1\r\nHosts: a\r\nX-Host: a\r\n\r\n",
    ),
    bad("host-empty", b"GET / HTTP/1.1\r\nHost:\r\n\r\n"),
    bad("host-blank", b"GET / HTTP/1.1\r\nHost: \t \r\n\r\n"),
    bad("host-repeated", b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
    bad(
        "host-repeated-other",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nhOST: b\r\n\r\n",
    ),
    bad("host-list", b"GET / HTTP/1.1\r\nHost: a,b\r\n\r\n"),
    bad("host-two-words", b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
    bad("host-tab", b"GET / HTTP/1.1\r\nHost: a\tb\r\n\r\n"),
    bad("host-uri", b"GET / HTTP/1.1\r\nHost: http://a\r\n\r\n"),
    bad("host-path", b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    bad("host-query", b"GET / HTTP/1.1\r\nHost: a?b\r\n\r\n"),
    bad("host-fragment", b"GET / HTTP/1.1\r\nHost: a#b\r\n\r\n"),
    bad("host-userinfo", b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"),
    bad("host-percent", b"GET / HTTP/1.1\r\nHost: %61\r\n\r\n"),
    bad("host-utf8", b"GET / HTTP/1.1\r\nHost: \xc3\xa9\r\n\r\n"),
    bad("host-backslash", b"GET / HTTP/1.1\r\nHost: a\\b\r\n\r\n"),
    bad("host-quoted", b"GET / HTTP/1.1\r\nHost: \"a\"\r\n\r\n"),
    bad("host-only-port", b"GET / HTTP/1.1\r\nHost: :80\r\n\r\n"),
    bad("host-port-letters", b"GET / HTTP/1.1\r\nHost: a:http\r\n\r\n"),
    bad("host-port-high", b"GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n"),
    bad("host-port-long", b"GET / HTTP/1.1\r\nHost: a:4294967376\r\n\r\n"),
    bad("host-port-sign", b"GET / HTTP/1.1\r\nHost: a:+80\r\n\r\n"),
    bad("host-two-ports", b"GET / HTTP/1.1\r\nHost: a:80:80\r\n\r\n"),
    bad("host-label-empty", b"GET / HTTP/1.1\r\nHost: a..b\r\n\r\n"),
    bad("host-label-first-empty", b"GET / HTTP/1.1\r\nHost: .a\r\n\r\n"),
    bad("host-v6-bare", b"GET / HTTP/1.1\r\nHost: ::1\r\n\r\n"),
    bad("host-v6-open", b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"),
    bad("host-v6-empty", b"GET / HTTP/1.1\r\nHost: []\r\n\r\n"),
    bad("host-v6-letters", b"GET / HTTP/1.1\r\nHost: [::g]\r\n\r\n"),
    bad("host-v6-suffix", b"GET / HTTP/1.1\r\nHost: [::1]a\r\n\r\n"),
    bad("host-v6-zone", b"GET / HTTP/1.1\r\nHost: [fe80::1%25eth0]\r\n\r\n"),
    bad("host-v6-long", b"GET / HTTP/1.1\r\nHost: [1:2:3:4:5:6:7:8:9]\r\n\r\n"),
    bad("host-v4-in-brackets", b"GET / HTTP/1.1\r\nHost: [127.0.0.1]\r\n\r\n"),
    bad("host-ip-future", b"GET / HTTP/1.1\r\nHost: [v1.a]\r\n\r\n"),
    bad("host-1.0-empty", b"GET / HTTP/1.0\r\nHost:\r\n\r\n"),
    bad("host-1.0-repeated", b"GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"),
    // Content-Length.
    bad(
        "length-repeated",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    ),
    bad(
        "length-differs",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    ),
    bad(
        "length-zero-differs",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\ncontent-length: 5\r\n\r\nhello",
    ),
    bad(
        "length-list",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nhello",
    ),
    bad(
        "length-list-open",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5,\r\n\r\nhello",
    ),
    bad("length-empty", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n"),
    bad(
        "length-plus",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello",
    ),
    bad(
        "length-minus",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    ),
    bad(
        "length-minus-zero",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -0\r\n\r\n",
    ),
    bad(
        "length-hexadecimal",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\nhello",
    ),
    bad(
        "length-letters",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: five\r\n\r\nhello",
    ),
    bad(
        "length-two-numbers",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5 5\r\n\r\nhello",
    ),
    bad(
        "length-fraction",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5.0\r\n\r\nhello",
    ),
    bad(
        "length-exponent",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5e0\r\n\r\nhello",
    ),
    bad(
        "length-quoted",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \"5\"\r\n\r\nhello",
    ),
    bad(
        "length-underscore",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1_0\r\n\r\nhellohello",
    ),
    bad(
        "length-other-digits",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \xd9\xa5\r\n\r\nhello",
    ),
    bad(
        "length-2-to-64",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\n",
    ),
    bad(
        "length-2-to-64-less-1",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551615\r\n\r\n",
    ),
    bad(
        "length-wraps",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 184467440737095516165\r\n\r\nhello",
    ),
    bad("length-get", b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n"),
    // Transfer-Encoding.
    bad(
        "length-then-coding",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    bad(
        "coding-then-length",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    ),
    bad(
        "length-0-and-coding",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    bad(
        "coding-gzip",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
    ),
    bad(
        "coding-gzip-chunked",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    ),
    bad(
        "coding-chunked-gzip",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    ),
    bad(
        "coding-chunked-twice",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    ),
    bad(
        "coding-chunked-identity",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    ),
    bad(
        "coding-identity",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n",
    ),
    bad(
        "coding-empty",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n",
    ),
    bad(
        "coding-repeated",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    bad(
        "coding-repeated-other",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
    ),
    bad(
        "coding-prefix",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    ),
    bad(
        "coding-parameter",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n",
    ),
    bad(
        "coding-list-open",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked,\r\n\r\n0\r\n\r\n",
    ),
    bad(
        "coding-list-empty-first",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: , chunked\r\n\r\n0\r\n\r\n",
    ),
    bad(
        "coding-quoted",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
    ),
    bad(
        "coding-vertical-tab",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    ),
    bad(
        "coding-1.0",
        b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    bad(
        "coding-get",
        b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x\r\n\r\n",
    ),
];

/// The first request of each is good and is answered as usual; the second must not reach a handler.
pub(crate) static PIPELINED: &[Case] = &[
    bad("second-without-host", b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /second HTTP/1.1\r\n\r\n"),
    bad("second-after-three-crlf", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n\r\n\r\nGET /second HTTP/1.1\r\nHost: a\r\n\r\n"),
    bad("body-of-get-unannounced", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n{\"a\": 1}"),
    bad("body-longer-than-length", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nhello world\r\n\r\n"),
    bad("second-with-length-and-coding", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloPOST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    bad("behind-chunked-body", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX\r\n\r\n"),
    case(505, "second-2.0", b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/2.0\r\nHost: a\r\n\r\n"),
    case(405, "second-connect", b"GET / HTTP/1.1\r\nHost: a\r\n\r\nCONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n"),
];
