//! `[[listener]]`: the public addresses, their certificates and what one client may ask of them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::error::Location;
use super::network;
use super::reader::Field;
use super::scalar::{Name, Zero};
use crate::limits;

/// One resolved `[[listener]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerConfig {
    /// Given, or `listener-N` by its place.
    pub name: Name,
    /// Where it listens; port 0 takes a free one.
    pub address: SocketAddr,
    /// Certificates to choose from by SNI; none means plain HTTP.
    pub tls: Vec<CertPaths>,
    /// PEM file of authorities: client certificates are then required and verified against them.
    pub client_ca: Option<PathBuf>,
    /// Who begins its connections with a PROXY header, which says who the client is. Nobody else may connect then;
    /// empty: anybody may, and nobody sends one.
    pub proxy_protocol: Vec<IpNet>,
    /// Proxies whose `Forwarded` and `X-Forwarded-*` fields are believed. Empty: nobody's.
    pub trusted_proxies: Vec<IpNet>,
    /// What one connection, and all of them, may take.
    pub limits: ListenerLimits,
    /// Where the address is written.
    pub location: Location,
}

/// A certificate chain and its key, both PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertPaths {
    /// The chain, the server's own certificate first.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
    /// Where the pair is written.
    pub location: Location,
}

/// The resolved `limits` of a listener; the constants of the same names in [`limits`] are the defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerLimits {
    /// Open connections.
    pub connections: usize,
    /// Open connections per client address.
    pub connections_per_address: usize,
    /// A request head, in bytes.
    pub header_bytes: usize,
    /// From the first byte of a head to its last.
    pub header_timeout: Duration,
    /// A connection between two requests.
    pub idle_timeout: Duration,
    /// A TLS handshake, and the HTTP/2 preface.
    pub handshake_timeout: Duration,
    /// A request body, in bytes; routes may override it.
    pub body: u64,
    /// A request body that brings no byte.
    pub body_idle_timeout: Duration,
    /// A client that takes no byte of a response.
    pub write_timeout: Duration,
}

impl Default for ListenerLimits {
    fn default() -> Self {
        Self {
            connections: limits::CONNECTIONS_COUNT,
            connections_per_address: limits::CONNECTIONS_PER_ADDRESS_COUNT,
            header_bytes: limits::HEADER_BYTES,
            header_timeout: limits::HEADER_TIMEOUT,
            idle_timeout: limits::IDLE_TIMEOUT,
            handshake_timeout: limits::HANDSHAKE_TIMEOUT,
            body: limits::BODY_BYTES,
            body_idle_timeout: limits::BODY_IDLE_TIMEOUT,
            write_timeout: limits::WRITE_TIMEOUT,
        }
    }
}

/// A listener as read: its name may still have to be made.
#[derive(Debug)]
pub(super) struct ListenerDraft {
    pub(super) name: Option<(Name, Location)>,
    pub(super) address: SocketAddr,
    pub(super) tls: Vec<CertPaths>,
    pub(super) client_ca: Option<PathBuf>,
    pub(super) proxy_protocol: Vec<IpNet>,
    pub(super) trusted_proxies: Vec<IpNet>,
    pub(super) limits: ListenerLimits,
    pub(super) location: Location,
}

pub(super) fn read(field: &Field<'_>) -> Option<ListenerDraft> {
    let mut table = field.table("Listener")?;
    let name = table.take("name");
    let address = table.require("address", "such as address = \"127.0.0.1:8080\"");
    let tls = table.take("tls");
    let client_ca = table.take("client_ca");
    let [proxy_protocol, trusted_proxies] = ["proxy_protocol", "trusted_proxies"].map(|key| table.take(key));
    let limits = table.take("limits");
    table.finish();

    if let (Some(client_ca), None) = (&client_ca, &tls) {
        client_ca.fail::<()>(
            "`client_ca` needs `tls`",
            "client certificates only exist in TLS",
            "add tls = [{ cert = \"..\", key = \"..\" }], or remove `client_ca`",
        );
    }
    let name = name.and_then(|name| Some((name.name()?, name.location())));
    let tls = tls.and_then(|tls| read_tls(&tls)).unwrap_or_default();
    let client_ca = client_ca.and_then(|path| path.readable_file());
    let limits = limits.and_then(|limits| read_limits(&limits)).unwrap_or_default();
    let networks = |field: Option<Field<'_>>| field.map_or_else(Vec::new, |field| network::read_list(&field));
    let [proxy_protocol, trusted_proxies] = [proxy_protocol, trusted_proxies].map(networks);
    let address = address?;
    Some(ListenerDraft {
        name,
        location: address.location(),
        address: address.address()?,
        tls,
        client_ca,
        proxy_protocol,
        trusted_proxies,
        limits,
    })
}

fn read_tls(field: &Field<'_>) -> Option<Vec<CertPaths>> {
    let items = field.list()?;
    if items.is_empty() {
        // Someone who writes `tls` expects encryption; serving plain HTTP instead would be the wrong guess.
        return field.fail(
            format!("`{}` holds no certificate", field.path()),
            "empty",
            "add { cert = \"..\", key = \"..\" }, or remove `tls` to serve plain HTTP",
        );
    }
    Some(items.iter().filter_map(read_pair).collect())
}

fn read_pair(field: &Field<'_>) -> Option<CertPaths> {
    let mut table = field.table("Certificate")?;
    let cert = table.require("cert", "the PEM file of the certificate chain");
    let key = table.require("key", "the PEM file of the certificate's private key");
    table.finish();
    let cert = cert.and_then(|path| path.readable_file());
    let key = key.and_then(|path| path.readable_file());
    Some(CertPaths {
        cert: cert?,
        key: key?,
        location: field.location(),
    })
}

fn read_limits(field: &Field<'_>) -> Option<ListenerLimits> {
    let mut resolved = ListenerLimits::default();
    let mut table = field.table("ListenerLimits")?;
    let connections = 1..=limits::CONNECTIONS_COUNT_MAX;
    let per_address = table.take("connections_per_address");
    let total = table.take("connections");
    if let Some(count) = total.and_then(|field| field.integer(connections.clone())) {
        resolved.connections = count;
    }
    if let Some(count) = per_address.and_then(|field| field.integer(connections)) {
        resolved.connections_per_address = count;
    }
    let header = limits::HEADER_BYTES_MIN..=limits::HEADER_BYTES_MAX;
    if let Some(bytes) = table
        .take("header_bytes")
        .and_then(|field| field.size_in_memory(header))
    {
        resolved.header_bytes = bytes;
    }
    if let Some(bytes) = table
        .take("body")
        .and_then(|field| field.size(0..=limits::BODY_BYTES_MAX))
    {
        resolved.body = bytes;
    }
    for (key, duration) in [
        ("header_timeout", &mut resolved.header_timeout),
        ("idle_timeout", &mut resolved.idle_timeout),
        ("handshake_timeout", &mut resolved.handshake_timeout),
        ("body_idle_timeout", &mut resolved.body_idle_timeout),
        ("write_timeout", &mut resolved.write_timeout),
    ] {
        if let Some(given) = table.take(key).and_then(|field| field.duration(Zero::Refused)) {
            *duration = given;
        }
    }
    table.finish();
    Some(resolved)
}

#[cfg(test)]
mod tests;
