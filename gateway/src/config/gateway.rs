//! `[gateway]`: what holds for the whole process.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::reader::Field;
use super::scalar::Zero;
use crate::limits;

/// How an instance's slot in the pool is cleaned for the next one; docs/decisions/0002.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PoolReset {
    /// The kernel takes the pages back, in batches. Safe on every machine.
    #[default]
    Decommit,
    /// Pages that were written are found and overwritten. Faster; refused at start where swap is on, because a
    /// page that is swapped out is not found.
    Scan,
}

/// Where access-log lines go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum AccessLogConfig {
    /// Standard output.
    #[default]
    Stdout,
    /// Standard error, among the gateway's own log.
    Stderr,
    /// Nowhere.
    Off,
    /// A file, opened again on SIGHUP.
    File(PathBuf),
}

/// The resolved `[gateway]` table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayConfig {
    /// The folder for compiled components, deploy history and embedded storage.
    pub data_dir: PathBuf,
    /// Door runtimes, each a thread with its own listener sockets; 0 is one per core.
    pub workers: usize,
    /// How pool slots are cleaned.
    pub pool_reset: PoolReset,
    /// From SIGTERM to the end; zero cuts at once.
    pub drain: Duration,
    /// Where access-log lines go.
    pub access_log: AccessLogConfig,
    /// Fault pages tell their reader what went wrong inside a guest, which the public should not know.
    pub dev: bool,
    /// Name servers for outgoing requests, in their order; none is what the system says (/etc/resolv.conf and
    /// /etc/hosts).
    pub dns: Vec<SocketAddr>,
}

/// Where name servers listen unless a port is written.
const DNS_PORT: u16 = 53;

/// The data folder's default name, in the configuration's folder.
pub(super) const DATA_DIR: &str = "var";

impl GatewayConfig {
    /// What holds without a `[gateway]` table.
    pub(super) fn default_in(folder: &Path) -> Self {
        Self {
            data_dir: folder.join(DATA_DIR),
            workers: 0,
            pool_reset: PoolReset::default(),
            drain: limits::DRAIN_DEADLINE,
            access_log: AccessLogConfig::default(),
            dev: false,
            dns: Vec::new(),
        }
    }
}

pub(super) fn read(field: &Field<'_>) -> Option<GatewayConfig> {
    let mut config = GatewayConfig::default_in(field.cx().source.folder());
    let mut table = field.table("Gateway")?;
    if let Some(path) = table.take("data_dir").and_then(|field| field.file_path()) {
        config.data_dir = path;
    }
    let workers = table.take("workers");
    if let Some(count) = workers.and_then(|field| field.integer(0..=limits::WORKERS_COUNT_MAX)) {
        config.workers = count;
    }
    let words = [("decommit", PoolReset::Decommit), ("scan", PoolReset::Scan)];
    if let Some(reset) = table.take("pool_reset").and_then(|field| field.one_of(&words)) {
        config.pool_reset = reset;
    }
    if let Some(drain) = table.take("drain").and_then(|field| field.duration(Zero::Allowed)) {
        config.drain = drain;
    }
    if let Some(sink) = table.take("access_log").and_then(|field| access_log(&field)) {
        config.access_log = sink;
    }
    if let Some(dev) = table.take("dev").and_then(|field| field.boolean()) {
        config.dev = dev;
    }
    if let Some(field) = table.take("dns") {
        config.dns = name_servers(&field);
    }
    table.finish();
    Some(config)
}

/// A word, or a path.
fn access_log(field: &Field<'_>) -> Option<AccessLogConfig> {
    Some(match field.string()? {
        "stdout" => AccessLogConfig::Stdout,
        "stderr" => AccessLogConfig::Stderr,
        "off" => AccessLogConfig::Off,
        _ => AccessLogConfig::File(field.file_path()?),
    })
}

fn name_servers(field: &Field<'_>) -> Vec<SocketAddr> {
    let servers = field.list().unwrap_or_default();
    let (count, count_max) = (servers.len(), limits::DNS_SERVERS_COUNT);
    if count > count_max {
        let message = format!("`{}` has {count} entries", field.path());
        field.fail::<()>(message, "too many", format!("at most {count_max}"));
        return Vec::new();
    }
    servers.iter().filter_map(name_server).collect()
}

/// An IP address with or without a port.
fn name_server(field: &Field<'_>) -> Option<SocketAddr> {
    let text = field.string()?;
    let alone = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let address = alone.unwrap_or(text).parse::<IpAddr>();
    let server = match address {
        Ok(address) => Some(SocketAddr::new(address, DNS_PORT)),
        Err(_) => text.parse().ok(),
    };
    // Nothing listens at these, and a connect to the unspecified address goes where nobody wrote.
    let usable = |server: &SocketAddr| server.port() != 0 && !server.ip().is_unspecified();
    server.filter(usable).or_else(|| {
        field.fail(
            format!("`{}` is not the address of a name server", field.path()),
            "not an IP address",
            "an IP address, with a port if it is not 53: \"127.0.0.1\", \"[::1]:5353\"",
        )
    })
}

#[cfg(test)]
mod tests;
