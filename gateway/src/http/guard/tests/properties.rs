//! Properties over generated streams: any bytes, good requests, and good requests with something broken in them.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::super::class;
use super::golden::malformed_cases;
use super::oracle::{self, Outcome, outcome, whole};
use super::{HeadLimits, Verdict, Where, unusual};

/// Asserts that no cut changes the outcome, and that other parsers agree about what passed.
fn judged_alike(bytes: &[u8], cuts: &[Index]) -> Outcome {
    let expected = whole(bytes);
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    ends.sort_unstable();
    let limits = HeadLimits::default();
    assert_eq!(outcome(limits, bytes, ends), expected);
    assert_eq!(outcome(limits, bytes, 0..bytes.len()), expected);
    let passed = &bytes[..expected.passed];
    oracle::agrees_with_httparse(passed, expected.heads);
    oracle::agrees_with_hyper(passed, expected.heads);
    expected
}

fn token() -> impl Strategy<Value = String> {
    "[!#$%&'*+.^_`|~0-9A-Za-z-]{1,12}"
}

fn method() -> impl Strategy<Value = String> {
    let known = select(vec![
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY", "TRACE",
    ]);
    prop_oneof![
        known.prop_map(str::to_owned),
        token().prop_filter("refused on purpose", |method| method != "CONNECT" && method != "PRI"),
    ]
}

fn host() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        "[a-zA-Z0-9_~-]{1,10}(\\.[a-zA-Z0-9-]{1,8}){0,3}\\.?",
        any::<std::net::Ipv4Addr>().prop_map(|address| address.to_string()),
        any::<std::net::Ipv6Addr>().prop_map(|address| format!("[{address}]")),
    ];
    (name, prop::option::of(any::<u16>())).prop_map(|(name, port)| match port {
        Some(port) => format!("{name}:{port}"),
        None => name,
    })
}

/// A target and the Host that goes with it.
fn target() -> impl Strategy<Value = (String, String)> {
    let path = "(/[!$-;=@-_a-~]{0,12}){1,4}".prop_map(|path| path.replace(['\x7f', '?'], "x"));
    let query = "(\\?[!$-;=?-~]{0,20})?";
    (any::<bool>(), host(), path, query).prop_map(|(is_absolute, host, path, query)| {
        let scheme = if is_absolute {
            format!("http://{host}")
        } else {
            String::new()
        };
        (format!("{scheme}{path}{query}"), host)
    })
}

/// A field that neither frames nor routes nor closes.
pub(super) fn field() -> impl Strategy<Value = Vec<u8>> {
    let value = vec(
        prop_oneof![8 => 0x20_u8..0x7f, 1 => Just(b'\t'), 1 => 0x80_u8..=0xff],
        0..40,
    );
    (token(), "[ \t]{0,2}", value).prop_filter_map("frames the message", |(name, blank, value)| {
        let special = ["host", "content-length", "transfer-encoding", "connection"];
        let is_special = special.iter().any(|special| name.eq_ignore_ascii_case(special));
        (!is_special).then(|| [name.as_bytes(), b":", blank.as_bytes(), &value, b"\r\n"].concat())
    })
}

fn extension() -> impl Strategy<Value = String> {
    let value = prop_oneof![token(), "\"([ !#-\\[\\]-~]|\\\\[ -~]){0,8}\""];
    prop_oneof![
        4 => Just(String::new()),
        1 => ("[ \t]{0,2}", token(), prop::option::of(value)).prop_map(|(blank, name, value)| match value {
            Some(value) => format!("{blank};{blank}{name}{blank}={blank}{value}"),
            None => format!("{blank};{blank}{name}"),
        }),
    ]
}

/// A framing field, and the body as it goes over the wire.
pub(super) fn body() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let data = || vec(any::<u8>(), 1..40);
    let chunk = (data(), extension(), 0..3_usize).prop_map(|(data, extension, zeros)| {
        let size = format!("{}{:x}{extension}\r\n", "0".repeat(zeros), data.len());
        [size.as_bytes(), &data, b"\r\n"].concat()
    });
    let trailer = "[xX]-[a-z]{1,8}: ?[ -~]{0,10}\r\n";
    prop_oneof![
        2 => Just((Vec::new(), Vec::new())),
        1 => data().prop_map(|data| (format!("Content-Length: {}\r\n", data.len()).into_bytes(), data)),
        1 => (vec(chunk, 0..4), extension(), vec(trailer, 0..3)).prop_map(|(chunks, extension, trailers)| {
            let end = format!("0{extension}\r\n{}\r\n", trailers.concat());
            (b"transfer-Encoding: Chunked\r\n".to_vec(), [chunks.concat(), end.into_bytes()].concat())
        }),
    ]
}

fn request() -> impl Strategy<Value = Vec<u8>> {
    let head = (method(), target(), vec(field(), 0..6), any::<Index>());
    (any::<bool>(), head, body()).prop_map(|(empty_line, (method, (target, host), mut fields, place), body)| {
        fields.insert(place.index(fields.len() + 1), format!("Host: {host}\r\n").into_bytes());
        let (framing, body) = body;
        fields.insert(place.index(fields.len() + 1), framing);
        let before = if empty_line { "\r\n" } else { "" };
        let line = format!("{before}{method} {target} HTTP/1.1\r\n");
        [line.as_bytes(), &fields.concat(), b"\r\n", &body].concat()
    })
}

/// What an attacker breaks a message with.
pub(super) const SPLINTERS: &[&[u8]] = &[
    b"\r",
    b"\n",
    b"\r\n",
    b"\0",
    b" ",
    b"\t",
    b":",
    b"#",
    b"?",
    b"0",
    b"\x0b",
    b"\x7f",
    b"\xff",
    b";",
    b"\"",
    b"/",
    b"@",
    b"HTTP/1.1",
    b"chunked",
    b"Content-Length: 3\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Host: b\r\n",
    b"\r\nContent-Length: 0",
    b"0\r\n\r\n",
    b"GET / HTTP/1.1\r\n",
    b"Connection: close\r\n",
    b"Connection: upgrade\r\nUpgrade: b\r\n",
    b"HTTP/1.0",
    b"%00",
];

/// Messages with a few edits.
pub(super) fn edited(base: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let edit = (any::<Index>(), 0..3_usize, prop::option::of(select(SPLINTERS)));
    (base, vec(edit, 1..4)).prop_map(|(mut bytes, edits)| {
        for (place, removed, added) in edits {
            let start = place.index(bytes.len() + 1);
            let end = (start + removed).min(bytes.len());
            bytes.splice(start..end, added.unwrap_or_default().iter().copied());
        }
        bytes
    })
}

fn broken() -> impl Strategy<Value = Vec<u8>> {
    let golden = malformed_cases()
        .map(|case| case.bytes)
        .filter(|bytes| bytes.len() < 2000);
    let tables: Vec<_> = golden.chain(unusual::CASES.iter().map(|case| case.bytes)).collect();
    let base = prop_oneof![request(), select(tables).prop_map(<[u8]>::to_vec)];
    edited(base)
}

fn near_the_ends_of_values() -> impl Strategy<Value = u8> {
    prop_oneof![any::<u8>(), 0x1e_u8..0x22, 0x7d_u8..0x82]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_judged_alike(bytes in vec(any::<u8>(), 0..400), cuts in vec(any::<Index>(), 0..8)) {
        judged_alike(&bytes, &cuts);
    }

    #[test]
    fn good_requests_pass(requests in vec(request(), 1..4), cuts in vec(any::<Index>(), 0..8)) {
        let heads = requests.len() as u64;
        let bytes = requests.concat();
        let expected =
            Outcome { passed: bytes.len(), verdict: Verdict::Ok, heads, state: Where::BetweenRequests };
        prop_assert_eq!(judged_alike(&bytes, &cuts), expected);
    }

    #[test]
    fn broken_requests_are_judged_alike(bytes in broken(), cuts in vec(any::<Index>(), 0..8)) {
        judged_alike(&bytes, &cuts);
    }

    #[test]
    fn a_run_of_values_ends_where_it_should(bytes in vec(near_the_ends_of_values(), 0..40)) {
        let naive = bytes.iter().position(|&byte| (byte < 0x20 && byte != b'\t') || byte == 0x7f);
        prop_assert_eq!(class::value_run(&bytes), naive.unwrap_or(bytes.len()));
    }
}
