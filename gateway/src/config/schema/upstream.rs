//! `upstream` in the schema: servers, the choice among them, and what they may take.

use schemars::JsonSchema;

use super::{DurationText, PercentText, RequestKey, SocketText};
use crate::config::scalar::duration_text;
use crate::limits;

/// Servers that requests are passed on to.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Upstream {
    /// Where they are: each a name or an address with its port, or that with a weight. Every address of a name is a
    /// server of its own.
    #[schemars(length(min = 1, max = limits::UPSTREAM_SERVERS_COUNT), extend("examples" = [["127.0.0.1:9001"]]))]
    servers: Vec<ServerOrText>,
    /// How one of them is chosen, by weight.
    #[schemars(extend("default" = "round-robin"))]
    balance: Option<Balance>,
    /// What of a request is hashed. Only where `balance` is "hash".
    hash: Option<HashKey>,
    /// What is spoken to them.
    #[schemars(extend("default" = "auto"))]
    protocol: Option<Protocol>,
    /// How often their names are looked up again.
    #[schemars(extend("default" = duration_text(limits::UPSTREAM_RESOLVE_INTERVAL)))]
    resolve: Option<DurationText>,
    /// Checks of their health. Left out: none.
    health: Option<Health>,
    /// When one is left out for failing to answer requests.
    ejection: Option<Ejection>,
    /// What each phase of a request may take. 504 beyond it, or a response that is cut off.
    timeout: Option<UpstreamTimeouts>,
    /// When a failed request is tried again: where its method is idempotent, or nothing of it was sent.
    retry: Option<Retry>,
    /// What they may be given at once.
    limits: Option<UpstreamLimits>,
    /// Connections that are kept between requests.
    keepalive: Option<Keepalive>,
    /// TLS to them, always verified; `{}` for the system's authorities and their own names. Left out: none.
    tls: Option<UpstreamTls>,
}

#[derive(JsonSchema)]
#[schemars(untagged, inline)]
enum ServerOrText {
    Text(SocketText),
    Server(Server),
}

/// One server.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Server {
    /// A name or an address, with its port.
    address: SocketText,
    /// Its part of the load, beside the weights of the others.
    #[schemars(range(min = 1, max = limits::UPSTREAM_WEIGHT_MAX), extend("default" = 1))]
    weight: Option<u32>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", inline)]
enum Balance {
    /// One after the other.
    RoundRobin,
    /// Of two drawn at random the one with fewer requests in flight.
    LeastLoaded,
    /// The one with the fewest requests in flight of all.
    LeastConnections,
    /// Any.
    Random,
    /// By a part of the request (ketama): few requests change their server when one comes or goes.
    Hash,
}

/// The client's address, the path, the value of a header field, or that of a cookie.
#[derive(JsonSchema)]
#[schemars(untagged, inline)]
enum HashKey {
    Word(HashWord),
    Key(RequestKey),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase", inline)]
enum HashWord {
    /// The client's address.
    Address,
    /// The path, without its query.
    Path,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase", inline)]
enum Protocol {
    /// With TLS what ALPN agrees on, HTTP/1.1 without.
    Auto,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 only; without TLS with prior knowledge (h2c).
    H2,
}

/// Checks of the servers' health: exactly one of `path` and `tcp`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("oneOf" = [{ "required": ["path"] }, { "required": ["tcp"] }]))]
struct Health {
    /// A GET request for this path; status 200 to 399 is healthy.
    #[schemars(regex(pattern = r"^/"), extend("examples" = ["/healthz"]))]
    path: Option<String>,
    /// The Host field of that request. Left out: the server's own.
    host: Option<String>,
    /// A connection, with TLS its handshake too.
    #[schemars(extend("const" = true))]
    tcp: Option<bool>,
    /// From one check to the next.
    #[schemars(extend("default" = duration_text(limits::UPSTREAM_HEALTH_INTERVAL)))]
    interval: Option<DurationText>,
    /// From the beginning of a check to its answer.
    #[schemars(extend("default" = duration_text(limits::UPSTREAM_HEALTH_TIMEOUT)))]
    timeout: Option<DurationText>,
    /// Checks failed in a row after which a server gets no requests.
    #[schemars(
        range(min = 1, max = limits::UPSTREAM_HEALTH_CHECKS_COUNT_MAX),
        extend("default" = limits::UPSTREAM_UNHEALTHY_AFTER_COUNT)
    )]
    unhealthy_after: Option<u32>,
    /// Checks passed in a row after which it gets them again.
    #[schemars(
        range(min = 1, max = limits::UPSTREAM_HEALTH_CHECKS_COUNT_MAX),
        extend("default" = limits::UPSTREAM_HEALTHY_AFTER_COUNT)
    )]
    healthy_after: Option<u32>,
}

/// When a server is left out for failing to answer requests.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Ejection {
    /// Failures in a row that suffice; 0 is off.
    #[schemars(
        range(min = 0, max = limits::UPSTREAM_EJECTION_FAILURES_COUNT_MAX),
        extend("default" = limits::UPSTREAM_EJECTION_FAILURES_COUNT)
    )]
    failures: Option<u32>,
    /// How long it is left out.
    #[schemars(extend("default" = duration_text(limits::UPSTREAM_EJECTION_TIME)))]
    time: Option<DurationText>,
    /// How many of the servers may be left out at once.
    #[schemars(extend("default" = format!("{}%", limits::UPSTREAM_EJECTION_PERCENT)))]
    most: Option<PercentText>,
}

/// What each phase of a request may take.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct UpstreamTimeouts {
    /// To a usable connection, TLS included. 504 beyond it.
    #[schemars(extend("default" = duration_text(limits::UPSTREAM_CONNECT_TIMEOUT)))]
    connect: Option<DurationText>,
    /// From the end of a request, or its last progress, to the head of its response. 504 beyond it.
    #[schemars(extend("default" = duration_text(limits::UPSTREAM_FIRST_BYTE_TIMEOUT)))]
    first_byte: Option<DurationText>,
    /// Between two pieces of a response body. A request body that a server does not take has first_byte.
    #[schemars(extend("default" = duration_text(limits::UPSTREAM_IDLE_TIMEOUT)))]
    idle: Option<DurationText>,
    /// From dispatch to the end of a response, all attempts together; "0s" is no such limit.
    #[schemars(extend("default" = duration_text(limits::UPSTREAM_TOTAL_TIMEOUT)))]
    total: Option<DurationText>,
    /// A tunnel without a byte either way is closed.
    #[schemars(extend("default" = duration_text(limits::UPSTREAM_TUNNEL_TIMEOUT)))]
    tunnel: Option<DurationText>,
}

/// When a failed request is tried again.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Retry {
    /// Further attempts after the first; 0 is none.
    #[schemars(
        range(min = 0, max = limits::UPSTREAM_RETRIES_COUNT_MAX),
        extend("default" = limits::UPSTREAM_RETRIES_COUNT)
    )]
    attempts: Option<u32>,
    /// Further attempts of all requests together, as a part of these.
    #[schemars(extend("default" = format!("{}%", limits::UPSTREAM_RETRY_BUDGET_PERCENT)))]
    budget: Option<PercentText>,
}

/// What the servers may be given at once.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct UpstreamLimits {
    /// Open connections to one server; a request that needs one more waits.
    #[schemars(
        range(min = 1, max = limits::UPSTREAM_CONNECTIONS_COUNT_MAX),
        extend("default" = limits::UPSTREAM_CONNECTIONS_COUNT)
    )]
    connections: Option<u32>,
    /// Requests waiting for a connection to one server; 0 lets none wait. 503 beyond it.
    #[schemars(
        range(min = 0, max = limits::UPSTREAM_REQUESTS_COUNT_MAX),
        extend("default" = limits::UPSTREAM_PENDING_COUNT)
    )]
    pending: Option<u32>,
    /// Requests in flight to all servers. 503 beyond it.
    #[schemars(
        range(min = 1, max = limits::UPSTREAM_REQUESTS_COUNT_MAX),
        extend("default" = limits::UPSTREAM_REQUESTS_COUNT)
    )]
    requests: Option<u32>,
}

/// Connections that are kept between requests.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Keepalive {
    /// How long one is kept that no request needs.
    #[schemars(extend("default" = duration_text(limits::UPSTREAM_KEEPALIVE_IDLE)))]
    idle: Option<DurationText>,
}

/// TLS to the servers. Their certificates are always verified.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("dependencies" = { "cert": ["key"], "key": ["cert"] }))]
struct UpstreamTls {
    /// The name the certificates must be for. Left out: each server's own name or address.
    #[schemars(length(min = 1))]
    server_name: Option<String>,
    /// PEM file of authorities. Left out: those of the system.
    ca: Option<String>,
    /// PEM file of the certificate chain that is shown to the servers.
    cert: Option<String>,
    /// PEM file of its private key.
    key: Option<String>,
}
