//! `tidegate upstreams`: the servers of a running gateway's upstreams, how they are, and what they carry.

use super::ask::Ask;
use super::table::Table;
use super::{Done, Exit, Failed, print, print_json};
use crate::proxy::{ServerView, UpstreamView};
use serde::Deserialize as _;

/// Print the upstreams of a running gateway: their servers, health and load
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  tidegate upstreams                        # the gateway of ./config\n  \
    tidegate upstreams edge.toml --json\n  tidegate upstreams --admin unix:/run/tidegate/admin.sock"
)]
pub(super) struct Upstreams {
    #[command(flatten)]
    ask: Ask,
}

impl Upstreams {
    pub(super) fn run(self) -> Done {
        let answer = self.ask.get("/api/upstreams")?;
        if self.ask.json {
            return print_json(&answer);
        }
        let upstreams = answer.get("upstreams").unwrap_or_default();
        let upstreams = Vec::<UpstreamView>::deserialize(upstreams).map_err(|error| {
            let message = format!("error: the gateway is of another version: {error}\n--json prints what it says.");
            Failed::new(Exit::Unavailable, message)
        })?;
        print(&text(&upstreams))
    }
}

fn text(upstreams: &[UpstreamView]) -> String {
    let mut table = Table::new([
        "UPSTREAM",
        "BALANCE",
        "SERVER",
        "ADDRESS",
        "WEIGHT",
        "STATE",
        "REQUESTS",
        "CONNECTIONS",
    ]);
    for upstream in upstreams {
        let own = || [upstream.name.clone(), upstream.balance.clone()];
        if upstream.servers.is_empty() {
            let [name, balance] = own();
            let (none, requests) = (String::new, upstream.requests.to_string());
            table.row([
                name,
                balance,
                none(),
                none(),
                none(),
                "no servers".to_owned(),
                requests,
                none(),
            ]);
        }
        for server in &upstream.servers {
            let [name, balance] = own();
            table.row([
                name,
                balance,
                server.name.clone(),
                server.address.to_string(),
                server.weight.to_string(),
                state(server),
                server.requests.to_string(),
                server.connections.to_string(),
            ]);
        }
    }
    table.text()
}

fn state(server: &ServerView) -> String {
    match (server.healthy, server.ejected_for) {
        (false, _) => "unhealthy".to_owned(),
        (true, Some(seconds)) => format!("ejected for {seconds}s"),
        (true, None) => "healthy".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(n: u8, healthy: bool, ejected_for: Option<u64>) -> ServerView {
        ServerView {
            address: ([10, 0, 0, n], 80).into(),
            name: "api.internal:80".to_owned(),
            weight: 1,
            healthy,
            ejected_for,
            requests: 2,
            connections: 3,
        }
    }

    #[test]
    fn every_server_is_a_line() {
        let upstream = |name: &str, servers| UpstreamView {
            name: name.to_owned(),
            balance: "hash".to_owned(),
            requests: 7,
            retries_left: 10,
            servers,
        };
        let servers = vec![
            server(1, true, None),
            server(2, false, Some(1)),
            server(3, true, Some(9)),
        ];
        let text = text(&[upstream("api", servers), upstream("empty", Vec::new())]);
        assert_eq!(
            text,
            "UPSTREAM  BALANCE  SERVER           ADDRESS      WEIGHT  STATE           REQUESTS  CONNECTIONS\n\
             api       hash     api.internal:80  10.0.0.1:80  1       healthy         2         3\n\
             api       hash     api.internal:80  10.0.0.2:80  1       unhealthy       2         3\n\
             api       hash     api.internal:80  10.0.0.3:80  1       ejected for 9s  2         3\n\
             empty     hash     -                -            -       no servers      7         -\n"
        );
    }
}
