//! One running gateway: started from a configuration, changed by reloads, ended in order.

use super::admin;
use super::build::{BuildError, Builder, External};
use super::data_dir::{DataDir, DataDirError};
use super::reaper;
use super::token::Token;
use crate::config::{AdminAddress, Config, ConfigErrors, GatewayConfig, Name};
use crate::door::{Doors, ListenError};
use crate::hosts::Host;
use crate::outbound::{Dns, Outbound};
use crate::proxy::Servers;
use crate::runtime::{EngineError, EngineOptions, Engines, Lane, LoadError, Loader, Server, StoreCtx};
use crate::snapshot::{Current, Snapshot};
use crate::telemetry::access::{AccessLog, AccessLogError, AccessLogWriter, Query, Sink};
use crate::telemetry::metrics::Registry;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tidegate_routing::PathSpec;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

/// Reads the configuration again, for a reload.
pub type Reread = Box<dyn Fn() -> Result<Config, ConfigErrors> + Send + Sync>;

/// How a gateway is started, beside its configuration.
#[derive(Default)]
pub struct GatewayOptions {
    /// Where a reload takes the configuration from; `None`: nothing to reload.
    pub reread: Option<Reread>,
    /// Interfaces that components may import beside the standard ones.
    pub hosts: Vec<Box<dyn Host<StoreCtx>>>,
    /// Routes answered by the embedding program, ranked behind the configuration's where all else is equal.
    pub external: Vec<External>,
}

impl std::fmt::Debug for GatewayOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GatewayOptions")
            .field("external", &self.external)
            .finish_non_exhaustive()
    }
}

/// Why a gateway did not start. Nothing is left behind: no port was opened, or it is closed again.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// What the configuration names cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The data folder cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The engines cannot start.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The compiled cache cannot be used.
    #[error(transparent)]
    Cache(#[from] LoadError),
    /// A public address cannot be opened.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The admin address cannot be opened.
    #[error("the admin API cannot listen on {address}: {source}")]
    Admin {
        /// Where.
        address: AdminAddress,
        /// What the system said.
        source: io::Error,
    },
    /// The access log cannot be written.
    #[error("{0}")]
    AccessLog(String),
    /// The system gives no thread or descriptor.
    #[error("the gateway cannot start: {0}")]
    System(#[from] io::Error),
}

impl From<AccessLogError> for StartError {
    fn from(error: AccessLogError) -> Self {
        Self::AccessLog(error.to_string())
    }
}

/// Why a reload changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The configuration is wrong.
    #[error("{0}")]
    Config(ConfigErrors),
    /// What it names cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A listener cannot be opened.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// This gateway was started without a configuration file.
    #[error("this gateway was started without a configuration file, so there is nothing to reload")]
    NothingToReload,
}

impl ReloadError {
    /// Every reason, each with its place where it has one.
    pub fn reasons(&self) -> serde_json::Value {
        match self {
            Self::Config(errors) | Self::Build(BuildError::Unusable(errors)) => {
                serde_json::to_value(errors).unwrap_or_default()
            }
            other => serde_json::json!([{ "message": other.to_string() }]),
        }
    }
}

/// A gateway in a few numbers.
#[derive(Clone, Debug)]
pub struct Status {
    /// Of the snapshot in force.
    pub version: u64,
    /// Digest of the configuration in force, hex.
    pub digest: String,
    /// Whether new requests are welcome.
    pub is_ready: bool,
    /// Connections open.
    pub connections: usize,
}

/// What the admin API, signals and the gateway itself work on.
pub(super) struct Control {
    pub(super) metrics: Arc<Registry>,
    pub(super) token: Token,
    current: Arc<Current>,
    doors: Doors,
    builder: Builder,
    reread: Option<Reread>,
    is_ready: AtomicBool,
    /// Held by a reload from its beginning to its end: two at once take their turns.
    reloading: Mutex<()>,
    state: Mutex<State>,
    access: Mutex<Option<AccessLogWriter>>,
    lane: Arc<Lane>,
    runtime: tokio::runtime::Handle,
}

struct State {
    config: Config,
    /// Snapshots out of force that a request may still hold. Dropped here, so that no request pays for it.
    retired: Vec<Arc<Snapshot>>,
}

/// A running gateway.
pub struct Gateway {
    control: Arc<Control>,
    admin: Option<admin::Bound>,
    runtime: Option<Runtime>,
    _engines: Arc<Engines>,
    _data_dir: DataDir,
}

impl Gateway {
    /// Loads everything `config` names, then opens its listeners.
    ///
    /// # Errors
    /// The first stage that fails, with all its reasons.
    pub fn start(config: Config, options: GatewayOptions) -> Result<Self, StartError> {
        let settings = config.gateway.clone();
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let data_dir = DataDir::open(&settings.data_dir)?;
        let metrics = Arc::new(Registry::new());
        let engines = Arc::new(Engines::new(EngineOptions {
            reset: settings.pool_reset,
            ..EngineOptions::default()
        })?);
        let runtime = io_runtime(threads)?;
        let lane = Arc::new(Lane::new(threads, runtime.handle().clone())?);
        let outbound = Outbound::new(Dns::from(settings.dns.as_slice()));
        let loader = Loader::new(
            Arc::clone(&engines),
            Arc::clone(&lane),
            Arc::clone(&metrics),
            Arc::clone(&outbound),
            &settings.data_dir,
        )?;
        let workers = if settings.workers == 0 {
            threads
        } else {
            settings.workers
        };
        let loader = loader.for_doors(workers).with_hosts(options.hosts);
        let servers = Servers {
            outbound,
            runtime: runtime.handle().clone(),
            metrics: Arc::clone(&metrics),
            doors: workers,
        };
        let builder = Builder::new(loader, servers, options.external, threads);
        let current = Arc::new(Current::new(Arc::new(builder.build(&config, None)?)));
        let sink = Sink::from(&settings.access_log);
        let access_metrics = metrics.gateway().access_log.clone();
        let (access, access_writer) = AccessLog::start(sink, Query::default(), workers, access_metrics)?;
        let doors = Doors::open(workers, &current, &access, &metrics, settings.dev)?;
        let token = Token::open(&settings.data_dir)?;
        let plan = doors.prepare(&config.listeners)?;
        let admin_address = config.admin.as_ref().map(|admin| admin.address.clone());
        metrics.gateway().snapshot_version(current.load().version);
        let control = Arc::new(Control {
            metrics,
            token,
            current,
            doors,
            builder,
            reread: options.reread,
            is_ready: AtomicBool::new(false),
            reloading: Mutex::new(()),
            state: Mutex::new(State {
                config,
                retired: Vec::new(),
            }),
            access: Mutex::new(Some(access_writer)),
            lane,
            runtime: runtime.handle().clone(),
        });
        let admin = match admin_address {
            Some(address) => {
                let bound = runtime.block_on(admin::open(Arc::clone(&control), &address));
                Some(bound.map_err(|source| StartError::Admin { address, source })?)
            }
            None => None,
        };
        runtime.block_on(control.doors.apply(plan));
        runtime.spawn(reaper::run(Arc::downgrade(&control)));
        control.is_ready.store(true, Ordering::Release);
        Ok(Self {
            control,
            admin,
            runtime: Some(runtime),
            _engines: engines,
            _data_dir: data_dir,
        })
    }

    /// Name, bound address and whether it is encrypted, for each listener.
    pub fn addresses(&self) -> Vec<(Name, SocketAddr, bool)> {
        self.control.doors.addresses()
    }

    /// Where the admin API listens, as bound.
    pub fn admin_address(&self) -> Option<&AdminAddress> {
        self.admin.as_ref().map(admin::Bound::address)
    }

    /// Reads the configuration again and puts it into force. Blocks while components compile.
    ///
    /// # Errors
    /// Why nothing has changed.
    pub fn reload(&self) -> Result<u64, ReloadError> {
        self.control.reload()
    }

    /// The gateway in a few numbers.
    pub fn status(&self) -> Status {
        self.control.status()
    }

    /// Serves until SIGTERM or SIGINT, reloads on SIGHUP, then ends in order. A second signal ends it at once.
    ///
    /// # Errors
    /// When signals cannot be received.
    pub fn run(mut self) -> io::Result<()> {
        let Some(runtime) = self.runtime.take() else {
            return Ok(());
        };
        let served = runtime.block_on(self.serve_until_signal());
        self.close(runtime);
        served
    }

    /// Ends in order: what is in flight is finished, up to the drain deadline.
    pub fn stop(mut self) {
        let Some(runtime) = self.runtime.take() else { return };
        runtime.block_on(self.control.drain());
        self.close(runtime);
    }

    async fn serve_until_signal(&self) -> io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hangup = signal(SignalKind::hangup())?;
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = hangup.recv() => {
                    self.control.reopen_logs();
                    let control = Arc::clone(&self.control);
                    // Its result is logged and counted there.
                    tokio::task::spawn_blocking(move || drop(control.reload()));
                }
            }
        }
        tokio::select! {
            () = self.control.drain() => {}
            _ = terminate.recv() => tracing::warn!("second signal: ending at once"),
            _ = interrupt.recv() => tracing::warn!("second signal: ending at once"),
        }
        Ok(())
    }

    fn close(self, runtime: Runtime) {
        let writer = self
            .control
            .access
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(writer) = writer
            && let Err(error) = writer.shutdown(Duration::from_secs(2))
        {
            tracing::warn!("{error}");
        }
        runtime.shutdown_timeout(Duration::from_secs(1));
    }
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway")
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

fn io_runtime(threads: usize) -> io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads.min(2))
        .thread_name("tidegate-io")
        .enable_all()
        .build()
}

impl Control {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load()
    }

    pub(super) fn is_ready(&self) -> bool {
        self.is_ready.load(Ordering::Acquire)
    }

    pub(super) fn status(&self) -> Status {
        let digest = self.state().config.digest.to_string();
        Status {
            version: self.snapshot().version,
            digest,
            is_ready: self.is_ready(),
            connections: self.doors.connections(),
        }
    }

    /// What a route matches, as its configuration says.
    pub(super) fn describe(&self, route: &str) -> serde_json::Value {
        let state = self.state();
        let Some(route) = state.config.routes.iter().find(|known| known.name.as_str() == route) else {
            return serde_json::Value::Null;
        };
        let spec = &route.spec;
        serde_json::json!({
            "hosts": spec.hosts,
            "path": spec.path.as_ref().map(|path| match path {
                PathSpec::Pattern(pattern) => pattern.clone(),
                PathSpec::Regex(regex) => format!("regex {regex}"),
            }),
            "methods": spec.methods.iter().map(http::Method::as_str).collect::<Vec<_>>(),
            "headers": spec.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>(),
            "query": spec.query.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>(),
            "source": spec.source.iter().map(ToString::to_string).collect::<Vec<_>>(),
        })
    }

    /// Reads, checks, builds and swaps, one at a time. Any failure leaves what is running untouched.
    pub(super) fn reload(&self) -> Result<u64, ReloadError> {
        let done = self.try_reload();
        let gateway = self.metrics.gateway();
        match &done {
            Ok(version) => {
                gateway.reloads_ok.increment(1);
                gateway.snapshot_version(*version);
                tracing::info!(version, "reloaded");
            }
            Err(error) => {
                gateway.reloads_failed.increment(1);
                tracing::error!("reload failed, still serving what was: {error}");
            }
        }
        done
    }

    fn try_reload(&self) -> Result<u64, ReloadError> {
        let reread = self.reread.as_ref().ok_or(ReloadError::NothingToReload)?;
        let _turn = self.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let config = reread().map_err(ReloadError::Config)?;
        let before = self.current.load();
        let next = Arc::new(self.builder.build(&config, Some(&before))?);
        let plan = self.doors.prepare(&config.listeners)?;
        warn_of_fixed(&self.state().config, &config);
        let version = next.version;
        drop(before);
        let before = self.current.swap(next);
        self.runtime.block_on(self.doors.apply(plan));
        before.close_what_is_not_in(&self.current.load());
        let mut state = self.state();
        state.config = config;
        state.retired.push(before);
        Ok(version)
    }

    fn reopen_logs(&self) {
        if let Some(writer) = &*self.access.lock().unwrap_or_else(PoisonError::into_inner) {
            writer.reopen();
        }
    }

    /// Readiness fails first; then connections end, and guests that finish what they do after their answers.
    async fn drain(&self) {
        let deadline = self.state().config.gateway.drain;
        self.is_ready.store(false, Ordering::Release);
        tracing::info!(connections = self.doors.connections(), "draining");
        let end = tokio::time::Instant::now() + deadline;
        let cut = self.doors.drain(deadline).await;
        // Instances that are kept for further requests have none to wait for.
        self.snapshot().components.values().for_each(|one| one.close());
        while self.lane.unfinished() > 0 && tokio::time::Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if cut > 0 {
            tracing::warn!(cut, "connections were still open at the drain deadline");
        }
        tracing::info!("stopped");
    }

    /// All metrics, with those that are only looked at when somebody asks.
    pub(super) fn scrape(&self) -> String {
        let gateway = self.metrics.gateway();
        gateway.tasks("doors", self.doors.tasks());
        gateway.tasks("io", self.runtime.metrics().num_alive_tasks());
        gateway.tasks("lane", self.lane.guests());
        for (dialect, free) in self.builder.free_places() {
            gateway.free_places(dialect.as_str(), free);
        }
        self.snapshot().observe();
        self.metrics.render()
    }

    /// Looks again whether instances can be given out safely.
    pub(super) fn recheck_pools(&self) {
        self.builder.recheck_pools();
    }

    /// Takes out the snapshots that no request holds any more.
    pub(super) fn reap(&self) -> Vec<Arc<Snapshot>> {
        let mut state = self.state.try_lock();
        let Ok(state) = &mut state else { return Vec::new() };
        let (done, alive) = std::mem::take(&mut state.retired)
            .into_iter()
            .partition(|s| Arc::strong_count(s) == 1);
        state.retired = alive;
        done
    }
}

/// What only a restart can change, told rather than ignored.
fn warn_of_fixed(running: &Config, next: &Config) {
    type IsSame = fn(&GatewayConfig, &GatewayConfig) -> bool;
    let fixed: [(&str, IsSame); 6] = [
        ("gateway.access_log", |a, b| a.access_log == b.access_log),
        ("gateway.data_dir", |a, b| a.data_dir == b.data_dir),
        ("gateway.workers", |a, b| a.workers == b.workers),
        ("gateway.pool_reset", |a, b| a.pool_reset == b.pool_reset),
        ("gateway.dev", |a, b| a.dev == b.dev),
        ("gateway.dns", |a, b| a.dns == b.dns),
    ];
    for (key, is_same) in fixed {
        if !is_same(&running.gateway, &next.gateway) {
            tracing::warn!("`{key}` has changed: it takes effect with the next start");
        }
    }
    if running.admin != next.admin {
        tracing::warn!("`admin` has changed: it takes effect with the next start");
    }
}
