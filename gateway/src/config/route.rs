//! `[[route]]`: which requests it takes, its limits, and what answers them.

mod captures;
mod edits;
mod rewrite;

use std::time::Duration;

use http::Method;
use ipnet::IpNet;
use tidegate_routing::{PathSpec, RouteSpec, ValueMatch};

use super::error::Location;
use super::header::{self, Message};
use super::network;
use super::node::Value;
use super::reader::{Field, Table};
use super::scalar::Name;
use super::target::{self, TargetConfig, TargetDraft};
use crate::limits;

pub use self::edits::HeaderEdits;
pub use self::rewrite::{PathTemplate, RewriteConfig, TemplatePart};

/// One resolved `[[route]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteConfig {
    /// Given, or `route-N` by its place.
    pub name: Name,
    /// Which requests it takes.
    pub spec: RouteSpec,
    /// What it allows itself instead of the listener's and the component's limits.
    pub limits: RouteLimits,
    /// Who may ask: empty is everybody, and anybody else gets 403.
    pub allow: Vec<IpNet>,
    /// Who may not, of those allowed: 403.
    pub deny: Vec<IpNet>,
    /// What of the request's target is changed.
    pub rewrite: Option<RewriteConfig>,
    /// Changes to the fields of requests.
    pub request_headers: HeaderEdits,
    /// Changes to the fields of responses.
    pub response_headers: HeaderEdits,
    /// WebSockets are tunnelled to its upstream.
    pub websocket: bool,
    /// What answers.
    pub target: TargetConfig,
    /// Where the route is written.
    pub location: Location,
}

/// The resolved `limits` of a route; what is `None` is left to the listener and the component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RouteLimits {
    /// A request body, in bytes, instead of the listener's.
    pub body: Option<u64>,
    /// A request head, in bytes, where that is less than the listener's.
    pub header_bytes: Option<usize>,
    /// Its requests at a time.
    pub connections: Option<usize>,
    /// Its requests at a time per client address.
    pub connections_per_address: Option<usize>,
    /// From dispatch to the response head, instead of the component's; `Some(None)` is no such limit.
    pub deadline: Option<Option<Duration>>,
    /// From dispatch to the end of the guest's work, instead of the component's; `Some(None)` is no such limit.
    pub body_deadline: Option<Option<Duration>>,
}

/// A route as read: its name may still have to be made, its targets to be found.
#[derive(Debug)]
pub(super) struct RouteDraft {
    pub(super) name: Option<(Name, Location)>,
    pub(super) spec: RouteSpec,
    pub(super) places: Places,
    pub(super) limits: RouteLimits,
    pub(super) allow: Vec<IpNet>,
    pub(super) deny: Vec<IpNet>,
    pub(super) rewrite: Option<RewriteConfig>,
    pub(super) request_headers: HeaderEdits,
    pub(super) response_headers: HeaderEdits,
    pub(super) websocket: bool,
    pub(super) target: Option<TargetDraft>,
    pub(super) location: Location,
}

/// Where the parts of a match are written, to point at what the route table cannot accept.
#[derive(Debug, Default)]
pub(super) struct Places {
    pub(super) hosts: Vec<Location>,
    pub(super) path: Option<Location>,
    pub(super) headers: Vec<Location>,
    pub(super) query: Vec<Location>,
    /// Not of the match: the limit that a listener's has to allow.
    pub(super) header_bytes: Option<Location>,
    /// Every part was read, so the table's word on it is worth having.
    pub(super) complete: bool,
}

pub(super) fn read(field: &Field<'_>) -> Option<RouteDraft> {
    let mut table = field.table("Route")?;
    let name = table.take("name");
    let (spec, mut places) = read_match(&mut table);
    let limits = table.take("limits");
    let [allow, deny] = ["allow", "deny"].map(|key| read_clients(&mut table, key));
    let rewrite = table.take("rewrite").and_then(|field| {
        let matched = rewrite::Matched {
            path: spec.path.as_ref(),
            location: places.path.as_ref(),
        };
        rewrite::read(&field, matched)
    });
    let [request_headers, response_headers] = [
        ("request_headers", Message::Request),
        ("response_headers", Message::Response),
    ]
    .map(|(key, message)| table.take(key).and_then(|field| edits::read(&field, message)));
    let target = target::read(&mut table);
    let websocket = table.take("websocket");
    table.finish();
    let websocket = read_websocket(websocket.as_ref(), target.as_ref());
    let limits = limits.and_then(|limits| read_limits(&limits, &mut places));
    Some(RouteDraft {
        name: name.and_then(|name| Some((name.name()?, name.location()))),
        spec,
        places,
        limits: limits.unwrap_or_default(),
        allow,
        deny,
        rewrite,
        request_headers: request_headers.unwrap_or_default(),
        response_headers: response_headers.unwrap_or_default(),
        websocket,
        target,
        location: field.location(),
    })
}

/// `allow` or `deny`. An empty list is refused: it reads as "nobody", and would be everybody.
fn read_clients(table: &mut Table<'_>, key: &'static str) -> Vec<IpNet> {
    let Some(field) = table.take(key) else {
        return Vec::new();
    };
    if field.one_or_list().is_empty() {
        let help = match key {
            "allow" => {
                "everybody is allowed when `allow` is left out; deny = [\"0.0.0.0/0\", \"::/0\"] refuses everybody"
            }
            _ => "nobody is refused when `deny` is left out",
        };
        field.fail::<()>(format!("`{}` is an empty list", field.path()), "empty", help);
    }
    network::read_list(&field)
}

/// Whether WebSockets are tunnelled, which goes without saying where there is an upstream to tunnel to.
fn read_websocket(field: Option<&Field<'_>>, target: Option<&TargetDraft>) -> bool {
    let any = |is: fn(&TargetDraft) -> bool| target.is_some_and(|target| target.any(is));
    let upstream = any(|target| matches!(target, TargetDraft::Upstream(_)));
    let Some(field) = field else {
        return upstream;
    };
    let wanted = field.boolean();
    // Of a target that could not be read nobody knows what it takes.
    if wanted == Some(true) && !upstream && target.is_some() {
        let component = any(|target| matches!(target, TargetDraft::Component(_)));
        let (message, label) = if component {
            (
                "`websocket` on a component is not served by this version of Tidegate yet",
                "not served yet",
            )
        } else {
            ("`websocket` needs an `upstream`", "a fixed answer takes no WebSockets")
        };
        field.fail::<()>(message, label, "remove it: the route then serves plain HTTP");
    }
    wanted.unwrap_or(upstream)
}

fn read_match(table: &mut Table<'_>) -> (RouteSpec, Places) {
    let sink = table.field().cx().sink;
    let errors_before = sink.count();
    let mut spec = RouteSpec::default();
    let mut places = Places::default();
    if let Some(field) = table.take("host") {
        for host in read_words(&field, "any host is taken when `host` is left out") {
            spec.hosts.extend(host.string().map(str::to_owned));
            places.hosts.push(host.location());
        }
    }
    if let Some(field) = table.take("path") {
        spec.path = read_path(&field);
        places.path = Some(field.location());
    }
    if let Some(field) = table.take("methods") {
        let methods = read_words(&field, "any method is taken when `methods` is left out");
        spec.methods = methods.iter().filter_map(read_method).collect();
    }
    for named in table
        .take("headers")
        .and_then(|field| field.named())
        .unwrap_or_default()
    {
        let value = read_value(&named.field);
        let header = header::read_name(&named);
        if let (Some(header), Some(value)) = (header, value) {
            spec.headers.push((header, value));
            places.headers.push(named.at);
        }
    }
    for named in table.take("query").and_then(|field| field.named()).unwrap_or_default() {
        if let Some(value) = read_value(&named.field) {
            spec.query.push((named.name.to_owned(), value));
            places.query.push(named.at);
        }
    }
    if let Some(field) = table.take("source") {
        let sources = read_words(&field, "any client is taken when `source` is left out");
        spec.source = sources.iter().filter_map(network::read).collect();
    }
    places.complete = sink.count() == errors_before;
    (spec, places)
}

/// The elements of a list or a lone word. An empty list is refused: it reads as "none", and would match all.
fn read_words<'a>(field: &Field<'a>, help: &str) -> Vec<Field<'a>> {
    let words = field.one_or_list();
    if words.is_empty() {
        field.fail::<()>(format!("`{}` is an empty list", field.path()), "empty", help);
    }
    words
}

fn read_path(field: &Field<'_>) -> Option<PathSpec> {
    if let Value::Table(_) = field.value() {
        let mut table = field.table("PathRegex")?;
        let regex = table.require("regex", "such as path = { regex = \"/v[0-9]+/.*\" }");
        table.finish();
        return Some(PathSpec::Regex(regex?.string()?.to_owned()));
    }
    match field.value() {
        Value::String(pattern) => Some(PathSpec::Pattern(pattern.clone())),
        _ => field.wrong_type("a string or { regex = \"..\" }", ""),
    }
}

fn read_method(field: &Field<'_>) -> Option<Method> {
    let text = field.string()?;
    let upper = text.to_ascii_uppercase();
    let known = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"];
    if upper != text && known.contains(&upper.as_str()) {
        // Methods have case: "get" is a valid method of its own, which no client sends.
        let message = format!("the method \"{text}\" is written in capitals");
        return field.fail(message, format!("did you mean \"{upper}\"?"), "methods have case");
    }
    if text == "CONNECT" {
        return field.fail(
            "CONNECT is not routed",
            "not routed",
            "Tidegate is no forward proxy: remove it",
        );
    }
    Method::from_bytes(text.as_bytes()).ok().or_else(|| {
        let message = format!("\"{}\" is not a method", text.escape_debug());
        field.fail(message, "not a method", "such as \"GET\" or \"POST\"")
    })
}

/// What a header field or query parameter must be: a text, `{ present = true }` or `{ regex = ".." }`.
fn read_value(field: &Field<'_>) -> Option<ValueMatch> {
    match field.value() {
        Value::String(text) => Some(ValueMatch::Exact(text.clone())),
        Value::Table(_) => read_value_table(field),
        _ => field.wrong_type(
            "a string, { present = true } or { regex = \"..\" }",
            "what a request brings is text: put other values in quotes",
        ),
    }
}

fn read_value_table(field: &Field<'_>) -> Option<ValueMatch> {
    let mut table = field.table("ValueMatch")?;
    let present = table.take("present");
    let regex = table.take("regex");
    table.finish();
    match (present, regex) {
        (Some(present), None) if present.boolean()? => Some(ValueMatch::Present),
        (Some(present), None) => present.fail(
            "a route cannot ask for something to be absent",
            "only true says something here",
            "declare a route for requests that have it, which is preferred, and leave it out of this one",
        ),
        (None, Some(regex)) => Some(ValueMatch::Regex(regex.string()?.to_owned())),
        _ => field.fail(
            format!("`{}` asks for no one thing", field.path()),
            "exactly one of `present` and `regex`",
            "write \"text\", { present = true } or { regex = \"..\" }",
        ),
    }
}

fn read_limits(field: &Field<'_>, places: &mut Places) -> Option<RouteLimits> {
    let mut table = field.table("RouteLimits")?;
    let body = table.take("body");
    let header_bytes = table.take("header_bytes");
    let deadline = table.take("deadline");
    let body_deadline = table.take("body_deadline");
    let connections = table.take("connections");
    let connections_per_address = table.take("connections_per_address");
    table.finish();
    places.header_bytes = header_bytes.as_ref().map(Field::location);
    let head = limits::HEADER_BYTES_MIN..=limits::HEADER_BYTES_MAX;
    let count = |field: Field<'_>| field.integer(1..=limits::CONNECTIONS_COUNT_MAX);
    Some(RouteLimits {
        body: body.and_then(|field| field.size(0..=limits::BODY_BYTES_MAX)),
        header_bytes: header_bytes.and_then(|field| field.size_in_memory(head)),
        deadline: deadline.and_then(|field| field.duration_or_none()),
        body_deadline: body_deadline.and_then(|field| field.duration_or_none()),
        connections: connections.and_then(count),
        connections_per_address: connections_per_address.and_then(count),
    })
}

#[cfg(test)]
mod tests;
