//! What a route does with a request: exactly one of `component`, `respond` and `redirect`.

use http::{HeaderName, HeaderValue, StatusCode};

use super::error::Location;
use super::reader::{Field, NamedField, Table};
use super::scalar::Name;

/// What answers a route's requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetConfig {
    /// The component of this name.
    Component(Name),
    /// The same answer to every request.
    Respond(RespondConfig),
    /// Another place to go.
    Redirect(RedirectConfig),
}

/// A fixed answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RespondConfig {
    /// From 200 to 599.
    pub status: StatusCode,
    /// The body; empty for statuses that have none.
    pub body: String,
    /// Further header fields.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// A redirect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedirectConfig {
    /// The `Location` field, sent as it is.
    pub to: HeaderValue,
    /// 301, 302, 303, 307 or 308.
    pub status: StatusCode,
}

/// A component's name as a route gives it, and where: it is looked up when all files are read.
#[derive(Debug)]
pub(super) struct Reference {
    pub(super) name: String,
    pub(super) location: Location,
}

/// A target as read.
#[derive(Debug)]
pub(super) enum TargetDraft {
    Component(Reference),
    Fixed(TargetConfig),
}

/// Every key that is a target, those that are not served yet too: they count for "exactly one".
const TARGETS: [&str; 6] = ["component", "upstream", "static", "redirect", "respond", "split"];

pub(super) fn read(table: &mut Table<'_>) -> Option<TargetDraft> {
    let given = table.present(&TARGETS);
    let component = table.take("component");
    let respond = table.take("respond");
    let redirect = table.take("redirect");
    for key in ["upstream", "static", "split"] {
        table.refuse_unserved(key, "this version serves `component`, `respond` and `redirect`");
    }
    let component = component.and_then(|field| read_component(&field));
    let respond = respond.and_then(|field| read_respond(&field));
    let redirect = redirect.and_then(|field| read_redirect(&field));
    if !exactly_one(table, &given) {
        return None;
    }
    component.or(respond).or(redirect)
}

fn exactly_one(table: &Table<'_>, given: &[(&str, Location)]) -> bool {
    const HELP: &str = "exactly one of `component`, `respond` and `redirect`";
    let sink = table.field().cx().sink;
    match given {
        [_] => true,
        [] => {
            let message = format!("`{}` has no target", table.field().path());
            let error = table.field().error(message).label("nothing answers here");
            sink.report(error.help(HELP));
            false
        }
        [(first, first_at), rest @ ..] => {
            for (key, at) in rest {
                let message = format!("a route has one target, and this one has `{first}` and `{key}`");
                let error = super::error::ConfigError::new(at.clone(), message);
                let error = error
                    .label("a second target")
                    .also(first_at.clone(), "the first target");
                sink.report(error.help(HELP));
            }
            false
        }
    }
}

fn read_component(field: &Field<'_>) -> Option<TargetDraft> {
    Some(TargetDraft::Component(Reference {
        name: field.string()?.to_owned(),
        location: field.location(),
    }))
}

fn read_respond(field: &Field<'_>) -> Option<TargetDraft> {
    let mut table = field.table("Respond")?;
    let status = table.take("status");
    let body = table.take("body");
    let headers = table
        .take("headers")
        .and_then(|field| field.named())
        .unwrap_or_default();
    table.finish();
    let headers = read_headers(&headers);
    let status = match status {
        Some(status) => read_status(&status, 200..=599)?,
        None => StatusCode::OK,
    };
    let text = match &body {
        Some(body) => body.string()?,
        None => "",
    };
    if let (Some(body), false) = (&body, text.is_empty())
        && has_no_body(status)
    {
        return body.fail(
            format!("an answer with status {} has no body", status.as_u16()),
            "would never be sent",
            "remove `body`, or choose another status",
        );
    }
    Some(TargetDraft::Fixed(TargetConfig::Respond(RespondConfig {
        status,
        body: text.to_owned(),
        headers,
    })))
}

/// RFC 9110 §15: these answers end with their head.
fn has_no_body(status: StatusCode) -> bool {
    [
        StatusCode::NO_CONTENT,
        StatusCode::RESET_CONTENT,
        StatusCode::NOT_MODIFIED,
    ]
    .contains(&status)
}

/// Fields that say how a message is framed or its connection kept: the gateway writes these itself.
const FRAMING: [HeaderName; 8] = [
    http::header::CONNECTION,
    http::header::CONTENT_LENGTH,
    http::header::TE,
    http::header::TRAILER,
    http::header::TRANSFER_ENCODING,
    http::header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

fn read_headers(given: &[NamedField<'_>]) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers: Vec<(HeaderName, HeaderValue)> = Vec::new();
    for named in given {
        let value = read_header_value(&named.field);
        let Some(name) = read_header_name(named) else {
            continue;
        };
        if FRAMING.contains(&name) {
            let message = format!("`{name}` is written by the gateway itself");
            let help = "remove it: framing and connections are not a route's to decide";
            named.fail_name::<()>(message, "not yours to set", help);
        } else if headers.iter().any(|(known, _)| *known == name) {
            let message = format!("`{name}` is given twice");
            named.fail_name::<()>(message, "given again here", "names of fields have no case: keep one");
        } else if let Some(value) = value {
            headers.push((name, value));
        }
    }
    headers
}

/// A header field's name, which is where the error goes if it is none.
pub(super) fn read_header_name(named: &NamedField<'_>) -> Option<HeaderName> {
    HeaderName::from_bytes(named.name.as_bytes()).ok().or_else(|| {
        named.fail_name(
            format!("\"{}\" is not the name of a header field", named.name.escape_debug()),
            "not a field name",
            "letters, digits and hyphens, such as \"x-tenant\"",
        )
    })
}

fn read_header_value(field: &Field<'_>) -> Option<HeaderValue> {
    let text = field.string()?;
    HeaderValue::from_str(text).ok().or_else(|| {
        field.fail(
            format!("`{}` cannot be the value of a header field", field.path()),
            "has control characters",
            "a value is one line of text without control characters",
        )
    })
}

fn read_status(field: &Field<'_>, codes: std::ops::RangeInclusive<usize>) -> Option<StatusCode> {
    let code = field.integer(codes)?;
    u16::try_from(code)
        .ok()
        .and_then(|code| StatusCode::from_u16(code).ok())
}

fn read_redirect(field: &Field<'_>) -> Option<TargetDraft> {
    let mut table = field.table("Redirect")?;
    let to = table.require("to", "such as redirect = { to = \"/new\", status = 308 }");
    let status = table.take("status");
    table.finish();
    let to = to.and_then(|to| read_destination(&to));
    let status = match status {
        Some(status) => read_redirect_status(&status)?,
        None => StatusCode::PERMANENT_REDIRECT,
    };
    Some(TargetDraft::Fixed(TargetConfig::Redirect(RedirectConfig {
        to: to?,
        status,
    })))
}

fn read_redirect_status(field: &Field<'_>) -> Option<StatusCode> {
    let status = read_status(field, 300..=399)?;
    if [301, 302, 303, 307, 308].contains(&status.as_u16()) {
        return Some(status);
    }
    field.fail(
        format!("{} is not a redirect that clients follow", status.as_u16()),
        "not a redirect",
        "301 and 308 are permanent, 302, 303 and 307 are not; 307 and 308 keep the method",
    )
}

fn read_destination(field: &Field<'_>) -> Option<HeaderValue> {
    const HELP: &str = "a path that begins with `/`, or a URL with http:// or https://";
    let text = field.string()?;
    if text.contains(['{', '}']) {
        return field.fail(
            "placeholders in `to` are not served by this version of Tidegate yet",
            "would be sent as it is",
            "write the whole destination; braces in a URL are %7B and %7D",
        );
    }
    let lower = text.to_ascii_lowercase();
    let known = lower.starts_with('/') || lower.starts_with("http://") || lower.starts_with("https://");
    // A Location field is a URI reference: visible ASCII, everything else percent-encoded.
    let encoded = text
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`|".contains(&byte));
    let value = HeaderValue::from_str(text).ok();
    match value {
        Some(value) if known && encoded => Some(value),
        _ if known => {
            let message = format!("`{}` has characters that a URL cannot hold", field.path());
            field.fail(message, "not a URL", "percent-encode everything but visible ASCII")
        }
        _ => field.fail(
            format!("`{}` is not a destination", field.path()),
            "not a destination",
            HELP,
        ),
    }
}

#[cfg(test)]
mod tests;
