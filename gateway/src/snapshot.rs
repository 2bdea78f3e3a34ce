//! What a request runs on: routes and components as they were when it came. Immutable; a change is another one.

mod admission;
mod shares;

pub(crate) use self::admission::{Admission, Admitted};
pub use self::shares::Shares;

use crate::config::{Name, RedirectConfig, RespondConfig};
use crate::error::Fault;
use crate::http::{Body, Edits, RequestCx, Rewrite};
use crate::proxy::Upstream;
use crate::runtime::{Component, Deadlines};
use crate::telemetry::metrics::{GaugeGuard, RouteMetrics};
use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use tidegate_routing::RouteTable;

/// One state of the gateway.
#[derive(Debug)]
pub struct Snapshot {
    /// Counts up with every applied change.
    pub version: u64,
    /// Finds a route's place in `entries`.
    pub table: RouteTable,
    /// In the order of their declaration.
    pub entries: Vec<Arc<Route>>,
    /// By name.
    pub components: BTreeMap<Name, Arc<Component>>,
    /// By name.
    pub upstreams: BTreeMap<Name, Arc<Upstream>>,
    /// Counts it as alive.
    pub(crate) _alive: GaugeGuard,
}

impl Snapshot {
    /// Sets the gauges of its parts to what is the case.
    pub(crate) fn observe(&self) {
        self.components.values().for_each(|component| component.observe());
        self.upstreams.values().for_each(|upstream| upstream.observe());
    }

    /// Components and upstreams that `next` does not have keep nothing for further requests.
    pub(crate) fn close_what_is_not_in(&self, next: &Self) {
        for (name, component) in &self.components {
            if !next
                .components
                .get(name)
                .is_some_and(|kept| Arc::ptr_eq(kept, component))
            {
                component.close();
            }
        }
        for (name, upstream) in &self.upstreams {
            if !next.upstreams.get(name).is_some_and(|kept| Arc::ptr_eq(kept, upstream)) {
                upstream.close();
            }
        }
    }
}

/// Where requests of one route go, and under which bounds.
#[derive(Debug)]
pub struct Route {
    /// Its configured or generated name.
    pub name: Arc<str>,
    /// The end of its chain.
    pub target: Target,
    /// Overrides its listener's bound of the request body, in bytes.
    pub body_bytes: Option<u64>,
    pub(crate) filters: Filters,
    pub(crate) metrics: Arc<RouteMetrics>,
}

/// What stands between a route and its target, in the order of a request's way.
#[derive(Debug, Default)]
pub(crate) struct Filters {
    pub(crate) admission: Admission,
    pub(crate) rewrite: Option<Rewrite>,
    pub(crate) request: Edits,
    pub(crate) response: Edits,
}

/// What answers a request.
#[derive(Debug)]
pub enum Target {
    /// A component, under deadlines that the route may have overridden.
    Component(Arc<Component>, Deadlines),
    /// One of the servers of an upstream, under deadlines of the route's own.
    Upstream(Arc<Upstream>, Proxied),
    /// One of several targets.
    Split(Box<Shares>),
    /// A fixed redirection.
    Redirect(Fixed),
    /// A fixed answer.
    Respond(Fixed),
    /// Whatever the embedding program does.
    External(Arc<dyn DynHandler>),
}

/// How a route uses its upstream.
#[derive(Clone, Copy, Debug)]
pub struct Proxied {
    /// Of the answer's head and of all of it; the upstream's own times hold beside them.
    pub deadlines: Deadlines,
    /// Whether WebSockets are tunnelled.
    pub websocket: bool,
}

/// An answer that is the same for everybody.
#[derive(Clone, Debug)]
pub struct Fixed {
    /// Its status.
    pub status: StatusCode,
    /// Its fields.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl From<&RedirectConfig> for Fixed {
    fn from(config: &RedirectConfig) -> Self {
        let headers = HeaderMap::from_iter([(header::LOCATION, config.to.clone())]);
        Self {
            status: config.status,
            headers,
            body: Bytes::new(),
        }
    }
}

impl From<&RespondConfig> for Fixed {
    fn from(config: &RespondConfig) -> Self {
        let mut headers = HeaderMap::new();
        for (name, value) in &config.headers {
            headers.append(name.clone(), value.clone());
        }
        if !config.body.is_empty() && !headers.contains_key(header::CONTENT_TYPE) {
            headers.insert(
                header::CONTENT_TYPE,
                HeaderValue::from_static("text/plain; charset=utf-8"),
            );
        }
        Self {
            status: config.status,
            headers,
            body: Bytes::from(config.body.clone()),
        }
    }
}

impl Fixed {
    /// The answer.
    pub fn answer(&self) -> Response<Body> {
        let mut answer = Response::new(Body::full(self.body.clone()));
        *answer.status_mut() = self.status;
        *answer.headers_mut() = self.headers.clone();
        answer
    }
}

/// A handler of a program that embeds the gateway.
pub trait DynHandler: Send + Sync + std::fmt::Debug {
    /// Answers one request.
    fn handle(&self, request: Request<Body>, cx: RequestCx) -> Answering<'_>;
}

/// The answer of a [`DynHandler`], on its way.
pub type Answering<'a> = Pin<Box<dyn Future<Output = Result<Response<Body>, Fault>> + Send + 'a>>;

/// The snapshot in force. Only `control` replaces it.
#[derive(Debug)]
pub struct Current(ArcSwap<Snapshot>);

impl Current {
    /// Starts with `snapshot`.
    pub fn new(snapshot: Arc<Snapshot>) -> Self {
        Self(ArcSwap::new(snapshot))
    }

    /// The snapshot to pin for a request that begins now.
    pub fn load(&self) -> Arc<Snapshot> {
        self.0.load_full()
    }

    /// Puts `next` in force and gives back what was.
    pub(crate) fn swap(&self, next: Arc<Snapshot>) -> Arc<Snapshot> {
        self.0.swap(next)
    }
}
