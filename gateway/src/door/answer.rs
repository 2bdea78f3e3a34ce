//! Answers as they leave: the page of a fault, and the body that knows when the request is over.

use super::shared::Connection;
use crate::error::{Blame, Fault};
use crate::http::{AfterUpgrade, Body, BodyError, Cause, RequestCx, Upgrade};
use crate::snapshot::{Admitted, Route};
use crate::telemetry::access::Record;
use crate::telemetry::metrics::GaugeGuard;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Response, Uri, Version, header};
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

const ERROR: HeaderName = HeaderName::from_static("tidegate-error");

/// The answer to a request that met `fault`. What went wrong inside a guest is for the log; only with `dev` it is
/// for the page too.
pub(super) fn fault_page(fault: &Fault, cx: &RequestCx, dev: bool) -> Response<Body> {
    let status = fault.status();
    let reason = status.canonical_reason().unwrap_or("Error");
    let mut page = format!(
        "{} {reason}\ncode: {}\nrequest: {}\n",
        status.as_u16(),
        fault.code(),
        cx.id()
    );
    if dev && fault.blame() != Blame::Client {
        page.push_str(&format!("\n{fault}\n"));
    }
    let mut answer = Response::new(Body::full(page));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    headers.insert(ERROR, HeaderValue::from_static(fault.code()));
    if let Some(seconds) = fault.retry_after() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if let Fault::MethodNotAllowed { allow } = fault {
        headers.insert(header::ALLOW, allow.clone());
    }
    answer
}

/// What a request's head says, kept for its line in the access log.
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) version: Version,
    pub(super) host: Option<HeaderValue>,
    pub(super) user_agent: Option<HeaderValue>,
}

/// A request from its head to its last byte. Dropped when it is over, however that came.
pub(super) struct Exchange {
    pub(super) cx: RequestCx,
    pub(super) connection: Arc<Connection>,
    /// `None` while the access log is off.
    pub(super) asked: Option<Asked>,
    pub(super) route: Option<Arc<Route>>,
    pub(super) in_flight: Option<GaugeGuard>,
    /// Its place under the route's bounds.
    pub(super) admitted: Option<Admitted>,
    pub(super) status: u16,
    pub(super) outcome: &'static str,
    pub(super) head: Option<Duration>,
    pub(super) bytes_out: u64,
    pub(super) is_complete: bool,
}

impl Exchange {
    fn outcome(&self) -> &'static str {
        if self.outcome != "complete" {
            return self.outcome;
        }
        match self.cx.call().cause() {
            Some(cause) if !self.is_complete => cause.fault().code(),
            None if !self.is_complete => "client-gone",
            _ => "complete",
        }
    }
}

/// A connection that leaves HTTP behind its answer, and the exchange that goes on with it.
pub(super) struct Leaving {
    after: AfterUpgrade,
    exchange: Exchange,
}

impl Leaving {
    pub(super) fn new(after: AfterUpgrade, exchange: Exchange) -> Self {
        Self { after, exchange }
    }

    /// Runs until both sides are done.
    pub(super) async fn run(self, client: Upgrade) {
        let Self { after, mut exchange } = self;
        let carried = after.run(client).await;
        exchange.cx.call().body_came(carried.bytes_in);
        exchange.bytes_out += carried.bytes_out;
        exchange.is_complete = true;
        if let Some(outcome) = carried.outcome {
            exchange.outcome = outcome;
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.is_complete {
            // The answer was not finished, so the client is gone or was cut; whoever still works learns it here.
            self.cx.call().cancel(Cause::ClientGone);
        }
        self.connection.end(&self.cx);
        let duration = self.cx.call().started().elapsed();
        let bytes_in = self.cx.call().bytes_in();
        if let Some(route) = &self.route {
            route.metrics.finished(self.status, duration, bytes_in, self.bytes_out);
        }
        let outcome = self.outcome();
        let Some(asked) = &self.asked else { return };
        let client = self.cx.client();
        self.connection.access.write(&Record {
            time: SystemTime::now(),
            id: self.cx.id().as_u128(),
            trace: None,
            client: client.address,
            method: asked.method.as_str(),
            scheme: if client.tls { "https" } else { "http" },
            version: asked.version,
            host: asked.host.as_ref().map(HeaderValue::as_bytes),
            uri: &asked.uri,
            user_agent: asked.user_agent.as_ref().map(HeaderValue::as_bytes),
            status: self.status,
            bytes_in,
            bytes_out: self.bytes_out,
            head: self.head,
            duration,
            route: self.route.as_ref().map(|route| &*route.name),
            component: self
                .route
                .as_ref()
                .and_then(|route| route.target.component())
                .or_else(|| self.cx.component())
                .map(|name| &**name),
            server: self.cx.server().map(|server| &**server),
            outcome,
        });
    }
}

/// An answer's body with the exchange it completes.
pub(super) struct Tracked {
    body: Body,
    /// `None` where it goes on behind the answer.
    exchange: Option<Exchange>,
}

impl Tracked {
    pub(super) fn new(body: Body, mut exchange: Exchange) -> Self {
        exchange.is_complete = body.is_end_stream();
        let exchange = Some(exchange);
        Self { body, exchange }
    }

    /// No body, and nothing that ends with it.
    pub(super) fn leaving() -> Self {
        Self {
            body: Body::empty(),
            exchange: None,
        }
    }
}

impl HttpBody for Tracked {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let Some(exchange) = &mut this.exchange else {
            return Poll::Ready(None);
        };
        let call = exchange.cx.call();
        call.client_takes();
        let polled = Pin::new(&mut this.body).poll_frame(cx);
        match &polled {
            Poll::Pending => {}
            Poll::Ready(None) => exchange.is_complete = true,
            Poll::Ready(Some(Ok(frame))) => {
                exchange.bytes_out += frame.data_ref().map_or(0, |data| data.len() as u64);
                // hyper does not ask again once it has as many bytes as the head says.
                let is_whole = this.body.size_hint().exact() == Some(0);
                if is_whole || this.body.is_end_stream() || frame.is_trailers() {
                    exchange.is_complete = true;
                } else {
                    call.waits_for_client();
                }
            }
            Poll::Ready(Some(Err(error))) => {
                // A body that broke because its call was stopped ends for the reason it was stopped.
                exchange.outcome = match (call.cause(), error) {
                    (Some(cause), _) => cause.fault().code(),
                    (None, BodyError::Fault(fault)) => fault.code(),
                    (None, BodyError::Broken(_)) => "broken",
                };
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
