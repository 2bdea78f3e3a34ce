//! What a route does with a request: exactly one of `component`, `upstream`, `redirect`, `respond` and `split`.

mod split;

use http::{HeaderName, HeaderValue, StatusCode};

use super::error::Location;
use super::header::{self, Message};
use super::reader::{Field, Table};
use super::scalar::Name;

pub(super) use self::split::SplitDraft;
pub use self::split::{SplitConfig, Sticky};

/// What answers a route's requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetConfig {
    /// The component of this name.
    Component(Name),
    /// The upstream of this name.
    Upstream(Name),
    /// The same answer to every request.
    Respond(RespondConfig),
    /// Another place to go.
    Redirect(RedirectConfig),
    /// One of several.
    Split(SplitConfig),
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

impl TargetConfig {
    /// What the target is called among those of a split, where it keeps its sticky clients for as long as it is
    /// written the same: `component hello`, `upstream api`, or all that a fixed answer says.
    pub fn identity(&self) -> String {
        match self {
            Self::Component(name) => format!("component {name}"),
            Self::Upstream(name) => format!("upstream {name}"),
            Self::Redirect(RedirectConfig { to, status }) => {
                format!(
                    "redirect {} {}",
                    status.as_u16(),
                    String::from_utf8_lossy(to.as_bytes())
                )
            }
            Self::Respond(RespondConfig { status, body, headers }) => {
                let line = |(name, value): &(HeaderName, HeaderValue)| {
                    format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes()))
                };
                let lines: String = headers.iter().map(line).collect();
                format!("respond {}\n{lines}\n{body}", status.as_u16())
            }
            Self::Split(split) => {
                let target = |(target, weight): &(Self, u32)| format!("{weight} {}", target.identity());
                format!(
                    "split {}",
                    split.targets.iter().map(target).collect::<Vec<_>>().join(", ")
                )
            }
        }
    }
}

/// A name as a route gives it, and where: it is looked up when all files are read.
#[derive(Debug)]
pub(super) struct Reference {
    pub(super) name: String,
    pub(super) location: Location,
}

/// A target as read.
#[derive(Debug)]
pub(super) enum TargetDraft {
    Component(Reference),
    Upstream(Reference),
    Fixed(TargetConfig),
    Split(SplitDraft),
}

impl TargetDraft {
    /// As [`TargetConfig::identity`], of what is not looked up yet.
    fn identity(&self) -> String {
        match self {
            Self::Component(reference) => format!("component {}", reference.name),
            Self::Upstream(reference) => format!("upstream {}", reference.name),
            Self::Fixed(target) => target.identity(),
            Self::Split(_) => String::new(),
        }
    }

    /// Whether one of its answers is of this kind.
    pub(super) fn any(&self, is: fn(&Self) -> bool) -> bool {
        match self {
            Self::Split(split) => split.targets.iter().any(|(target, _)| is(target)),
            single => is(single),
        }
    }
}

/// Every key that is a target, those that are not served yet too: they count for "exactly one".
const TARGETS: [&str; 6] = ["component", "upstream", "static", "redirect", "respond", "split"];

/// Takes the target of a route's table, with what goes with it.
pub(super) fn read(table: &mut Table<'_>) -> Option<TargetDraft> {
    const HELP: &str = "exactly one of `component`, `upstream`, `redirect`, `respond` and `split`";
    let given = table.present(&TARGETS);
    let single = take_single(table);
    let split = table.take("split");
    let sticky = table.take("sticky");
    if let (Some(sticky), None) = (&sticky, &split) {
        sticky.fail::<()>(
            "`sticky` needs `split`",
            "with one target every client stays on it",
            "remove it, or write split = [{ component = \"..\", weight = 1 }]",
        );
    }
    let split = split.map(|field| split::read(&field, sticky.as_ref()));
    if !exactly_one(table.field(), "route", &given, HELP) {
        return None;
    }
    single.or(split.flatten().map(TargetDraft::Split))
}

/// The target of a table, but for a split.
fn take_single(table: &mut Table<'_>) -> Option<TargetDraft> {
    let component = table.take("component");
    let upstream = table.take("upstream");
    let respond = table.take("respond");
    let redirect = table.take("redirect");
    table.refuse_unserved(
        "static",
        "this version serves `component`, `upstream`, `redirect`, `respond` and `split`",
    );
    let component = component
        .and_then(|field| read_reference(&field))
        .map(TargetDraft::Component);
    let upstream = upstream
        .and_then(|field| read_reference(&field))
        .map(TargetDraft::Upstream);
    let respond = respond.and_then(|field| read_respond(&field));
    let redirect = redirect.and_then(|field| read_redirect(&field));
    component.or(upstream).or(respond).or(redirect)
}

fn exactly_one(field: &Field<'_>, what: &str, given: &[(&str, Location)], help: &str) -> bool {
    let sink = field.cx().sink;
    match given {
        [_] => true,
        [] => {
            let message = format!("`{}` has no target", field.path());
            let error = field.error(message).label("nothing answers here");
            sink.report(error.help(help));
            false
        }
        [(first, first_at), rest @ ..] => {
            for (key, at) in rest {
                let message = format!("a {what} has one target, and this one has `{first}` and `{key}`");
                let error = super::error::ConfigError::new(at.clone(), message);
                let error = error
                    .label("a second target")
                    .also(first_at.clone(), "the first target");
                sink.report(error.help(help));
            }
            false
        }
    }
}

fn read_reference(field: &Field<'_>) -> Option<Reference> {
    Some(Reference {
        name: field.string()?.to_owned(),
        location: field.location(),
    })
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
    let headers = header::read_fields(&headers, Message::Response);
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
