//! `rewrite`: what of a request's target is changed before it is passed on.

use std::fmt;

use http::HeaderValue;
use tidegate_routing::{NormalizeOptions, PathError, PathSpec, normalize_path};

use super::captures;
use crate::config::error::Location;
use crate::config::header;
use crate::config::reader::Field;
use crate::config::suggest;

/// How the target of a request is changed. Its query stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RewriteConfig {
    /// Taken off the path, in whole segments: `/v1` is taken off `/v1/x`, which leaves `/x`, and off `/v1`, which
    /// leaves `/`, and never off `/v1x`. It begins with `/`, does not end with one, and is normalised as paths are.
    pub strip_prefix: Option<String>,
    /// Put before the path, of the same form. What is stripped is stripped first.
    pub add_prefix: Option<String>,
    /// Instead of the whole path. Never beside the prefixes.
    pub path: Option<PathTemplate>,
    /// Instead of the host: a name or an address, with a port or without.
    pub host: Option<HeaderValue>,
}

/// A path with parameters that the route's own path captures, such as `/v2/users/{id}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathTemplate(Box<[TemplatePart]>);

/// One part of a [`PathTemplate`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplatePart {
    /// Text as it is sent. The first part of a template is one, and begins with `/`.
    Literal(Box<str>),
    /// The value of a parameter. Values stand as in the normalised path: they are not decoded, nor to be encoded.
    Parameter(Box<str>),
}

impl PathTemplate {
    /// The parts in their order; never none.
    pub fn parts(&self) -> &[TemplatePart] {
        &self.0
    }
}

/// As it is written in a configuration.
impl fmt::Display for PathTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            TemplatePart::Literal(text) => f.write_str(text),
            TemplatePart::Parameter(name) => write!(f, "{{{name}}}"),
        })
    }
}

/// What a rewrite is held against: the route's own path, and where it is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Matched<'a> {
    pub(super) path: Option<&'a PathSpec>,
    pub(super) location: Option<&'a Location>,
}

pub(super) fn read(field: &Field<'_>, matched: Matched<'_>) -> Option<RewriteConfig> {
    let mut table = field.table("Rewrite")?;
    let strip_prefix = table.take("strip_prefix");
    let add_prefix = table.take("add_prefix");
    let path = table.take("path");
    let host = table.take("host");
    table.finish();
    for prefix in strip_prefix.iter().chain(&add_prefix).filter(|_| path.is_some()) {
        prefix.fail::<()>(
            format!("`{}` is given beside a whole path", prefix.path()),
            "nothing is left of the old path",
            "remove it, or remove `path`",
        );
    }
    let strip_prefix = strip_prefix.and_then(|field| {
        let prefix = read_prefix(&field)?;
        can_be_stripped(&field, &prefix, matched).then_some(prefix)
    });
    Some(RewriteConfig {
        strip_prefix,
        add_prefix: add_prefix.and_then(|field| read_prefix(&field)),
        path: path.and_then(|field| read_template(&field, matched)),
        host: host.and_then(|field| header::read_host(&field)),
    })
}

/// One or more whole segments, as paths are normalised.
fn read_prefix(field: &Field<'_>) -> Option<String> {
    let text = field.string()?;
    if text.contains(['{', '}', '*']) {
        return field.fail(
            format!("`{}` has a placeholder, and a prefix is plain text", field.path()),
            "plain text only",
            "write rewrite = { path = \"/..{rest}\" } where the route's path ends in {*rest}",
        );
    }
    let prefix = match normalize_path(text, NormalizeOptions::default()) {
        Ok(prefix) if !text.is_empty() => prefix,
        Ok(_) => return not_a_prefix(field, PathError::NotAbsolute),
        Err(error) => return not_a_prefix(field, error),
    };
    match prefix.strip_suffix('/') {
        None => Some(prefix.into_owned()),
        Some("") => field.fail(
            format!("`{}` is \"/\", which every path begins with", field.path()),
            "changes nothing",
            "remove it",
        ),
        Some(shorter) => field.fail(
            format!("`{}` ends with a slash", field.path()),
            "ends with a slash",
            format!("write \"{shorter}\": a prefix is whole segments"),
        ),
    }
}

fn not_a_prefix<T>(field: &Field<'_>, error: PathError) -> Option<T> {
    let message = format!("`{}` is not the beginning of a path: {error}", field.path());
    field.fail(message, "not a path", "such as \"/v1\"")
}

/// A prefix that none of the route's paths begin with is a slip: reports it.
fn can_be_stripped(field: &Field<'_>, prefix: &str, matched: Matched<'_>) -> bool {
    let Some(PathSpec::Pattern(pattern)) = matched.path else {
        return true;
    };
    if captures::can_begin_with(pattern, prefix) {
        return true;
    }
    let message = format!("`{prefix}` is never taken off: no path of the route, `{pattern}`, begins with it");
    let error = field.error(message).label("never there");
    let error = match matched.location {
        Some(location) => error.also(location.clone(), "the route's path"),
        None => error,
    };
    let help = "a prefix is whole segments that the route's own path begins with";
    field.cx().sink.report(error.help(help));
    false
}

fn read_template(field: &Field<'_>, matched: Matched<'_>) -> Option<PathTemplate> {
    const HELP: &str = "such as \"/v2/users/{id}\", with names in braces that the route's path captures";
    let text = field.string()?;
    let Some(parts) = split_template(text) else {
        return field.fail(
            format!(
                "`{}` has a brace that is not closed or not opened, or no name in it",
                field.path()
            ),
            "not a template",
            HELP,
        );
    };
    // What the parameters bring is a part of a normalised path, as one letter is.
    let sample: String = parts
        .iter()
        .map(|part| match part {
            TemplatePart::Literal(text) => text,
            TemplatePart::Parameter(_) => "x",
        })
        .collect();
    let reason = match normalize_path(&sample, NormalizeOptions::default()) {
        _ if !text.starts_with('/') => "it does not begin with `/`".to_owned(),
        Err(PathError::Delimiter { .. }) => {
            "it has a query or a fragment, and the query is passed on as it is".to_owned()
        }
        Err(error) => error.to_string(),
        Ok(normal) if normal != sample => format!("as a path it would be written {normal}"),
        Ok(_) => {
            check_parameters(field, &parts, matched)?;
            return Some(PathTemplate(parts.into()));
        }
    };
    field.fail(
        format!("`{}` is not a path: {reason}", field.path()),
        "not a path",
        HELP,
    )
}

/// Text and names in braces, in turn; `None` if the braces are not in pairs around something.
fn split_template(text: &str) -> Option<Vec<TemplatePart>> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((literal, after)) = rest.split_once('{') {
        let (name, behind) = after.split_once('}')?;
        if literal.contains('}') || name.is_empty() || name.contains('{') {
            return None;
        }
        if !literal.is_empty() {
            parts.push(TemplatePart::Literal(literal.into()));
        }
        parts.push(TemplatePart::Parameter(name.into()));
        rest = behind;
    }
    if rest.contains('}') {
        return None;
    }
    if !rest.is_empty() {
        parts.push(TemplatePart::Literal(rest.into()));
    }
    Some(parts)
}

/// Reports every name that the route's path does not capture.
fn check_parameters(field: &Field<'_>, parts: &[TemplatePart], matched: Matched<'_>) -> Option<()> {
    let names = matched.path.map(captures::names).unwrap_or_default();
    let mut all_known = Some(());
    for part in parts {
        let TemplatePart::Parameter(name) = part else {
            continue;
        };
        if names.contains(&&**name) {
            continue;
        }
        // A path that could not be read captures nobody knows what.
        if matched.path.is_none() && matched.location.is_some() {
            return None;
        }
        let bare = name.trim_start_matches('*');
        let label = match suggest::closest(bare, names.iter().copied()) {
            Some(meant) => format!("did you mean {{{meant}}}?"),
            None => "not captured".to_owned(),
        };
        let help = match names.as_slice() {
            [] => "the route's path names nothing: write it with a segment such as {id}, or end it with {*rest}"
                .to_owned(),
            names => format!("it captures {}", names.join(", ")),
        };
        let message = format!("`{{{name}}}` in `{}` is not captured by the route's path", field.path());
        all_known = field.fail(message, label, help);
    }
    all_known
}

#[cfg(test)]
mod tests;
