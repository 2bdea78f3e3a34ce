//! The contract as a JSON schema, which editors complete and validate with. Its structs exist for their
//! documentation; tests hold their keys and defaults against what the readers know.

#![expect(dead_code, reason = "the structs describe the contract, and are never made")]

mod component;
mod route;
mod upstream;

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use self::component::Component;
use self::route::Route;
use self::upstream::Upstream;
use super::scalar::{duration_text, size_text};
use crate::limits;

/// The schema of the whole configuration, JSON Schema draft 7: what most TOML and JSON editors read.
pub fn schema() -> serde_json::Value {
    let settings = SchemaSettings::draft07().with(|settings| {
        settings.transforms.insert(0, Box::new(RecursiveTransform(remove_null)));
        settings
            .transforms
            .insert(0, Box::new(RecursiveTransform(unwrap_lines)));
    });
    settings.into_generator().into_root_schema_for::<Config>().to_value()
}

/// The schema as config/schema.json holds it.
pub fn schema_text() -> String {
    // `{:#}` is indented JSON, and cannot fail as a serializer could.
    format!("{:#}\n", schema())
}

/// Descriptions come from comments that are wrapped for a file; an editor wraps them for its window.
fn unwrap_lines(schema: &mut Schema) {
    if let Some(serde_json::Value::String(text)) = schema.get_mut("description") {
        let paragraphs: Vec<_> = text
            .split("\n\n")
            .map(|paragraph| paragraph.replace('\n', " "))
            .collect();
        *text = paragraphs.join("\n\n");
    }
}

/// Null stands for an absent key in JSON only, and is nothing to complete.
fn remove_null(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    if let Some(serde_json::Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
    if let Some(serde_json::Value::Array(choices)) = object.get_mut("anyOf") {
        choices.retain(|choice| choice.get("type").is_none_or(|name| name != "null"));
        if let [only] = choices.as_slice()
            && let Some(only) = only.as_object().cloned()
        {
            object.remove("anyOf");
            for (key, value) in only {
                // What is said of the key is more to the point than what is said of its type.
                object.entry(key).or_insert(value);
            }
        }
    }
}

/// A Tidegate configuration: a file, or a folder of *.toml files merged in the order of their names.
///
/// Relative paths start from the folder of the file they are written in. Sizes are bytes ("64MiB"), durations
/// have a unit ("5s").
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Config {
    /// The schema this document is written against; editors read it, Tidegate does not.
    #[schemars(rename = "$schema")]
    schema: Option<String>,
    /// What holds for the whole process.
    gateway: Option<Gateway>,
    /// Where the admin API, health and metrics are served. Without it there is no admin listener.
    admin: Option<Admin>,
    /// The public addresses.
    listener: Option<Vec<Listener>>,
    /// WebAssembly components, by name.
    component: Option<BTreeMap<NameText, Component>>,
    /// Servers that requests are passed on to, by name.
    upstream: Option<BTreeMap<NameText, Upstream>>,
    /// Which requests go where. A more specific route is preferred wherever it is written.
    route: Option<Vec<Route>>,
}

/// What holds for the whole process.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Gateway {
    /// The folder for compiled components, deploy history and embedded storage; made with mode 0700.
    #[schemars(extend("default" = super::gateway::DATA_DIR))]
    data_dir: Option<String>,
    /// Threads that serve connections; 0 is one per core.
    #[schemars(range(min = 0, max = limits::WORKERS_COUNT_MAX), extend("default" = 0))]
    workers: Option<u32>,
    /// How an instance's memory is cleaned for the next one.
    #[schemars(extend("default" = "decommit"))]
    pool_reset: Option<PoolReset>,
    /// From SIGTERM to the end: what is still in flight then is cut.
    #[schemars(extend("default" = duration_text(limits::DRAIN_DEADLINE)))]
    drain: Option<DurationText>,
    /// Where access-log lines go: "stdout", "stderr", "off", or a file, which SIGHUP opens again.
    #[schemars(extend("default" = "stdout"))]
    access_log: Option<String>,
    /// Fault pages say what went wrong inside a guest. Never in production.
    #[schemars(extend("default" = false))]
    dev: Option<bool>,
    /// Name servers for outgoing requests, each an IP address with a port if it is not 53. None: the system's.
    #[schemars(
        length(max = limits::DNS_SERVERS_COUNT),
        extend("default" = Vec::<String>::new(), "examples" = [["127.0.0.1:53"]])
    )]
    dns: Option<Vec<String>>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase", inline)]
enum PoolReset {
    /// The kernel takes the pages back, in batches. Safe on every machine.
    Decommit,
    /// Pages that were written are found and overwritten. Faster; refused where swap is on.
    Scan,
}

/// Where the admin API, health and metrics are served.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Admin {
    /// A loopback address and port, or `unix:` and a path. Port 0 takes a free one.
    #[schemars(extend("examples" = ["127.0.0.1:9180", "unix:/run/tidegate/admin.sock"]))]
    address: String,
}

/// A public address.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Listener {
    /// Its name in logs and metrics; `listener-N` by its place if left out.
    name: Option<NameText>,
    /// An IP address and port. Port 0 takes a free one.
    #[schemars(extend("examples" = ["127.0.0.1:8080", "0.0.0.0:443", "[::]:443"]))]
    address: String,
    /// Certificates, chosen by SNI from their own names. Left out: plain HTTP.
    #[schemars(length(min = 1))]
    tls: Option<Vec<Certificate>>,
    /// PEM file of authorities: client certificates are then required and verified.
    client_ca: Option<String>,
    /// Address ranges that begin their connections with a PROXY header (version 1 or 2), which says who the client
    /// is. Nobody else may connect then.
    #[schemars(extend("default" = Vec::<String>::new(), "examples" = [["10.0.0.0/8"]]))]
    proxy_protocol: Option<OneOrMany>,
    /// Address ranges of proxies whose `Forwarded` and `X-Forwarded-*` fields are believed.
    #[schemars(extend("default" = Vec::<String>::new(), "examples" = [["10.0.0.0/8"]]))]
    trusted_proxies: Option<OneOrMany>,
    /// What a client may take.
    limits: Option<ListenerLimits>,
}

/// A certificate chain and its private key.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Certificate {
    /// PEM file of the chain, the server's own certificate first.
    cert: String,
    /// PEM file of the private key.
    key: String,
}

/// What a client may take of a listener.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct ListenerLimits {
    /// Open connections; beyond it a connection is closed at once.
    #[schemars(range(min = 1, max = limits::CONNECTIONS_COUNT_MAX), extend("default" = limits::CONNECTIONS_COUNT))]
    connections: Option<u32>,
    /// Open connections per client address.
    #[schemars(
        range(min = 1, max = limits::CONNECTIONS_COUNT_MAX),
        extend("default" = limits::CONNECTIONS_PER_ADDRESS_COUNT)
    )]
    connections_per_address: Option<u32>,
    /// A request's head: request line and fields together. 431 beyond it.
    #[schemars(extend("default" = size_text(limits::HEADER_BYTES as u64)))]
    header_bytes: Option<SizeText>,
    /// From the first byte of a head to its last. 408 beyond it.
    #[schemars(extend("default" = duration_text(limits::HEADER_TIMEOUT)))]
    header_timeout: Option<DurationText>,
    /// A connection between two requests.
    #[schemars(extend("default" = duration_text(limits::IDLE_TIMEOUT)))]
    idle_timeout: Option<DurationText>,
    /// A TLS handshake, and the HTTP/2 preface after it.
    #[schemars(extend("default" = duration_text(limits::HANDSHAKE_TIMEOUT)))]
    handshake_timeout: Option<DurationText>,
    /// A request body; 0 takes none. 413 beyond it.
    #[schemars(extend("default" = size_text(limits::BODY_BYTES)))]
    body: Option<SizeText>,
    /// A request body that brings no byte for this long ends with 408.
    #[schemars(extend("default" = duration_text(limits::BODY_IDLE_TIMEOUT)))]
    body_idle_timeout: Option<DurationText>,
    /// A client that takes no byte of a response for this long is disconnected.
    #[schemars(extend("default" = duration_text(limits::WRITE_TIMEOUT)))]
    write_timeout: Option<DurationText>,
}

/// One text, or a list of them.
#[derive(JsonSchema)]
#[schemars(untagged, inline)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// The part of a request that decides where it goes.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("minProperties" = 1, "maxProperties" = 1))]
struct RequestKey {
    /// The value of this header field.
    header: Option<String>,
    /// The value of this cookie.
    cookie: Option<String>,
}

/// Implements a text with a pattern, or a text or a number, described where it is used.
macro_rules! inline_schemas {
    ($($name:ident = $schema:expr;)*) => {$(
        struct $name;

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    )*};
}

inline_schemas! {
    NameText = json_schema!({
        "type": "string",
        "pattern": format!("^[a-z0-9][a-z0-9._-]{{0,{}}}$", limits::NAME_BYTES - 1)
    });
    VariableText = json_schema!({ "type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$" });
    PercentText = json_schema!({ "type": "string", "pattern": "^(100|[0-9]{1,2})%$" });
    HttpText = json_schema!({ "type": "string", "pattern": r"^(https?://)?[^/?#@\s]+$" });
    SocketText = json_schema!({ "type": "string", "pattern": r"^[^/?#@*\s]+:[1-9][0-9]{0,4}$" });
    SizeText = json_schema!({
        "type": ["integer", "string"],
        "minimum": 0,
        "pattern": r"^[0-9.]+\s*([kKmMgGtTpPeE]?[iI]?[bB]?)$"
    });
    DurationText = json_schema!({ "type": "string", "pattern": r"^\s*[0-9]" });
}
