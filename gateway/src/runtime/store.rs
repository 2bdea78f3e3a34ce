//! Store data: what one guest instance sees of the world. The instance part serves every request of the
//! instance, the request part one of them; it is taken away when the call ends, and nothing of it may be left.

use super::component::Profile;
use super::run::{Meter, Shared};
use super::sharing::Sharing;
use crate::hosts::{ConfigView, GuestLog, LogOwner, LogScope, LogView, NamesView, Outgoing, SocketNames, Tasks};
use crate::limits;
use crate::telemetry::metrics::Retirement;
use std::any::Any;
use std::sync::Arc;
use wasmtime::ResourceLimiter;
use wasmtime::component::{GuestTaskId, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::p2::{body, types};
use wasmtime_wasi_http::{FieldMap, WasiHttpCtx, WasiHttpCtxView, WasiHttpView, p3};

/// The store data of a gateway component.
pub struct StoreCtx {
    profile: Arc<Profile>,
    table: ResourceTable,
    /// Made when a guest first asks for something of it: many never do.
    wasi: Option<Wasi>,
    http: WasiHttpCtx,
    memory: MemoryAccount,
    hooks: Outgoing,
    /// `None` between two requests.
    request: Option<Arc<Shared>>,
    /// The requests of an instance that works on several at a time; `request` is then the one looked at last.
    sharing: Option<Sharing>,
}

/// The standard interfaces of one instance, and whose its log lines are.
struct Wasi {
    ctx: WasiCtx,
    owner: Arc<LogOwner>,
    names: Option<Arc<SocketNames>>,
}

impl StoreCtx {
    pub(super) fn new(profile: Arc<Profile>, request: Arc<Shared>) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits::RESOURCES_COUNT);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(limits::GUEST_FIELDS_BYTES);
        let memory = MemoryAccount::new(profile.memory_bytes);
        let hooks = Outgoing::new(Arc::clone(&profile.destinations));
        let mut store = Self {
            profile,
            table,
            wasi: None,
            http,
            hooks,
            memory,
            request: None,
            sharing: None,
        };
        store.serve(Some(request));
        store
    }

    /// Which request the guest works on from now on.
    fn serve(&mut self, request: Option<Arc<Shared>>) {
        if self.profile.destinations.are_any() {
            let caller = request.as_ref().map(|of| (of.cx.clone(), of.caller.clone()));
            self.hooks.serve(caller);
        }
        self.request = request;
    }

    /// From now on the instance works on several requests at a time, on this account.
    pub(super) fn share(&mut self, meter: Arc<Meter>) {
        self.sharing = Some(Sharing::new(meter));
        self.hooks.share();
    }

    /// A task of an instance that works on several requests begins with this one.
    pub(super) fn work_on(&mut self, task: GuestTaskId, request: Arc<Shared>) {
        if let Some(sharing) = &mut self.sharing {
            sharing.enter(task, request);
        }
    }

    /// An instance that works on several requests has none now: nothing of them is kept.
    ///
    /// # Errors
    /// As [`Self::end`].
    pub(super) fn rest(&mut self) -> Result<(), Retirement> {
        self.memory.was_refused = false;
        if let Some(sharing) = &mut self.sharing {
            drop(sharing.forget());
        }
        self.end()
    }

    pub(super) fn has_grown(&self) -> bool {
        self.memory.has_grown()
    }

    pub(super) fn sharing(&mut self) -> Option<&mut Sharing> {
        self.sharing.as_mut()
    }

    /// The request under way.
    pub(super) fn request(&self) -> Option<&Arc<Shared>> {
        self.request.as_ref()
    }

    pub(super) fn memory(&mut self) -> &mut MemoryAccount {
        &mut self.memory
    }

    /// Whether the request under way, or the start, was refused memory.
    pub(super) fn memory_was_refused(&self) -> bool {
        self.memory.was_refused
    }

    /// The instance has started: what it grows from here on is growth.
    pub(super) fn started(&mut self) {
        self.memory.at_start = self.memory.used;
    }

    /// The request part, for the next request.
    pub(super) fn begin(&mut self, request: Arc<Shared>) {
        self.memory.was_refused = false;
        if let Some(wasi) = &self.wasi {
            wasi.owner.set(Some(request.cx.id()));
        }
        self.serve(Some(request));
    }

    /// Takes the request part away.
    ///
    /// # Errors
    /// Why no other request may come: something of this one is left, or the instance has grown.
    pub(super) fn end(&mut self) -> Result<(), Retirement> {
        self.serve(None);
        if let Some(wasi) = &self.wasi {
            wasi.owner.set(None);
        }
        if self.memory.has_grown() {
            return Err(Retirement::Memory);
        }
        let (mut handles, mut are_kept_well) = (0, true);
        for entry in self.table.iter_mut() {
            handles += 1;
            are_kept_well &= !is_of_a_request(entry);
        }
        if are_kept_well && handles <= limits::REUSE_HANDLES_COUNT {
            Ok(())
        } else {
            Err(Retirement::Handles)
        }
    }
}

/// Whether a handle is of wasi:http: those end with their request. A body's stream cannot outlive its body, which is
/// among them.
fn is_of_a_request(entry: &(dyn Any + Send)) -> bool {
    entry.is::<types::HostIncomingRequest>()
        || entry.is::<body::HostIncomingBody>()
        || entry.is::<FieldMap>()
        || entry.is::<types::HostResponseOutparam>()
        || entry.is::<types::HostOutgoingResponse>()
        || entry.is::<body::HostOutgoingBody>()
        || entry.is::<body::HostFutureTrailers>()
        || entry.is::<types::HostOutgoingRequest>()
        || entry.is::<types::HostFutureIncomingResponse>()
        || entry.is::<types::HostIncomingResponse>()
        || entry.is::<p3::Request>()
        || entry.is::<p3::Response>()
}

impl std::fmt::Debug for StoreCtx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreCtx")
            .field("component", &self.profile.name)
            .finish_non_exhaustive()
    }
}

fn wasi(profile: &Profile, scope: LogScope) -> Wasi {
    let owner = LogOwner::new(scope);
    // The builder starts from nothing: no folders, no sockets, no host environment, and an empty stdin.
    let mut builder = WasiCtx::builder();
    builder
        .stdout(GuestLog::new(Arc::clone(&owner), "stdout"))
        .stderr(GuestLog::new(Arc::clone(&owner), "stderr"));
    builder.args(&profile.args).envs(&profile.env);
    let names = profile.wasi.give(&profile.name, &mut builder);
    Wasi {
        ctx: builder.build(),
        owner,
        names,
    }
}

impl StoreCtx {
    /// The standard interfaces, made where nobody has asked for them yet.
    fn wasi(&mut self) -> (&mut Wasi, &mut ResourceTable) {
        let Self {
            profile,
            request,
            wasi: built,
            table,
            sharing,
            ..
        } = self;
        // A stream's lines do not say which of several requests they are about.
        let request = request.as_deref().filter(|_| sharing.is_none());
        let wasi = built.get_or_insert_with(|| wasi(profile, scope(profile, request)));
        (wasi, table)
    }
}

impl WasiView for StoreCtx {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let (wasi, table) = self.wasi();
        WasiCtxView {
            ctx: &mut wasi.ctx,
            table,
        }
    }
}

impl NamesView for StoreCtx {
    fn socket_names(&mut self) -> Option<Arc<SocketNames>> {
        self.wasi().0.names.clone()
    }
}

fn scope(profile: &Profile, request: Option<&Shared>) -> LogScope {
    LogScope {
        component: Arc::clone(&profile.name),
        request: request.map(|request| request.cx.id()),
    }
}

impl WasiHttpView for StoreCtx {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut self.hooks,
            table: &mut self.table,
            ctx: &mut self.http,
        }
    }
}

impl Tasks for StoreCtx {
    fn works_on_several(&self) -> bool {
        self.sharing.is_some()
    }

    fn look_at(&mut self, stack: &[GuestTaskId]) {
        let request = self.sharing.as_mut().and_then(|sharing| sharing.request(stack));
        let request = request.map(Arc::clone);
        self.serve(request);
    }
}

impl LogView for StoreCtx {
    fn log_scope(&self) -> LogScope {
        scope(&self.profile, self.request.as_deref())
    }
}

impl ConfigView for StoreCtx {
    fn config_value(&self, key: &str) -> Option<String> {
        self.profile.config.get(key).cloned()
    }

    fn config_values(&self) -> Vec<(String, String)> {
        self.profile
            .config
            .iter()
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }
}

/// The linear memory of one instance against its limit.
pub(super) struct MemoryAccount {
    used: u64,
    max: u64,
    at_start: u64,
    /// The guest asked for more than its limit; a trap that follows is for want of memory.
    was_refused: bool,
}

impl MemoryAccount {
    fn new(max: u64) -> Self {
        Self {
            used: 0,
            max,
            at_start: 0,
            was_refused: false,
        }
    }

    /// Whether it took more than half of the room it had at its start. Memory never shrinks, so what an ordinary
    /// guest takes once for its largest request stays; a leak goes on to the limit, where requests would fail.
    fn has_grown(&self) -> bool {
        let room = self.max.saturating_sub(self.at_start);
        self.used.saturating_sub(self.at_start) > room / 2
    }
}

impl ResourceLimiter for MemoryAccount {
    fn memory_growing(&mut self, current: usize, desired: usize, _max: Option<usize>) -> wasmtime::Result<bool> {
        let used = self.used.saturating_add(desired.saturating_sub(current) as u64);
        if used > self.max {
            self.was_refused = true;
            return Ok(false);
        }
        self.used = used;
        Ok(true)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _max: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= limits::TABLE_ELEMENTS_COUNT)
    }
}
