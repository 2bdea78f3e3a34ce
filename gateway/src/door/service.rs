//! One request at the door: its context, its snapshot, its route, and its answer.

use super::DoorShared;
use super::answer::{Asked, Exchange, Leaving, Tracked, fault_page};
use super::shared::Connection;
use super::unguarded;
use crate::error::Fault;
use crate::http::{Body, ClientBody, RequestCx, Upgrade};
use crate::route;
use crate::snapshot::Route;
use http::{HeaderName, HeaderValue, Method, Request, Response, Version, header, request};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::sync::Arc;

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Serves the request with this ordinal on its connection, counted from one.
pub(super) async fn serve(
    door: Arc<DoorShared>,
    connection: Arc<Connection>,
    ordinal: u64,
    request: Request<Incoming>,
) -> Result<Response<Tracked>, Infallible> {
    let (mut head, body) = request.into_parts();
    // An HTTP/2 stream that goes on as something else; HTTP/1 connections do so by themselves.
    let stream = match head.method {
        Method::CONNECT => head.extensions.remove::<OnUpgrade>(),
        _ => None,
    };
    let cx = RequestCx::of(Arc::clone(&connection.peer), connection.provenance(&head.headers));
    connection.begin(cx.clone());
    let (version, is_head) = (head.version, head.method == Method::HEAD);
    let mut exchange = begin(&door, &connection, &cx, &head);
    let answer = match connection.refusal(ordinal) {
        Some(refusal) => Err(refusal.into()),
        None => answer(&door, &cx, &mut exchange, head, body).await,
    };
    let (mut answer, closes) = match answer {
        Ok(answer) => (answer, false),
        Err(fault) => {
            exchange.outcome = fault.code();
            (fault_page(&fault, &cx, door.dev), fault.closes_connection())
        }
    };
    cx.call().head_sent();
    if is_head && version >= Version::HTTP_2 {
        answer = without_body(answer);
    }
    let leaves = cx.take_upgrade();
    if version < Version::HTTP_2 && leaves.is_none() && (closes || connection.is_draining()) {
        answer
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if door.dev {
        let field = cx.timing().field(cx.call().started().elapsed());
        answer.headers_mut().append(SERVER_TIMING, field);
    }
    exchange.status = answer.status().as_u16();
    if exchange.asked.is_some() {
        exchange.head = Some(cx.call().started().elapsed());
    }
    let (parts, body) = answer.into_parts();
    if let Some(after) = leaves {
        cx.unpin();
        leave(&connection, stream, Leaving::new(after, exchange));
        return Ok(Response::from_parts(parts, Tracked::leaving()));
    }
    Ok(Response::from_parts(parts, Tracked::new(body, exchange)))
}

/// What `leaving` runs on: the HTTP/2 stream in a task that ends with its connection, or the HTTP/1 connection as a
/// whole, which then is done with HTTP.
fn leave(connection: &Connection, stream: Option<OnUpgrade>, leaving: Leaving) {
    let Some(stream) = stream else {
        return connection.leave(leaving);
    };
    tokio::spawn(async move {
        if let Ok(upgraded) = stream.await {
            leaving.run(Upgrade::new(TokioIo::new(upgraded), Vec::new())).await;
        }
    });
}

fn begin(door: &DoorShared, connection: &Arc<Connection>, cx: &RequestCx, head: &request::Parts) -> Exchange {
    let asked = door.access.is_on().then(|| Asked {
        method: head.method.clone(),
        uri: head.uri.clone(),
        version: head.version,
        host: host_field(head),
        user_agent: head.headers.get(header::USER_AGENT).cloned(),
    });
    Exchange {
        cx: cx.clone(),
        connection: Arc::clone(connection),
        asked,
        route: None,
        in_flight: None,
        admitted: None,
        status: 0,
        outcome: "complete",
        head: None,
        bytes_out: 0,
        is_complete: false,
    }
}

/// Who the request is for, as its line in the access log says it.
fn host_field(head: &request::Parts) -> Option<HeaderValue> {
    let named = || {
        head.uri
            .authority()
            .and_then(|authority| HeaderValue::from_str(authority.as_str()).ok())
    };
    head.headers.get(header::HOST).cloned().or_else(named)
}

async fn answer(
    door: &DoorShared,
    cx: &RequestCx,
    exchange: &mut Exchange,
    mut head: request::Parts,
    body: Incoming,
) -> Result<Response<Body>, Fault> {
    let snapshot = door.current.load();
    if head.version < Version::HTTP_2 && !body.is_end_stream() {
        // Whoever still reads the body behind the answer reads it from hyper's connection, which has to stay.
        let open = exchange.connection.body_opens();
        cx.pin(Arc::new((snapshot.clone(), open)));
    } else {
        cx.pin(snapshot.clone());
    }
    if head.version >= Version::HTTP_2 {
        unguarded::check(&mut head, cx.client().tls)?;
    } else {
        name_host(&mut head, cx)?;
    }
    let client = cx.client().address.ip();
    let route = Arc::clone(route::find(&snapshot, &mut head, client)?);
    exchange.in_flight = Some(route.metrics.enter());
    exchange.route = Some(Arc::clone(&route));
    exchange.admitted = route.filters.admission.admit(client, &head)?;
    let body = bounded(&route, exchange, cx, body)?;
    route::rewrite(&snapshot, &route, &mut head, client)?;
    route.handle(Request::from_parts(head, body), cx.clone()).await
}

/// HTTP/1.0 may name no host: then it is the address that was reached. On HTTP/1.1 the guard has seen to one.
fn name_host(head: &mut request::Parts, cx: &RequestCx) -> Result<(), Fault> {
    if !head.headers.contains_key(header::HOST) {
        let local = cx.client().local.to_string();
        let host = HeaderValue::from_str(&local).map_err(|_| Fault::BadRequest("host"))?;
        head.headers.insert(header::HOST, host);
    }
    Ok(())
}

/// An answer to HEAD ends with its head (RFC 9110 §9.3.2). On HTTP/1 hyper sees to that, on HTTP/2 it would send the
/// body, which clients take for a broken protocol.
fn without_body(answer: Response<Body>) -> Response<Body> {
    let (mut head, body) = answer.into_parts();
    if let Some(bytes) = body.size_hint().exact().filter(|bytes| *bytes > 0)
        && !head.headers.contains_key(header::CONTENT_LENGTH)
    {
        head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
    }
    Response::from_parts(head, Body::empty())
}

/// The request body under its bound: the route's own, else the listener's.
fn bounded(route: &Route, exchange: &Exchange, cx: &RequestCx, body: Incoming) -> Result<Body, Fault> {
    if body.is_end_stream() {
        return Ok(Body::empty());
    }
    let most = route
        .body_bytes
        .unwrap_or_else(|| exchange.connection.listener.limits().body);
    if body.size_hint().lower() > most {
        return Err(Fault::BodyTooLarge);
    }
    let is_stream = exchange.connection.is_h2();
    Ok(Body::client(ClientBody::new(body, most, is_stream, cx.clone())))
}
