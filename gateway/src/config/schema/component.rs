//! `component` in the schema: what it may use, reach and take.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::{DurationText, HttpText, SizeText, SocketText, VariableText};
use crate::config::scalar::{duration_text, size_text};
use crate::limits;

/// A WebAssembly component, what it may use and what it is told.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Component {
    /// The .wasm file.
    source: String,
    /// Which requests may share an instance, and what a guest leaves in it.
    #[schemars(extend("default" = "fresh"))]
    isolation: Option<Isolation>,
    /// How long a shared instance is kept. Only where `isolation` is "reuse" or "concurrent".
    reuse: Option<Reuse>,
    /// What its calls may take.
    limits: Option<ComponentLimits>,
    /// What it may reach. Nothing that is not written here.
    grants: Option<Grants>,
    /// Its wasi:config.
    config: Option<BTreeMap<String, Setting>>,
    /// Its environment variables. The gateway's own are never passed on.
    env: Option<BTreeMap<VariableText, Setting>>,
    /// Its command-line arguments.
    #[schemars(extend("default" = Vec::<String>::new()))]
    args: Option<Vec<String>>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase", inline)]
enum Isolation {
    /// None: every request has an instance of its own.
    Fresh,
    /// One after another: what the guest keeps in its memory, the next request finds.
    Reuse,
    /// Several at a time, as components of wasi:http 0.3 can; they share memory, and a trap ends them all.
    Concurrent,
}

/// How long a shared instance is kept.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Reuse {
    /// Requests an instance answers; then it is retired.
    #[schemars(
        range(min = 1, max = limits::REUSE_REQUESTS_COUNT_MAX),
        extend("default" = limits::REUSE_REQUESTS_COUNT)
    )]
    requests: Option<u32>,
    /// An instance that no request needs for this long is retired.
    #[schemars(extend("default" = duration_text(limits::REUSE_IDLE)))]
    idle: Option<DurationText>,
    /// Requests in one instance at a time. Only where `isolation` is "concurrent".
    #[schemars(
        range(min = 1, max = limits::REUSE_CONCURRENT_COUNT_MAX),
        extend("default" = limits::REUSE_CONCURRENT_COUNT)
    )]
    concurrent: Option<u32>,
}

/// What one call of a component, and all of them, may take.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct ComponentLimits {
    /// Linear memory of one instance. 502 when the guest fails for it.
    #[schemars(extend("default" = size_text(limits::MEMORY_BYTES)))]
    memory: Option<SizeText>,
    /// From dispatch to the response head; "0s" is no such limit. 504 beyond it.
    #[schemars(extend("default" = duration_text(limits::DEADLINE)))]
    deadline: Option<DurationText>,
    /// From dispatch to the end of the guest's work; "0s" is no such limit.
    #[schemars(extend("default" = duration_text(limits::BODY_DEADLINE)))]
    body_deadline: Option<DurationText>,
    /// CPU time of one call; "0s" is no such limit. 504 beyond it.
    #[schemars(extend("default" = duration_text(limits::CPU)))]
    cpu: Option<DurationText>,
    /// Calls at a time.
    #[schemars(range(min = 1, max = limits::INSTANCES_COUNT), extend("default" = limits::CONCURRENCY_COUNT))]
    concurrency: Option<u32>,
    /// Calls waiting for a place; 0 lets none wait. 503 beyond it.
    #[schemars(range(min = 0, max = limits::QUEUE_COUNT_MAX), extend("default" = limits::QUEUE_COUNT))]
    queue: Option<u32>,
    /// How long a call waits; "0s" lets none wait. 503 beyond it.
    #[schemars(extend("default" = duration_text(limits::QUEUE_TIME)))]
    queue_time: Option<DurationText>,
    /// Open outgoing HTTP connections.
    #[schemars(
        range(min = 1, max = limits::OUTGOING_CONNECTIONS_COUNT_MAX),
        extend("default" = limits::OUTGOING_CONNECTIONS_COUNT)
    )]
    connections: Option<u32>,
}

/// What a component may reach. Calls to anything else are denied.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Grants {
    /// Where its HTTP requests may go: `https://api.example.com`, `*.example.com:8080`, `10.0.0.7:*`, or `*`, which
    /// is every public address. Without a port 80 for http and 443 for https.
    #[schemars(
        length(max = limits::GRANTS_COUNT),
        extend("default" = Vec::<String>::new(), "examples" = [["https://api.example.com"]])
    )]
    http: Option<Vec<HttpText>>,
    /// Folders it may open.
    #[schemars(length(max = limits::GRANTS_COUNT), extend("default" = Vec::<String>::new()))]
    dirs: Option<Vec<DirGrant>>,
    /// Where its sockets may connect, each a host and a port.
    #[schemars(
        length(max = limits::GRANTS_COUNT),
        extend("default" = Vec::<String>::new(), "examples" = [["db.internal:5432"]])
    )]
    sockets: Option<Vec<SocketText>>,
}

/// A folder that a component may open.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct DirGrant {
    /// The folder on this machine.
    path: String,
    /// What the guest calls it.
    #[schemars(length(min = 1), extend("examples" = ["/data"]))]
    guest: String,
    /// The guest may change nothing in it.
    #[schemars(extend("default" = true))]
    read_only: Option<bool>,
}

/// A value for a guest: text, or where a secret is read from.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Setting {
    Text(String),
    Integer(i64),
    Boolean(bool),
    Secret(Secret),
}

/// A value that is kept elsewhere, and shown nowhere.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("minProperties" = 1, "maxProperties" = 1))]
struct Secret {
    /// The gateway's environment variable that holds it.
    env: Option<VariableText>,
    /// The file that holds it; a newline at its end is no part of it.
    file: Option<String>,
}
