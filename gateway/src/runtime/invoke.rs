//! One call of a component: from a request to the head of its answer.
//!
//! The guest is polled here, in the task of its connection. It moves to the lane only when it computes for longer
//! than a tick; it is boxed and shared with nobody until then.

use super::component::{Component, Deadlines, Pre};
use super::pool::Places;
use super::run::{Answer, Head, Run, Shared};
use super::store::StoreCtx;
use super::stream::{Guest, GuestBody};
use crate::error::Fault;
use crate::http::{Body, RequestCx};
use crate::limits;
use http::{HeaderMap, Method, Request, StatusCode, Uri, header};
use http_body::{Body as HttpBody, Frame};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use wasmtime::Store;
use wasmtime_wasi_http::p2::bindings::ProxyPre;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Scheme};
use wasmtime_wasi_http::p3::bindings::ServicePre;
use wasmtime_wasi_http::p3::{Request as P3Request, bindings::http::types::ErrorCode as P3ErrorCode};
use wasmtime_wasi_http::{FieldMap, WasiBody, WasiHttpView};

/// Calls `component` with `request`.
///
/// The answer's body may still be in the making: it drives the guest when it is polled, and stops it when it is
/// dropped before its end.
///
/// # Errors
/// A [`Fault`] that says what the client is to be told, when no head was produced.
pub async fn invoke(
    component: &Arc<Component>,
    request: Request<Body>,
    cx: RequestCx,
    deadlines: Deadlines,
) -> Result<Answer, Fault> {
    cx.call().set_deadlines(deadlines.head, deadlines.body);
    component.metrics.calls.increment(1);
    let places = places(component, &cx).await?;
    let method = request.method().clone();
    let store = component.new_store(cx);
    let shared = Arc::clone(store.data().shared());
    let work = guest(store, request, Arc::clone(component));
    let guest = Run::new(work, Arc::clone(&shared), Arc::clone(component), places);
    let answer = Answering {
        guest: Guest::Here(guest),
        shared: Arc::clone(&shared),
        method,
    }
    .await;
    shared.cx.call().head_sent();
    answer
}

/// Waits for the places of a call, for no longer than the call may go on.
async fn places(component: &Component, cx: &RequestCx) -> Result<Places, Fault> {
    let mut entering = pin!(component.gate.enter(&component.metrics));
    let entered = poll_fn(|task| {
        if let Poll::Ready(entered) = entering.as_mut().poll(task) {
            return Poll::Ready(entered);
        }
        let call = cx.call();
        call.register(task.waker());
        call.cause()
            .map_or(Poll::Pending, |cause| Poll::Ready(Err(cause.fault())))
    });
    let entered = entered.await;
    if matches!(entered, Err(Fault::Saturated)) {
        component.metrics.saturated.increment(1);
    }
    entered
}

/// Waits for the head of a guest's answer.
struct Answering {
    guest: Guest,
    shared: Arc<Shared>,
    method: Method,
}

impl Future for Answering {
    type Output = Result<Answer, Fault>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let polled = this.guest.poll(cx);
        if let Some(head) = this.shared.take_head() {
            // A guest may answer the error of a request body itself; the client is told what really happened.
            if let Some(cause) = this.shared.cx.call().cause() {
                return Poll::Ready(Err(cause.fault()));
            }
            return Poll::Ready(answer(head?, &mut this.guest, &this.method, cx));
        }
        match ready!(polled) {
            Ok(()) => Poll::Ready(Err(Fault::NoResponse)),
            Err(fault) => Poll::Ready(Err(fault)),
        }
    }
}

/// Makes the answer from its head and whatever of its body is here already.
fn answer(
    head: http::Response<WasiBody>,
    guest: &mut Guest,
    method: &Method,
    cx: &mut Context<'_>,
) -> Result<Answer, Fault> {
    let (parts, body) = head.into_parts();
    let guest = std::mem::replace(guest, Guest::Ended(Ok(())));
    if is_bodiless(method, parts.status) {
        guest.detach(Some(body));
        return Ok(http::Response::from_parts(parts, Body::empty()));
    }
    let length = parts
        .headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok());
    let mut body = GuestBody::new(body, guest, length);
    let body = match body.gather(cx) {
        Some(frames) => Body::frames(frames?),
        None => Body::stream(body),
    };
    Ok(http::Response::from_parts(parts, body))
}

/// Whether the answer carries no body whatever the guest sends (RFC 9110 §6.4.1).
fn is_bodiless(method: &Method, status: StatusCode) -> bool {
    *method == Method::HEAD || status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED
}

impl GuestBody {
    /// All frames of an answer whose guest has ended, so that it can go out in one write with its length;
    /// `None` where more is to come.
    fn gather(&mut self, cx: &mut Context<'_>) -> Option<Result<VecDeque<Frame<bytes::Bytes>>, Fault>> {
        if !self.guest_ended_well() {
            return None;
        }
        let mut frames = VecDeque::with_capacity(1);
        loop {
            match Pin::new(&mut *self).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => frames.push_back(frame),
                Poll::Ready(None) => return Some(Ok(frames)),
                Poll::Ready(Some(Err(error))) => return Some(Err(Fault::GuestError(error.to_string()))),
                Poll::Pending => {
                    // It broke its own answer off, and none of that is out yet.
                    if let Some(fault) = self.take_failure() {
                        return Some(Err(fault));
                    }
                    // Cannot be while the guest has ended; what was gathered is not lost all the same.
                    self.put_back(frames);
                    return None;
                }
            }
        }
    }
}

/// A guest from instantiation to its end.
async fn guest(mut store: Store<StoreCtx>, request: Request<Body>, component: Arc<Component>) -> Result<(), Fault> {
    let shared = Arc::clone(store.data().shared());
    let end = match &component.pre {
        Pre::P2(pre) => call_p2(pre, &mut store, request, &shared, &component).await,
        Pre::P3(pre) => call_p3(pre, &mut store, request, &shared, &component).await,
    };
    let end = match shared.cx.call().cause() {
        // A guest may notice first what its call is stopped for, and end on it in its own way.
        Some(cause) => Err(cause.fault()),
        None => end.map_err(|error| shared.fault_of(&error)),
    };
    // Before the store goes: whoever sees the answer's body end can then tell a finished guest from a trapped one.
    shared.set_end(end.clone());
    drop(store);
    end
}

/// Calls a 0.2 guest; it has ended when it returns.
async fn call_p2(
    pre: &ProxyPre<StoreCtx>,
    store: &mut Store<StoreCtx>,
    request: Request<Body>,
    shared: &Arc<Shared>,
    component: &Component,
) -> wasmtime::Result<()> {
    let began = Instant::now();
    let proxy = pre.instantiate_async(&mut *store).await?;
    component.metrics.instantiate_seconds.record(began.elapsed());
    let scheme = if shared.cx.client().tls {
        Scheme::Https
    } else {
        Scheme::Http
    };
    let request = request.map(wasi_body);
    let mut http = store.data_mut().http();
    let request = http.new_incoming_request(scheme, request)?;
    let reply = Arc::clone(shared);
    let out = http.new_response_outparam_from_callback(move |head| {
        reply.set_head(head.map_err(|code: ErrorCode| Fault::GuestError(format!("{code:?}"))));
    })?;
    proxy
        .wasi_http_incoming_handler()
        .call_handle(store, request, out)
        .await
}

/// Calls a 0.3 guest; it has ended when nothing of it is left to do.
async fn call_p3(
    pre: &ServicePre<StoreCtx>,
    store: &mut Store<StoreCtx>,
    request: Request<Body>,
    shared: &Arc<Shared>,
    component: &Component,
) -> wasmtime::Result<()> {
    let began = Instant::now();
    let service = pre.instantiate_async(&mut *store).await?;
    component.metrics.instantiate_seconds.record(began.elapsed());
    let tls = shared.cx.client().tls;
    let (request, sent) = p3_request(store.data_mut(), request, tls);
    let answered = store.run_concurrent(async |accessor| {
        let head: Head = match service.handle(accessor, request).await? {
            Ok(response) => Ok(accessor.with(|mut store| response.into_http(&mut store, sent))?),
            Err(code) => Err(p3_fault(&code)),
        };
        shared.set_head(head);
        std::future::poll_fn(|cx| accessor.poll_no_interesting_tasks(cx)).await;
        wasmtime::Result::Ok(())
    });
    answered.await?
}

fn p3_fault(code: &P3ErrorCode) -> Fault {
    Fault::GuestError(format!("{code:?}"))
}

fn p3_request(
    store: &mut StoreCtx,
    request: Request<Body>,
    tls: bool,
) -> (
    P3Request,
    impl Future<Output = Result<(), wasmtime_wasi_http::Error>> + Send + use<>,
) {
    let (parts, body) = request.into_parts();
    let scheme = if tls {
        http::uri::Scheme::HTTPS
    } else {
        http::uri::Scheme::HTTP
    };
    let authority = authority(&parts.uri, &parts.headers);
    let headers = FieldMap::new_immutable(store.http().hooks, parts.headers);
    let path = parts.uri.into_parts().path_and_query;
    P3Request::new(
        parts.method,
        Some(scheme),
        authority,
        path,
        headers,
        None,
        wasi_body(body),
    )
}

fn authority(uri: &Uri, headers: &HeaderMap) -> Option<http::uri::Authority> {
    if let Some(authority) = uri.authority() {
        return Some(authority.clone());
    }
    let host = headers.get(header::HOST)?;
    http::uri::Authority::try_from(host.as_bytes()).ok()
}

/// Our body as wasi:http takes it.
fn wasi_body(body: Body) -> impl HttpBody<Data = bytes::Bytes, Error = wasmtime_wasi_http::Error> + Send + 'static {
    http_body_util::BodyExt::map_err(body, |error| {
        tracing::debug!("a request body ended early: {error}");
        wasmtime_wasi_http::Error::HttpProtocolError
    })
}

/// How long a guest may go on after its answer is complete, where it has no body deadline.
pub(super) fn rest_of_call(component: &Component) -> Duration {
    let limits = &component.limits;
    limits.body_deadline.or(limits.deadline).unwrap_or(limits::DEADLINE)
}
