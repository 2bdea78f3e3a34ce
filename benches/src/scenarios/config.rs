//! The configuration a benchmarked gateway runs with, as its users write it.

use serde::Serialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

#[derive(Debug, Serialize)]
pub(super) struct Config {
    gateway: Gateway,
    admin: Admin,
    listener: Vec<Listener>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    component: BTreeMap<String, Component>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    upstream: BTreeMap<String, Upstream>,
    route: Vec<Route>,
}

#[derive(Debug, Serialize)]
struct Gateway {
    data_dir: PathBuf,
    workers: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pool_reset: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct Admin {
    address: &'static str,
}

#[derive(Debug, Serialize)]
struct Listener {
    name: &'static str,
    address: SocketAddr,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tls: Vec<Certificate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<ListenerLimits>,
}

/// PEM files: a certificate and the key that belongs to it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Certificate {
    pub(super) cert: PathBuf,
    pub(super) key: PathBuf,
}

#[derive(Debug, Serialize)]
struct ListenerLimits {
    connections: usize,
    connections_per_address: usize,
    idle_timeout: &'static str,
}

#[derive(Debug, Serialize)]
struct Component {
    source: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    isolation: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reuse: Option<Reuse>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grants: Option<Grants>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<ComponentLimits>,
}

#[derive(Debug, Serialize)]
struct Reuse {
    requests: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    concurrent: Option<u32>,
}

#[derive(Debug, Serialize)]
struct Grants {
    http: Vec<String>,
}

/// How many requests an instance serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Isolation {
    /// Tidegate's default: one. Nothing is written into the config.
    Fresh,
    /// So many, one after another.
    Reuse { requests: u32 },
    /// So many, up to `at_once` of them at the same time.
    Concurrent { requests: u32, at_once: u32 },
}

#[derive(Debug, Serialize)]
struct ComponentLimits {
    cpu: &'static str,
}

#[derive(Debug, Serialize)]
struct Upstream {
    servers: Vec<SocketAddr>,
}

/// With exactly one target.
#[derive(Debug, Serialize)]
struct Route {
    name: String,
    path: String,
    #[serde(flatten)]
    target: Target,
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<RouteLimits>,
}

/// Written as the key that is named so.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Target {
    Component(String),
    Upstream(String),
    Respond { status: u16, body: &'static str },
}

#[derive(Debug, Serialize)]
struct RouteLimits {
    body: String,
}

impl Config {
    /// One listener, one worker, everything else at its default: the access log stays on, as it is in earnest.
    pub(super) fn new(address: SocketAddr, data_dir: &Path) -> Self {
        Self {
            gateway: Gateway {
                data_dir: data_dir.to_owned(),
                workers: 1,
                pool_reset: None,
            },
            admin: Admin { address: "127.0.0.1:0" },
            listener: vec![Listener {
                name: "public",
                address,
                tls: Vec::new(),
                limits: None,
            }],
            component: BTreeMap::new(),
            upstream: BTreeMap::new(),
            route: Vec::new(),
        }
    }

    pub(super) fn pool_reset(mut self, reset: Option<&'static str>) -> Self {
        self.gateway.pool_reset = reset;
        self
    }

    /// A component and the route to it.
    pub(super) fn serve(mut self, name: &str, source: &Path, path: &str) -> Self {
        self.component.insert(
            name.to_owned(),
            Component {
                source: source.to_owned(),
                isolation: None,
                reuse: None,
                grants: None,
                limits: None,
            },
        );
        self.route(&format!("to-{name}"), path, Target::Component(name.to_owned()))
    }

    /// Every request is answered so, with status 200.
    pub(super) fn respond(self, body: &'static str) -> Self {
        self.route("local", "/*", Target::Respond { status: 200, body })
    }

    /// Every request is passed on to this server.
    pub(super) fn pass_on(mut self, name: &str, server: SocketAddr) -> Self {
        let servers = vec![server];
        self.upstream.insert(name.to_owned(), Upstream { servers });
        self.route(&format!("to-{name}"), "/*", Target::Upstream(name.to_owned()))
    }

    fn route(mut self, name: &str, path: &str, target: Target) -> Self {
        self.route.push(Route {
            name: name.to_owned(),
            path: path.to_owned(),
            target,
            limits: None,
        });
        self
    }

    /// How the components' instances are used.
    pub(super) fn isolation(mut self, isolation: Isolation) -> Self {
        for component in self.component.values_mut() {
            (component.isolation, component.reuse) = match isolation {
                Isolation::Fresh => (None, None),
                Isolation::Reuse { requests } => {
                    let concurrent = None;
                    (Some("reuse"), Some(Reuse { requests, concurrent }))
                }
                Isolation::Concurrent { requests, at_once } => {
                    let concurrent = Some(at_once);
                    (Some("concurrent"), Some(Reuse { requests, concurrent }))
                }
            };
        }
        self
    }

    /// Lets the components call this address over plain HTTP, and nothing else.
    pub(super) fn grant_http(mut self, destination: SocketAddr) -> Self {
        for component in self.component.values_mut() {
            component.grants = Some(Grants {
                http: vec![format!("http://{destination}")],
            });
        }
        self
    }

    /// Encrypts the listener.
    pub(super) fn tls(mut self, certificate: &Certificate) -> Self {
        for listener in &mut self.listener {
            listener.tls = vec![certificate.clone()];
        }
        self
    }

    /// Lets one address hold so many connections, and lets them be idle for as long as the measurement may take.
    pub(super) fn allow_connections(mut self, count: usize) -> Self {
        for listener in &mut self.listener {
            listener.limits = Some(ListenerLimits {
                connections: count,
                connections_per_address: count,
                idle_timeout: "30m",
            });
        }
        self
    }

    /// Lets `bytes` through in one request, and the guests work on them for longer than a default call may.
    pub(super) fn allow_body(mut self, bytes: u64) -> Self {
        for route in &mut self.route {
            // The size is written in whole MiB, rounded up.
            route.limits = Some(RouteLimits {
                body: format!("{}MiB", bytes.div_ceil(1 << 20).max(1)),
            });
        }
        for component in self.component.values_mut() {
            component.limits = Some(ComponentLimits { cpu: "300s" });
        }
        self
    }

    pub(super) fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(self)
    }
}
