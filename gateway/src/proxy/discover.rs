//! Where an upstream's servers are: addresses as the configuration has them, and names looked up again and again.

use super::balance::Member;
use super::server::Server;
use crate::config::{Name, ServerConfig, ServerHost, UpstreamConfig};
use crate::http::Body;
use crate::limits;
use crate::outbound::{Endpoint, Outbound};
use crate::telemetry::metrics::UpstreamMetrics;
use futures_util::future::BoxFuture;
use pingora::Result;
use pingora::lb::Backend;
use pingora::lb::discovery::ServiceDiscovery;
use std::collections::btree_map::{BTreeMap, Entry};
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Addresses of one answer that a log line shows.
const LOGGED_COUNT: usize = 8;

/// Makes the server at an address, and the endpoint of its health checks.
type Make = dyn Fn(SocketAddr, &ServerConfig) -> Option<(Arc<Server>, Arc<Endpoint<Body>>)> + Send + Sync;

/// The servers of an upstream, as far as their addresses are known.
///
/// Each name is asked for by itself ([`Self::watch`]), so that one that no name server answers for holds up none of
/// the others; pingora is given what is known at the moment.
pub(super) struct Discovery {
    upstream: Name,
    places: Box<[Place]>,
    /// By address and weight, which is what makes two servers different ones for pingora.
    members: Mutex<BTreeMap<(SocketAddr, u32), Arc<Member>>>,
    make: Box<Make>,
    outbound: Arc<Outbound>,
    metrics: Arc<UpstreamMetrics>,
    interval: Duration,
    /// Something is known that was not.
    news: Notify,
}

/// One of the configured servers.
struct Place {
    config: ServerConfig,
    known: Mutex<Known>,
}

/// What is known of where it is.
#[derive(Default)]
struct Known {
    /// In order, so that answers in another order are the same.
    addresses: Vec<IpAddr>,
    /// Looked up once, with whatever outcome.
    is_asked: bool,
    /// What went wrong with the last lookup.
    failure: Option<String>,
}

impl Place {
    fn new(config: &ServerConfig) -> Self {
        let known = match &config.host {
            ServerHost::Address(address) => Known {
                addresses: vec![*address],
                is_asked: true,
                failure: None,
            },
            ServerHost::Name(_) => Known::default(),
        };
        Self {
            config: config.clone(),
            known: Mutex::new(known),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Discovery {
    pub(super) fn new(
        config: &UpstreamConfig,
        outbound: Arc<Outbound>,
        metrics: Arc<UpstreamMetrics>,
        make: impl Fn(SocketAddr, &ServerConfig) -> Option<(Arc<Server>, Arc<Endpoint<Body>>)> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            upstream: config.name.clone(),
            places: config.servers.iter().map(Place::new).collect(),
            members: Mutex::default(),
            make: Box::new(make),
            outbound,
            metrics,
            interval: config.resolve,
            news: Notify::new(),
        })
    }

    /// Whether every name has been looked up, with whatever outcome.
    pub(super) fn is_asked(&self) -> bool {
        self.places.iter().all(|place| place.known().is_asked)
    }

    /// Waits until something is known that was not when this was called last.
    pub(super) async fn news(&self) {
        self.news.notified().await;
    }

    /// One task for each name, that looks it up for ever.
    pub(super) fn watches(&self) -> impl Iterator<Item = impl Future<Output = ()>> {
        self.places.iter().filter_map(|place| match &place.config.host {
            ServerHost::Name(name) => Some(self.watch(place, name)),
            ServerHost::Address(_) => None,
        })
    }

    async fn watch(&self, place: &Place, name: &str) {
        loop {
            let found = self.outbound.upstream_addresses(name).await;
            let is_news = match found {
                Ok(addresses) => self.found(place, name, addresses),
                Err(error) => self.failed(place, name, error.to_string()),
            };
            if is_news {
                self.news.notify_one();
            }
            tokio::time::sleep(jittered(self.interval)).await;
        }
    }

    /// Notes an answer; whether it says anything new.
    fn found(&self, place: &Place, name: &str, mut addresses: Vec<IpAddr>) -> bool {
        addresses.sort_unstable();
        addresses.dedup();
        addresses.truncate(limits::UPSTREAM_SERVERS_COUNT);
        let mut known = place.known();
        if known.failure.take().is_some() {
            tracing::info!(upstream = %self.upstream, name, "the name is found again");
        }
        let is_news = !known.is_asked || known.addresses != addresses;
        known.is_asked = true;
        if is_news {
            let (count, first) = (addresses.len(), addresses.get(..LOGGED_COUNT).unwrap_or(&addresses));
            tracing::info!(upstream = %self.upstream, name, count, addresses = ?first, "the name's addresses");
            known.addresses = addresses;
        }
        is_news
    }

    /// Notes that there was no answer, which changes no address; whether that says anything new.
    fn failed(&self, place: &Place, name: &str, reason: String) -> bool {
        self.metrics.lookup_failed();
        let mut known = place.known();
        if known.failure.as_ref() != Some(&reason) {
            tracing::warn!(
                upstream = %self.upstream,
                name,
                kept = known.addresses.len(),
                reason,
                "the name cannot be looked up"
            );
        }
        known.failure = Some(reason);
        !std::mem::replace(&mut known.is_asked, true)
    }

    /// The servers at all addresses known now. An address keeps its server for as long as it is one of them. Where two
    /// names have the same one it is a single server, of the name that had it first.
    fn members(&self) -> Vec<Arc<Member>> {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        let mut now = BTreeMap::new();
        for place in &self.places {
            for ip in &place.known().addresses {
                let address = SocketAddr::new(*ip, place.config.port);
                if now.len() >= limits::UPSTREAM_SERVERS_COUNT {
                    break;
                }
                let Entry::Vacant(free) = now.entry(address) else {
                    continue;
                };
                let known = members.get(&(address, place.config.weight)).map(Arc::clone);
                let member = known.or_else(|| {
                    let (server, probe) = (self.make)(address, &place.config)?;
                    Some(Member::new(server, probe))
                });
                if let Some(member) = member {
                    free.insert(member);
                }
            }
        }
        *members = now
            .values()
            .map(|member| ((member.address(), member.weight()), Arc::clone(member)))
            .collect();
        now.into_values().collect()
    }
}

/// What pingora asks.
pub(super) struct Source(pub(super) Arc<Discovery>);

impl ServiceDiscovery for Source {
    /// Answers at once: names are looked up elsewhere.
    fn discover<'a, 'f>(&'a self) -> BoxFuture<'f, Result<(BTreeSet<Backend>, HashMap<u64, bool>)>>
    where
        'a: 'f,
        Self: 'f,
    {
        let backends = self.0.members().iter().map(Member::backend).collect();
        Box::pin(std::future::ready(Ok((backends, HashMap::new()))))
    }
}

/// An interval a tenth longer or shorter, so that what begins together does not stay together.
pub(super) fn jittered(interval: Duration) -> Duration {
    interval.mul_f64(rand::random_range(0.9..1.1))
}

impl fmt::Debug for Discovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Discovery")
            .field("upstream", &self.upstream)
            .field("interval", &self.interval)
            .finish_non_exhaustive()
    }
}
