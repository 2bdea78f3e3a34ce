//! Requests that look odd and are valid: none of them may be refused for its form.

/// One or more complete requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unusual {
    pub(crate) name: &'static str,
    /// What the client sends, all at once or cut anywhere.
    pub(crate) bytes: &'static [u8],
    /// How many requests that is.
    pub(crate) requests: u64,
}

const fn one(name: &'static str, bytes: &'static [u8]) -> Unusual {
    Unusual {
        name,
        bytes,
        requests: 1,
    }
}

const fn many(requests: u64, name: &'static str, bytes: &'static [u8]) -> Unusual {
    Unusual { name, bytes, requests }
}

pub(crate) static CASES: &[Unusual] = &[
    one("plain", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    one("empty-line-before", b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    one("version-1.0-without-host", b"GET / HTTP/1.0\r\n\r\n"),
    one("version-1.0-with-host", b"GET / HTTP/1.0\r\nHost: a\r\n\r\n"),
    one("version-1.0-with-body", b"POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello"),
    one("method-unknown", b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n"),
    one("method-lower-case", b"get / HTTP/1.1\r\nHost: a\r\n\r\n"),
    one("method-all-tchar", b"!#$%&'*+-.^_`|~09 / HTTP/1.1\r\nHost: a\r\n\r\n"),
    one("options-star", b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"),
    one("options-absolute-no-path", b"OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n"),
    one("absolute", b"GET http://a/b HTTP/1.1\r\nHost: a\r\n\r\n"),
    one("absolute-upper-case", b"GET HTTP://EXAMPLE.com/b HTTP/1.1\r\nHost: example.COM\r\n\r\n"),
    one("absolute-implied-port", b"GET http://a:80/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    one("absolute-https", b"GET https://a/ HTTP/1.1\r\nHost: a:443\r\n\r\n"),
    one("absolute-query-no-path", b"GET http://a?b HTTP/1.1\r\nHost: a\r\n\r\n"),
    one("absolute-v6", b"GET http://[::1]:8080/ HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n"),
    one("absolute-1.0-without-host", b"GET http://a/ HTTP/1.0\r\n\r\n"),
    one("target-two-slashes", b"GET //a//b HTTP/1.1\r\nHost: a\r\n\r\n"),
    one("target-dots", b"GET /a/./b/../c HTTP/1.1\r\nHost: a\r\n\r\n"),
    one("target-sub-delims", b"GET /a;b=c,d:e@f!$&'()*+~ HTTP/1.1\r\nHost: a\r\n\r\n"),
    one("target-browser-raw", b"GET /a|b[c]^d{e}\"f\" HTTP/1.1\r\nHost: a\r\n\r\n"),
    one("target-percent", b"GET /%C3%A9%20x HTTP/1.1\r\nHost: a\r\n\r\n"),
    one("query-question-marks", b"GET /?a?b=/?:@ HTTP/1.1\r\nHost: a\r\n\r\n"),
    one("query-empty", b"GET /? HTTP/1.1\r\nHost: a\r\n\r\n"),
    one("query-uri", b"GET /?u=http://u:p@b/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    one("host-port", b"GET / HTTP/1.1\r\nHost: a:65535\r\n\r\n"),
    one("host-port-empty", b"GET / HTTP/1.1\r\nHost: a:\r\n\r\n"),
    one("host-v4", b"GET / HTTP/1.1\r\nHost: 127.0.0.1:80\r\n\r\n"),
    one("host-v6", b"GET / HTTP/1.1\r\nHost: [2001:db8::ff00:42:8329]\r\n\r\n"),
    one("host-v6-full", b"GET / HTTP/1.1\r\nHost: [1:2:3:4:5:6:7:8]:80\r\n\r\n"),
    one("host-v6-mapped", b"GET / HTTP/1.1\r\nHost: [::ffff:192.0.2.1]:80\r\n\r\n"),
    one("host-root-dot", b"GET / HTTP/1.1\r\nHost: a.example.\r\n\r\n"),
    one("host-underscore", b"GET / HTTP/1.1\r\nHost: my_service-1:80\r\n\r\n"),
    one("host-spaces-around", b"GET / HTTP/1.1\r\nHost: \t a \t\r\n\r\n"),
    one("host-last-odd-case", b"GET / HTTP/1.1\r\nX: y\r\nhOsT:a\r\n\r\n"),
    one("no-space-behind-colon", b"GET / HTTP/1.1\r\nHost:a\r\nX:y\r\n\r\n"),
    one("value-empty", b"GET / HTTP/1.1\r\nHost: a\r\nX:\r\nY: \t\r\n\r\n"),
    one("value-latin1", b"GET / HTTP/1.1\r\nHost: a\r\nX: caf\xe9 \x80\xff\r\n\r\n"),
    one("value-utf8", b"GET / HTTP/1.1\r\nHost: a\r\nX: \xe2\x82\xac\r\n\r\n"),
    one("value-tabs-inside", b"GET / HTTP/1.1\r\nHost: a\r\nX: a\tb \t c\r\n\r\n"),
    one("value-colons", b"GET / HTTP/1.1\r\nHost: a\r\nX: :a:b: c\r\n\r\n"),
    one("name-all-tchar", b"GET / HTTP/1.1\r\nHost: a\r\n!#$%&'*+-.^_`|~0: b\r\n\r\n"),
    one("name-repeated", b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\nx: b\r\nCookie: a=b\r\nCookie: c=d\r\n\r\n"),
    one("length-zero", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"),
    one("length-leading-zeros", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0000000000000000000005\r\n\r\nhello"),
    one("get-with-body", b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"),
    one("body-looks-like-request", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18\r\n\r\nGET / HTTP/1.1\r\n\r\n"),
    one("body-of-bare-lf", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n\n\r\0\n"),
    one("expect", b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello"),
    one("upgrade-not-taken", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n"),
    one("coding-upper-case", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n"),
    one("coding-spaces-around", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \t chunked \t\r\n\r\n0\r\n\r\n"),
    one("te-trailers", b"GET / HTTP/1.1\r\nHost: a\r\nTE: trailers, gzip;q=0.5\r\nConnection: TE\r\n\r\n"),
    one("chunks", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA\r\n0123456789\r\n0\r\n\r\n"),
    one("chunk-size-zeros", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0000000000000005\r\nhello\r\n00\r\n\r\n"),
    one("chunk-data-of-crlf", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n\r\n\r\n\r\n0\r\n\r\n"),
    one("chunk-extensions", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a;b=c;d=\"e\\\"\x80;\"\r\nhello\r\n0;z\r\n\r\n"),
    one("chunk-extension-spaces", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5 ; a = b ;\tc\r\nhello\r\n0\r\n\r\n"),
    one("trailers", b"POST / HTTP/1.1\r\nHost: a\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-Empty:\r\n\r\n"),
    many(3, "pipelined-behind-upgrades", b"GET /1 HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: b\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: b\r\n\r\nGET /3 HTTP/1.1\r\nHost: a\r\n\r\n"),
    many(2, "pipelined", b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n"),
    many(2, "pipelined-empty-line-between", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    many(3, "pipelined-bodies", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\nPOST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nxyGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
];
