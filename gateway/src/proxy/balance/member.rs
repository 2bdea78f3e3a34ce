//! A server in the eyes of its balancer: with its health, and with what asks for it.

use super::super::server::Server;
use crate::http::Body;
use crate::outbound::Endpoint;
use pingora::lb::{Backend, Extensions};
use pingora::protocols::l4::socket::SocketAddr as BackendAddress;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A server among those of its upstream, for as long as its address is one of theirs.
#[derive(Debug)]
pub(in crate::proxy) struct Member {
    pub(in crate::proxy) server: Arc<Server>,
    /// The way of health checks, apart from that of requests: a full pool says nothing about health.
    pub(in crate::proxy) probe: Arc<Endpoint<Body>>,
    /// As pingora's count of its checks has it, and healthy until that says otherwise. A copy, because asking pingora
    /// costs two hashes of the address.
    is_healthy: AtomicBool,
    /// Why its last failed check failed.
    reason: Mutex<String>,
}

impl Member {
    pub(in crate::proxy) fn new(server: Arc<Server>, probe: Arc<Endpoint<Body>>) -> Arc<Self> {
        Arc::new(Self {
            server,
            probe,
            is_healthy: AtomicBool::new(true),
            reason: Mutex::default(),
        })
    }

    /// The member that [`Self::backend`] was made of; `None` never happens, all backends here are made by it.
    pub(in crate::proxy) fn of(backend: &Backend) -> Option<&Arc<Self>> {
        backend.ext.get()
    }

    /// What pingora knows it by: its address and its weight.
    pub(in crate::proxy) fn backend(self: &Arc<Self>) -> Backend {
        let mut ext = Extensions::new();
        ext.insert(Arc::clone(self));
        Backend {
            addr: BackendAddress::Inet(self.address()),
            weight: usize::try_from(self.weight()).unwrap_or(1),
            ext,
        }
    }

    pub(in crate::proxy) fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// At least 1: pingora panics where all weights are zero.
    pub(in crate::proxy) fn weight(&self) -> u32 {
        self.server.weight.max(1)
    }

    /// Whether its health checks pass. One that fails them gets no request whatever else is the case.
    pub(in crate::proxy) fn is_healthy(&self) -> bool {
        self.is_healthy.load(Ordering::Relaxed)
    }

    /// Whether it is neither unhealthy nor left out for its failures.
    pub(in crate::proxy) fn is_fit(&self) -> bool {
        self.is_healthy() && !self.server.ejection.is_out_now()
    }

    pub(in crate::proxy) fn set_healthy(&self, is_healthy: bool) {
        self.is_healthy.store(is_healthy, Ordering::Relaxed);
        self.server.metrics.healthy(is_healthy);
    }

    pub(in crate::proxy) fn check_failed(&self, reason: String) {
        *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    pub(in crate::proxy) fn reason(&self) -> String {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Requests it has for each unit of its weight, in a unit fine enough to compare.
    pub(super) fn load_per_weight(&self) -> u64 {
        (self.server.load() as u64).saturating_mul(1 << 16) / u64::from(self.weight())
    }
}
