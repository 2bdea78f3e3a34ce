//! From a request to its route, and from the route to an answer.

use crate::error::Fault;
use crate::http::{Body, RequestCx};
use crate::runtime;
use crate::snapshot::{Route, Snapshot, Target};
use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Request, Response, Uri, header, request};
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use tidegate_routing::{NormalizeOptions, Outcome, Query, normalize_path};

/// The route that takes this request; its path is normalised in place, so that the handler sees the very path
/// that was matched.
///
/// # Errors
/// 400 for a path that cannot be trusted, 404, 405.
pub(crate) fn find<'s>(
    snapshot: &'s Snapshot,
    head: &mut request::Parts,
    source: IpAddr,
) -> Result<&'s Arc<Route>, Fault> {
    // `OPTIONS *` asks about the server as a whole (RFC 9110 §9.3.7): valid, and no path that a route could take.
    let path = match normalize_path(head.uri.path(), NormalizeOptions::default()) {
        Ok(Cow::Borrowed(path)) if path.len() == head.uri.path().len() => None,
        Ok(path) => Some(path.into_owned()),
        Err(_) if head.method == Method::OPTIONS && head.uri.path() == "*" => None,
        Err(_) => return Err(Fault::BadRequest("path")),
    };
    if let Some(path) = path {
        head.uri = with_path(&head.uri, path)?;
    }
    let query = Query {
        host: host(&head.uri, &head.headers),
        path: head.uri.path(),
        query: head.uri.query(),
        method: &head.method,
        headers: &head.headers,
        source: Some(source),
    };
    match snapshot.table.find(&query) {
        Outcome::Found(found) => {
            let missing = || Fault::Internal("the route table names a route that is not there".to_owned());
            snapshot.entries.get(found.route.get()).ok_or_else(missing)
        }
        Outcome::MethodNotAllowed { allow } => Err(Fault::MethodNotAllowed { allow: allow.clone() }),
        Outcome::NotFound => Err(Fault::NotFound),
    }
}

/// The name the client asked for: `:authority` or an absolute target, else `Host`. Both agree; the door saw to it.
fn host<'r>(uri: &'r Uri, headers: &'r HeaderMap) -> &'r str {
    if let Some(authority) = uri.authority() {
        return authority.as_str();
    }
    headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default()
}

fn with_path(uri: &Uri, mut path: String) -> Result<Uri, Fault> {
    if let Some(query) = uri.query() {
        path.push('?');
        path.push_str(query);
    }
    let bad = |_| Fault::BadRequest("path");
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::from_maybe_shared(Bytes::from(path)).map_err(bad)?);
    Uri::from_parts(parts).map_err(|_| Fault::BadRequest("path"))
}

impl Target {
    /// Answers one request.
    ///
    /// # Errors
    /// What the client is told when there is no answer.
    pub async fn handle(&self, request: Request<Body>, cx: RequestCx) -> Result<Response<Body>, Fault> {
        match self {
            Self::Component(component, deadlines) => runtime::invoke(component, request, cx, *deadlines).await,
            Self::Redirect(fixed) | Self::Respond(fixed) => Ok(fixed.answer()),
            Self::External(handler) => handler.handle(request, cx).await,
        }
    }

    /// The component's name, where a component answers.
    pub(crate) fn component(&self) -> Option<&Arc<str>> {
        match self {
            Self::Component(component, _) => Some(component.name()),
            _ => None,
        }
    }
}
