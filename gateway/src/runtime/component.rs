//! One deployed version of a component: what it may do, how its store data is made, and its place in the pool.

use super::artifact::Artifact;
use super::engine::Clock;
use super::inspect::Handler;
use super::lane::Lane;
use super::pool::{Gate, Pool};
use super::run::Shared;
use super::store::StoreCtx;
use crate::config::{ComponentConfig, ComponentLimits};
use crate::http::{Client, RequestCx};
use crate::limits;
use crate::telemetry::metrics::ComponentMetrics;
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
}

impl Profile {
    pub(super) fn new(config: &ComponentConfig) -> Self {
        let name: Arc<str> = config.name.as_str().into();
        let exposed = |(key, value): (&String, &crate::config::Setting)| (key.clone(), value.expose().to_owned());
        Self {
            args: config.args.clone(),
            name,
            env: config.env.iter().map(exposed).collect(),
            config: config.config.iter().map(exposed).collect(),
            memory_bytes: config.limits.memory,
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
}

/// A component ready to serve requests.
pub struct Component {
    pub(super) profile: Arc<Profile>,
    pub(super) pre: Pre,
    pub(super) gate: Gate,
    pub(super) limits: ComponentLimits,
    pub(super) lane: Arc<Lane>,
    pub(super) metrics: Arc<ComponentMetrics>,
    clock: Arc<Clock>,
    digest: String,
    config: ComponentConfig,
}

impl Component {
    pub(super) fn new(pre: Pre, digest: &str, config: &ComponentConfig, shares: Shares) -> Self {
        let limits = config.limits.clone();
        let gate = Gate::new(
            shares.pool,
            shares.weight,
            limits.concurrency,
            limits.queue,
            limits.queue_time,
        );
        Self {
            profile: Arc::new(Profile::new(config)),
            pre,
            gate,
            limits,
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

    /// A store for one request, with its limiter and the callback that interrupts the guest.
    pub(super) fn new_store(&self, cx: RequestCx) -> Store<StoreCtx> {
        let mut store = Store::new(self.instance_pre().engine(), self.store(cx));
        store.limiter(|data| &mut data.memory);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|store| store.data().shared().on_tick());
        store
    }

    /// Instantiates the component once, as a request would, and drops it again.
    pub(super) fn start_once(&self) -> Result<(), String> {
        let nowhere = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        let cx = RequestCx::new(Client {
            address: nowhere,
            local: nowhere,
            tls: false,
        });
        let mut store = self.new_store(cx);
        let shared = Arc::clone(store.data().shared());
        shared.enter_lane();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
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
        let shared = Shared::new(cx, Arc::clone(&self.clock), self.limits.cpu);
        StoreCtx::new(Arc::clone(&self.profile), shared)
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
