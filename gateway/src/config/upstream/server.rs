//! `servers` of an upstream: where each listens, and how much of the load it gets.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use crate::config::error::{ConfigError, Location};
use crate::config::grants::{HostGrant, InvalidGrant, SocketGrant};
use crate::config::node::Value;
use crate::config::reader::Field;
use crate::limits;

/// One server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConfig {
    /// Where it is.
    pub host: ServerHost,
    /// Its port, not 0.
    pub port: u16,
    /// Its part of the load beside the others', from 1 to 256.
    pub weight: u32,
}

/// Where a server is. A name may stand for several addresses, and for others later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerHost {
    /// One address. An IPv4 address mapped into IPv6 is the IPv4 address.
    Address(IpAddr),
    /// A DNS name, in lower case and without a dot at its end.
    Name(Box<str>),
}

/// As in a URL: an IPv6 address is in brackets.
impl fmt::Display for ServerHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(IpAddr::V4(address)) => address.fmt(f),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// `host:port`.
impl fmt::Display for ServerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// A list of servers, none of them twice.
pub(super) fn read_list(field: &Field<'_>) -> Option<Vec<ServerConfig>> {
    let items = field.list()?;
    if items.is_empty() {
        return field.fail(
            format!("`{}` holds no server", field.path()),
            "empty",
            "add one, such as \"127.0.0.1:9001\"",
        );
    }
    let (count, count_max) = (items.len(), limits::UPSTREAM_SERVERS_COUNT);
    if count > count_max {
        let message = format!("`{}` has {count} servers", field.path());
        return field.fail(message, "too many", format!("at most {count_max}"));
    }
    let mut servers: Vec<(ServerConfig, Location)> = Vec::new();
    for item in &items {
        let Some((server, at)) = read(item) else {
            continue;
        };
        let same = |(known, _): &&(ServerConfig, Location)| known.host == server.host && known.port == server.port;
        if let Some((_, first)) = servers.iter().find(same) {
            let error = ConfigError::new(at, format!("the server {server} is given twice, first at {first}"));
            let error = error.label("given again here").also(first.clone(), "first given here");
            item.cx()
                .sink
                .report(error.help("keep one of them; `weight` gives a server more of the load"));
            continue;
        }
        servers.push((server, at));
    }
    Some(servers.into_iter().map(|(server, _)| server).collect())
}

/// `"host:port"`, or that with a weight in a table.
fn read(field: &Field<'_>) -> Option<(ServerConfig, Location)> {
    const HELP: &str = "write \"127.0.0.1:9001\", or { address = \"127.0.0.1:9001\", weight = 2 }";
    let (address, weight) = match field.value() {
        Value::String(_) => (Some(field.clone()), Some(1)),
        Value::Table(_) => {
            let mut table = field.table("Server")?;
            let address = table.require("address", HELP);
            let weight = table
                .take("weight")
                .map_or(Some(1), |field| field.count(1..=limits::UPSTREAM_WEIGHT_MAX));
            table.finish();
            (address, weight)
        }
        _ => return field.wrong_type("a string or a table", HELP),
    };
    let address = address?;
    let (host, port) = read_address(&address)?;
    let server = ServerConfig {
        host,
        port,
        weight: weight?,
    };
    Some((server, address.location()))
}

fn read_address(field: &Field<'_>) -> Option<(ServerHost, u16)> {
    let text = field.string()?;
    let fail = |reason: String, help: String| {
        let message = format!("`{}` is not a server: {reason}", field.path());
        field.fail(message, "not host:port", help)
    };
    if let Some((scheme, rest)) = text.split_once("://") {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let tls = if scheme.eq_ignore_ascii_case("https") {
            "; tls = {} is what makes it https"
        } else {
            ""
        };
        let help = match authority.parse::<SocketGrant>() {
            Ok(_) => format!("write \"{authority}\"{tls}"),
            Err(_) => format!("write host:port, such as \"api.internal:8080\"{tls}"),
        };
        return fail("it has a scheme".to_owned(), help);
    }
    if text.starts_with("unix:") {
        let help = "have the server listen on 127.0.0.1, and write its port".to_owned();
        return fail(
            "unix sockets are not served by this version of Tidegate yet".to_owned(),
            help,
        );
    }
    let SocketGrant { host, port } = match text.parse() {
        Ok(address) => address,
        Err(InvalidGrant::SocketWildcard) => {
            return fail("it has a wildcard".to_owned(), "write each server by itself".to_owned());
        }
        Err(error) => return fail(error.to_string(), help_on(error, text)),
    };
    match host {
        HostGrant::Address(address) => Some((ServerHost::Address(address), port)),
        HostGrant::Name(name) => Some((ServerHost::Name(name), port)),
        HostGrant::Any | HostGrant::Suffix(_) => None,
    }
}

/// As the grammar of grants helps, in the words of servers.
fn help_on(error: InvalidGrant, text: &str) -> String {
    match error {
        InvalidGrant::NoPort => {
            format!("add the port it listens on, such as \"{text}:8080\": no port is taken for granted")
        }
        InvalidGrant::Port => "a port is a number from 1 to 65535".to_owned(),
        InvalidGrant::Userinfo => "write what follows the @; a route's request_headers can set credentials".to_owned(),
        InvalidGrant::Path | InvalidGrant::Query | InvalidGrant::Fragment => {
            let authority = text.split(['/', '?', '#']).next().unwrap_or_default();
            format!("write \"{authority}\"; a route's rewrite = {{ add_prefix = \"/..\" }} puts a path before its own")
        }
        InvalidGrant::Empty => "name a host, such as \"127.0.0.1:9001\" or \"api.internal:8080\"".to_owned(),
        error => error.help(text),
    }
}

/// The name that a server's certificate must be for: of a host, or its address.
pub(super) fn read_name(field: &Field<'_>) -> Option<Box<str>> {
    let text = field.string()?;
    if let Ok(address) = text.parse::<Ipv6Addr>() {
        return Some(address.to_string().into());
    }
    let error = match text.parse() {
        Ok(HostGrant::Name(name)) => return Some(name),
        Ok(HostGrant::Address(address)) => return Some(address.to_string().into()),
        Ok(HostGrant::Any | HostGrant::Suffix(_)) => InvalidGrant::Wildcard,
        Err(error) => error,
    };
    let reason = match error {
        InvalidGrant::Wildcard => "a server shows the certificate of one name".to_owned(),
        // With an empty name nothing would be verified.
        InvalidGrant::Empty | InvalidGrant::Length if text.is_empty() => "it is empty".to_owned(),
        error => error.to_string(),
    };
    field.fail(
        format!("`{}` is not a server's name: {reason}", field.path()),
        "not a name",
        "a name such as \"api.internal\", without a port; left out, it is the server's own",
    )
}

#[cfg(test)]
mod tests;
