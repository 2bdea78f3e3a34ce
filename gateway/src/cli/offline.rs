//! What commands need that look at components without serving them.

use super::{Exit, Failed};
use crate::config::GatewayConfig;
use crate::outbound::{Dns, Outbound};
use crate::runtime::{EngineOptions, Engines, Lane, Loader};
use crate::telemetry::metrics::Registry;
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::Runtime;

/// A loader on a data folder, with what it stands on.
pub(super) struct Offline {
    pub(super) loader: Loader,
    _runtime: Runtime,
}

impl Offline {
    /// A loader whose compiled cache is in `data_dir`. A gateway may run on the same folder: the cache only grows.
    pub(super) fn new(data_dir: &Path, options: EngineOptions) -> Result<Self, Failed> {
        let system = |error: &dyn std::fmt::Display| Failed::new(Exit::System, format!("error: {error}"));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .build()
            .map_err(|error| system(&error))?;
        let engines = Arc::new(Engines::new(options).map_err(|error| system(&error))?);
        let lane = Arc::new(Lane::new(1, runtime.handle().clone()).map_err(|error| system(&error))?);
        // Nothing is sent: components are looked at and started once.
        let outbound = Outbound::new(Dns::System);
        let loader = Loader::new(engines, lane, Arc::new(Registry::new()), outbound, data_dir)
            .map_err(|error| Failed::new(Exit::Unavailable, format!("error: {error}")))?;
        Ok(Self {
            loader,
            _runtime: runtime,
        })
    }

    /// As a gateway with this configuration would load.
    pub(super) fn of(config: &GatewayConfig) -> Result<Self, Failed> {
        Self::new(
            &config.data_dir,
            EngineOptions {
                reset: config.pool_reset,
                ..EngineOptions::default()
            },
        )
    }
}
