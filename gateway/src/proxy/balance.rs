//! Which server a request goes to: pingora's selections and health over the servers that are known and fit.

mod choice;
mod member;
mod spread;
#[cfg(test)]
mod tests;

use self::choice::Choice;
pub(super) use self::member::Member;
use super::discover::{Discovery, Source, jittered};
use super::health::Checks;
use super::server::Server;
use crate::config::{Balance, EjectionConfig, Name, ServerConfig, UpstreamConfig};
use crate::http::Body;
use crate::outbound::{Endpoint, Outbound};
use crate::telemetry::metrics::UpstreamMetrics;
use arc_swap::ArcSwap;
use futures_util::FutureExt;
use futures_util::future::join_all;
use pingora::lb::{Backend, Backends};
use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, TryLockError};
use std::time::Duration;
use tokio::sync::{Notify, SetOnce};
use tokio::time::Instant;

/// An upstream's servers, and how one of them is chosen.
pub(super) struct Balancer {
    upstream: Name,
    balance: Balance,
    ejection: EjectionConfig,
    /// From one round of health checks to the next; `None` is no checks.
    checks: Option<Duration>,
    discovery: Arc<Discovery>,
    /// pingora's view of them: who is one, and how their health checks stand.
    backends: Backends,
    choice: ArcSwap<Choice>,
    /// Set once requests need not wait for names any more.
    known: SetOnce<()>,
    /// A server came whose health nobody has asked for.
    came: Notify,
    /// Held while one failure decides whether there is room to leave a server out.
    ejecting: Mutex<()>,
}

impl Balancer {
    /// Servers with addresses are there at once; for those with names [`Self::run`] has to run. `make` gives the
    /// server at an address and the endpoint of its health checks, once for as long as the address is known.
    pub(super) fn new(
        config: &UpstreamConfig,
        outbound: Arc<Outbound>,
        metrics: Arc<UpstreamMetrics>,
        make: impl Fn(SocketAddr, &ServerConfig) -> Option<(Arc<Server>, Arc<Endpoint<Body>>)> + Send + Sync + 'static,
    ) -> Arc<Self> {
        let discovery = Discovery::new(config, outbound, metrics, make);
        let mut backends = Backends::new(Box::new(Source(Arc::clone(&discovery))));
        if let Some(checks) = Checks::new(config) {
            backends.set_health_check(Box::new(checks));
        }
        let balancer = Self {
            upstream: config.name.clone(),
            balance: config.balance,
            ejection: config.ejection.clone(),
            checks: config.health.as_ref().map(|health| health.interval),
            discovery,
            backends,
            choice: ArcSwap::from_pointee(Choice::new(&BTreeSet::new(), config.balance)),
            known: SetOnce::new(),
            came: Notify::new(),
            ejecting: Mutex::new(()),
        };
        // Nothing is looked up in it, so it is over with its first poll.
        let _ = balancer.publish().now_or_never();
        Arc::new(balancer)
    }

    /// The server for a request with this `key`, which hashing alone looks at; without one any will do. Those in
    /// `tried` come after all others. `None`: no server is healthy, or none is known.
    pub(super) fn pick(&self, key: &[u8], tried: &[Arc<Server>]) -> Option<Arc<Server>> {
        self.choice.load().pick(key, tried)
    }

    /// Whether a request has something to choose from, as far as looking names up goes.
    pub(super) fn is_known(&self) -> bool {
        self.known.initialized()
    }

    /// Waits for that: until one server is known or every name has been looked up, with whatever outcome.
    pub(super) async fn known(&self, patience: Duration) {
        // Too long is no fault of its own: there is no server then.
        let _ = tokio::time::timeout(patience, self.known.wait()).await;
    }

    /// Holds a failed attempt against its server: the way there or the answer broke, or took too long. Whether the
    /// server is left out for it from now on.
    pub(super) fn failed(&self, server: &Server) -> bool {
        let now = Instant::now();
        // Two servers at once could both take the last room; the one that comes too late has its next failure.
        let mut deciding = None;
        let has_room = || {
            deciding = match self.ejecting.try_lock() {
                Ok(guard) => Some(guard),
                Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => None,
            };
            deciding.is_some() && self.has_room(now)
        };
        let is_out = server.ejection.failed(now, &self.ejection, has_room);
        if is_out {
            server.metrics.ejected();
            tracing::warn!(
                upstream = %self.upstream,
                server = %server.name,
                address = %server.address,
                "the server is left out for a while: it failed again and again"
            );
        }
        is_out
    }

    /// Whether one more server may be left out. The only one never is.
    fn has_room(&self, now: Instant) -> bool {
        let choice = self.choice.load();
        let members = choice.members();
        let out = members
            .iter()
            .filter(|member| member.server.ejection.is_out(now))
            .count();
        let most = members.len() * usize::from(self.ejection.most.get()) / 100;
        members.len() > 1 && out < most
    }

    /// Every known server, and whether its health checks pass.
    pub(super) fn view(&self) -> Vec<(Arc<Server>, bool)> {
        let choice = self.choice.load();
        let members = choice.members().iter();
        members
            .map(|member| (Arc::clone(&member.server), member.is_healthy()))
            .collect()
    }

    /// Looks names up and asks for health, until it is dropped.
    pub(super) async fn run(self: Arc<Self>) {
        let watches = join_all(self.discovery.watches());
        tokio::join!(watches, self.keep_publishing(), self.keep_checking());
    }

    async fn keep_publishing(&self) {
        loop {
            self.discovery.news().await;
            self.publish().await;
        }
    }

    /// Puts what is known in force.
    async fn publish(&self) {
        // Discovery here cannot fail.
        let _ = self.backends.update(|backends| self.replace(&backends)).await;
        if self.discovery.is_asked() || !self.choice.load().members().is_empty() {
            // Once is enough.
            let _ = self.known.set(());
        }
    }

    fn replace(&self, backends: &BTreeSet<Backend>) {
        let now = Arc::new(Choice::new(backends, self.balance));
        let before = self.choice.swap(Arc::clone(&now));
        let lacks =
            |choice: &Choice, member: &Arc<Member>| !choice.members().iter().any(|other| Arc::ptr_eq(other, member));
        for gone in before.members().iter().filter(|member| lacks(&now, member)) {
            // Requests under way on it go on; it ends with the last of them.
            gone.server.endpoint.close_idle(Duration::ZERO);
        }
        if now.members().iter().any(|member| lacks(&before, member)) {
            self.came.notify_one();
        }
    }

    /// Checks at once when servers came, and in intervals. The first interval begins anywhere: of many upstreams that
    /// were configured together few are asked for together.
    async fn keep_checking(&self) {
        let Some(interval) = self.checks else {
            return;
        };
        let mut next = Instant::now() + interval.mul_f64(rand::random());
        loop {
            tokio::select! {
                () = self.came.notified() => {}
                () = tokio::time::sleep_until(next) => next = Instant::now() + jittered(interval),
            }
            self.backends.run_health_check(true).await;
        }
    }
}

impl fmt::Debug for Balancer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Balancer")
            .field("upstream", &self.upstream)
            .field("balance", &self.balance)
            .finish_non_exhaustive()
    }
}
