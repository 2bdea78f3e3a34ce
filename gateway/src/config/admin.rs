//! `[admin]`: where the admin API, health and metrics are served. Never where the public can reach them.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::error::Location;
use super::reader::Field;
use crate::limits;

/// Where the admin API listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdminAddress {
    /// A loopback address; port 0 takes a free one.
    Tcp(SocketAddr),
    /// A unix socket.
    Unix(PathBuf),
}

impl fmt::Display for AdminAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

/// The resolved `[admin]` table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminConfig {
    /// Where it listens.
    pub address: AdminAddress,
    /// Where the address is written.
    pub location: Location,
}

const UNIX: &str = "unix:";

pub(super) fn read(field: &Field<'_>) -> Option<AdminConfig> {
    let mut table = field.table("Admin")?;
    let help = "such as address = \"127.0.0.1:9180\" or \"unix:/run/tidegate/admin.sock\"";
    let address = table.require("address", help);
    table.finish();
    let address = address?;
    Some(AdminConfig {
        location: address.location(),
        address: read_address(&address)?,
    })
}

fn read_address(field: &Field<'_>) -> Option<AdminAddress> {
    if let Some(path) = field.string()?.strip_prefix(UNIX) {
        return read_unix(field, path);
    }
    let address = field.address()?;
    if !address.ip().to_canonical().is_loopback() {
        return field.fail(
            format!("the admin address {address} can be reached from other machines"),
            "not a loopback address",
            "whoever reaches the admin API can replace what is served: use 127.0.0.1, [::1] or a unix socket, \
             and reach it from elsewhere through ssh or a proxy that authenticates",
        );
    }
    Some(AdminAddress::Tcp(address))
}

fn read_unix(field: &Field<'_>, path: &str) -> Option<AdminAddress> {
    if path.is_empty() || path.contains('\0') {
        return field.fail(
            format!("`{}` names no unix socket", field.path()),
            "no path",
            "such as \"unix:/run/tidegate/admin.sock\"",
        );
    }
    let path = field.cx().source.resolve(path);
    if path.as_os_str().len() > limits::UNIX_PATH_BYTES {
        return field.fail(
            format!("the path of the unix socket is too long: {}", path.display()),
            "too long",
            format!("at most {} bytes", limits::UNIX_PATH_BYTES),
        );
    }
    Some(AdminAddress::Unix(path))
}

#[cfg(test)]
mod tests;
