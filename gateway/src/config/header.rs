//! Header fields: their names, their values, and those that are the gateway's own to write.

use http::{HeaderName, HeaderValue};

use super::grants::{HostGrant, HttpGrant, PortGrant};
use super::reader::{Field, NamedField};

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

/// Which message the fields are written into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Message {
    Request,
    Response,
}

/// Why a field of this name is not for a configuration to write, and what to do, if it is not.
fn reserved(name: &HeaderName, message: Message) -> Option<(String, &'static str)> {
    if FRAMING.contains(name) {
        return Some((
            format!("`{name}` is written by the gateway itself"),
            "remove it: framing and connections are not a route's to decide",
        ));
    }
    if message == Message::Request && *name == http::header::HOST {
        let help = "write rewrite = { host = \"..\" }, which HTTP/2 follows as well";
        return Some(("`host` is not changed among the fields".to_owned(), help));
    }
    None
}

/// A table of fields: names that may be written, each once, with their values.
pub(super) fn read_fields(given: &[NamedField<'_>], message: Message) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers: Vec<(HeaderName, HeaderValue)> = Vec::new();
    for named in given {
        let value = read_value(&named.field);
        let Some(name) = read_name(named) else {
            continue;
        };
        if let Some((message, help)) = reserved(&name, message) {
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

/// A list of names of fields that may be removed, each once.
pub(super) fn read_names(given: &[Field<'_>], message: Message) -> Vec<HeaderName> {
    let mut names: Vec<HeaderName> = Vec::new();
    for field in given {
        let Some(name) = read_name_text(field) else {
            continue;
        };
        if let Some((message, help)) = reserved(&name, message) {
            field.fail::<()>(message, "not yours to remove", help);
        } else if names.contains(&name) {
            let message = format!("`{name}` is given twice");
            field.fail::<()>(message, "given again here", "names of fields have no case: keep one");
        } else {
            names.push(name);
        }
    }
    names
}

/// A field's name as a key, which is where the error goes if it is none.
pub(super) fn read_name(named: &NamedField<'_>) -> Option<HeaderName> {
    HeaderName::from_bytes(named.name.as_bytes()).ok().or_else(|| {
        let (message, label, help) = not_a_name(named.name);
        named.fail_name(message, label, help)
    })
}

/// A field's name as a value.
pub(super) fn read_name_text(field: &Field<'_>) -> Option<HeaderName> {
    let text = field.string()?;
    HeaderName::from_bytes(text.as_bytes()).ok().or_else(|| {
        let (message, label, help) = not_a_name(text);
        field.fail(message, label, help)
    })
}

fn not_a_name(text: &str) -> (String, &'static str, &'static str) {
    (
        format!("\"{}\" is not the name of a header field", text.escape_debug()),
        "not a field name",
        "letters, digits and hyphens, such as \"x-tenant\"",
    )
}

fn read_value(field: &Field<'_>) -> Option<HeaderValue> {
    let text = field.string()?;
    HeaderValue::from_str(text).ok().or_else(|| {
        field.fail(
            format!("`{}` cannot be the value of a header field", field.path()),
            "has control characters",
            "a value is one line of text without control characters",
        )
    })
}

/// The value of a Host field: a name or an address, with a port or without, in lower case.
pub(super) fn read_host(field: &Field<'_>) -> Option<HeaderValue> {
    let parsed = field.string()?.parse::<HttpGrant>();
    let reason = match &parsed {
        Ok(HttpGrant {
            scheme: None,
            host: HostGrant::Name(_) | HostGrant::Address(_),
            port: PortGrant::Default | PortGrant::Exact(_),
        }) => None,
        Ok(HttpGrant { scheme: Some(_), .. }) => Some("it has a scheme".to_owned()),
        Ok(_) => Some("it has a wildcard".to_owned()),
        Err(error) => Some(error.to_string()),
    };
    if let Some(reason) = reason {
        let message = format!("`{}` is not a host: {reason}", field.path());
        let help = "one name or address, with a port if need be, such as \"api.internal\" or \"10.0.0.7:8080\"";
        return field.fail(message, "not a host", help);
    }
    HeaderValue::from_str(&parsed.ok()?.to_string()).ok()
}
