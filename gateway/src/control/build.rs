//! Snapshots from configurations. What did not change is taken over from the snapshot in force: its compiled code,
//! its pool places, its metrics.

use crate::config::{ComponentConfig, Config, ConfigError, ConfigErrors, Name, RouteConfig, TargetConfig};
use crate::http::{Edits, Rewrite};
use crate::proxy::{Servers, Upstream};
use crate::runtime::{Artifact, Component, Deadlines, Dialect, LoadError, Loader};
use crate::snapshot::{Admission, DynHandler, Filters, Fixed, Proxied, Route, Shares, Snapshot, Target};
use crate::telemetry::metrics::Registry;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tidegate_routing::{RouteSpec, RouteTable};

/// A configuration that cannot be put into force.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Components and upstreams that cannot be served; each error points at its `source` line, or its table.
    #[error("{0}")]
    Unusable(ConfigErrors),
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
    servers: Servers,
    metrics: Arc<Registry>,
    external: Vec<External>,
    threads: usize,
}

/// What routes lead to, and what they were before.
struct Parts<'a> {
    components: &'a BTreeMap<Name, Arc<Component>>,
    upstreams: &'a BTreeMap<Name, Arc<Upstream>>,
    /// By name; requests under way are counted on from one snapshot to the next.
    before: BTreeMap<&'a str, &'a Route>,
}

impl Builder {
    pub(super) fn new(loader: Loader, servers: Servers, external: Vec<External>, threads: usize) -> Self {
        Self {
            loader,
            metrics: Arc::clone(&servers.metrics),
            servers,
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
        let mut failed = Vec::new();
        let components = self.components(config, before, &mut failed);
        let upstreams = self.upstreams(config, before, &mut failed);
        if let Some(errors) = ConfigErrors::from_errors(failed) {
            return Err(BuildError::Unusable(errors));
        }
        let own = config.routes.iter().map(|route| &route.spec);
        let specs: Vec<_> = own
            .chain(self.external.iter().map(|external| &external.spec))
            .cloned()
            .collect();
        let table = RouteTable::build(&specs).map_err(|errors| {
            BuildError::Routes(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
        })?;
        let parts = Parts {
            components: &components,
            upstreams: &upstreams,
            before: before
                .map(|snapshot| snapshot.entries.iter().map(|route| (&*route.name, &**route)).collect())
                .unwrap_or_default(),
        };
        let own = config.routes.iter().filter_map(|route| self.route(route, &parts));
        let entries = own
            .chain(self.external.iter().map(|external| self.external(external)))
            .collect();
        let version = before.map_or(1, |snapshot| snapshot.version + 1);
        Ok(Snapshot {
            version,
            table,
            entries,
            components,
            upstreams,
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
            filters: Filters::default(),
            metrics: self.metrics.route(name),
        })
    }

    fn route(&self, config: &RouteConfig, parts: &Parts<'_>) -> Option<Arc<Route>> {
        let before = parts.before.get(config.name.as_str());
        let filters = Filters {
            admission: Admission::new(config, before.map(|route| &route.filters.admission)),
            rewrite: config.rewrite.as_ref().map(Rewrite::from),
            request: Edits::from(&config.request_headers),
            response: Edits::from(&config.response_headers),
        };
        Some(Arc::new(Route {
            name: config.name.as_str().into(),
            target: parts.target(config, &config.target)?,
            body_bytes: config.limits.body,
            filters,
            metrics: self.metrics.route(config.name.as_str()),
        }))
    }

    /// The upstreams, those taken over that did not change: their connections and what is known of their health.
    fn upstreams(
        &self,
        config: &Config,
        before: Option<&Snapshot>,
        failed: &mut Vec<ConfigError>,
    ) -> BTreeMap<Name, Arc<Upstream>> {
        let mut upstreams = BTreeMap::new();
        for (name, wanted) in &config.upstreams {
            let running = before.and_then(|snapshot| snapshot.upstreams.get(name));
            let upstream = match running {
                Some(running) if running.is_made_of(wanted) => Ok(Arc::clone(running)),
                _ => Upstream::new(wanted, &self.servers),
            };
            match upstream {
                Ok(upstream) => {
                    upstreams.insert(name.clone(), upstream);
                }
                Err(error) => {
                    let message = format!("upstream `{name}` cannot be served: {error}");
                    failed.push(ConfigError::new(wanted.location.clone(), message).label("this one"));
                }
            }
        }
        upstreams
    }

    /// Loads all components, on several threads: compiling takes a second each.
    fn components(
        &self,
        config: &Config,
        before: Option<&Snapshot>,
        errors: &mut Vec<ConfigError>,
    ) -> BTreeMap<Name, Arc<Component>> {
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
        errors.extend(failed.into_inner().unwrap_or_else(PoisonError::into_inner));
        loaded.into_inner().unwrap_or_else(PoisonError::into_inner)
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

impl Parts<'_> {
    /// `None` never happens: the configuration's check has found every name, and whatever could not be made of them has
    /// failed before.
    fn target(&self, config: &RouteConfig, target: &TargetConfig) -> Option<Target> {
        Some(match target {
            TargetConfig::Component(name) => {
                let component = Arc::clone(self.components.get(name)?);
                let own = component.deadlines();
                let deadlines = Deadlines {
                    head: config.limits.deadline.unwrap_or(own.head),
                    body: config.limits.body_deadline.unwrap_or(own.body),
                };
                Target::Component(component, deadlines)
            }
            TargetConfig::Upstream(name) => {
                let deadlines = Deadlines {
                    head: config.limits.deadline.flatten(),
                    body: config.limits.body_deadline.flatten(),
                };
                let how = Proxied {
                    deadlines,
                    websocket: config.websocket,
                };
                Target::Upstream(Arc::clone(self.upstreams.get(name)?), how)
            }
            TargetConfig::Redirect(redirect) => Target::Redirect(Fixed::from(redirect)),
            TargetConfig::Respond(respond) => Target::Respond(Fixed::from(respond)),
            TargetConfig::Split(split) => {
                let targets: Option<Vec<_>> = split.targets.iter().map(|(one, _)| self.target(config, one)).collect();
                Target::Split(Box::new(Shares::new(split, targets?).ok()?))
            }
        })
    }
}
