//! What an upstream is at the moment, for people: the admin API gives it, the command line prints it.

use super::upstream::Upstream;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// An upstream and its servers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UpstreamView {
    /// Its name.
    pub(crate) name: String,
    /// How a server is chosen, as the configuration has it.
    pub(crate) balance: String,
    /// Requests under way.
    pub(crate) requests: usize,
    /// Retries that could be made at once.
    pub(crate) retries_left: i64,
    /// All that are known, by name and address. None: no name has been looked up yet, or none has an address.
    pub(crate) servers: Vec<ServerView>,
}

/// One server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ServerView {
    /// Where it is.
    pub(crate) address: SocketAddr,
    /// As the configuration has it, `host:port`; several addresses may have the same.
    pub(crate) name: String,
    /// Its share beside the others.
    pub(crate) weight: u32,
    /// Whether its health checks pass, or there are none.
    pub(crate) healthy: bool,
    /// Seconds for which it is still left out for its failures, rounded up.
    pub(crate) ejected_for: Option<u64>,
    /// Requests it has.
    pub(crate) requests: usize,
    /// Connections open to it.
    pub(crate) connections: usize,
}

impl Upstream {
    /// What it is at the moment.
    pub(crate) fn view(&self) -> UpstreamView {
        let servers = self.balancer.view().into_iter().map(|(server, healthy)| ServerView {
            address: server.address,
            name: server.name.to_string(),
            weight: server.weight,
            healthy,
            ejected_for: server.ejection.left().map(|left| left.as_secs_f64().ceil() as u64),
            requests: server.load(),
            connections: server.endpoint.connections(),
        });
        let mut servers: Vec<_> = servers.collect();
        servers.sort_by(|a, b| (&a.name, a.address).cmp(&(&b.name, b.address)));
        UpstreamView {
            name: self.name().to_string(),
            balance: self.config().balance.as_str().to_owned(),
            requests: self.in_flight(),
            retries_left: self.budget.left(),
            servers,
        }
    }

    /// Sets the gauges of its servers to what is the case.
    pub(crate) fn observe(&self) {
        for (server, _) in self.balancer.view() {
            server.metrics.in_flight(server.load());
            server.metrics.connections(server.endpoint.connections());
        }
    }
}
