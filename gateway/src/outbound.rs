//! The connections this gateway makes itself: which destinations are allowed, and a pool for each component and for
//! each server of an upstream.
//!
//! A request is judged by name before DNS and by address after it, and its connection goes to an address that was
//! judged; nothing is looked up twice. Connections are hyper's, one at a time, because the pool must do what
//! hyper-util's does not: count per component, close idle connections to make room, stay on the core that made them.
//!
//! Times. `connect` runs until a connection is there: waiting for a place, DNS, TCP, TLS. `first_byte` runs from when
//! the request was handed to the connection; as long as its body makes progress it begins again with each piece, so a
//! long upload is bounded by its standstills and not by its length. While the next piece is waited for it does not run:
//! a slow client is no fault of the server's. `between_bytes` runs while the response body is
//! waited for.

mod acquire;
mod address;
mod client;
mod connection;
mod destination;
mod dial;
mod endpoint;
mod error;
mod exchange;
mod length;
mod lookup;
mod policy;
mod pool;
mod resolve;
mod response;
mod screen;
mod socket;
mod tls;
mod tunnel;
mod upload;

#[cfg(test)]
pub(crate) mod tests;

pub(crate) use self::client::Client;
pub(crate) use self::endpoint::{Attempt, Endpoint, EndpointOptions};
pub(crate) use self::error::SendError;
pub(crate) use self::exchange::Manner;
pub(crate) use self::lookup::Asked;
pub(crate) use self::policy::{DeniedReason, Policy};
pub(crate) use self::response::ResponseBody;
pub(crate) use self::tls::{Identity, Trust, client_config};
pub(crate) use self::tunnel::Tunnel;

use self::resolve::Resolver;
use self::tls::Tls;
use crate::limits;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Who is asked for addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Dns {
    /// Whom the system asks: `/etc/resolv.conf` and `/etc/hosts`, as they are at the first lookup.
    System,
    /// These name servers, and no file.
    Servers(Vec<SocketAddr>),
}

impl From<&[SocketAddr]> for Dns {
    /// These name servers; the system's where none is named.
    fn from(servers: &[SocketAddr]) -> Self {
        match servers {
            [] => Self::System,
            servers => Self::Servers(servers.to_vec()),
        }
    }
}

/// What all outgoing connections of the gateway share: the resolver with its answers, and whom to trust.
#[derive(Debug)]
pub(crate) struct Outbound {
    resolver: Resolver,
    tls: Tls,
}

impl Outbound {
    /// Needs no runtime and reads no file: both the resolver and the trusted roots are made when first needed.
    pub(crate) fn new(dns: Dns) -> Arc<Self> {
        Arc::new(Self {
            resolver: Resolver::new(dns),
            tls: Tls::default(),
        })
    }

    /// The same, trusting `roots` instead of the system's.
    #[cfg(test)]
    pub(crate) fn trusting(dns: Dns, roots: rustls::RootCertStore) -> Arc<Self> {
        Arc::new(Self {
            resolver: Resolver::new(dns),
            tls: Tls::trusting(roots),
        })
    }
}

/// How long each part of an exchange may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timeouts {
    /// Until there is a connection.
    pub connect: Duration,
    /// From then to the head of the response, beginning again with each piece of the request body.
    pub first_byte: Duration,
    /// Between two pieces of the response body.
    pub between_bytes: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: limits::OUTGOING_CONNECT_TIMEOUT,
            first_byte: limits::OUTGOING_FIRST_BYTE_TIMEOUT,
            between_bytes: limits::OUTGOING_BETWEEN_BYTES_TIMEOUT,
        }
    }
}

impl Timeouts {
    /// Components may ask for more than a clock can say.
    fn bounded(self) -> Self {
        let bounded = |time: Duration| time.min(limits::OUTGOING_TIMEOUT_MAX);
        Self {
            connect: bounded(self.connect),
            first_byte: bounded(self.first_byte),
            between_bytes: bounded(self.between_bytes),
        }
    }
}
