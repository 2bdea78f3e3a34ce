//! The front door: listeners, TLS, HTTP/1 and HTTP/2 connections, and their orderly end.
//!
//! A door is one thread with a runtime of its own and a socket of its own for each listener (SO_REUSEPORT), so a
//! connection never leaves its core. On the way in a request passes `listener`, `proxy_protocol` where a balancer stands
//! before it, `connection`, `io` with the guard, and `service`; `shared` holds what a connection and its door's watch
//! have in common, `answer` what goes back.

mod answer;
mod connection;
mod io;
mod listener;
mod proxy_protocol;
mod service;
mod shared;
pub(crate) mod tls;
mod unguarded;

pub use listener::ListenError;

use self::listener::Listener;
use self::shared::{Order, Phase, Registry};
use self::tls::Certificates;
use crate::config::{ListenerConfig, Name};
use crate::http::Cause;
use crate::limits;
use crate::per_core;
use crate::runtime::{Component, Server};
use crate::snapshot::Current;
use crate::telemetry::access::AccessLog;
use crate::telemetry::metrics::Registry as Metrics;
use arc_swap::ArcSwap;
use std::io as std_io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, mpsc};

/// A listener's TLS settings, and what of them can be exchanged.
#[derive(Clone)]
struct Tls {
    config: Arc<rustls::ServerConfig>,
    certificates: Arc<ArcSwap<Certificates>>,
    client_ca: Option<tls::ContentKey>,
}

/// What all connections of one door share.
struct DoorShared {
    current: Arc<Current>,
    access: AccessLog,
    registry: Arc<Registry>,
    /// Places for TLS handshakes.
    handshakes: Semaphore,
    dev: bool,
}

enum Command {
    Listen(Arc<Listener>, std::net::TcpListener),
    Stop,
}

struct Door {
    shared: Arc<DoorShared>,
    commands: mpsc::Sender<Command>,
    runtime: tokio::runtime::Handle,
    thread: Option<JoinHandle<()>>,
}

/// All doors and their listeners.
pub struct Doors {
    doors: Vec<Door>,
    current: Arc<Current>,
    metrics: Arc<Metrics>,
    listeners: Mutex<Vec<Arc<Listener>>>,
}

impl Server<Component> for Doors {
    type Resolver = Current;

    fn resolver(&self) -> &Arc<Current> {
        &self.current
    }

    fn in_flight(&self) -> usize {
        self.connections()
    }

    async fn drain(&self, deadline: Duration) -> usize {
        self.close_all(deadline).await
    }
}

/// A change of listeners that cannot fail any more: sockets are bound, certificates loaded.
pub struct Plan {
    wanted: Vec<Wanted>,
}

enum Wanted {
    Kept {
        listener: Arc<Listener>,
        config: Box<ListenerConfig>,
        tls: TlsPlan,
    },
    New {
        listener: Arc<Listener>,
        sockets: Vec<std::net::TcpListener>,
    },
}

impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plan").field("listeners", &self.wanted.len()).finish()
    }
}

impl Doors {
    /// Opens `workers` doors without a listener.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn open(
        workers: usize,
        current: &Arc<Current>,
        access: &AccessLog,
        metrics: &Arc<Metrics>,
        dev: bool,
    ) -> std_io::Result<Self> {
        let open = |n| {
            let shared = Arc::new(DoorShared {
                current: Arc::clone(current),
                access: access.clone(),
                registry: Arc::new(Registry::new()),
                handshakes: Semaphore::new(limits::HANDSHAKES_COUNT),
                dev,
            });
            Door::open(n, shared)
        };
        let doors = (0..workers.max(1)).map(open).collect::<std_io::Result<_>>()?;
        Ok(Self {
            doors,
            current: Arc::clone(current),
            metrics: Arc::clone(metrics),
            listeners: Mutex::new(Vec::new()),
        })
    }

    fn listeners(&self) -> MutexGuard<'_, Vec<Arc<Listener>>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Binds what `configs` want and the doors do not have yet.
    ///
    /// # Errors
    /// The first listener that cannot be opened; then nothing has changed.
    pub fn prepare(&self, configs: &[ListenerConfig]) -> Result<Plan, ListenError> {
        let running = self.listeners().clone();
        let wanted = configs
            .iter()
            .map(|config| self.prepare_one(config, &running))
            .collect::<Result<_, _>>()?;
        Ok(Plan { wanted })
    }

    fn prepare_one(&self, config: &ListenerConfig, running: &[Arc<Listener>]) -> Result<Wanted, ListenError> {
        let is_same = |listener: &&Arc<Listener>| {
            let port_fits = config.address.port() == listener.address.port() || config.address.port() == 0;
            let is_named = listener.name == config.name || config.address.port() != 0;
            is_named && listener.address.ip() == config.address.ip() && port_fits
        };
        let found = running.iter().find(is_same);
        let tls = TlsPlan::load(config, found.map(|listener| &**listener)).map_err(|source| ListenError::Tls {
            name: config.name.clone(),
            source: Box::new(source),
        })?;
        if let Some(listener) = found {
            if listener.name != config.name {
                tracing::warn!(
                    "listener `{}` is now called `{}`; its metrics keep the old name until the next start",
                    listener.name,
                    config.name
                );
            }
            return Ok(Wanted::Kept {
                listener: Arc::clone(listener),
                config: Box::new(config.clone()),
                tls,
            });
        }
        let bind_error = |source| ListenError::Bind {
            name: config.name.clone(),
            address: config.address,
            source,
        };
        let (address, sockets) = listener::bind(config.address, self.doors.len()).map_err(bind_error)?;
        let metrics = self.metrics.listener(config.name.as_str());
        let listener = Arc::new(Listener::new(config, address, tls.into_tls(), metrics));
        Ok(Wanted::New { listener, sockets })
    }

    /// Puts a plan into force: new listeners open, those it does not name close and drain.
    pub async fn apply(&self, plan: Plan) {
        let mut next = Vec::with_capacity(plan.wanted.len());
        for wanted in plan.wanted {
            match wanted {
                Wanted::Kept { listener, config, tls } => {
                    listener.update(&config, tls.into_tls());
                    next.push(listener);
                }
                Wanted::New { listener, sockets } => {
                    for (door, socket) in self.doors.iter().zip(sockets) {
                        listener.will_accept();
                        // A door that does not take commands has ended with its process.
                        let _ = door.commands.send(Command::Listen(Arc::clone(&listener), socket)).await;
                    }
                    next.push(listener);
                }
            }
        }
        let before = std::mem::replace(&mut *self.listeners(), next.clone());
        for gone in before
            .iter()
            .filter(|old| !next.iter().any(|new| Arc::ptr_eq(old, new)))
        {
            gone.close();
            self.finish(|listener| Arc::ptr_eq(listener, gone));
        }
    }

    /// Name, bound address and whether it is encrypted, in the order of the configuration.
    pub fn addresses(&self) -> Vec<(Name, SocketAddr, bool)> {
        self.listeners()
            .iter()
            .map(|l| (l.name.clone(), l.address, l.tls().is_some()))
            .collect()
    }

    /// Connections open now.
    pub fn connections(&self) -> usize {
        self.doors.iter().map(|door| door.shared.registry.open()).sum()
    }

    /// Tasks alive in the door runtimes: connections, HTTP/2 streams, workers, and a few of the doors' own.
    pub fn tasks(&self) -> usize {
        let alive = |door: &Door| door.runtime.metrics().num_alive_tasks();
        self.doors.iter().map(alive).sum()
    }

    /// Asks connections to end: idle ones may bring one more request within [`limits::DRAIN_IDLE`].
    fn finish(&self, of: impl Fn(&Arc<Listener>) -> bool) {
        for door in &self.doors {
            door.shared.registry.each(|connection| {
                if of(&connection.listener) {
                    if matches!(connection.phase(), Phase::Idle | Phase::First) {
                        connection.restart();
                    }
                    connection.order(Order::Finish);
                }
            });
        }
    }

    /// Stops accepting and waits until every connection has ended; cuts those that have not by `deadline`. Returns
    /// how many were cut.
    async fn close_all(&self, deadline: Duration) -> usize {
        for listener in self.listeners().iter() {
            listener.close();
        }
        self.finish(|_| true);
        let end = Instant::now() + deadline;
        // Also those still in the kernel's queue, or accepted a moment ago.
        let is_in_use = || self.connections() > 0 || self.listeners().iter().any(|listener| listener.is_in_use());
        while is_in_use() && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(20)).await;
            // Those accepted from the kernel's queue at the very end have not heard yet.
            self.finish_new();
        }
        let left = self.connections();
        for door in &self.doors {
            door.shared.registry.each(|connection| {
                connection.cancel(Cause::Shutdown);
                connection.order(Order::Kill);
            });
        }
        if left > 0 {
            self.until_cut().await;
        }
        left
    }

    /// Waits until connections that were killed are gone: what was cut has a line in the access log too.
    async fn until_cut(&self) {
        let end = Instant::now() + limits::CUT_TIME;
        loop {
            // Also behind the last one: the streams of an HTTP/2 connection end after it.
            tokio::time::sleep(Duration::from_millis(20)).await;
            if self.connections() == 0 || Instant::now() >= end {
                return;
            }
        }
    }

    fn finish_new(&self) {
        for door in &self.doors {
            door.shared.registry.each(|connection| {
                if connection.ordered() == Order::GoOn {
                    connection.order(Order::Finish);
                }
            });
        }
    }
}

impl Drop for Doors {
    fn drop(&mut self) {
        for door in &self.doors {
            let _ = door.commands.try_send(Command::Stop);
        }
        for door in &mut self.doors {
            if let Some(thread) = door.thread.take() {
                // A panic there was printed when it happened.
                let _ = thread.join();
            }
        }
    }
}

impl std::fmt::Debug for Doors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Doors")
            .field("doors", &self.doors.len())
            .field("listeners", &self.addresses())
            .finish()
    }
}

impl Door {
    fn open(n: usize, shared: Arc<DoorShared>) -> std_io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (commands, orders) = mpsc::channel(64);
        let handle = runtime.handle().clone();
        let thread = std::thread::Builder::new().name(format!("tidegate-door-{n}")).spawn({
            let shared = Arc::clone(&shared);
            move || {
                per_core::enter(n);
                runtime.block_on(obey(shared, orders));
            }
        })?;
        Ok(Self {
            shared,
            commands,
            runtime: handle,
            thread: Some(thread),
        })
    }
}

async fn obey(door: Arc<DoorShared>, mut commands: mpsc::Receiver<Command>) {
    let watch = tokio::spawn(Arc::clone(&door.registry).watch());
    while let Some(command) = commands.recv().await {
        match command {
            Command::Listen(listener, socket) => {
                tokio::spawn(listener::accept(Arc::clone(&door), listener, socket));
            }
            Command::Stop => break,
        }
    }
    watch.abort();
}

/// Whether a listener's certificates can be used, without opening it.
pub(crate) fn check_tls(config: &ListenerConfig) -> Result<(), tls::TlsError> {
    TlsPlan::load(config, None).map(drop)
}

/// What a listener's certificates become.
enum TlsPlan {
    Plain,
    Kept(Tls),
    /// The same settings and sessions, with these certificates.
    Renew(Tls, Arc<Certificates>),
    New(Tls),
}

impl TlsPlan {
    /// Reads the files. Settings are made anew only where who may connect has changed: sessions resume else.
    fn load(config: &ListenerConfig, running: Option<&Listener>) -> Result<Self, tls::TlsError> {
        if config.tls.is_empty() {
            return Ok(Self::Plain);
        }
        let paths = |pair: &crate::config::CertPaths| tls::CertPaths {
            cert: pair.cert.clone(),
            key: pair.key.clone(),
        };
        let pairs: Vec<_> = config.tls.iter().map(paths).collect();
        let client_ca = config.client_ca.as_deref().map(tls::ClientCa::load).transpose()?;
        let key = client_ca.as_ref().map(tls::ClientCa::content_key);
        let running = running
            .and_then(Listener::tls_settings)
            .filter(|tls| tls.client_ca == key);
        if let Some(tls) = &running
            && tls.certificates.load().content_key() == Certificates::content_key_of(&pairs)?
        {
            return Ok(Self::Kept(tls.clone()));
        }
        let certificates = Certificates::load(&pairs)?;
        for warning in certificates.warnings() {
            tracing::warn!(listener = %config.name, "{warning}");
        }
        if let Some(tls) = running {
            return Ok(Self::Renew(tls, Arc::new(certificates)));
        }
        let certificates = Arc::new(ArcSwap::from_pointee(certificates));
        let config = tls::server_config(Arc::clone(&certificates), client_ca.as_ref())?;
        Ok(Self::New(Tls {
            config,
            certificates,
            client_ca: key,
        }))
    }

    fn into_tls(self) -> Option<Tls> {
        match self {
            Self::Plain => None,
            Self::Kept(tls) | Self::New(tls) => Some(tls),
            Self::Renew(tls, certificates) => {
                tls.certificates.store(certificates);
                Some(tls)
            }
        }
    }
}
