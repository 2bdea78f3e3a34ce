//! What a head loses and gains on its way through: fields of one connection, and what the next hop is told of this one.

use crate::error::Fault;
use crate::http::{
    AskedHost, ForwardedFor, Loop, Provenance, hop, is_claim, is_disguised_claim, pass_on, to_origin_form,
};
use http::header::{
    CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST, HeaderName, HeaderValue, PROXY_AUTHENTICATE, TE, TRAILER, VIA,
};
use http::{HeaderMap, Version, request, response};

/// Where a request comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hop<'h> {
    /// Its connection's peer, prepared once.
    pub(crate) peer: &'h ForwardedFor,
    /// Whom the peer speaks for.
    pub(crate) provenance: Provenance,
}

/// What of a request its answer depends on, when it goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Back {
    version: Version,
    takes_trailers: bool,
}

/// Makes a request's head what the next hop may see.
///
/// The target becomes origin-form and Host what the request is for. Out go the fields of its connection (see
/// [`hop::strip`]), TE but for `trailers`, what is for proxies alone, and, unless the peer is a trusted proxy, what it
/// says of others. X-Forwarded-For, -Proto and -Host, Forwarded, Via and CDN-Loop are written. A route's own edits come
/// after this. Content-Length, Expect: 100-continue and everything else go on as they came, the trace among it.
///
/// # Errors
/// 508 for a request that goes round, 417 for an expectation that nobody can meet, 400 for an impossible authority.
pub(crate) fn request(head: &mut request::Parts, hop: &Hop<'_>) -> Result<Back, Fault> {
    pass_on(&mut head.headers).map_err(|Loop| Fault::LoopDetected)?;
    check_expect(head)?;
    to_origin_form(head)?;
    let is_trusted = hop.provenance.is_trusted();
    let said = hop::strip(&mut head.headers, |name| {
        is_for_proxies(name)
            || if is_trusted {
                is_disguised_claim(name)
            } else {
                is_claim(name)
            }
    });
    if said.takes_trailers {
        head.headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    let asked = head.extensions.remove::<AskedHost>().map(|AskedHost(host)| host);
    let host = asked.or_else(|| head.headers.get(HOST).cloned());
    hop.peer.write(&mut head.headers, host.as_ref(), hop.provenance);
    head.headers.append(VIA, via(head.version));
    Ok(Back {
        version: head.version,
        takes_trailers: said.takes_trailers,
    })
}

/// Makes an answer's head what the client may see. What concerned the server's connection is out of it already:
/// [`hop::strip`] had it where the connection's fate was read from it.
pub(crate) fn response(head: &mut response::Parts, back: &Back) {
    for name in [PROXY_AUTHENTICATE, PROXY_AUTHENTICATION_INFO] {
        head.headers.remove(name);
    }
    head.headers.append(VIA, via(head.version));
    // hyper sends trailers on HTTP/1 only where Trailer names them, which gRPC servers leave to the protocol.
    let has_unnamed_trailers = back.takes_trailers
        && back.version == Version::HTTP_11
        && is_grpc(&head.headers)
        && !head.headers.contains_key(TRAILER)
        && !head.headers.contains_key(CONTENT_LENGTH);
    if has_unnamed_trailers {
        let names = HeaderValue::from_static("grpc-status, grpc-message, grpc-status-details-bin");
        head.headers.insert(TRAILER, names);
    }
}

const PROXY_AUTHENTICATION_INFO: HeaderName = HeaderName::from_static("proxy-authentication-info");

/// Whether a request's field is for a proxy that clients choose, which this one is not: credentials for it, which are
/// none of the server's business (nginx passes them on, Caddy and Go's proxy do not); and Proxy, which is no field at
/// all, but `HTTP_PROXY` to CGI programs, which then ask the world by way of the client's server (CVE-2016-5385).
fn is_for_proxies(name: &HeaderName) -> bool {
    matches!(name.as_str(), "proxy-authorization" | "proxy")
}

/// The one expectation there is may come in HTTP/1.1 and later; in HTTP/1.0 it is to be ignored (RFC 9110 §10.1.1).
fn check_expect(head: &mut request::Parts) -> Result<(), Fault> {
    if head.version < Version::HTTP_11 {
        head.headers.remove(EXPECT);
    }
    let is_known = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"100-continue");
    if head.headers.get_all(EXPECT).iter().all(is_known) {
        return Ok(());
    }
    Err(Fault::Refused {
        status: 417,
        code: "expect",
    })
}

/// By which version of HTTP a head came to this gateway (RFC 9110 §7.6.3). Appended as a line of its own, which says
/// the same as another member of the list and is never put together.
fn via(version: Version) -> HeaderValue {
    HeaderValue::from_static(if version >= Version::HTTP_3 {
        "3.0 tidegate"
    } else if version >= Version::HTTP_2 {
        "2.0 tidegate"
    } else if version >= Version::HTTP_11 {
        "1.1 tidegate"
    } else {
        "1.0 tidegate"
    })
}

/// `application/grpc` and its subtypes.
fn is_grpc(headers: &HeaderMap) -> bool {
    const GRPC: &[u8] = b"application/grpc";
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    kind.get(..GRPC.len())
        .is_some_and(|begin| begin.eq_ignore_ascii_case(GRPC))
}

#[cfg(test)]
mod tests;
