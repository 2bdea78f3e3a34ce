//! `[component.NAME]`: a WebAssembly component, what it may use and what it is told.

mod isolation;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::error::Location;
use super::grants::{self, Grants};
use super::reader::{Field, NamedField, Table};
use super::scalar::{Name, Zero, none_if_zero};
use super::secret::{self, Setting};
use crate::limits;

pub use self::isolation::{Isolation, ReuseConfig};

/// One resolved `[component.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentConfig {
    /// Its name.
    pub name: Name,
    /// The `.wasm` file.
    pub source: PathBuf,
    /// Which requests share an instance.
    pub isolation: Isolation,
    /// How long a shared instance is kept; the defaults where none is.
    pub reuse: ReuseConfig,
    /// What one call, and all of them, may take.
    pub limits: ComponentLimits,
    /// What it may reach.
    pub grants: Grants,
    /// wasi:config.
    pub config: BTreeMap<String, Setting>,
    /// Environment variables. The host's own are never passed on.
    pub env: BTreeMap<String, Setting>,
    /// Command-line arguments, as wasi:cli shows them.
    pub args: Vec<String>,
    /// Where the source is written.
    pub location: Location,
}

/// The resolved `limits` of a component; the constants of the same names in [`limits`] are the defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentLimits {
    /// Linear memory of one instance, in bytes.
    pub memory: u64,
    /// From dispatch to the response head; `None` is no such limit.
    pub deadline: Option<Duration>,
    /// From dispatch to the end of the guest's work; `None` is no such limit.
    pub body_deadline: Option<Duration>,
    /// CPU time of one call; `None` is no such limit.
    pub cpu: Option<Duration>,
    /// Calls at a time.
    pub concurrency: usize,
    /// Calls waiting for a place; 0 lets none wait.
    pub queue: usize,
    /// How long one waits; zero lets none wait.
    pub queue_time: Duration,
    /// Open outgoing HTTP connections.
    pub connections: usize,
}

impl Default for ComponentLimits {
    fn default() -> Self {
        Self {
            memory: limits::MEMORY_BYTES,
            deadline: none_if_zero(limits::DEADLINE),
            body_deadline: none_if_zero(limits::BODY_DEADLINE),
            cpu: none_if_zero(limits::CPU),
            concurrency: limits::CONCURRENCY_COUNT,
            queue: limits::QUEUE_COUNT,
            queue_time: limits::QUEUE_TIME,
            connections: limits::OUTGOING_CONNECTIONS_COUNT,
        }
    }
}

pub(super) fn read(named: &NamedField<'_>) -> Option<ComponentConfig> {
    let name = named.defined_name("a component");
    let mut table = named.field.table("Component")?;
    let source = table.require("source", "the component's file, such as source = \"hello.wasm\"");
    let (isolation, reuse) = isolation::take(&mut table);
    let limits = table.take("limits").and_then(|field| read_limits(&field));
    let grants = table.take("grants").and_then(|field| grants::read(&field));
    let config = table.take("config").and_then(|field| read_settings(&field, check_key));
    let env = table
        .take("env")
        .and_then(|field| read_settings(&field, check_variable));
    let args = read_args(&mut table);
    table.finish();
    let source = source?;
    Some(ComponentConfig {
        name: name?,
        location: source.location(),
        source: read_source(&source)?,
        isolation,
        reuse,
        limits: limits.unwrap_or_default(),
        grants: grants.unwrap_or_default(),
        config: config.unwrap_or_default(),
        env: env.unwrap_or_default(),
        args,
    })
}

fn read_source(field: &Field<'_>) -> Option<PathBuf> {
    let text = field.string()?;
    if let Some((scheme, _)) = text.split_once("://") {
        return field.fail(
            format!("component sources from `{scheme}://` are not served by this version of Tidegate yet"),
            "not served yet",
            "download the component and name the file",
        );
    }
    if text.to_ascii_lowercase().ends_with(".cwasm") {
        return field.fail(
            "a compiled component (.cwasm) is never loaded from a configured path",
            "native code",
            "it is machine code that would run without any sandbox: name the .wasm file, which Tidegate compiles \
             itself and keeps in data_dir/compiled",
        );
    }
    let path = field.readable_file()?;
    if field.cx().sink.options.check_files {
        let length = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
        if length > limits::COMPONENT_BYTES {
            return field.fail(
                format!("{} is {length} bytes long", path.display()),
                "too long",
                format!("a component has at most {} bytes", limits::COMPONENT_BYTES),
            );
        }
    }
    Some(path)
}

fn read_limits(field: &Field<'_>) -> Option<ComponentLimits> {
    let mut resolved = ComponentLimits::default();
    let mut table = field.table("ComponentLimits")?;
    let memory = limits::MEMORY_BYTES_MIN..=limits::MEMORY_BYTES_MAX;
    if let Some(bytes) = table.take("memory").and_then(|field| field.size(memory)) {
        resolved.memory = bytes;
    }
    for (key, duration) in [
        ("deadline", &mut resolved.deadline),
        ("body_deadline", &mut resolved.body_deadline),
        ("cpu", &mut resolved.cpu),
    ] {
        if let Some(given) = table.take(key).and_then(|field| field.duration_or_none()) {
            *duration = given;
        }
    }
    let concurrency = 1..=usize::try_from(limits::INSTANCES_COUNT).unwrap_or(usize::MAX);
    if let Some(count) = table.take("concurrency").and_then(|field| field.integer(concurrency)) {
        resolved.concurrency = count;
    }
    if let Some(count) = table
        .take("queue")
        .and_then(|field| field.integer(0..=limits::QUEUE_COUNT_MAX))
    {
        resolved.queue = count;
    }
    if let Some(time) = table.take("queue_time").and_then(|field| field.duration(Zero::Allowed)) {
        resolved.queue_time = time;
    }
    let connections = 1..=limits::OUTGOING_CONNECTIONS_COUNT_MAX;
    if let Some(count) = table.take("connections").and_then(|field| field.integer(connections)) {
        resolved.connections = count;
    }
    table.finish();
    Some(resolved)
}

fn read_settings(
    field: &Field<'_>,
    check_name: fn(&NamedField<'_>) -> Option<()>,
) -> Option<BTreeMap<String, Setting>> {
    let mut settings = BTreeMap::new();
    for named in field.named()? {
        let valid = check_name(&named).is_some();
        if let (Some(setting), true) = (secret::read(&named.field), valid) {
            settings.insert(named.name.to_owned(), setting);
        }
    }
    Some(settings)
}

fn check_key(named: &NamedField<'_>) -> Option<()> {
    if !named.name.is_empty() && !named.name.contains(char::is_control) {
        return Some(());
    }
    let message = format!("\"{}\" cannot be a wasi:config key", named.name.escape_debug());
    named.fail_name(message, "not a key", "a key is not empty and has no control characters")
}

fn check_variable(named: &NamedField<'_>) -> Option<()> {
    if secret::is_variable_name(named.name) {
        return Some(());
    }
    named.fail_name(
        format!(
            "\"{}\" is not the name of an environment variable",
            named.name.escape_debug()
        ),
        "not a variable's name",
        secret::VARIABLE_HELP,
    )
}

fn read_args(table: &mut Table<'_>) -> Vec<String> {
    let items = table.take("args").and_then(|field| field.list()).unwrap_or_default();
    let read_arg = |item: &Field<'_>| {
        let text = item.string()?;
        if text.contains('\0') {
            let message = format!("`{}` holds a NUL character", item.path());
            return item.fail(
                message,
                "holds a NUL",
                "guests read arguments as C strings, which end at a NUL",
            );
        }
        Some(text.to_owned())
    };
    items.iter().filter_map(read_arg).collect()
}

#[cfg(test)]
mod tests;
