//! Fields that concern one connection alone (RFC 9110 §7.6.1): what they say, and taking them out before a head goes on.

use super::forwarded::is_claim;
use crate::limits;
use http::header::{self, HeaderMap, HeaderName};
use smallvec::SmallVec;

/// What fields that concern one connection alone said before they were taken out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    /// The sender closes the connection behind this message (RFC 9112 §9.6).
    pub(crate) closes: bool,
    /// The sender takes trailers (RFC 9110 §10.1.4).
    pub(crate) takes_trailers: bool,
}

/// Takes out Connection and what it names, the other fields of one connection, and what `also` finds.
///
/// A field meant for everybody may not be named by Connection (RFC 9110 §7.6.1), yet attackers name some, for proxies
/// to lose what tells the next one who asks and for what. Those of [`is_for_all`] stay, whoever names them. So do fields
/// named beyond [`limits::CONNECTION_OPTIONS_COUNT`]: nobody has so many.
pub(crate) fn strip(headers: &mut HeaderMap, also: impl Fn(&HeaderName) -> bool) -> Said {
    let mut said = Said::default();
    let mut gone: SmallVec<[HeaderName; 4]> = SmallVec::new();
    for name in headers.keys() {
        if is_of_connection(name) || also(name) {
            gone.push(name.clone());
        }
    }
    if gone.is_empty() {
        return said;
    }
    let mut named: usize = 0;
    for option in members(headers, &header::CONNECTION) {
        if option.eq_ignore_ascii_case(b"close") {
            said.closes = true;
        } else if !option.eq_ignore_ascii_case(b"keep-alive") {
            named += 1;
            if named <= limits::CONNECTION_OPTIONS_COUNT
                && let Ok(name) = HeaderName::from_bytes(option)
                && headers.contains_key(&name)
                && !is_for_all(&name)
            {
                gone.push(name);
            }
        }
    }
    said.takes_trailers = members(headers, &header::TE).any(|coding| coding.eq_ignore_ascii_case(b"trailers"));
    for name in &gone {
        headers.remove(name);
    }
    said
}

/// The members of a list that is spread over any number of lines.
fn members<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h [u8]> {
    let lines = headers.get_all(name).iter();
    lines
        .flat_map(|line| line.as_bytes().split(|&byte| byte == b','))
        .map(<[u8]>::trim_ascii)
}

/// Whether a field is of one connection, named by Connection or not: older senders forget to, and some proxies keep
/// what is not named. Trailer is for whoever reads the trailers, at the end of the chain.
fn is_of_connection(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection" | "keep-alive" | "proxy-connection" | "te" | "transfer-encoding" | "upgrade" | "http2-settings"
    )
}

/// Whether a field is for everybody on the way, so that no connection has a say in it: what frames, describes and
/// routes the message, who asks and by which right, and the marks that this and other intermediaries leave.
fn is_for_all(name: &HeaderName) -> bool {
    is_claim(name)
        || matches!(
            name.as_str(),
            "host"
                | "content-length"
                | "content-type"
                | "content-encoding"
                | "content-range"
                | "trailer"
                | "expect"
                | "authorization"
                | "cookie"
                | "set-cookie"
                | "origin"
                | "range"
                | "cache-control"
                | "vary"
                | "via"
                | "cdn-loop"
                | "max-forwards"
                | "traceparent"
                | "tracestate"
        )
}

#[cfg(test)]
mod tests;
