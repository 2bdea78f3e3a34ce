//! One upstream: its servers, what they may be given, and the tasks that watch over them.

use super::balance::Balancer;
use super::retry::Budget;
use super::server::Server;
use crate::config::{Name, ServerConfig, UpstreamConfig, UpstreamProtocol, UpstreamTls};
use crate::http::Body;
use crate::outbound::{Endpoint, EndpointOptions, Identity, Outbound, SendError, Timeouts, Trust, client_config};
use crate::telemetry::metrics::{Registry, UpstreamMetrics};
use rustls::ClientConfig;
use sha2::{Digest, Sha256};
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

/// An upstream that cannot be served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpstreamError {
    /// A file of its `tls` cannot be read.
    #[error("{path} cannot be read: {source}", path = path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What its `tls` says cannot be used.
    #[error("{0}")]
    Tls(String),
    /// A server cannot be called what it is called.
    #[error("{server}: {source}")]
    Server {
        /// As the configuration has it.
        server: String,
        /// Why.
        source: SendError,
    },
}

/// What upstreams are made with.
#[derive(Clone, Debug)]
pub(crate) struct Servers {
    /// Looks names up.
    pub(crate) outbound: Arc<Outbound>,
    /// Where discovery and health checks run.
    pub(crate) runtime: Handle,
    pub(crate) metrics: Arc<Registry>,
    /// Door runtimes.
    pub(crate) doors: usize,
}

/// The contents of the files that `tls` names: what makes an upstream another one beside its table.
#[derive(Clone, Default)]
struct Files {
    ca: Option<Vec<u8>>,
    chain: Option<Vec<u8>>,
    key: Option<Vec<u8>>,
}

/// Servers that answer the same requests.
pub struct Upstream {
    config: UpstreamConfig,
    files: [u8; 32],
    pub(super) balancer: Arc<Balancer>,
    pub(super) budget: Budget,
    pub(super) timeouts: Timeouts,
    pub(super) metrics: Arc<UpstreamMetrics>,
    in_flight: AtomicUsize,
    watch: AbortHandle,
}

impl Upstream {
    /// Makes an upstream of `config` and begins to watch its servers.
    pub(crate) fn new(config: &UpstreamConfig, with: &Servers) -> Result<Arc<Self>, UpstreamError> {
        let files = Files::read(config.tls.as_ref())?;
        let tls = match &config.tls {
            None => None,
            Some(_) => Some(files.client_config(config.protocol).map_err(UpstreamError::Tls)?),
        };
        let makes = Makes {
            config: config.clone(),
            tls,
            doors: with.doors,
        };
        // Discovery makes servers later, and whatever it makes differs in its address only.
        for server in &config.servers {
            let any = SocketAddr::from(([127, 0, 0, 1], server.port));
            makes
                .endpoint(any, server, 1, 1)
                .map_err(|source| UpstreamError::Server {
                    server: server.to_string(),
                    source,
                })?;
        }
        let metrics = with.metrics.upstream(config.name.as_str());
        let registry = Arc::clone(&with.metrics);
        let make = move |address: SocketAddr, server: &ServerConfig| makes.server(address, server, &registry);
        let balancer = Balancer::new(config, Arc::clone(&with.outbound), Arc::clone(&metrics), make);
        let watch = with.runtime.spawn(Arc::clone(&balancer).run()).abort_handle();
        Ok(Arc::new(Self {
            files: files.digest(),
            balancer,
            budget: Budget::new(&config.retry),
            timeouts: Timeouts {
                connect: config.timeout.connect,
                first_byte: config.timeout.first_byte,
                between_bytes: config.timeout.idle,
            },
            metrics,
            in_flight: AtomicUsize::new(0),
            watch,
            config: config.clone(),
        }))
    }

    /// Whether it is what `config` asks for, its files included: then it goes on, with its health and connections.
    pub(crate) fn is_made_of(&self, config: &UpstreamConfig) -> bool {
        self.config == *config && Files::read(config.tls.as_ref()).is_ok_and(|files| files.digest() == self.files)
    }

    /// Its name.
    pub(crate) fn name(&self) -> &Name {
        &self.config.name
    }

    pub(super) fn config(&self) -> &UpstreamConfig {
        &self.config
    }

    /// Requests under way.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Counts a request as under way, unless as many are as may be.
    pub(super) fn enter(self: &Arc<Self>) -> Option<InFlight> {
        let before = self.in_flight.fetch_add(1, Ordering::Relaxed);
        // Made in any case, so that it is counted off again.
        let entered = InFlight(Arc::clone(self));
        (before < self.config.limits.requests).then_some(entered)
    }

    /// Closes connections that nobody needs, and counts interim responses. Called every second or so.
    pub(crate) fn tidy(&self) {
        for (server, _) in self.balancer.view() {
            server.endpoint.close_idle(self.config.keepalive);
            self.metrics.interim(server.endpoint.take_interims());
        }
    }

    /// No further requests: what is idle is closed.
    pub(crate) fn close(&self) {
        for (server, _) in self.balancer.view() {
            server.endpoint.close_idle(Duration::ZERO);
        }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream")
            .field("name", &self.config.name)
            .finish_non_exhaustive()
    }
}

/// A request that its upstream counts as under way.
#[derive(Debug)]
pub(super) struct InFlight(Arc<Upstream>);

impl InFlight {
    pub(super) fn upstream(&self) -> &Upstream {
        &self.0
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Makes servers, also those discovered later.
struct Makes {
    config: UpstreamConfig,
    tls: Option<Arc<ClientConfig>>,
    doors: usize,
}

impl Makes {
    fn endpoint(
        &self,
        address: SocketAddr,
        server: &ServerConfig,
        connections_max: usize,
        pending_max: usize,
    ) -> Result<Arc<Endpoint<Body>>, SendError> {
        let is_h2 = self.config.protocol == UpstreamProtocol::H2;
        let tls = self.config.tls.as_ref();
        Endpoint::new(EndpointOptions {
            address,
            host: server.host.to_string(),
            tls: self.tls.clone(),
            server_name: tls.and_then(|tls| tls.server_name.as_deref().map(str::to_owned)),
            is_h2c: is_h2 && tls.is_none(),
            needs_h2: is_h2 && tls.is_some(),
            connections_max,
            pending_max,
            doors: self.doors,
        })
    }

    /// A server, and an endpoint for its health checks. `None` never happens: every server's settings were tried out.
    fn server(
        &self,
        address: SocketAddr,
        server: &ServerConfig,
        registry: &Registry,
    ) -> Option<(Arc<Server>, Arc<Endpoint<Body>>)> {
        let limits = &self.config.limits;
        let endpoint = self
            .endpoint(address, server, limits.connections, limits.pending)
            .ok()?;
        // Two, as the connection of the check before may still be closing.
        let probe = self.endpoint(address, server, 2, 1).ok()?;
        let metrics = registry.server(self.config.name.as_str(), &address.to_string());
        let server = Server::new(address, server.to_string().into(), server.weight, endpoint, metrics);
        Some((server, probe))
    }
}

impl Files {
    fn read(tls: Option<&UpstreamTls>) -> Result<Self, UpstreamError> {
        let Some(tls) = tls else {
            return Ok(Self::default());
        };
        let read = |path: &Path| {
            std::fs::read(path).map_err(|source| UpstreamError::File {
                path: path.to_owned(),
                source,
            })
        };
        Ok(Self {
            ca: tls.ca.as_deref().map(read).transpose()?,
            chain: tls.client.as_ref().map(|client| read(&client.cert)).transpose()?,
            key: tls.client.as_ref().map(|client| read(&client.key)).transpose()?,
        })
    }

    fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        for file in [&self.ca, &self.chain, &self.key] {
            let bytes = file.as_deref().unwrap_or_default();
            digest.update((bytes.len() as u64).to_le_bytes());
            digest.update(bytes);
        }
        digest.finalize().into()
    }

    fn client_config(&self, protocol: UpstreamProtocol) -> Result<Arc<ClientConfig>, String> {
        let trust = self.ca.as_deref().map_or(Trust::System, Trust::Authorities);
        let identity = match (&self.chain, &self.key) {
            (Some(chain), Some(key)) => Some(Identity { chain, key }),
            _ => None,
        };
        let protocols: &[&[u8]] = match protocol {
            UpstreamProtocol::Auto => &[b"h2", b"http/1.1"],
            UpstreamProtocol::Http1 => &[b"http/1.1"],
            UpstreamProtocol::H2 => &[b"h2"],
        };
        client_config(trust, identity, protocols)
    }
}
