//! From a request to its route, and from the route to an answer.

use crate::error::Fault;
use crate::http::{Body, Edits, RequestCx, with_path};
use crate::runtime;
use crate::snapshot::{Route, Snapshot, Target};
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
    match snapshot.table.find(&query(head, source)) {
        Outcome::Found(found) => {
            let missing = || Fault::Internal("the route table names a route that is not there".to_owned());
            snapshot.entries.get(found.route.get()).ok_or_else(missing)
        }
        Outcome::MethodNotAllowed { allow } => Err(Fault::MethodNotAllowed { allow: allow.clone() }),
        Outcome::NotFound => Err(Fault::NotFound),
    }
}

/// Rewrites the target of a request that `route` has taken, if the route says so.
///
/// # Errors
/// 400 where that makes a path that cannot be trusted.
pub(crate) fn rewrite(
    snapshot: &Snapshot,
    route: &Route,
    head: &mut request::Parts,
    source: IpAddr,
) -> Result<(), Fault> {
    let Some(rewrite) = &route.filters.rewrite else {
        return Ok(());
    };
    // Looked up once more by the few routes that rewrite, instead of carried along by all: what a path captured is
    // borrowed from the path.
    let target = match snapshot.table.find(&query(head, source)) {
        Outcome::Found(found) => rewrite.target(&head.uri, &found.params())?,
        _ => return Err(Fault::Internal("a route that was found is not found again".to_owned())),
    };
    rewrite.apply(head, target)
}

fn query(head: &request::Parts, source: IpAddr) -> Query<'_> {
    // A WebSocket is asked for with GET in HTTP/1.1, and with CONNECT and a protocol in HTTP/2 (RFC 8441 §4).
    let is_extended = head.method == Method::CONNECT && head.extensions.get::<hyper::ext::Protocol>().is_some();
    Query {
        host: host(&head.uri, &head.headers),
        path: head.uri.path(),
        query: head.uri.query(),
        method: if is_extended { &Method::GET } else { &head.method },
        headers: &head.headers,
        source: Some(source),
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

impl Route {
    /// Answers one request that was admitted: its filters, its target, its filters again.
    ///
    /// # Errors
    /// What the client is told when there is no answer.
    pub(crate) async fn handle(&self, request: Request<Body>, cx: RequestCx) -> Result<Response<Body>, Fault> {
        let (target, keep) = match &self.target {
            Target::Split(shares) => {
                let client = cx.client();
                let (target, keep) = shares.pick(request.headers(), client.address.ip(), client.tls);
                let missing = || Fault::Internal("the split names a target that is not there".to_owned());
                let target = target.ok_or_else(missing)?;
                if let Some(component) = target.component() {
                    cx.answered_by(Arc::clone(component));
                }
                (target, keep)
            }
            target => (target, None),
        };
        let mut answer = target.handle(request, cx, &self.filters.request).await?;
        if let Some(keep) = keep {
            keep.set(&mut answer);
        }
        if !self.filters.response.is_empty() {
            self.filters.response.apply(answer.headers_mut());
        }
        Ok(answer)
    }
}

impl Target {
    /// Answers one request, changed by `edits` before it leaves the gateway's hands.
    async fn handle(&self, mut request: Request<Body>, cx: RequestCx, edits: &Edits) -> Result<Response<Body>, Fault> {
        if let Self::Upstream(upstream, how) = self {
            // Apart, so that other targets' requests have no room for all that may happen on the way to a server.
            return Box::pin(upstream.forward(request, &cx, how.deadlines, how.websocket, edits)).await;
        }
        if request.method() == Method::CONNECT {
            // An extended CONNECT (RFC 8441) for what only a tunnel serves.
            return Err(Fault::Refused {
                status: 501,
                code: "connect",
            });
        }
        if !edits.is_empty() {
            edits.apply(request.headers_mut());
        }
        match self {
            Self::Component(component, deadlines) => runtime::invoke(component, request, cx, *deadlines).await,
            Self::Redirect(fixed) | Self::Respond(fixed) => Ok(fixed.answer()),
            Self::External(handler) => handler.handle(request, cx).await,
            Self::Upstream(..) | Self::Split(_) => Err(Fault::Internal("a split in a split".to_owned())),
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
