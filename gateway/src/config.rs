//! The configuration: TOML files, or the same model as JSON, checked whole and resolved to plain structs.
//!
//! - `file`, `node`, `duplicate`: texts, and the tree both formats are parsed to, with places.
//! - `error`: everything that can be wrong, with its place, drawn or serialised.
//! - `reader`, `scalar`, `suggest`, `secret`: typed reading that reports and goes on.
//! - `gateway`, `admin`, `listener`, `component` with `grants`, `upstream`, `route` with `target`: one module a table;
//!   `header`, `key`, `network`: what several of them are made of.
//! - `check`: what holds between tables and files. `schema`: the same contract for editors.
//!
//! A key of the contract that this version does not serve is an error of its own: what is written is either
//! done or refused. A new table is a new module, a line in `Draft::read_tables` and its definition in `schema`.

mod admin;
mod check;
mod component;
mod duplicate;
mod env;
mod error;
mod file;
mod gateway;
mod grants;
mod header;
mod key;
mod listener;
mod network;
mod node;
mod reader;
mod route;
mod scalar;
mod schema;
mod secret;
mod suggest;
mod target;
mod upstream;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use self::listener::ListenerDraft;
use self::reader::{Cx, Field, Sink};
use self::route::RouteDraft;

pub use self::admin::{AdminAddress, AdminConfig};
pub use self::component::{ComponentConfig, ComponentLimits, Isolation, ReuseConfig};
pub use self::env::FromEnv;
pub use self::error::{ConfigError, ConfigErrors, Location, ReportStyle};
pub use self::file::{Format, Position, Source};
pub use self::gateway::{AccessLogConfig, GatewayConfig, PoolReset};
pub use self::grants::{DirGrant, Grants, HostGrant, HttpGrant, HttpScheme, InvalidGrant, PortGrant, SocketGrant};
pub use self::listener::{CertPaths, ListenerConfig, ListenerLimits};
pub use self::route::{HeaderEdits, PathTemplate, RewriteConfig, RouteConfig, RouteLimits, TemplatePart};
pub use self::scalar::{InvalidName, Name, Percent};
pub use self::schema::{schema, schema_text};
pub use self::secret::{Secret, Setting};
pub use self::target::{RedirectConfig, RespondConfig, SplitConfig, Sticky, TargetConfig};
pub use self::upstream::{
    Balance, EjectionConfig, HashKey, HealthConfig, HealthProbe, RetryConfig, ServerConfig, ServerHost, UpstreamConfig,
    UpstreamLimits, UpstreamProtocol, UpstreamTimeouts, UpstreamTls,
};

/// A whole configuration, checked: every name in it is defined, every value within its bounds.
///
/// Two are equal when they say the same, wherever it is written; secrets count by their values.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// What holds for the process.
    pub gateway: GatewayConfig,
    /// Where the admin API listens; `None` is nowhere.
    pub admin: Option<AdminConfig>,
    /// At least one.
    pub listeners: Vec<ListenerConfig>,
    /// By name.
    pub components: BTreeMap<Name, ComponentConfig>,
    /// By name. Not all of them need be the target of a route.
    pub upstreams: BTreeMap<Name, UpstreamConfig>,
    /// In the order of their declaration, which is the last word on precedence.
    pub routes: Vec<RouteConfig>,
    /// Names the texts this was read from.
    pub digest: Digest,
    sources: Sources,
}

/// SHA-256 over the texts of a configuration and their names, in order. Secrets kept elsewhere are not in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

/// The texts themselves, for a history that can restore them. They are equal as their digests are.
#[derive(Debug, Clone)]
struct Sources(Vec<Arc<Source>>);

/// How a configuration is read.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Files that are named must be there and readable, and secrets are fetched. Off for whoever only asks what
    /// a text says: secrets that cannot be had are then empty.
    pub check_files: bool,
    /// Where environment variables are looked up.
    pub variable: fn(&str) -> Option<OsString>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            check_files: true,
            variable: |name| std::env::var_os(name),
        }
    }
}

impl Config {
    /// Reads a file, or every `*.toml` file directly in a directory, in name order.
    ///
    /// # Errors
    /// Everything that is wrong, in all files.
    pub fn load(path: &Path, options: Options) -> Result<Self, ConfigErrors> {
        Self::from_sources(file::read(path)?, options)
    }

    /// Reads texts from anywhere, merged in their order.
    ///
    /// # Errors
    /// Everything that is wrong, in all texts.
    pub fn from_sources(sources: Vec<Arc<Source>>, options: Options) -> Result<Self, ConfigErrors> {
        let sink = Sink::new(options);
        let draft = Draft::read(&sources, &sink);
        let resolved = check::resolve(draft, &sources, &sink);
        ConfigErrors::none_or(in_order(sink.into_errors(), &sources))?;
        let digest = Digest::of(&sources);
        Ok(Self {
            gateway: resolved.gateway,
            admin: resolved.admin,
            listeners: resolved.listeners,
            components: resolved.components,
            upstreams: resolved.upstreams,
            routes: resolved.routes,
            digest,
            sources: Sources(sources),
        })
    }

    /// The texts this was read from, in their order.
    pub fn sources(&self) -> &[Arc<Source>] {
        &self.sources.0
    }
}

/// What the files say, table by table, before anything is held against anything else.
#[derive(Debug, Default)]
struct Draft {
    gateway: Option<(GatewayConfig, Location)>,
    admin: Option<(Option<AdminConfig>, Location)>,
    listeners: Vec<ListenerDraft>,
    /// Tables there were, those that could not be read included.
    listeners_count: usize,
    components: Defined<ComponentConfig>,
    upstreams: Defined<UpstreamConfig>,
    routes: Vec<RouteDraft>,
    /// A file could not be parsed, so a name that is missing may be defined in it.
    incomplete: bool,
}

/// What is defined by name.
#[derive(Debug)]
struct Defined<T> {
    configs: BTreeMap<Name, T>,
    /// Where each name is defined, for those that could not be read too: they are not unknown.
    places: BTreeMap<String, Location>,
}

impl<T> Default for Defined<T> {
    fn default() -> Self {
        Self {
            configs: BTreeMap::new(),
            places: BTreeMap::new(),
        }
    }
}

impl Draft {
    fn read(sources: &[Arc<Source>], sink: &Sink) -> Self {
        let mut draft = Self::default();
        for source in sources {
            let parsed = node::parse(source);
            for error in parsed.errors {
                sink.report(error);
            }
            if parsed.sound {
                draft.read_tables(&Field::root(Cx { source, sink }, &parsed.root));
            } else {
                draft.incomplete = true;
            }
        }
        draft
    }

    fn read_tables(&mut self, root: &Field<'_>) {
        let Some(mut table) = root.table("Config") else {
            return;
        };
        // The JSON form may name its schema, as the TOML form does in a comment.
        let schema = table.take("$schema");
        if let Some(field) = table.take("gateway") {
            self.add_gateway(&field);
        }
        if let Some(field) = table.take("admin") {
            self.add_admin(&field);
        }
        for field in table
            .take("listener")
            .and_then(|field| field.list())
            .unwrap_or_default()
        {
            self.listeners_count += 1;
            self.listeners.extend(listener::read(&field));
        }
        for named in table
            .take("component")
            .and_then(|field| field.named())
            .unwrap_or_default()
        {
            let read = component::read(&named).map(|config| (config.name.clone(), config));
            self.components.add("component", &named, read);
        }
        for named in table
            .take("upstream")
            .and_then(|field| field.named())
            .unwrap_or_default()
        {
            let read = upstream::read(&named).map(|config| (config.name.clone(), config));
            self.upstreams.add("upstream", &named, read);
        }
        for field in table.take("route").and_then(|field| field.list()).unwrap_or_default() {
            self.routes.extend(route::read(&field));
        }
        table.refuse_unserved("store", "remove it: this version has no storage");
        table.finish();
        if let Some(schema) = schema {
            schema.string();
        }
    }

    fn add_gateway(&mut self, field: &Field<'_>) {
        let read = gateway::read(field);
        match &self.gateway {
            Some((_, first)) => report_twice(field.cx().sink, "`gateway`", first, field.location()),
            None => self.gateway = read.map(|config| (config, field.location())),
        }
    }

    fn add_admin(&mut self, field: &Field<'_>) {
        let read = admin::read(field);
        match &self.admin {
            Some((_, first)) => report_twice(field.cx().sink, "`admin`", first, field.location()),
            None => self.admin = Some((read, field.location())),
        }
    }
}

impl<T> Defined<T> {
    /// Takes what was read under a name, if anything was and the name is new.
    fn add(&mut self, kind: &str, named: &reader::NamedField<'_>, read: Option<(Name, T)>) {
        if let Some(first) = self.places.get(named.name) {
            let what = format!("{kind} `{}`", named.name);
            // Within one text the parser or the table's reader has said so already.
            if !Arc::ptr_eq(first.source(), named.at.source()) {
                report_twice(named.field.cx().sink, &what, first, named.at.clone());
            }
            return;
        }
        self.places.insert(named.name.to_owned(), named.at.clone());
        self.configs.extend(read);
    }
}

/// One name, two places.
fn report_twice(sink: &Sink, what: &str, first: &Location, second: Location) {
    let error = ConfigError::new(second, format!("{what} is defined twice, first at {first}"))
        .label("defined again here")
        .help("keep one of them")
        .also(first.clone(), "first defined here");
    sink.report(error);
}

/// Errors as someone reads the files: passes find them in another order.
fn in_order(mut errors: Vec<ConfigError>, sources: &[Arc<Source>]) -> Vec<ConfigError> {
    let place = |error: &ConfigError| {
        let location = error.location();
        let file = sources.iter().position(|source| Arc::ptr_eq(source, location.source()));
        (file, location.offset())
    };
    errors.sort_by_cached_key(place);
    errors
}

impl Digest {
    fn of(sources: &[Arc<Source>]) -> Self {
        let mut hash = Sha256::new();
        for source in sources {
            // Lengths go first, so that no two lists of texts read as the same bytes.
            for part in [source.name(), source.text()] {
                hash.update(part.len().to_le_bytes());
                hash.update(part.as_bytes());
            }
        }
        Self(hash.finalize().into())
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Lower-case hexadecimal.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl PartialEq for Sources {
    fn eq(&self, other: &Self) -> bool {
        Digest::of(&self.0) == Digest::of(&other.0)
    }
}

#[cfg(test)]
mod tests;
