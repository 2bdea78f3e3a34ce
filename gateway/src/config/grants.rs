//! `grants` of a component: what it may reach. Nothing that is not written here is granted.
//!
//! This file has the grants as the hosts ask for them; `grammar` is how destinations are written, `read` the
//! tables they are written in.

mod grammar;
mod read;

use std::net::IpAddr;
use std::path::PathBuf;

pub use self::grammar::InvalidGrant;
pub(super) use self::read::read;

/// Everything one component is granted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grants {
    /// Where its outgoing HTTP requests may go.
    pub http: Vec<HttpGrant>,
    /// The host's folders it may open; no two have the same guest path.
    pub dirs: Vec<DirGrant>,
    /// Where its sockets may connect.
    pub sockets: Vec<SocketGrant>,
}

/// One destination of outgoing requests, as text `*`, `*.x[:port]`, `host[:port]` or `scheme://host[:port]`.
///
/// ```text
/// *                         any host on any port
/// https://*                 any host on any port, over TLS
/// *.example.com             every name below example.com, not itself, on 80 and 443
/// https://api.example.com   one host on 443
/// 10.0.0.7:8080             one address and port
/// [::1]:*                   one address, any port
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpGrant {
    /// `None` is both.
    pub scheme: Option<HttpScheme>,
    /// Which hosts.
    pub host: HostGrant,
    /// Which of their ports.
    pub port: PortGrant,
}

/// A scheme of outgoing requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpScheme {
    /// In the clear.
    Http,
    /// Over TLS.
    Https,
}

/// Which hosts a grant covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostGrant {
    /// Every host. What that leaves out (private addresses) is for whoever connects to say.
    Any,
    /// Every name below this one, without itself: `example.com` of `*.example.com`, in lower case.
    Suffix(Box<str>),
    /// One name, `localhost` among them, in lower case and without a dot at its end.
    Name(Box<str>),
    /// One address. An IPv4 address mapped into IPv6 is the IPv4 address.
    Address(IpAddr),
}

/// Which ports a grant covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortGrant {
    /// The scheme's own: 80 for http, 443 for https. Never with [`HostGrant::Any`], where no port means any.
    Default,
    /// Every port.
    Any,
    /// This one.
    Exact(u16),
}

/// A folder of the host, as a guest sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirGrant {
    /// On the host; absolute.
    pub path: PathBuf,
    /// What the guest calls it: absolute or relative, without `..`.
    pub guest: String,
    /// The guest may change nothing in it.
    pub read_only: bool,
}

/// One destination of sockets, as text `host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketGrant {
    /// A name or an address.
    pub host: HostGrant,
    /// Its port, not 0.
    pub port: u16,
}

#[cfg(test)]
mod tests;
