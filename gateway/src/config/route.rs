//! `[[route]]`: which requests it takes, its limits, and what answers them.

use std::net::IpAddr;
use std::time::Duration;

use http::Method;
use ipnet::IpNet;
use tidegate_routing::{PathSpec, RouteSpec, ValueMatch};

use super::error::Location;
use super::node::Value;
use super::reader::{Field, Table};
use super::scalar::Name;
use super::target::{self, TargetConfig, TargetDraft};
use crate::limits;

/// One resolved `[[route]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteConfig {
    /// Given, or `route-N` by its place.
    pub name: Name,
    /// Which requests it takes.
    pub spec: RouteSpec,
    /// What it allows itself instead of the listener's and the component's limits.
    pub limits: RouteLimits,
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
    /// From dispatch to the response head, instead of the component's; `Some(None)` is no such limit.
    pub deadline: Option<Option<Duration>>,
    /// From dispatch to the end of the guest's work, instead of the component's; `Some(None)` is no such limit.
    pub body_deadline: Option<Option<Duration>>,
}

/// A route as read: its name may still have to be made, its component to be found.
#[derive(Debug)]
pub(super) struct RouteDraft {
    pub(super) name: Option<(Name, Location)>,
    pub(super) spec: RouteSpec,
    pub(super) places: Places,
    pub(super) limits: RouteLimits,
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
    /// Every part was read, so the table's word on it is worth having.
    pub(super) complete: bool,
}

pub(super) fn read(field: &Field<'_>) -> Option<RouteDraft> {
    let mut table = field.table("Route")?;
    let name = table.take("name");
    let (spec, places) = read_match(&mut table);
    let limits = table.take("limits");
    let target = target::read(&mut table);
    for (key, help) in [
        (
            "sticky",
            "it goes with `split`, which is not served either: remove both",
        ),
        (
            "rewrite",
            "remove it: the component sees the path as the client sent it",
        ),
        ("websocket", "remove it: the route then serves plain HTTP"),
    ] {
        table.refuse_unserved(key, help);
    }
    table.finish();
    Some(RouteDraft {
        name: name.and_then(|name| Some((name.name()?, name.location()))),
        spec,
        places,
        limits: limits.and_then(|limits| read_limits(&limits)).unwrap_or_default(),
        target,
        location: field.location(),
    })
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
        let header = target::read_header_name(&named);
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
        spec.source = sources.iter().filter_map(read_network).collect();
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

fn read_network(field: &Field<'_>) -> Option<IpNet> {
    let text = field.string()?;
    let network = text.parse::<IpNet>().ok();
    let network = network.or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    let Some(network) = network else {
        let message = format!("\"{}\" is not an address range", text.escape_debug());
        return field.fail(
            message,
            "not a range",
            "such as \"10.0.0.0/8\", \"2001:db8::/32\" or one address",
        );
    };
    if network.trunc() != network {
        // 10.1.2.3/8 is a range or an address: which one was meant decides who gets in.
        let message = format!("{network} has bits set beyond its prefix");
        let help = format!(
            "write \"{}\" for the range, or \"{}\" for one address",
            network.trunc(),
            network.addr()
        );
        return field.fail(message, "a range or one address?", help);
    }
    Some(network)
}

fn read_limits(field: &Field<'_>) -> Option<RouteLimits> {
    let mut table = field.table("RouteLimits")?;
    let body = table
        .take("body")
        .and_then(|field| field.size(0..=limits::BODY_BYTES_MAX));
    let deadline = table.take("deadline").and_then(|field| field.duration_or_none());
    let body_deadline = table.take("body_deadline").and_then(|field| field.duration_or_none());
    table.finish();
    Some(RouteLimits {
        body,
        deadline,
        body_deadline,
    })
}

#[cfg(test)]
mod tests;
