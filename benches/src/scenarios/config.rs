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
    component: BTreeMap<String, Component>,
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
}

#[derive(Debug, Serialize)]
struct Component {
    source: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<ComponentLimits>,
}

#[derive(Debug, Serialize)]
struct ComponentLimits {
    cpu: &'static str,
}

#[derive(Debug, Serialize)]
struct Route {
    name: String,
    path: String,
    component: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<RouteLimits>,
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
            }],
            component: BTreeMap::new(),
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
                limits: None,
            },
        );
        let (name, component) = (format!("to-{name}"), name.to_owned());
        self.route.push(Route {
            name,
            path: path.to_owned(),
            component,
            limits: None,
        });
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
