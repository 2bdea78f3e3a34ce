//! One instance of a component with its store: made for a call, called, and fit for another call or not.

use super::component::{Component, Pre};
use super::pool::Slot;
use super::run::{Head, Meter, Shared, fault_of};
use super::store::StoreCtx;
use crate::config::Isolation;
use crate::error::Fault;
use crate::http::Body;
use crate::limits;
use crate::telemetry::metrics::{ComponentMetrics, Retirement};
use http::{HeaderMap, Request, Uri, header};
use http_body::Body as HttpBody;
use std::sync::Arc;
use std::time::Instant;
use wasmtime::Store;
use wasmtime_wasi_http::p2::bindings::Proxy;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Scheme};
use wasmtime_wasi_http::p3::bindings::Service;
use wasmtime_wasi_http::p3::{Request as P3Request, bindings::http::types::ErrorCode as P3ErrorCode};
use wasmtime_wasi_http::{FieldMap, WasiHttpView};

/// An instance, its store, and its places in the pool.
pub(super) struct Instance {
    store: Store<StoreCtx>,
    exports: Exports,
    /// Calls it has answered.
    calls: u32,
    reuse: Option<Reuse>,
    /// After the store, whose memory is what the slot counts.
    _slot: Slot,
}

enum Exports {
    P2(Proxy),
    P3(Service),
}

/// How long an instance may be kept, and why it was not kept longer; counted when it goes.
struct Reuse {
    requests_max: u32,
    retired_for: Retirement,
    metrics: Arc<ComponentMetrics>,
}

impl Drop for Reuse {
    fn drop(&mut self) {
        self.metrics.retired(self.retired_for);
    }
}

impl Instance {
    /// Makes an instance whose first request is `shared`'s; in a box, because it is handed on with every call. With a meter it works on several at a time, whose CPU time
    /// is measured on that.
    ///
    /// # Errors
    /// Why its start failed.
    pub(super) async fn start(
        component: &Component,
        shared: &Arc<Shared>,
        slot: Slot,
        meter: Option<Arc<Meter>>,
    ) -> Result<Box<Self>, Fault> {
        let began = Instant::now();
        let mut store = component.new_store(Arc::clone(shared));
        if let Some(meter) = meter {
            store.data_mut().share(meter);
        }
        let exports = match &component.pre {
            Pre::P2(pre) => pre.instantiate_async(&mut store).await.map(Exports::P2),
            Pre::P3(pre) => pre.instantiate_async(&mut store).await.map(Exports::P3),
        };
        let exports = exports.map_err(|error| fault_of(&error, store.data()))?;
        store.data_mut().started();
        let took = began.elapsed();
        component.metrics.instantiate_seconds.record(took);
        shared.cx.timing().instantiate(took);
        Ok(Box::new(Self {
            store,
            exports,
            calls: 0,
            reuse: (component.isolation != Isolation::Fresh).then(|| Reuse {
                requests_max: component.reuse.requests,
                // What is dropped without a word was stopped in the middle of a call.
                retired_for: Retirement::Cancelled,
                metrics: Arc::clone(&component.metrics),
            }),
            _slot: slot,
        }))
    }

    /// Gives it its next request.
    pub(super) fn begin(&mut self, shared: &Arc<Shared>) {
        self.store.data_mut().begin(Arc::clone(shared));
        // Its last deadline is long past.
        self.store.set_epoch_deadline(1);
    }

    /// Answers the request that it was made for or was given last, to the guest's end.
    pub(super) async fn call(&mut self, request: Request<Body>, shared: &Arc<Shared>) -> Result<(), Fault> {
        let called = match &self.exports {
            Exports::P2(proxy) => call_p2(proxy, &mut self.store, request, shared).await,
            Exports::P3(service) => call_p3(service, &mut self.store, request, shared).await,
        };
        called.map_err(|error| fault_of(&error, self.store.data()))
    }

    /// Whether it may answer another request after a call that ended like this. What it must not keep is gone then.
    pub(super) fn is_reusable_after(&mut self, end: &Result<(), Fault>) -> bool {
        let Some(reuse) = &mut self.reuse else { return false };
        self.calls = self.calls.saturating_add(1);
        let leftovers = match self.exports {
            Exports::P2(_) => 0,
            Exports::P3(_) => self.store.concurrent_state_table_size(),
        };
        let cause = match end {
            Err(Fault::Memory) => Retirement::Memory,
            Err(Fault::Trap(_)) => Retirement::Trap,
            Err(_) => Retirement::Cancelled,
            Ok(()) if self.calls >= reuse.requests_max => Retirement::Requests,
            Ok(()) if leftovers > limits::REUSE_HANDLES_COUNT => Retirement::Handles,
            Ok(()) => match self.store.data_mut().end() {
                Ok(()) => return true,
                Err(cause) => cause,
            },
        };
        reuse.retired_for = cause;
        false
    }

    /// Its store, and what a 0.3 component is called for.
    pub(super) fn parts(&mut self) -> (&mut Store<StoreCtx>, Option<&Service>) {
        let service = match &self.exports {
            Exports::P2(_) => None,
            Exports::P3(service) => Some(service),
        };
        (&mut self.store, service)
    }

    /// Ends it for this reason.
    pub(super) fn retire(&mut self, cause: Retirement) {
        if let Some(reuse) = &mut self.reuse {
            reuse.retired_for = cause;
        }
    }
}

/// Calls a 0.2 guest; it has ended when it returns.
async fn call_p2(
    proxy: &Proxy,
    store: &mut Store<StoreCtx>,
    request: Request<Body>,
    shared: &Arc<Shared>,
) -> wasmtime::Result<()> {
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
    service: &Service,
    store: &mut Store<StoreCtx>,
    request: Request<Body>,
    shared: &Arc<Shared>,
) -> wasmtime::Result<()> {
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

pub(super) fn p3_fault(code: &P3ErrorCode) -> Fault {
    Fault::GuestError(format!("{code:?}"))
}

pub(super) fn p3_request(
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
