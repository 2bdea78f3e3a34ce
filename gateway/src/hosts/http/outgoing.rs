//! Outgoing requests of one instance: sent on its component's connections, marked as its request's, ended with it.

use super::Sending;
use super::error::code;
use crate::http::{Caller, RequestCx};
use crate::limits;
use crate::outbound::{Client, DeniedReason, ResponseBody, SendError, Timeouts};
use crate::telemetry::Seldom;
use crate::telemetry::metrics::{ComponentMetrics, OutgoingResult};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use std::future::ready;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

/// Where the requests of one component may go, and its connections there.
pub(crate) struct Destinations {
    component: Arc<str>,
    /// `None` where nothing is granted.
    client: Option<Arc<Client<WasiBody>>>,
    metrics: Arc<ComponentMetrics>,
    denials: Seldom,
}

impl Destinations {
    /// Those of `client`, or none at all.
    pub(crate) fn new(
        component: Arc<str>,
        client: Option<Arc<Client<WasiBody>>>,
        metrics: Arc<ComponentMetrics>,
    ) -> Arc<Self> {
        Arc::new(Self {
            component,
            client,
            metrics,
            denials: Seldom::every(limits::DENIAL_LOG_INTERVAL),
        })
    }

    /// Whether anything is granted.
    pub(crate) fn are_any(&self) -> bool {
        self.client.is_some()
    }

    /// Closes connections that nobody has used for a while.
    pub(crate) fn close_idle(&self) {
        if let Some(client) = &self.client {
            client.close_idle(limits::OUTGOING_IDLE_TIME);
        }
    }

    /// Counts the connections that are open.
    pub(crate) fn observe(&self) {
        if let Some(client) = &self.client {
            self.metrics.outgoing_connections(client.connections());
        }
    }

    fn failed(&self, to: &http::Uri, error: SendError) -> Error {
        match &error {
            SendError::Denied(reason) => self.denied(to, *reason),
            other => {
                self.metrics.outgoing(OutgoingResult::Failed);
                let to = Destination(to);
                tracing::debug!(component = %self.component, %to, "outgoing request failed: {}", other.report());
            }
        }
        code(error)
    }

    /// Counts a denial, and says so at most once a minute: a guest may try as often as it likes.
    fn denied(&self, to: &http::Uri, reason: DeniedReason) {
        self.metrics.outgoing(OutgoingResult::Denied);
        if let Some(unsaid) = self.denials.say() {
            let to = Destination(to);
            tracing::warn!(
                component = %self.component, %to, unsaid,
                "outgoing request denied: {reason}. To allow it: grants = {{ http = [\"{to}\"] }}"
            );
        }
    }
}

/// Nobody looks at it any more, and its connections close with it.
impl Drop for Destinations {
    fn drop(&mut self) {
        if self.client.is_some() {
            self.metrics.outgoing_connections(0);
        }
    }
}

/// A destination as a grant would name it.
struct Destination<'u>(&'u http::Uri);

impl std::fmt::Display for Destination<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = self.0.scheme_str().unwrap_or("https");
        // What stands before an `@` may be a password.
        let authority = self.0.authority().map_or("", |authority| authority.as_str());
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        write!(f, "{scheme}://{host}")
    }
}

/// The hooks of one instance: its component's destinations, and the request they are used for.
pub(crate) struct Outgoing {
    destinations: Arc<Destinations>,
    request: Option<(RequestCx, Option<Arc<Caller>>)>,
    /// The instance outlives the request's end, and its responses with it, unless they are ended here.
    is_shared: bool,
}

impl Outgoing {
    pub(crate) fn new(destinations: Arc<Destinations>) -> Self {
        Self {
            destinations,
            request: None,
            is_shared: false,
        }
    }

    /// The instance works on several requests at a time.
    pub(crate) fn share(&mut self) {
        self.is_shared = true;
    }

    /// Whose the next requests are.
    pub(crate) fn serve(&mut self, request: Option<(RequestCx, Option<Arc<Caller>>)>) {
        self.request = request;
    }

    pub(super) fn send(&mut self, mut request: http::Request<WasiBody>, options: Option<RequestOptions>) -> Sending {
        let destinations = Arc::clone(&self.destinations);
        let Some(client) = destinations.client.clone() else {
            destinations.denied(request.uri(), DeniedReason::NotGranted);
            return Box::new(ready(Err(Error::HttpRequestDenied)));
        };
        let cx = self.request.as_ref().map(|(cx, caller)| {
            if let Some(caller) = caller {
                caller.mark(request.headers_mut());
            }
            cx.clone()
        });
        let timeouts = timeouts(options);
        let is_shared = self.is_shared;
        Box::new(async move {
            // The URI is taken apart on the way.
            let uri = request.uri().clone();
            let sending = client.send(request, timeouts);
            let sent = match &cx {
                Some(cx) => {
                    let stopped = pin!(cx.call().stopped());
                    match futures_util::future::select(pin!(sending), stopped).await {
                        futures_util::future::Either::Left((sent, _)) => sent,
                        futures_util::future::Either::Right(_) => return Err(Error::ConnectionTerminated),
                    }
                }
                None => sending.await,
            };
            let response = sent.map_err(|error| destinations.failed(&uri, error))?;
            destinations.metrics.outgoing(OutgoingResult::Ok);
            let response = response.map(|body| match cx.filter(|_| is_shared) {
                Some(cx) => Ending::new(body, cx).boxed_unsync(),
                None => body.map_err(code).boxed_unsync(),
            });
            // The connection has a task of its own, so nothing is left to be driven here.
            let driven: Box<dyn Future<Output = Result<(), Error>> + Send> = Box::new(ready(Ok(())));
            Ok((response, driven))
        })
    }
}

fn timeouts(options: Option<RequestOptions>) -> Timeouts {
    let (options, default) = (options.unwrap_or_default(), Timeouts::default());
    Timeouts {
        connect: options.connect_timeout.unwrap_or(default.connect),
        first_byte: options.first_byte_timeout.unwrap_or(default.first_byte),
        between_bytes: options.between_bytes_timeout.unwrap_or(default.between_bytes),
    }
}

/// A response body that ends with the request it was fetched for, although the instance that holds it lives on.
struct Ending {
    body: Option<ResponseBody>,
    stopped: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Ending {
    fn new(body: ResponseBody, cx: RequestCx) -> Self {
        Self {
            body: Some(body),
            stopped: Box::pin(async move {
                cx.call().stopped().await;
            }),
        }
    }
}

impl Body for Ending {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        let Some(body) = &mut this.body else {
            return Poll::Ready(None);
        };
        if this.stopped.as_mut().poll(cx).is_ready() {
            this.body = None;
            return Poll::Ready(Some(Err(Error::ConnectionTerminated)));
        }
        Pin::new(body)
            .poll_frame(cx)
            .map(|frame| frame.map(|frame| frame.map_err(code)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(Body::size_hint).unwrap_or_default()
    }
}
