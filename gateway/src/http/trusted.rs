//! Who sent a request, where proxies that are trusted stand between the client and this gateway.

use super::Client;
use super::forwarded::{FORWARDED, X_FORWARDED_FOR};
use super::nodes::{self, Elements};
use crate::limits;
use http::HeaderMap;
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};

/// Whose word a request's fields are about its way here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Provenance {
    /// The peer's, which may be the client or a proxy that nobody vouches for: what it says of others is not believed.
    #[default]
    Direct,
    /// A trusted proxy's, and the client it speaks for. `None` where it says nothing that can be read. The port is 0
    /// where it is not said.
    Proxied(Option<SocketAddr>),
}

impl Provenance {
    /// Looks who `client` is, and whom it speaks for.
    ///
    /// The client is the last address of X-Forwarded-For that is not itself a trusted proxy's: each proxy adds whom it
    /// saw at the end, so what stands before an address nobody vouches for may be anybody's invention. Where there is
    /// no X-Forwarded-For, Forwarded is read likewise (RFC 7239); never both, since a proxy that writes only one of
    /// them passes the other on as the client sent it. An entry that is no address ends the walk at the one behind it,
    /// and so do [`limits::PROXIES_COUNT`] entries.
    pub(crate) fn of(client: &Client, headers: &HeaderMap, trusted: &[IpNet]) -> Self {
        let is_trusted = |address: IpAddr| trusted.iter().any(|range| range.contains(&address));
        if !is_trusted(client.address.ip().to_canonical()) {
            return Self::Direct;
        }
        let told = if headers.contains_key(X_FORWARDED_FOR) {
            let lines = headers.get_all(X_FORWARDED_FOR).iter().rev();
            let entries = lines.flat_map(|line| line.as_bytes().rsplit(|&byte| byte == b','));
            last_untrusted(entries, nodes::node, is_trusted)
        } else {
            let lines = headers.get_all(FORWARDED).iter().rev();
            let entries = lines.flat_map(|line| Elements::of(line.as_bytes()));
            last_untrusted(entries, nodes::element, is_trusted)
        };
        Self::Proxied(told)
    }

    /// Whether the peer is a trusted proxy.
    pub(crate) fn is_trusted(self) -> bool {
        matches!(self, Self::Proxied(_))
    }

    /// The client, where it is another one than the peer.
    pub(crate) fn client(self) -> Option<SocketAddr> {
        match self {
            Self::Direct => None,
            Self::Proxied(client) => client,
        }
    }
}

/// Walks `entries`, of which the last comes first.
fn last_untrusted<'a>(
    entries: impl Iterator<Item = &'a [u8]>,
    read: impl Fn(&[u8]) -> Option<SocketAddr>,
    is_trusted: impl Fn(IpAddr) -> bool,
) -> Option<SocketAddr> {
    let mut client = None;
    // Lists may have empty members (RFC 9110 §5.6.1), which count, since they cost.
    let entries = entries.take(limits::PROXIES_COUNT).map(<[u8]>::trim_ascii);
    for entry in entries.filter(|entry| !entry.is_empty()) {
        let Some(address) = read(entry) else { break };
        client = Some(address);
        if !is_trusted(address.ip()) {
            break;
        }
    }
    client
}

#[cfg(test)]
mod tests;
