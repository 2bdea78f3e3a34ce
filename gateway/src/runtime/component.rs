//! One deployed version of a component: what it may do, how its store data is made, and its place in the pool.

use super::artifact::Artifact;
use super::engine::Clock;
use super::inspect::Handler;
use super::lane::Lane;
use super::pool::{Gate, Pool};
use super::run::{Meter, Shared};
use super::sharing;
use super::store::StoreCtx;
use super::warm::Warm;
use super::workers::Workers;
use crate::config::{ComponentConfig, ComponentLimits, Isolation, ReuseConfig};
use crate::error::Fault;
use crate::hosts::{Destinations, WasiGrants};
use crate::http::{Caller, Client as Peer, Loop, RequestCx};
use crate::limits;
use crate::outbound::{Client, Outbound, Policy};
use crate::telemetry::metrics::ComponentMetrics;
use http::HeaderMap;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use wasmtime::Store;
use wasmtime::component::InstancePre;
use wasmtime_wasi_http::p2::bindings::ProxyPre;
use wasmtime_wasi_http::p3::bindings::ServicePre;

/// One deployed component version: makes the store data of a request and knows what to instantiate.
pub trait State: Send + Sync + 'static {
    /// What an instance keeps: WASI contexts, tables, limits, and the request it serves.
    type StoreCtx: Send + 'static;

    /// The store data for one request.
    fn store(&self, cx: RequestCx) -> Self::StoreCtx;

    /// The linked component, ready to be instantiated.
    fn instance_pre(&self) -> &InstancePre<Self::StoreCtx>;
}

/// What every instance of one component version is given: nothing else of the host is visible to it.
pub(super) struct Profile {
    pub(super) name: Arc<str>,
    pub(super) args: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    pub(super) config: BTreeMap<String, String>,
    pub(super) memory_bytes: u64,
    pub(super) wasi: WasiGrants,
    pub(super) destinations: Arc<Destinations>,
}

impl Profile {
    fn new(config: &ComponentConfig, shares: &Shares, wasi: WasiGrants) -> Self {
        let name: Arc<str> = config.name.as_str().into();
        let grants = &config.grants;
        let client = (!grants.http.is_empty()).then(|| {
            let policy = Policy::new(grants.http.clone());
            Client::new(
                Arc::clone(&shares.outbound),
                policy,
                config.limits.connections,
                shares.doors,
            )
        });
        let destinations = Destinations::new(Arc::clone(&name), client, Arc::clone(&shares.metrics));
        let exposed = |(key, value): (&String, &crate::config::Setting)| (key.clone(), value.expose().to_owned());
        Self {
            args: config.args.clone(),
            name,
            env: config.env.iter().map(exposed).collect(),
            config: config.config.iter().map(exposed).collect(),
            memory_bytes: config.limits.memory,
            wasi,
            destinations,
        }
    }
}

/// The typed form of a linked component, by what it is called for.
pub(super) enum Pre {
    P2(ProxyPre<StoreCtx>),
    P3(ServicePre<StoreCtx>),
}

impl Pre {
    pub(super) fn new(pre: InstancePre<StoreCtx>, handler: Handler) -> wasmtime::Result<Self> {
        Ok(match handler {
            Handler::IncomingHandler => Self::P2(ProxyPre::new(pre)?),
            Handler::Handler => Self::P3(ServicePre::new(pre)?),
        })
    }

    fn instance_pre(&self) -> &InstancePre<StoreCtx> {
        match self {
            Self::P2(pre) => pre.instance_pre(),
            Self::P3(pre) => pre.instance_pre(),
        }
    }
}

/// How long a call may take, from its dispatch; `None` is no such limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deadlines {
    /// To the answer's head.
    pub head: Option<Duration>,
    /// To the end of the guest's work.
    pub body: Option<Duration>,
}

/// What components share with the rest of the gateway.
pub(super) struct Shares {
    pub(super) pool: Pool,
    pub(super) weight: u32,
    pub(super) lane: Arc<Lane>,
    pub(super) clock: Arc<Clock>,
    pub(super) metrics: Arc<ComponentMetrics>,
    pub(super) outbound: Arc<Outbound>,
    pub(super) doors: usize,
}

/// A component ready to serve requests.
pub struct Component {
    pub(super) profile: Arc<Profile>,
    pub(super) pre: Pre,
    pub(super) gate: Gate,
    pub(super) limits: ComponentLimits,
    pub(super) isolation: Isolation,
    pub(super) reuse: ReuseConfig,
    /// Instances between two calls, where they may have another.
    pub(super) warm: Option<Arc<Warm>>,
    /// Instances that work on several requests at a time, where they may.
    pub(super) workers: Option<Arc<Workers>>,
    pub(super) lane: Arc<Lane>,
    pub(super) metrics: Arc<ComponentMetrics>,
    clock: Arc<Clock>,
    digest: String,
    config: ComponentConfig,
}

impl Component {
    pub(super) fn new(pre: Pre, digest: &str, config: &ComponentConfig, wasi: WasiGrants, shares: Shares) -> Self {
        let limits = config.limits.clone();
        let profile = Arc::new(Profile::new(config, &shares, wasi));
        let warm =
            (config.isolation == Isolation::Reuse).then(|| Warm::new(shares.doors, &shares.pool, &shares.metrics));
        let workers = (config.isolation == Isolation::Concurrent)
            .then(|| Workers::new(shares.doors, &shares.pool, &config.reuse));
        let gate = Gate::new(
            shares.pool,
            shares.weight,
            limits.concurrency,
            limits.queue,
            limits.queue_time,
        );
        Self {
            profile,
            pre,
            gate,
            limits,
            isolation: config.isolation,
            reuse: config.reuse.clone(),
            warm,
            workers,
            lane: shares.lane,
            metrics: shares.metrics,
            clock: shares.clock,
            digest: digest.to_owned(),
            config: config.clone(),
        }
    }

    /// Whether loading these bytes under this configuration would give the same component again.
    pub fn is_made_of(&self, artifact: &Artifact, config: &ComponentConfig) -> bool {
        self.digest == artifact.digest() && self.config == *config
    }

    /// sha256 of its wasm, hex.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Where its file was.
    pub fn source(&self) -> &std::path::Path {
        &self.config.source
    }

    /// What it is called for.
    pub fn handler(&self) -> Handler {
        match self.pre {
            Pre::P2(_) => Handler::IncomingHandler,
            Pre::P3(_) => Handler::Handler,
        }
    }

    /// Its configured name.
    pub fn name(&self) -> &Arc<str> {
        &self.profile.name
    }

    /// What everybody who works on one request shares.
    ///
    /// # Errors
    /// When the request goes round through components that call one another.
    pub(super) fn shared(&self, cx: RequestCx, headers: Option<&HeaderMap>) -> Result<Arc<Shared>, Fault> {
        let headers = headers.filter(|_| self.profile.destinations.are_any());
        let caller = match headers.map(|headers| Caller::of(headers, cx.id())) {
            Some(Ok(caller)) => Some(Arc::new(caller)),
            Some(Err(Loop)) => return Err(Fault::LoopDetected),
            None => None,
        };
        Ok(Shared::new(cx, Arc::clone(&self.clock), self.limits.cpu, caller))
    }

    /// The same where no request has come.
    fn alone(&self, cx: RequestCx) -> Arc<Shared> {
        Shared::new(cx, Arc::clone(&self.clock), self.limits.cpu, None)
    }

    /// A new account of CPU time, for a worker.
    pub(super) fn meter(&self) -> Arc<Meter> {
        Arc::new(Meter::new(Arc::clone(&self.clock)))
    }

    /// A store for one request, with its limiter and the callback that interrupts the guest.
    pub(super) fn new_store(&self, request: Arc<Shared>) -> Store<StoreCtx> {
        let data = StoreCtx::new(Arc::clone(&self.profile), request);
        let mut store = Store::new(self.instance_pre().engine(), data);
        store.limiter(|data| data.memory());
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(sharing::on_tick);
        store
    }

    /// Drops the instances that no request needed for as long as they may wait, and closes unused connections.
    pub fn retire_idle(&self) {
        self.profile.destinations.close_idle();
        if let Some(warm) = &self.warm {
            warm.expire(self.reuse.idle);
        }
        if let Some(workers) = &self.workers {
            workers.expire(self.reuse.idle);
        }
    }

    /// Looks at what is only counted when somebody asks.
    pub(crate) fn observe(&self) {
        self.profile.destinations.observe();
        if let Some(workers) = &self.workers {
            self.metrics.idle_instances(workers.idle());
        }
    }

    /// Keeps no instance any more: requests that still come have one each.
    pub fn close(&self) {
        if let Some(warm) = &self.warm {
            warm.close();
        }
        // What is counted by looking is not looked at any more; where a new version has the name, that one is.
        if let Some(workers) = &self.workers {
            workers.close();
            self.metrics.idle_instances(0);
        }
        self.metrics.outgoing_connections(0);
    }

    /// Instantiates the component once, as a request would, and drops it again.
    pub(super) fn start_once(&self) -> Result<(), String> {
        let nowhere = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        let cx = RequestCx::new(Peer {
            address: nowhere,
            local: nowhere,
            tls: false,
        });
        let shared = self.alone(cx);
        shared.meter.enter_lane();
        let mut store = self.new_store(shared);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let start = async {
            let instance = self.instance_pre().instantiate_async(&mut store);
            // A start function may loop for ever; its call has no connection that would end it.
            tokio::time::timeout(self.start_time(), instance).await
        };
        match runtime.block_on(start) {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(format!("{error:#}")),
            Err(_) => Err(format!("its start takes longer than {:?}", self.start_time())),
        }
    }

    fn start_time(&self) -> Duration {
        self.limits.deadline.unwrap_or(limits::DEADLINE)
    }

    /// The deadlines of a call that no route overrides.
    pub fn deadlines(&self) -> Deadlines {
        Deadlines {
            head: self.limits.deadline,
            body: self.limits.body_deadline,
        }
    }
}

impl State for Component {
    type StoreCtx = StoreCtx;

    fn store(&self, cx: RequestCx) -> StoreCtx {
        StoreCtx::new(Arc::clone(&self.profile), self.alone(cx))
    }

    fn instance_pre(&self) -> &InstancePre<StoreCtx> {
        self.pre.instance_pre()
    }
}

impl std::fmt::Debug for Component {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Component")
            .field("name", &self.profile.name)
            .field("limits", &self.limits)
            .finish()
    }
}
