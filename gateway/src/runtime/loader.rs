//! From a component's bytes to something that can be instantiated: checked, compiled once, mapped from the cache.
//!
//! Compiled components are native code. They are loaded only from the cache in `data_dir/compiled`, which this
//! process made with mode 0700, and whose file names carry the digest of the wasm they came from.

use super::artifact::Artifact;
use super::component::{Component, Pre};
use super::engine::{Engines, swap_in_use};
use super::inspect::{self, Dialect, Handler, Import, Inspection, Needs, Surface};
use super::lane::Lane;
use super::load_error::LoadError;
use super::pool::Pool;
use super::store::StoreCtx;
use crate::config::{ComponentConfig, Isolation, PoolReset};
use crate::hosts::{Host, Imports, WasiConfig, WasiGrants, WasiHttp, WasiLogging, WasiStandard};
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

/// Whether its imports are of a kind that can be linked at all.
fn can_be_linked(surface: &Surface) -> Result<(), LoadError> {
    let interfaces = surface.pre_releases();
    if !surface.labels.is_empty() {
        Err(LoadError::Labelled {
            labels: surface.labels.clone(),
        })
    } else if !interfaces.is_empty() {
        Err(LoadError::PreRelease { interfaces })
    } else {
        Ok(())
    }
}

/// What it is called for, where its instances may be shared as `config` says.
fn handler_for(surface: &Surface, config: &ComponentConfig) -> Result<Handler, LoadError> {
    let handler = surface.handler().ok_or_else(|| LoadError::NoHandler {
        exports: surface.exports.clone(),
    })?;
    if config.isolation == Isolation::Concurrent && handler != Handler::Handler {
        return Err(LoadError::NotConcurrent { handler });
    }
    Ok(handler)
}

/// The imports that nobody here serves.
fn unserved(imports: &Imports, served: &BTreeSet<String>) -> Vec<String> {
    let unserved = imports.iter().filter(|import| !served.contains(&import.name));
    unserved.map(|import| import.name.clone()).collect()
}

/// Places in the pool: the engine's has one memory and two tables for each.
fn places(required: &wasmtime::ResourcesRequired) -> u32 {
    required.num_memories.max(required.num_tables.div_ceil(2)).max(1)
}

fn needs(required: &wasmtime::ResourcesRequired) -> Needs {
    Needs {
        memories: required.num_memories,
        memory_bytes: starting_bytes(required),
        tables: required.num_tables,
        places: places(required),
    }
}

/// Bytes that the largest memory starts with; wasmtime counts them in pages.
fn starting_bytes(required: &wasmtime::ResourcesRequired) -> u64 {
    required
        .max_initial_memory_size
        .unwrap_or(0)
        .saturating_mul(limits::WASM_PAGE_BYTES)
}

/// Makes components for both engines.
pub struct Loader {
    engines: Arc<Engines>,
    pools: [Pool; 2],
    lane: Arc<Lane>,
    registry: Arc<Registry>,
    data_dir: PathBuf,
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
            data_dir: data_dir.to_owned(),
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
        can_be_linked(&surface)?;
        let handler = handler_for(&surface, config)?;
        let wasi = WasiGrants::new(&config.grants, &self.outbound, &self.data_dir)?;
        let compiled = self.compiled(artifact, surface.dialect)?;
        let weight = self.weigh(&compiled, config)?;
        let pre = self.link(&compiled, surface.dialect)?;
        let pre = Pre::new(pre, handler).map_err(|error| LoadError::Link(format!("{error:#}")))?;
        let component = Component::new(
            pre,
            artifact.digest(),
            config,
            wasi,
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
        can_be_linked(&surface)?;
        self.compiled(artifact, surface.dialect).map(drop)
    }

    /// What `artifact` is, imports and exports, and what would keep it from being served as `config` says.
    ///
    /// # Errors
    /// When it is no component or does not compile; what it lacks to be served is in the answer.
    pub fn inspect(&self, artifact: &Artifact, config: &ComponentConfig) -> Result<Inspection, LoadError> {
        let surface = Surface::read(artifact.wasm())?;
        let mut problems = Vec::new();
        problems.extend(can_be_linked(&surface).err());
        problems.extend(handler_for(&surface, config).err());
        problems.extend(
            WasiGrants::new(&config.grants, &self.outbound, &self.data_dir)
                .err()
                .map(LoadError::Dir),
        );
        // Without bindings the compiler has no use for labels, and refuses them.
        let compiled = match surface.labels.is_empty() {
            true => Some(self.compiled(artifact, surface.dialect)?),
            false => None,
        };
        let imports = match &compiled {
            Some(compiled) => inspect::imports(compiled, self.engines.get(surface.dialect)),
            None => Imports::new(surface.imports.iter().map(|name| Import::named(name)).collect()),
        };
        let (_, served) = self.linker(&imports, surface.dialect)?;
        let unserved = unserved(&imports, &served);
        if !unserved.is_empty()
            && !problems
                .iter()
                .any(|problem| matches!(problem, LoadError::PreRelease { .. }))
        {
            problems.push(LoadError::Unserved { imports: unserved });
        }
        problems.extend(
            compiled
                .as_ref()
                .and_then(|compiled| self.weigh(compiled, config).err()),
        );
        Ok(Inspection {
            digest: artifact.digest().to_owned(),
            dialect: surface.dialect,
            handler: surface.handler(),
            imports: imports
                .iter()
                .map(|import| (import.clone(), served.contains(&import.name)))
                .collect(),
            labels: surface.labels,
            exports: surface.exports,
            needs: compiled.and_then(|compiled| compiled.resources_required().as_ref().map(needs)),
            problems,
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
        let weight = places(&required);
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
        let unserved = unserved(&imports, &served);
        if !unserved.is_empty() {
            return Err(LoadError::Unserved { imports: unserved });
        }
        linker
            .instantiate_pre(compiled)
            .map_err(|error| LoadError::Link(format!("{error:#}")))
    }

    fn linker(&self, imports: &Imports, dialect: Dialect) -> Result<(Linker<StoreCtx>, BTreeSet<String>), LoadError> {
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
