//! `route` in the schema: what it takes, what it changes and what answers.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::{DurationText, NameText, RequestKey, SizeText};
use crate::limits;

/// Which requests it takes, and what answers them: exactly one of `component`, `upstream`, `redirect`, `respond` and
/// `split`.
#[derive(JsonSchema)]
#[schemars(
    deny_unknown_fields,
    extend("oneOf" = [
        { "required": ["component"] },
        { "required": ["upstream"] },
        { "required": ["redirect"] },
        { "required": ["respond"] },
        { "required": ["split"] }
    ])
)]
pub(super) struct Route {
    /// Its name in logs and metrics; `route-N` by its place if left out.
    name: Option<NameText>,
    /// `example.com`, `*.example.com` for one or more labels before it, or a list of these. Left out: any host.
    host: Option<Words>,
    /// `/exact`, `/users/{id}`, `/v1/*` (which takes `/v1` too), `/files/{*rest}`, or a regular expression for the
    /// whole path. Left out: any path.
    path: Option<Path>,
    /// `GET` serves HEAD as well. Left out: any method.
    methods: Option<Words>,
    /// Header fields the request must have.
    headers: Option<BTreeMap<String, Condition>>,
    /// Query parameters the request must have.
    query: Option<BTreeMap<String, Condition>>,
    /// Address ranges the client must be in, such as `10.0.0.0/8`. Left out: any client.
    source: Option<Words>,
    /// What the route allows itself instead of the listener's and the component's limits.
    limits: Option<RouteLimits>,
    /// Address ranges the client must be in. Left out: any. 403 otherwise.
    allow: Option<Words>,
    /// Address ranges the client must not be in. 403 otherwise.
    deny: Option<Words>,
    /// What of the path and the host is changed before the request is passed on.
    rewrite: Option<Rewrite>,
    /// Changes to the header fields of requests, before they are passed on.
    request_headers: Option<HeaderEdits>,
    /// Changes to the header fields of responses.
    response_headers: Option<HeaderEdits>,
    /// WebSockets are tunnelled. Only to an upstream, where that is the default.
    websocket: Option<bool>,
    /// The component of this name answers.
    component: Option<NameText>,
    /// The upstream of this name answers.
    upstream: Option<NameText>,
    /// A fixed answer.
    respond: Option<Respond>,
    /// Another place to go.
    redirect: Option<Redirect>,
    /// Several targets, each with its part of the requests.
    #[schemars(length(min = 1, max = limits::SPLIT_TARGETS_COUNT))]
    split: Option<Vec<SplitTarget>>,
    /// What keeps a client on its target of a split. Only with `split`.
    sticky: Option<Sticky>,
}

/// One target of a split: exactly one of `component`, `upstream`, `redirect` and `respond`.
#[derive(JsonSchema)]
#[schemars(
    deny_unknown_fields,
    extend("oneOf" = [
        { "required": ["component"] },
        { "required": ["upstream"] },
        { "required": ["redirect"] },
        { "required": ["respond"] }
    ])
)]
struct SplitTarget {
    /// Its part of the requests, beside the weights of the others.
    #[schemars(range(min = 0, max = limits::SPLIT_WEIGHT_MAX))]
    weight: u32,
    /// The component of this name answers.
    component: Option<NameText>,
    /// The upstream of this name answers.
    upstream: Option<NameText>,
    /// A fixed answer.
    respond: Option<Respond>,
    /// Another place to go.
    redirect: Option<Redirect>,
}

/// The client's address, the value of a header field, or that of a cookie.
#[derive(JsonSchema)]
#[schemars(untagged, inline)]
enum Sticky {
    Address(#[schemars(extend("const" = "address"))] String),
    Key(RequestKey),
}

/// What of the path and the host is changed. The query stays as it is.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Rewrite {
    /// Taken off the path, in whole segments. It must be one that the route's own path can begin with.
    #[schemars(regex(pattern = r"^/.*[^/]$"), extend("examples" = ["/v1"]))]
    strip_prefix: Option<String>,
    /// Put before the path, after anything was stripped.
    #[schemars(regex(pattern = r"^/.*[^/]$"), extend("examples" = ["/api"]))]
    add_prefix: Option<String>,
    /// Instead of the whole path, with names in braces that the route's own path captures.
    #[schemars(regex(pattern = r"^/"), extend("examples" = ["/v2/users/{id}"]))]
    path: Option<String>,
    /// Instead of the host.
    #[schemars(extend("examples" = ["api.internal", "api.internal:8080"]))]
    host: Option<String>,
}

/// Changes to header fields. No name is in two of the lists.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct HeaderEdits {
    /// These replace every line of their names.
    #[schemars(extend("default" = {}))]
    set: Option<BTreeMap<String, String>>,
    /// These come after the lines of their names.
    #[schemars(extend("default" = {}))]
    add: Option<BTreeMap<String, String>>,
    /// Every line of these names goes.
    #[schemars(extend("default" = Vec::<String>::new()))]
    remove: Option<Vec<String>>,
}

#[derive(JsonSchema)]
#[schemars(untagged, inline)]
enum Words {
    One(String),
    Many(#[schemars(length(min = 1))] Vec<String>),
}

#[derive(JsonSchema)]
#[schemars(untagged, inline)]
enum Path {
    Pattern(#[schemars(regex(pattern = r"^/"))] String),
    Regex(PathRegex),
}

/// A regular expression.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct PathRegex {
    /// It must match the whole path; its named groups are parameters.
    regex: String,
}

/// What a header field or a query parameter must be.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Condition {
    Exact(String),
    Match(ValueMatch),
}

/// Anything, or what a regular expression says.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("minProperties" = 1, "maxProperties" = 1))]
struct ValueMatch {
    /// Anything, the empty value too.
    #[schemars(extend("const" = true))]
    present: Option<bool>,
    /// It must match the whole value.
    regex: Option<String>,
}

/// What a route allows itself instead of the listener's and the component's limits.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct RouteLimits {
    /// A request body, instead of the listener's. 413 beyond it.
    body: Option<SizeText>,
    /// A request head, where that is less than the listener's. 431 beyond it.
    header_bytes: Option<SizeText>,
    /// From dispatch to the response head, instead of the component's; "0s" is no such limit. 504 beyond it.
    deadline: Option<DurationText>,
    /// From dispatch to the end of the guest's work, instead of the component's; "0s" is no such limit.
    body_deadline: Option<DurationText>,
    /// Requests of this route at a time. 503 beyond it.
    #[schemars(range(min = 1, max = limits::CONNECTIONS_COUNT_MAX))]
    connections: Option<u32>,
    /// Requests of this route at a time per client address. 503 beyond it.
    #[schemars(range(min = 1, max = limits::CONNECTIONS_COUNT_MAX))]
    connections_per_address: Option<u32>,
}

/// A fixed answer.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Respond {
    /// The status.
    #[schemars(range(min = 200, max = 599), extend("default" = 200))]
    status: Option<u16>,
    /// The body.
    #[schemars(extend("default" = ""))]
    body: Option<String>,
    /// Header fields.
    #[schemars(extend("default" = {}))]
    headers: Option<BTreeMap<String, String>>,
}

/// Another place to go.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Redirect {
    /// A path, or a whole URL.
    #[schemars(regex(pattern = r"^(/|[hH][tT][tT][pP][sS]?://)"))]
    to: String,
    /// 301 and 308 are permanent; 307 and 308 keep the method.
    #[schemars(extend("enum" = [301, 302, 303, 307, 308], "default" = 308))]
    status: Option<u16>,
}
