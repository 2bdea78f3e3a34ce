//! Snapshots from configurations. What did not change is taken over from the snapshot in force: its compiled code,
//! its pool places, its metrics.

use crate::config::{ComponentConfig, Config, ConfigErrors, Name, RouteConfig, TargetConfig};
use crate::runtime::{Artifact, Component, Deadlines, Dialect, LoadError, Loader};
use crate::snapshot::{DynHandler, Fixed, Route, Snapshot, Target};
use crate::telemetry::metrics::Registry;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tidegate_routing::{RouteSpec, RouteTable};

/// A configuration that cannot be put into force.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Components that cannot be served; each error points at its `source` line.
    #[error("{0}")]
    Components(ConfigErrors),
    /// The routes passed the configuration's check and yet do not compile.
    #[error("the routes cannot be compiled: {0}")]
    Routes(String),
}

/// A route that the embedding program answers itself.
#[derive(Debug)]
pub struct External {
    /// Which requests it takes; its name is that of its metrics and log lines.
    pub spec: RouteSpec,
    /// What answers them.
    pub handler: Arc<dyn DynHandler>,
}

/// Makes snapshots.
pub(super) struct Builder {
    loader: Loader,
    metrics: Arc<Registry>,
    external: Vec<External>,
    threads: usize,
}

impl Builder {
    pub(super) fn new(loader: Loader, metrics: Arc<Registry>, external: Vec<External>, threads: usize) -> Self {
        Self {
            loader,
            metrics,
            external,
            threads: threads.max(1),
        }
    }

    /// Looks again whether instances can be given out safely.
    pub(super) fn recheck_pools(&self) {
        self.loader.recheck_pools();
    }

    /// Places free in the pool of each dialect.
    pub(super) fn free_places(&self) -> [(Dialect, usize); 2] {
        Dialect::ALL.map(|dialect| (dialect, self.loader.pool(dialect).free()))
    }

    /// The snapshot that follows `before` when `config` is put into force.
    ///
    /// # Errors
    /// Every component that cannot be loaded.
    pub(super) fn build(&self, config: &Config, before: Option<&Snapshot>) -> Result<Snapshot, BuildError> {
        let components = self.components(config, before).map_err(BuildError::Components)?;
        let own = config.routes.iter().map(|route| &route.spec);
        let specs: Vec<_> = own
            .chain(self.external.iter().map(|external| &external.spec))
            .cloned()
            .collect();
        let table = RouteTable::build(&specs).map_err(|errors| {
            BuildError::Routes(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
        })?;
        let own = config.routes.iter().filter_map(|route| self.route(route, &components));
        let entries = own
            .chain(self.external.iter().map(|external| self.external(external)))
            .collect();
        let version = before.map_or(1, |snapshot| snapshot.version + 1);
        Ok(Snapshot {
            version,
            table,
            entries,
            components,
            _alive: self.metrics.gateway().version_alive(),
        })
    }

    fn external(&self, external: &External) -> Arc<Route> {
        let name = external.spec.name.as_str();
        let target = Target::External(Arc::clone(&external.handler));
        Arc::new(Route {
            name: name.into(),
            target,
            body_bytes: None,
            metrics: self.metrics.route(name),
        })
    }

    fn route(&self, config: &RouteConfig, components: &BTreeMap<Name, Arc<Component>>) -> Option<Arc<Route>> {
        let target = match &config.target {
            TargetConfig::Component(name) => {
                // The configuration's check has found every name, and `components` failed on those not loaded.
                let component = Arc::clone(components.get(name)?);
                let own = component.deadlines();
                let deadlines = Deadlines {
                    head: config.limits.deadline.unwrap_or(own.head),
                    body: config.limits.body_deadline.unwrap_or(own.body),
                };
                Target::Component(component, deadlines)
            }
            TargetConfig::Redirect(redirect) => Target::Redirect(Fixed::from(redirect)),
            TargetConfig::Respond(respond) => Target::Respond(Fixed::from(respond)),
        };
        Some(Arc::new(Route {
            name: config.name.as_str().into(),
            target,
            body_bytes: config.limits.body,
            metrics: self.metrics.route(config.name.as_str()),
        }))
    }

    /// Loads all components, on several threads: compiling takes a second each.
    fn components(
        &self,
        config: &Config,
        before: Option<&Snapshot>,
    ) -> Result<BTreeMap<Name, Arc<Component>>, ConfigErrors> {
        let wanted: Vec<_> = config.components.values().collect();
        let next = AtomicUsize::new(0);
        let loaded = Mutex::new(BTreeMap::new());
        let failed = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..self.threads.min(wanted.len()) {
                scope.spawn(|| {
                    while let Some(component) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
                        match self.component(component, before) {
                            Ok(one) => {
                                let mut loaded = loaded.lock().unwrap_or_else(PoisonError::into_inner);
                                loaded.insert(component.name.clone(), one);
                            }
                            Err(error) => {
                                let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                                failed.push(error.at(component));
                            }
                        }
                    }
                });
            }
        });
        match ConfigErrors::from_errors(failed.into_inner().unwrap_or_else(PoisonError::into_inner)) {
            Some(errors) => Err(errors),
            None => Ok(loaded.into_inner().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    fn component(&self, config: &ComponentConfig, before: Option<&Snapshot>) -> Result<Arc<Component>, LoadError> {
        let artifact = Artifact::read(&config.source)?;
        let running = before.and_then(|snapshot| snapshot.components.get(&config.name));
        if let Some(running) = running
            && running.is_made_of(&artifact, config)
        {
            return Ok(Arc::clone(running));
        }
        self.loader.load(&artifact, config).map(Arc::new)
    }
}
