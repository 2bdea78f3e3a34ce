use super::*;
use http::HeaderValue;

type Fields<'a> = &'a [(&'a str, &'a str)];

fn map(fields: Fields<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    headers
}

/// The names left, in order, and what was said.
fn left(fields: Fields<'_>) -> (Vec<String>, Said) {
    let mut headers = map(fields);
    let said = strip(&mut headers, |_| false);
    let mut names: Vec<String> = headers.keys().map(ToString::to_string).collect();
    names.sort();
    (names, said)
}

#[test]
fn fields_of_one_connection_go_and_all_others_stay() {
    let (names, said) = left(&[
        ("Connection", "keep-alive"),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Connection", "keep-alive"),
        ("TE", "gzip"),
        ("Transfer-Encoding", "chunked"),
        ("Upgrade", "h2c"),
        ("HTTP2-Settings", "AAMAAABk"),
        ("Trailer", "x-sum"),
        ("Content-Length", "3"),
        ("X-Kept", "1"),
    ]);
    assert_eq!(names, ["content-length", "trailer", "x-kept"]);
    assert_eq!(said, Said::default());
    let fields = [("accept", "*/*"), ("x-a", "1"), ("x-a", "2")];
    let mut headers = map(&fields);
    strip(&mut headers, |_| false);
    assert_eq!(headers, map(&fields));
}

#[test]
fn what_connection_names_goes_in_any_case_and_from_any_line() {
    let (names, _) = left(&[
        ("connection", "X-One , keep-alive,x-TWO"),
        ("Connection", ",, x-three"),
        ("CONNECTION", "not a name, x-absent, \"x-quoted\""),
        ("x-one", "1"),
        ("x-one", "2"),
        ("X-Two", "1"),
        ("x-three", "1"),
        ("x-quoted", "1"),
        ("x-four", "1"),
    ]);
    assert_eq!(names, ["x-four", "x-quoted"]);
}

/// Known as hop-by-hop header abuse: a client names what a proxy before or behind relies on.
#[test]
fn connection_cannot_take_out_what_is_for_everybody() {
    let everybodys = [
        "host",
        "content-length",
        "content-type",
        "content-encoding",
        "authorization",
        "cookie",
        "set-cookie",
        "expect",
        "origin",
        "cache-control",
        "via",
        "cdn-loop",
        "forwarded",
        "traceparent",
        "tracestate",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-forwarded-client-cert",
        "x-real-ip",
    ];
    for name in everybodys {
        for connection in [format!("close, {name}"), name.to_uppercase()] {
            let (names, _) = left(&[("connection", &connection), (name, "1"), ("z-a", "1")]);
            assert_eq!(names, [name, "z-a"], "Connection: {connection}");
        }
    }
}

#[test]
fn so_many_options_are_obeyed_and_no_more() {
    let count = limits::CONNECTION_OPTIONS_COUNT;
    let names: Vec<String> = (0..count + 2).map(|n| format!("x-{n}")).collect();
    let options = format!("keep-alive, {}, close", names.join(","));
    let mut fields = vec![("connection", options.as_str())];
    fields.extend(names.iter().map(|name| (name.as_str(), "1")));
    let (left, said) = left(&fields);
    assert_eq!(left, [format!("x-{count}"), format!("x-{}", count + 1)]);
    assert!(said.closes, "`close` counts wherever it stands");
}

#[test]
fn what_was_said_is_told() {
    let cases: [(Fields<'_>, bool, bool); 10] = [
        (&[], false, false),
        (&[("connection", "Close")], true, false),
        (&[("connection", "keep-alive, close")], true, false),
        (&[("connection", "keep-alive"), ("connection", "close")], true, false),
        (&[("connection", "closed")], false, false),
        (&[("te", "trailers")], false, true),
        (&[("te", "gzip;q=0.5, Trailers"), ("connection", "TE")], false, true),
        (&[("te", "gzip"), ("te", "trailers")], false, true),
        (&[("te", "trailers;q=0.5, gzip")], false, false),
        (&[("x-te", "trailers"), ("x-connection", "close")], false, false),
    ];
    for (fields, closes, takes_trailers) in cases {
        let (names, said) = left(fields);
        assert_eq!(said, Said { closes, takes_trailers }, "{fields:?}");
        assert!(names.iter().all(|name| name.starts_with("x-")), "{names:?}");
    }
}

#[test]
fn what_else_is_found_goes_too() {
    let mut headers = map(&[("x-a", "1"), ("x-b", "1"), ("x-b", "2")]);
    strip(&mut headers, |name| name.as_str() == "x-b");
    assert_eq!(headers, map(&[("x-a", "1")]));
}
