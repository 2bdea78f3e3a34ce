//! Which destinations a component may reach: by name before DNS, and by address after it.

use super::address::AddressClass;
use super::destination::{Destination, Host, canonical};
use crate::config::{HostGrant, HttpGrant, PortGrant};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What `localhost` and every name under it stands for (RFC 6761 §6.3); no server is asked.
pub(super) const LOCALHOST: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

/// The destinations that were granted. What none of them names is denied.
#[derive(Debug, Default)]
pub(crate) struct Policy(Vec<HttpGrant>);

/// Why a destination is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DeniedReason {
    /// No grant names this scheme, host and port.
    #[error("no grant names this scheme, host and port")]
    NotGranted,
    /// A grant names the host, and does not cover the address it has.
    #[error("{0} is {1} address, which no grant covers")]
    Address(IpAddr, AddressClass),
}

/// Which addresses a destination may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// The literal address itself.
    Literal(IpAddr),
    /// This machine, under a name that always means it.
    Localhost,
    /// Public ones, and private ones if so.
    Resolved { with_private: bool },
}

impl Policy {
    /// Allows what `grants` name and nothing else.
    pub(crate) fn new(grants: Vec<HttpGrant>) -> Self {
        Self(grants)
    }

    /// Judges a destination before anything is looked up.
    pub(super) fn judge(&self, to: &Destination<'_>) -> Result<Reach, DeniedReason> {
        let mut grants = self
            .0
            .iter()
            .filter(|grant| names_scheme_and_port(grant, to))
            .peekable();
        if grants.peek().is_none() {
            return Err(DeniedReason::NotGranted);
        }
        match &to.host {
            Host::Address(address) => judge_literal(grants, *address),
            Host::Name(name) if is_localhost(name) => grants
                .any(|grant| matches!(&grant.host, HostGrant::Name(granted) if **granted == **name || **granted == *"localhost"))
                .then_some(Reach::Localhost)
                .ok_or(DeniedReason::NotGranted),
            Host::Name(name) => judge_name(grants, name),
        }
    }
}

fn names_scheme_and_port(grant: &HttpGrant, to: &Destination<'_>) -> bool {
    grant.scheme.is_none_or(|scheme| scheme == to.scheme())
        && match grant.port {
            PortGrant::Any => true,
            PortGrant::Default => to.has_default_port(),
            PortGrant::Exact(port) => port == to.port,
        }
}

fn judge_literal<'g>(mut grants: impl Iterator<Item = &'g HttpGrant>, address: IpAddr) -> Result<Reach, DeniedReason> {
    let class = AddressClass::of(address);
    let mut is_wide = false;
    let is_granted = grants.any(|grant| match &grant.host {
        HostGrant::Any => {
            is_wide = true;
            class == AddressClass::Public
        }
        HostGrant::Address(granted) => canonical(*granted) == address,
        HostGrant::Suffix(_) | HostGrant::Name(_) => false,
    });
    // No server has these addresses, but systems connect to themselves for some of them.
    let is_never = matches!(
        class,
        AddressClass::Unspecified | AddressClass::Multicast | AddressClass::Broadcast
    );
    match is_granted {
        true if !is_never => Ok(Reach::Literal(address)),
        true => Err(DeniedReason::Address(address, class)),
        false if is_wide => Err(DeniedReason::Address(address, class)),
        false => Err(DeniedReason::NotGranted),
    }
}

fn judge_name<'g>(grants: impl Iterator<Item = &'g HttpGrant>, name: &str) -> Result<Reach, DeniedReason> {
    let mut reach = Err(DeniedReason::NotGranted);
    for grant in grants {
        match &grant.host {
            HostGrant::Any => {
                reach = Ok(Reach::Resolved { with_private: false });
            }
            // Nothing reaches further.
            HostGrant::Suffix(suffix) if is_below(name, suffix) => return Ok(Reach::Resolved { with_private: true }),
            HostGrant::Name(granted) if **granted == *name => return Ok(Reach::Resolved { with_private: true }),
            _ => {}
        }
    }
    reach
}

/// One or more labels before `suffix`.
fn is_below(name: &str, suffix: &str) -> bool {
    name.strip_suffix(suffix)
        .and_then(|labels| labels.strip_suffix('.'))
        .is_some_and(|labels| !labels.is_empty())
}

pub(super) fn is_localhost(name: &str) -> bool {
    name == "localhost" || is_below(name, "localhost")
}

impl Reach {
    /// Judges an address the name has. A connection may go to it and to no other.
    pub(super) fn judge(self, address: IpAddr) -> Result<(), DeniedReason> {
        let class = AddressClass::of(address);
        let is_covered = match self {
            Self::Literal(granted) => granted == address,
            Self::Localhost => class == AddressClass::Loopback,
            Self::Resolved { with_private } => {
                class == AddressClass::Public || (with_private && class == AddressClass::Private)
            }
        };
        if is_covered {
            Ok(())
        } else {
            Err(DeniedReason::Address(address, class))
        }
    }
}

#[cfg(test)]
mod tests;
