//! Heads that no guard has seen: those of HTTP/2, which come apart already, are held to the same rules here.

use crate::error::Fault;
use crate::http::guard::{Rejection, agreed};
use crate::http::is_padded;
use crate::limits;
use http::header::{CONTENT_LENGTH, COOKIE, HOST, HeaderMap, HeaderValue};
use http::request;

/// Judges a head, and makes it what handlers know from HTTP/1.
///
/// # Errors
/// 400, 414 or 431, as the guard answers.
pub(super) fn check(head: &mut request::Parts, is_tls: bool) -> Result<(), Fault> {
    check_host(head, is_tls)?;
    check_bounds(head)?;
    if head.uri.scheme_str() == Some("") {
        return Err(Fault::BadRequest("scheme"));
    }
    if head.headers.values().any(is_padded) {
        return Err(Fault::BadRequest("field-value"));
    }
    if head.headers.get_all(CONTENT_LENGTH).iter().nth(1).is_some() {
        return Err(Fault::BadRequest("content-length-repeated"));
    }
    join_cookies(&mut head.headers);
    Ok(())
}

/// HTTP/2 brings the host in `:authority`, and `Host` may only repeat it (RFC 9113 §8.3.1).
fn check_host(head: &request::Parts, is_tls: bool) -> Result<(), Fault> {
    let named = head.uri.authority().map(|authority| authority.as_str().as_bytes());
    let hosts = head.headers.get_all(HOST).iter().map(HeaderValue::as_bytes);
    match agreed(named, hosts, if is_tls { 443 } else { 80 })? {
        Some(_) => Ok(()),
        None => Err(Fault::BadRequest("host")),
    }
}

/// What the guard bounds on HTTP/1. The bytes of a head in all are for hyper to bound.
fn check_bounds(head: &request::Parts) -> Result<(), Fault> {
    let refused = |status, code| Err(Fault::Refused { status, code });
    let target_bytes = head.uri.path_and_query().map_or(0, |target| target.as_str().len());
    if target_bytes > limits::URI_BYTES {
        return refused(414, "uri-bytes");
    }
    if head.headers.len() > limits::HEADER_COUNT {
        return refused(431, "head-fields");
    }
    Ok(())
}

/// One Cookie field: HTTP/2 clients split it for compression (RFC 9113 §8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let mut lines = headers.get_all(COOKIE).iter();
    let (Some(first), Some(second)) = (lines.next(), lines.next()) else {
        return;
    };
    let mut joined = first.as_bytes().to_vec();
    for line in std::iter::once(second).chain(lines) {
        joined.extend_from_slice(b"; ");
        joined.extend_from_slice(line.as_bytes());
    }
    if let Ok(joined) = HeaderValue::from_bytes(&joined) {
        headers.insert(COOKIE, joined);
    }
}

impl From<Rejection> for Fault {
    fn from(rejection: Rejection) -> Self {
        Self::Refused {
            status: rejection.status,
            code: rejection.code,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, Request};

    fn judged(uri: &str, fields: &[(&'static str, &str)]) -> Result<request::Parts, &'static str> {
        let mut request = Request::get(uri).body(()).unwrap();
        for (name, value) in fields {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            request.headers_mut().append(HeaderName::from_static(name), value);
        }
        let (mut head, ()) = request.into_parts();
        match check(&mut head, false) {
            Ok(()) => Ok(head),
            Err(fault) => Err(fault.code()),
        }
    }

    #[test]
    fn one_host_is_named_and_it_is_one() {
        assert!(judged("http://a.example/", &[]).is_ok());
        assert!(judged("/", &[("host", "a.example")]).is_ok());
        assert!(judged("http://a.example/", &[("host", "a.example:80")]).is_ok());
        for (uri, fields) in [
            ("/", &[][..]),
            ("/", &[("host", "a.example"), ("host", "b.example")]),
            ("/", &[("host", "a@b")]),
            ("/", &[("host", "a, b")]),
            ("http://a.example/", &[("host", "b.example")]),
        ] {
            assert!(judged(uri, fields).is_err(), "{uri} {fields:?}");
        }
    }

    #[test]
    fn values_are_not_padded() {
        for value in [" a", "a ", "\ta", "a\t", " "] {
            let judged = judged("http://a.example/", &[("x-a", value)]);
            assert_eq!(judged.err(), Some("field-value"), "{value:?}");
        }
        assert!(judged("http://a.example/", &[("x-a", "a b"), ("x-b", "")]).is_ok());
    }

    #[test]
    fn a_length_is_said_once() {
        let repeated = [("content-length", "0"), ("content-length", "0")];
        assert!(judged("http://a.example/", &repeated[1..]).is_ok());
        assert_eq!(
            judged("http://a.example/", &repeated).err(),
            Some("content-length-repeated")
        );
    }

    #[test]
    fn cookies_become_one_field() {
        let head = judged(
            "http://a.example/",
            &[("cookie", "a=1"), ("cookie", "b=2"), ("cookie", "c=3")],
        )
        .unwrap();
        let cookies: Vec<_> = head.headers.get_all(COOKIE).iter().collect();
        assert_eq!(cookies, ["a=1; b=2; c=3"]);
    }

    #[test]
    fn bounds_are_those_of_the_guard() {
        let long = |bytes: usize| format!("http://a.example/{}", "a".repeat(bytes - 1));
        assert!(judged(&long(limits::URI_BYTES), &[]).is_ok());
        assert_eq!(judged(&long(limits::URI_BYTES + 1), &[]).err(), Some("uri-bytes"));
        let fields = vec![("x-a", "b"); limits::HEADER_COUNT + 1];
        assert!(judged("http://a.example/", &fields[1..]).is_ok());
        assert_eq!(judged("http://a.example/", &fields).err(), Some("head-fields"));
    }
}
