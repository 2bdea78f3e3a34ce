//! One server of an upstream: where it is, the connections to it, and how much of the upstream's load it carries.

use super::eject::Ejection;
use crate::http::Body;
use crate::limits;
use crate::outbound::Endpoint;
use crate::telemetry::Seldom;
use crate::telemetry::metrics::ServerMetrics;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A server as long as its upstream names it; two addresses of one name are two servers.
pub(crate) struct Server {
    pub(super) address: SocketAddr,
    /// What the configuration calls it, `host:port`: what certificates and probes are held against.
    pub(super) name: Arc<str>,
    /// Its share beside the others, at least 1.
    pub(super) weight: u32,
    pub(super) endpoint: Arc<Endpoint<Body>>,
    pub(super) ejection: Ejection,
    pub(super) metrics: Arc<ServerMetrics>,
    /// Its failures in the log.
    pub(super) failures: Seldom,
    /// Requests on their way to it or waiting for its answer's end.
    load: AtomicUsize,
}

impl Server {
    pub(super) fn new(
        address: SocketAddr,
        name: Arc<str>,
        weight: u32,
        endpoint: Arc<Endpoint<Body>>,
        metrics: Arc<ServerMetrics>,
    ) -> Arc<Self> {
        Arc::new(Self {
            address,
            name,
            weight,
            endpoint,
            ejection: Ejection::default(),
            metrics,
            failures: Seldom::every(limits::UPSTREAM_FAULT_LOG_INTERVAL),
            load: AtomicUsize::new(0),
        })
    }

    /// Requests it has at the moment.
    pub(super) fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }

    /// Counts one request as this server's until what is given is dropped.
    pub(super) fn take(self: &Arc<Self>) -> Load {
        self.load.fetch_add(1, Ordering::Relaxed);
        Load(Arc::clone(self))
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("address", &self.address)
            .field("load", &self.load())
            .finish_non_exhaustive()
    }
}

/// One request's part of a server's load.
#[derive(Debug)]
pub(super) struct Load(Arc<Server>);

impl Load {
    pub(super) fn server(&self) -> &Arc<Server> {
        &self.0
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.load.fetch_sub(1, Ordering::Relaxed);
    }
}
