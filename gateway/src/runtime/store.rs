//! Store data: what one guest instance sees of the world. The instance part serves every request of the
//! instance, the request part one of them.

use super::component::Profile;
use super::run::Shared;
use crate::hosts::{ConfigView, GuestLog, LogScope, LogView, OutgoingDenied};
use crate::limits;
use std::sync::Arc;
use wasmtime::ResourceLimiter;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

/// The store data of a gateway component.
pub struct StoreCtx {
    profile: Arc<Profile>,
    table: ResourceTable,
    /// Made when a guest first asks for something of it: many never do.
    wasi: Option<WasiCtx>,
    http: WasiHttpCtx,
    hooks: OutgoingDenied,
    pub(super) memory: MemoryAccount,
    request: Arc<Shared>,
}

impl StoreCtx {
    pub(super) fn new(profile: Arc<Profile>, request: Arc<Shared>) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits::RESOURCES_COUNT);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(limits::GUEST_FIELDS_BYTES);
        let memory = MemoryAccount {
            used: 0,
            max: profile.memory_bytes,
            request: Arc::clone(&request),
        };
        Self {
            profile,
            table,
            wasi: None,
            http,
            hooks: OutgoingDenied,
            memory,
            request,
        }
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.request
    }
}

impl std::fmt::Debug for StoreCtx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreCtx")
            .field("component", &self.profile.name)
            .finish_non_exhaustive()
    }
}

fn wasi(profile: &Profile, scope: LogScope) -> WasiCtx {
    // The builder starts from nothing: no preopens, no sockets, no host environment. Names are not resolved and
    // TCP and UDP are switched off, so their calls answer access-denied.
    let mut builder = WasiCtx::builder();
    builder
        .stdout(GuestLog::new(scope.clone(), "stdout"))
        .stderr(GuestLog::new(scope, "stderr"));
    builder.args(&profile.args).envs(&profile.env);
    builder.allow_tcp(false).allow_udp(false).allow_ip_name_lookup(false);
    builder.build()
}

impl WasiView for StoreCtx {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let Self {
            profile,
            request,
            wasi: ctx,
            table,
            ..
        } = self;
        let ctx = ctx.get_or_insert_with(|| wasi(profile, scope(profile, request)));
        WasiCtxView { ctx, table }
    }
}

fn scope(profile: &Profile, request: &Shared) -> LogScope {
    LogScope {
        component: Arc::clone(&profile.name),
        request: request.cx.id(),
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

impl LogView for StoreCtx {
    fn log_scope(&self) -> LogScope {
        scope(&self.profile, &self.request)
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
    request: Arc<Shared>,
}

impl ResourceLimiter for MemoryAccount {
    fn memory_growing(&mut self, current: usize, desired: usize, _max: Option<usize>) -> wasmtime::Result<bool> {
        let used = self.used.saturating_add(desired.saturating_sub(current) as u64);
        if used > self.max {
            self.request.refuse_memory();
            return Ok(false);
        }
        self.used = used;
        Ok(true)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _max: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= limits::TABLE_ELEMENTS_COUNT)
    }
}
