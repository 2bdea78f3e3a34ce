//! What holds between tables and files: names that are unique and defined, addresses that do not collide, and
//! routes that can be told apart.

mod targets;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use tidegate_routing::{BuildError, Field as Part, RouteSpec, RouteTable};

use super::admin::AdminAddress;
use super::error::{ConfigError, Location};
use super::file::Source;
use super::listener::ListenerDraft;
use super::reader::Sink;
use super::route::RouteDraft;
use super::scalar::size_text;
use super::{
    AdminConfig, ComponentConfig, Draft, GatewayConfig, ListenerConfig, Name, RouteConfig, UpstreamConfig, report_twice,
};
use crate::limits;

/// What comes of a draft; whole when nothing was reported.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) gateway: GatewayConfig,
    pub(super) admin: Option<AdminConfig>,
    pub(super) listeners: Vec<ListenerConfig>,
    pub(super) components: BTreeMap<Name, ComponentConfig>,
    pub(super) upstreams: BTreeMap<Name, UpstreamConfig>,
    pub(super) routes: Vec<RouteConfig>,
}

pub(super) fn resolve(draft: Draft, sources: &[Arc<Source>], sink: &Sink) -> Resolved {
    check_counts(&draft, sources, sink);
    check_heads(&draft, sink);
    let admin = draft.admin.and_then(|(admin, _)| admin);
    check_addresses(&draft.listeners, admin.as_ref(), sink);
    check_routes(&draft.routes, sink);
    let folder = sources.first().map_or(Path::new(""), |source| source.folder());
    let targets = targets::Known {
        components: &draft.components.places,
        upstreams: &draft.upstreams.places,
        incomplete: draft.incomplete,
        sink,
    };
    let routes = resolve_routes(draft.routes, &targets, sink);
    Resolved {
        gateway: match draft.gateway {
            Some((gateway, _)) => gateway,
            None => GatewayConfig::default_in(folder),
        },
        admin,
        listeners: resolve_listeners(draft.listeners, sink),
        components: draft.components.configs,
        upstreams: draft.upstreams.configs,
        routes,
    }
}

fn check_counts(draft: &Draft, sources: &[Arc<Source>], sink: &Sink) {
    let nowhere = Source::toml("configuration", "", "");
    let whole = || Location::new(sources.first().unwrap_or(&nowhere), None, "");
    if draft.listeners_count == 0 && !draft.incomplete {
        let error = ConfigError::new(whole(), "there is no [[listener]]: nothing would be served");
        sink.report(error.help("add [[listener]] with address = \"127.0.0.1:8080\""));
    }
    for (what, count, count_max) in [
        ("routes", draft.routes.len(), limits::ROUTES_COUNT),
        ("components", draft.components.places.len(), limits::COMPONENTS_COUNT),
        ("upstreams", draft.upstreams.places.len(), limits::UPSTREAMS_COUNT),
    ] {
        if count > count_max {
            let error = ConfigError::new(whole(), format!("there are {count} {what}"));
            sink.report(error.help(format!("at most {count_max} {what}")));
        }
    }
}

/// Two sockets must never share what they listen on: SO_REUSEPORT would let them, and the kernel would then deal
/// connections out to either.
fn check_addresses(listeners: &[ListenerDraft], admin: Option<&AdminConfig>, sink: &Sink) {
    let mut seen: Vec<(SocketAddr, &Location, &str)> = Vec::new();
    if let Some(AdminConfig {
        address: AdminAddress::Tcp(address),
        location,
    }) = admin
    {
        seen.push((*address, location, "the admin API"));
    }
    for listener in listeners {
        let collision = seen.iter().find(|(address, ..)| overlap(*address, listener.address));
        if let Some((address, location, who)) = collision {
            let address = if *address == listener.address {
                String::new()
            } else {
                format!(" on {address}")
            };
            let message = format!("{} is taken by {who}{address} at {location}", listener.address);
            let error = ConfigError::new(listener.location.clone(), message).label("taken already");
            let error = error.also((*location).clone(), "taken here");
            sink.report(error.help("give each listener, and the admin API, a port of its own"));
        }
        seen.push((listener.address, &listener.location, "a listener"));
    }
}

/// Whether one connection could reach both. Port 0 is another free port each time.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let (ip, other_ip) = (one.ip().to_canonical(), other.ip().to_canonical());
    let all = |ip: IpAddr, other: IpAddr| ip.is_unspecified() && (ip.is_ipv6() || other.is_ipv4());
    let meet = ip == other_ip || all(ip, other_ip) || all(other_ip, ip);
    meet && one.port() == other.port() && one.port() != 0
}

/// Gives every unnamed one `kind-N` by its place, from 1, and steps aside for a given name.
fn resolve_names(kind: &str, given: &[Option<(Name, Location)>], sink: &Sink) -> Vec<Option<Name>> {
    let mut places: BTreeMap<&Name, &Location> = BTreeMap::new();
    for (name, location) in given.iter().flatten() {
        match places.get(name) {
            Some(first) => report_twice(sink, &format!("{kind} `{name}`"), first, location.clone()),
            None => _ = places.insert(name, location),
        }
    }
    let taken: BTreeSet<&str> = places.keys().map(|name| name.as_str()).collect();
    let name = |(index, name): (usize, &Option<(Name, Location)>)| match name {
        Some((name, _)) => Some(name.clone()),
        None => {
            let plain = format!("{kind}-{}", index + 1);
            let mut made = plain.clone();
            let mut suffix = 1;
            while taken.contains(made.as_str()) {
                suffix += 1;
                made = format!("{plain}-{suffix}");
            }
            made.parse().ok()
        }
    };
    given.iter().enumerate().map(name).collect()
}

fn resolve_listeners(drafts: Vec<ListenerDraft>, sink: &Sink) -> Vec<ListenerConfig> {
    let given: Vec<_> = drafts.iter().map(|draft| draft.name.clone()).collect();
    let names = resolve_names("listener", &given, sink);
    let resolve = |(draft, name): (ListenerDraft, Option<Name>)| {
        Some(ListenerConfig {
            name: name?,
            address: draft.address,
            tls: draft.tls,
            client_ca: draft.client_ca,
            proxy_protocol: draft.proxy_protocol,
            trusted_proxies: draft.trusted_proxies,
            limits: draft.limits,
            location: draft.location,
        })
    };
    drafts.into_iter().zip(names).filter_map(resolve).collect()
}

fn resolve_routes(drafts: Vec<RouteDraft>, targets: &targets::Known<'_>, sink: &Sink) -> Vec<RouteConfig> {
    let given: Vec<_> = drafts.iter().map(|draft| draft.name.clone()).collect();
    let names = resolve_names("route", &given, sink);
    let resolve = |(mut draft, name): (RouteDraft, Option<Name>)| {
        let target = targets.resolve(draft.target?)?;
        let name = name?;
        draft.spec.name = name.as_str().to_owned();
        Some(RouteConfig {
            name,
            spec: draft.spec,
            limits: draft.limits,
            allow: draft.allow,
            deny: draft.deny,
            rewrite: draft.rewrite,
            request_headers: draft.request_headers,
            response_headers: draft.response_headers,
            websocket: draft.websocket,
            target,
            location: draft.location,
        })
    };
    drafts.into_iter().zip(names).filter_map(resolve).collect()
}

/// A route can take less of a head than its listeners, never more: theirs is counted while it arrives.
fn check_heads(draft: &Draft, sink: &Sink) {
    // A listener that could not be read may allow more.
    if draft.incomplete || draft.listeners.len() < draft.listeners_count {
        return;
    }
    let allowed = draft
        .listeners
        .iter()
        .map(|listener| listener.limits.header_bytes)
        .max();
    for route in &draft.routes {
        let (Some(wanted), Some(allowed), Some(place)) =
            (route.limits.header_bytes, allowed, &route.places.header_bytes)
        else {
            continue;
        };
        if wanted > allowed {
            let allowed = size_text(u64::try_from(allowed).unwrap_or(u64::MAX));
            let message = format!("no listener takes a head of so many bytes: at most {allowed}");
            let error = ConfigError::new(place.clone(), message).label("never reached");
            sink.report(error.help("raise the listener's limits.header_bytes, or write less here"));
        }
    }
}

/// Has the route table built once, for its word on what it cannot match or tell apart.
fn check_routes(drafts: &[RouteDraft], sink: &Sink) {
    // A match that was read in part would seem to take more than was written.
    let complete: Vec<&RouteDraft> = drafts.iter().filter(|draft| draft.places.complete).collect();
    let named = |draft: &&RouteDraft| {
        let name = draft
            .name
            .as_ref()
            .map_or_else(String::new, |(name, _)| name.to_string());
        RouteSpec {
            name,
            ..draft.spec.clone()
        }
    };
    let specs: Vec<RouteSpec> = complete.iter().map(named).collect();
    let Err(errors) = RouteTable::build(&specs) else {
        return;
    };
    for error in errors {
        let route = error.route().and_then(|index| complete.get(index.get()));
        if let Some(route) = route {
            let other = error.other().and_then(|index| complete.get(index.get()));
            sink.report(describe(&error, route, other.copied()));
        }
    }
}

/// The table's error at the place it is about. Its own text names the route, which the place says already.
fn describe(error: &BuildError, route: &RouteDraft, other: Option<&RouteDraft>) -> ConfigError {
    let nth = |places: &[Location]| error.position().and_then(|index| places.get(index)).cloned();
    let place = match error.field() {
        Part::Host => nth(&route.places.hosts),
        Part::Path => route.places.path.clone(),
        Part::Header => nth(&route.places.headers),
        Part::Query => nth(&route.places.query),
        Part::Route | Part::Methods | Part::Source => None,
    };
    let place = place.unwrap_or_else(|| route.location.clone());
    let elsewhere = other.map(|other| other.location.clone());
    let message = match (error, &elsewhere) {
        (BuildError::Host { problem, .. }, _) => problem.to_string(),
        (BuildError::Path { problem, .. }, _) => problem.to_string(),
        (BuildError::Header { problem, .. } | BuildError::Query { problem, .. }, _) => problem.to_string(),
        (BuildError::Indistinguishable { host, path, .. }, Some(first)) => {
            format!("this route and the one at {first} take the same requests: {host}{path}")
        }
        (BuildError::Unreachable { host, path, .. }, Some(by)) => {
            format!("this route is never reached: the one at {by} takes every request it would, {host}{path}")
        }
        _ => error.to_string(),
    };
    let described = ConfigError::new(place, message).help(error.help());
    match elsewhere {
        Some(elsewhere) => described.label("this one").also(elsewhere, "the other"),
        None => described.label("cannot be matched"),
    }
}
