//! From a component's bytes to something that can be instantiated: checked, compiled once, mapped from the cache.
//!
//! Compiled components are native code. They are loaded only from the cache in `data_dir/compiled`, which this
//! process made with mode 0700, and whose file names carry the digest of the wasm they came from.

use super::artifact::Artifact;
use super::component::{Component, Pre};
use super::engine::{Engines, swap_in_use};
use super::inspect::{self, Dialect, Handler, Inspection, NotAComponent, Surface};
use super::lane::Lane;
use super::pool::Pool;
use super::store::StoreCtx;
use crate::config::{ComponentConfig, ConfigError, Isolation, PoolReset};
use crate::hosts::{Host, WasiConfig, WasiHttp, WasiLogging, WasiStandard};
use crate::limits;
use crate::outbound::Outbound;
use crate::telemetry::metrics::Registry;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wasmtime::component::{Component as Compiled, InstancePre, Linker};

/// Why a component cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Longer than a component may be.
    #[error("{path} holds {bytes} bytes, and a component may have at most {max}", max = limits::COMPONENT_BYTES)]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its length.
        bytes: u64,
    },
    /// No component at all.
    #[error(transparent)]
    NotAComponent(#[from] NotAComponent),
    /// The compiler or validator refused it.
    #[error("the component does not compile: {0}")]
    Invalid(String),
    /// It can be called for nothing we know.
    #[error(
        "the component exports no handler Tidegate can call: it needs wasi:http/incoming-handler@0.2 or \
         wasi:http/handler@0.3, and exports {}", list(.exports)
    )]
    NoHandler {
        /// What it does export.
        exports: Vec<String>,
    },
    /// An instance of WASI 0.2 works on one request at a time.
    #[error(
        "`isolation = \"concurrent\"` needs a component that exports wasi:http/handler@0.3, and this one has {}: use \
         \"reuse\"", .handler.as_str()
    )]
    NotConcurrent {
        /// What it has.
        handler: Handler,
    },
    /// It imports what nobody here serves.
    #[error(
        "the component imports {}, which this version of Tidegate does not serve: build it without, or compose \
         it with a component that provides it (`wac plug`)", list(.imports)
    )]
    Unserved {
        /// The imports.
        imports: Vec<String>,
    },
    /// The names are served and a type does not fit.
    #[error("the component does not link: {0}")]
    Link(String),
    /// Its memory limit is below what it starts with.
    #[error(
        "the component starts with {needs} bytes of memory and its limit is {max}: raise \
         limits.memory of this component"
    )]
    Memory {
        /// Bytes at its start.
        needs: u64,
        /// The configured limit.
        max: u64,
    },
    /// It needs more places than the whole pool has.
    #[error("the component needs {needs} places in the pool, which has {has}: it has too many memories or tables")]
    Pool {
        /// Memories or tables it needs.
        needs: u32,
        /// Places of the pool.
        has: u32,
    },
    /// It cannot be started even once.
    #[error("the component does not start: {0}")]
    Start(String),
    #[cfg_attr(
        feature = "jit",
        allow(dead_code, reason = "with a compiler nothing is ever not compiled")
    )]
    /// This binary has no compiler, and the cache does not hold the component.
    #[error(
        "the component is not in the compiled cache {cache}, and this binary has no compiler: run `tidegate \
         compile` of a full build on this data_dir first"
    )]
    NotCompiled {
        /// The cache's folder.
        cache: PathBuf,
    },
    /// The compiled cache cannot be used.
    #[error("the compiled cache {path} cannot be used: {source}")]
    Cache {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl LoadError {
    /// The error at the line that names the component's source, as configuration errors are told.
    pub fn at(&self, component: &ComponentConfig) -> ConfigError {
        ConfigError::new(component.location.clone(), self.to_string())
            .label(format!("component `{}` cannot be served", component.name))
    }
}

/// Bytes that the largest memory starts with; wasmtime counts them in pages.
fn starting_bytes(required: &wasmtime::ResourcesRequired) -> u64 {
    required
        .max_initial_memory_size
        .unwrap_or(0)
        .saturating_mul(limits::WASM_PAGE_BYTES)
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        "nothing".to_owned()
    } else {
        names.join(", ")
    }
}

/// Makes components for both engines.
pub struct Loader {
    engines: Arc<Engines>,
    pools: [Pool; 2],
    lane: Arc<Lane>,
    registry: Arc<Registry>,
    cache: PathBuf,
    hosts: Vec<Box<dyn Host<StoreCtx>>>,
    outbound: Arc<Outbound>,
    doors: usize,
}

impl Loader {
    /// A loader whose compiled cache is `data_dir/compiled`.
    ///
    /// # Errors
    /// When the cache cannot be made, or others could write to it.
    pub(crate) fn new(
        engines: Arc<Engines>,
        lane: Arc<Lane>,
        registry: Arc<Registry>,
        outbound: Arc<Outbound>,
        data_dir: &Path,
    ) -> Result<Self, LoadError> {
        let cache = data_dir.join("compiled");
        make_private(&cache).map_err(|source| LoadError::Cache {
            path: cache.clone(),
            source,
        })?;
        let instances = engines.options().instances;
        Ok(Self {
            engines,
            pools: [Pool::new(instances), Pool::new(instances)],
            lane,
            registry,
            cache,
            outbound,
            doors: 1,
            hosts: vec![
                Box::new(WasiStandard),
                Box::new(WasiHttp),
                Box::new(WasiConfig),
                Box::new(WasiLogging),
            ],
        })
    }

    /// How many door runtimes call its components; their idle instances are kept for each apart.
    pub fn for_doors(mut self, doors: usize) -> Self {
        self.doors = doors;
        self
    }

    /// Adds interfaces that components may import.
    pub fn with_hosts(mut self, hosts: impl IntoIterator<Item = Box<dyn Host<StoreCtx>>>) -> Self {
        self.hosts.extend(hosts);
        self
    }

    /// Loads `artifact` as the component that `config` describes, and starts it once to see that it can.
    ///
    /// # Errors
    /// Every reason in [`LoadError`].
    pub fn load(&self, artifact: &Artifact, config: &ComponentConfig) -> Result<Component, LoadError> {
        let surface = Surface::read(artifact.wasm())?;
        let Some(handler) = surface.handler() else {
            return Err(LoadError::NoHandler {
                exports: surface.exports,
            });
        };
        if config.isolation == Isolation::Concurrent && handler != Handler::Handler {
            return Err(LoadError::NotConcurrent { handler });
        }
        let compiled = self.compiled(artifact, surface.dialect)?;
        let weight = self.weigh(&compiled, config)?;
        let pre = self.link(&compiled, surface.dialect)?;
        let pre = Pre::new(pre, handler).map_err(|error| LoadError::Link(format!("{error:#}")))?;
        let component = Component::new(
            pre,
            artifact.digest(),
            config,
            super::component::Shares {
                pool: self.pool(surface.dialect).clone(),
                weight,
                lane: Arc::clone(&self.lane),
                clock: self.engines.clock(),
                metrics: self.registry.component(config.name.as_str()),
                outbound: Arc::clone(&self.outbound),
                doors: self.doors,
            },
        );
        component.start_once().map_err(LoadError::Start)?;
        Ok(component)
    }

    /// Compiles `artifact` into the cache, unless it is there.
    ///
    /// # Errors
    /// As [`Self::load`], for what concerns compiling.
    pub fn compile(&self, artifact: &Artifact) -> Result<(), LoadError> {
        let surface = Surface::read(artifact.wasm())?;
        self.compiled(artifact, surface.dialect).map(drop)
    }

    /// What `artifact` is, imports and exports.
    ///
    /// # Errors
    /// When it is no component or does not compile; what it lacks to be served is in the answer.
    pub fn inspect(&self, artifact: &Artifact) -> Result<Inspection, LoadError> {
        let surface = Surface::read(artifact.wasm())?;
        let compiled = self.compiled(artifact, surface.dialect)?;
        let engine = self.engines.get(surface.dialect);
        let imports = inspect::imports(&compiled, engine);
        let (_, served) = self.linker(&imports, surface.dialect)?;
        let required = compiled.resources_required();
        Ok(Inspection {
            digest: artifact.digest().to_owned(),
            dialect: surface.dialect,
            handler: surface.handler(),
            imports: imports
                .iter()
                .map(|import| (import.clone(), served.contains(&import.name)))
                .collect(),
            exports: surface.exports,
            memories: required.map_or((0, 0), |required| (required.num_memories, starting_bytes(&required))),
        })
    }

    /// Looks again whether the pools can be cleaned the way they are set to, and closes them where they cannot: with
    /// `pool_reset = "scan"` a page that was swapped out would keep what an earlier request left in it.
    pub fn recheck_pools(&self) {
        if self.engines.options().reset != PoolReset::Scan {
            return;
        }
        let swap = swap_in_use();
        let has_changed = self.pools.iter().filter(|pool| pool.set_open(swap.is_none())).count() > 0;
        match swap {
            Some(device) if has_changed => tracing::error!(
                "swap on {device} was turned on, and pool_reset = \"scan\" is not safe with it: components answer \
                 503 until it is off again"
            ),
            None if has_changed => tracing::info!("swap is off again: components answer"),
            _ => {}
        }
    }

    /// The places of `dialect`'s engine.
    pub fn pool(&self, dialect: Dialect) -> &Pool {
        let [p2, p3] = &self.pools;
        match dialect {
            Dialect::P2 => p2,
            Dialect::P3 => p3,
        }
    }

    fn weigh(&self, compiled: &Compiled, config: &ComponentConfig) -> Result<u32, LoadError> {
        let Some(required) = compiled.resources_required() else {
            return Ok(1);
        };
        let needs = starting_bytes(&required);
        if needs > config.limits.memory {
            return Err(LoadError::Memory {
                needs,
                max: config.limits.memory,
            });
        }
        // The engine pool has one memory and two tables for each place.
        let weight = required.num_memories.max(required.num_tables.div_ceil(2)).max(1);
        let has = self.engines.options().instances;
        if weight > has {
            Err(LoadError::Pool { needs: weight, has })
        } else {
            Ok(weight)
        }
    }

    fn link(&self, compiled: &Compiled, dialect: Dialect) -> Result<InstancePre<StoreCtx>, LoadError> {
        let imports = inspect::imports(compiled, self.engines.get(dialect));
        let (linker, served) = self.linker(&imports, dialect)?;
        let unserved: Vec<_> = imports
            .iter()
            .filter(|i| !served.contains(&i.name))
            .map(|i| i.name.clone())
            .collect();
        if !unserved.is_empty() {
            return Err(LoadError::Unserved { imports: unserved });
        }
        linker
            .instantiate_pre(compiled)
            .map_err(|error| LoadError::Link(format!("{error:#}")))
    }

    fn linker(
        &self,
        imports: &crate::hosts::Imports,
        dialect: Dialect,
    ) -> Result<(Linker<StoreCtx>, BTreeSet<String>), LoadError> {
        let mut linker = Linker::new(self.engines.get(dialect));
        let mut served = BTreeSet::new();
        for host in &self.hosts {
            let linked = host
                .link(&mut linker, imports)
                .map_err(|error| LoadError::Link(format!("{error:#}")))?;
            served.extend(linked.0);
        }
        Ok((linker, served))
    }

    fn compiled(&self, artifact: &Artifact, dialect: Dialect) -> Result<Compiled, LoadError> {
        if let Some(found) = self.cached(artifact.digest(), dialect) {
            return Ok(found);
        }
        self.compile_new(artifact, dialect)
    }
}

#[cfg(feature = "jit")]
impl Loader {
    /// The compiled component that this engine's settings made.
    fn cached(&self, digest: &str, dialect: Dialect) -> Option<Compiled> {
        let engine = self.engines.get(dialect);
        let path = self.cache.join(cache_name(engine, digest, dialect));
        path.is_file().then(|| deserialize(engine, &path)).flatten()
    }

    fn compile_new(&self, artifact: &Artifact, dialect: Dialect) -> Result<Compiled, LoadError> {
        let engine = self.engines.get(dialect);
        let began = std::time::Instant::now();
        let code = engine
            .precompile_component(artifact.wasm())
            .map_err(|error| LoadError::Invalid(format!("{error:#}")))?;
        let path = self.cache.join(cache_name(engine, artifact.digest(), dialect));
        let cache_error = |source| LoadError::Cache {
            path: path.clone(),
            source,
        };
        let mut file = tempfile::NamedTempFile::new_in(&self.cache).map_err(cache_error)?;
        io::Write::write_all(&mut file, &code).map_err(cache_error)?;
        file.persist(&path).map_err(|error| cache_error(error.error))?;
        tracing::info!(
            digest = artifact.digest(),
            ms = began.elapsed().as_millis() as u64,
            "compiled"
        );
        deserialize(engine, &path)
            .ok_or_else(|| cache_error(io::Error::other("a component just written there cannot be mapped")))
    }
}

#[cfg(not(feature = "jit"))]
impl Loader {
    /// The first compiled component of this digest that this engine takes: without a compiler the engine cannot
    /// say which settings it would compile with, so those of other settings are tried and passed over.
    fn cached(&self, digest: &str, dialect: Dialect) -> Option<Compiled> {
        let prefix = format!("{digest}.{}.", dialect.as_str());
        let mut files: Vec<_> = fs::read_dir(&self.cache).ok()?.filter_map(Result::ok).collect();
        files.retain(|file| {
            let name = file.file_name();
            name.to_str()
                .is_some_and(|name| name.starts_with(&prefix) && name.ends_with(".cwasm"))
        });
        files.sort_by_key(fs::DirEntry::file_name);
        files
            .iter()
            .find_map(|file| deserialize(self.engines.get(dialect), &file.path()))
    }

    fn compile_new(&self, _artifact: &Artifact, _dialect: Dialect) -> Result<Compiled, LoadError> {
        Err(LoadError::NotCompiled {
            cache: self.cache.clone(),
        })
    }
}

/// `<sha256 of the wasm>.<dialect>.<engine settings>.cwasm`
#[cfg(feature = "jit")]
fn cache_name(engine: &wasmtime::Engine, digest: &str, dialect: Dialect) -> String {
    use std::hash::{Hash, Hasher};
    let mut hasher = std::hash::DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{digest}.{}.{:016x}.cwasm", dialect.as_str(), hasher.finish())
}

/// Makes the cache's folder, and refuses one that others may write to: what lies in it is run.
fn make_private(cache: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(cache)?;
    let mode = fs::metadata(cache)?.permissions().mode();
    if mode & 0o022 != 0 {
        return Err(io::Error::other(
            "it can be written by others: chmod 700 it, and look at what is in it",
        ));
    }
    Ok(())
}

fn deserialize(engine: &wasmtime::Engine, path: &Path) -> Option<Compiled> {
    #[allow(
        unsafe_code,
        clippy::disallowed_methods,
        reason = "the one place that maps native code: from our own private cache, see above"
    )]
    // SAFETY: the file was written by `compile_new` of this program into a folder that only this user can write
    // to, renamed into place whole, and is never modified after; wasmtime checks version and settings itself.
    let loaded = unsafe { Compiled::deserialize_file(engine, path) };
    match loaded {
        Ok(component) => Some(component),
        Err(error) => {
            tracing::warn!(path = %path.display(), "passing over a compiled component: {error:#}");
            None
        }
    }
}

impl std::fmt::Debug for Loader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loader")
            .field("cache", &self.cache)
            .finish_non_exhaustive()
    }
}
