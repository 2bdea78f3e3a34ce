//! What a route changes about a request's target: its path and its host. The query stays as it is.

use super::forwarded::AskedHost;
use crate::config::{PathTemplate, RewriteConfig, TemplatePart};
use crate::error::Fault;
use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderValue, Uri, header, request};
use tidegate_routing::{NormalizeOptions, Params, normalize_path};

/// A route's rewriting of targets.
#[derive(Clone, Debug)]
pub(crate) struct Rewrite {
    path: Option<PathRewrite>,
    host: Option<HeaderValue>,
}

#[derive(Clone, Debug)]
enum PathRewrite {
    /// What comes off a path's front, and what is put there. Either may be empty; neither ends with a slash.
    Prefix {
        strip: Box<str>,
        add: Box<str>,
    },
    Template(PathTemplate),
}

impl From<&RewriteConfig> for Rewrite {
    fn from(config: &RewriteConfig) -> Self {
        let path = match (&config.path, &config.strip_prefix, &config.add_prefix) {
            (Some(template), ..) => Some(PathRewrite::Template(template.clone())),
            (None, None, None) => None,
            (None, strip, add) => Some(PathRewrite::Prefix {
                strip: strip.as_deref().unwrap_or_default().into(),
                add: add.as_deref().unwrap_or_default().into(),
            }),
        };
        Self {
            path,
            host: config.host.clone(),
        }
    }
}

impl Rewrite {
    /// The target instead of `uri`, whose path is normalised, if its path becomes another one. `params` are what the
    /// route's path captured of it.
    ///
    /// # Errors
    /// 400 where the parts of the path make one that cannot be trusted when they are put together otherwise.
    pub(crate) fn target(&self, uri: &Uri, params: &Params<'_>) -> Result<Option<Uri>, Fault> {
        let rewrite = self.path.as_ref();
        let Some(path) = rewrite.and_then(|rewrite| rewrite.path(uri.path(), params)) else {
            return Ok(None);
        };
        // A parameter may have been any part of a path, such as half an escape, or one dot of two.
        let normal = normalize_path(&path, NormalizeOptions::default()).map_err(|_| Fault::BadRequest("path"))?;
        with_path(uri, normal.into_owned()).map(Some)
    }

    /// Gives a request its new target, as [`Self::target`] said it, and its new host.
    ///
    /// # Errors
    /// 400 for an authority that is no field value.
    pub(crate) fn apply(&self, head: &mut request::Parts, target: Option<Uri>) -> Result<(), Fault> {
        if let Some(target) = target {
            head.uri = target;
        }
        if let Some(host) = &self.host {
            to_origin_form(head)?;
            if let Some(asked) = head.headers.insert(header::HOST, host.clone()) {
                head.extensions.insert(AskedHost(asked));
            }
        }
        Ok(())
    }
}

impl PathRewrite {
    /// The path instead of `path`, if it is another one.
    fn path(&self, path: &str, params: &Params<'_>) -> Option<String> {
        match self {
            // `*`, which is no path (RFC 9110 §9.3.7).
            _ if !path.starts_with('/') => None,
            Self::Prefix { strip, add } => {
                let rest = match path.strip_prefix(&**strip) {
                    Some(rest) if rest.is_empty() || rest.starts_with('/') => rest,
                    _ => path,
                };
                if rest.len() == path.len() && add.is_empty() {
                    return None;
                }
                Some(match (&**add, rest) {
                    ("", "") => "/".to_owned(),
                    (add, rest) => [add, rest].concat(),
                })
            }
            Self::Template(template) => {
                let text = |part: &TemplatePart| match part {
                    TemplatePart::Literal(text) => text.to_string(),
                    TemplatePart::Parameter(name) => params.get(name).unwrap_or_default().to_owned(),
                };
                Some(template.parts().iter().map(text).collect())
            }
        }
    }
}

/// `uri` with another path, which is normalised, and its own query.
///
/// # Errors
/// 400 for what is no path.
pub(crate) fn with_path(uri: &Uri, mut path: String) -> Result<Uri, Fault> {
    if let Some(query) = uri.query() {
        path.push('?');
        path.push_str(query);
    }
    let mut parts = uri.clone().into_parts();
    let path = PathAndQuery::from_maybe_shared(Bytes::from(path));
    parts.path_and_query = Some(path.map_err(|_| Fault::BadRequest("path"))?);
    Uri::from_parts(parts).map_err(|_| Fault::BadRequest("path"))
}

/// Makes a head's target its path and query alone, and Host what the request is for: a target or `:authority` that
/// names a host takes precedence over Host, with which it agrees (RFC 9112 §3.2.2, RFC 9113 §8.3.1).
///
/// # Errors
/// 400 for an authority that is no field value.
pub(crate) fn to_origin_form(head: &mut request::Parts) -> Result<(), Fault> {
    if head.uri.scheme().is_none() && head.uri.authority().is_none() {
        return Ok(());
    }
    let parts = std::mem::take(&mut head.uri).into_parts();
    if let Some(authority) = parts.authority
        && head
            .headers
            .get(header::HOST)
            .is_none_or(|host| host != authority.as_str())
    {
        let host = HeaderValue::from_str(authority.as_str()).map_err(|_| Fault::BadRequest("host"))?;
        head.headers.insert(header::HOST, host);
    }
    head.uri = parts.path_and_query.map_or_else(Uri::default, Uri::from);
    Ok(())
}

#[cfg(test)]
mod tests;
