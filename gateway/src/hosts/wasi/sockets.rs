//! Granted sockets: where TCP connects and UDP sends, and from where it receives. Nothing listens.

use crate::config::{HostGrant, SocketGrant};
use crate::limits;
use crate::outbound::{Asked, Outbound, SendError};
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::sockets::SocketAddrUse;

/// The destinations of one component.
pub(super) struct Sockets {
    addresses: Box<[SocketAddr]>,
    names: Box<[(Box<str>, u16)]>,
    outbound: Arc<Outbound>,
}

impl Sockets {
    /// `None` where nothing is granted.
    pub(super) fn new(grants: &[SocketGrant], outbound: &Arc<Outbound>) -> Option<Arc<Self>> {
        if grants.is_empty() {
            return None;
        }
        let (mut addresses, mut names) = (Vec::new(), Vec::new());
        for SocketGrant { host, port } in grants {
            match host {
                HostGrant::Address(address) => addresses.push(SocketAddr::new(address.to_canonical(), *port)),
                HostGrant::Name(name) => names.push((name.clone(), *port)),
                // The configuration refuses wildcards for sockets: each host and port stands by itself.
                HostGrant::Any | HostGrant::Suffix(_) => {}
            }
        }
        Some(Arc::new(Self {
            addresses: addresses.into(),
            names: names.into(),
            outbound: Arc::clone(outbound),
        }))
    }
}

impl fmt::Debug for Sockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sockets")
            .field("addresses", &self.addresses)
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

/// The granted names of one instance, and the addresses that its lookups of them had. A socket goes to these and to
/// no other, so a name that means something else by now leads nowhere new.
#[derive(Debug)]
pub struct SocketNames {
    sockets: Arc<Sockets>,
    known: Mutex<VecDeque<Known>>,
}

/// What a lookup found.
#[derive(Debug)]
struct Known {
    address: SocketAddr,
    until: Instant,
}

/// Why a lookup has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LookupError {
    /// The name is not granted, or has addresses only that a name may not mean.
    Denied,
    /// Neither a name nor an address.
    Invalid,
    /// It does not exist, or has no address.
    NotFound,
    /// No server answered in time.
    Temporary,
    /// The servers failed.
    Permanent,
}

impl From<SendError> for LookupError {
    fn from(error: SendError) -> Self {
        tracing::debug!("a guest's lookup failed: {error}");
        match error {
            SendError::Denied(_) => Self::Denied,
            SendError::Uri(_) => Self::Invalid,
            SendError::NameNotFound { .. } => Self::NotFound,
            SendError::DnsTimeout => Self::Temporary,
            _ => Self::Permanent,
        }
    }
}

/// The addresses of a name, in the order to try them.
pub(super) type Found = Result<SmallVec<[IpAddr; limits::OUTGOING_ADDRESSES_COUNT]>, LookupError>;

impl SocketNames {
    pub(super) fn of(sockets: &Arc<Sockets>) -> Arc<Self> {
        Arc::new(Self {
            sockets: Arc::clone(sockets),
            known: Mutex::default(),
        })
    }

    /// The addresses of `text`, where a grant names it. An address is its own, granted or not: nobody is asked.
    pub(super) async fn look_up(&self, text: &str) -> Found {
        let asked = Asked::parse(text).ok_or(LookupError::Invalid)?;
        let name = match &asked {
            Asked::Address(address) => return Ok(SmallVec::from_slice(&[*address])),
            Asked::Name(name) => name,
        };
        let is_granted = |(granted, _): &&(Box<str>, u16)| asked.is_covered_by(granted);
        if !self.sockets.names.iter().any(|grant| is_granted(&grant)) {
            return Err(LookupError::Denied);
        }
        let found: SmallVec<[IpAddr; _]> = self.sockets.outbound.addresses(name).await?.collect();
        for (_, port) in self.sockets.names.iter().filter(is_granted) {
            self.learn(&found, *port);
        }
        Ok(found)
    }

    fn learn(&self, found: &[IpAddr], port: u16) {
        let now = Instant::now();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|known| {
            known.until > now && (known.address.port() != port || !found.contains(&known.address.ip()))
        });
        known.extend(found.iter().map(|address| Known {
            address: SocketAddr::new(*address, port),
            until: now + limits::SOCKET_ADDRESS_TIME,
        }));
        let beyond = known.len().saturating_sub(limits::SOCKET_ADDRESSES_COUNT);
        known.drain(..beyond);
    }

    /// Whether a socket may connect there, send there or receive from there.
    fn is_granted(&self, peer: SocketAddr) -> bool {
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        if self.sockets.addresses.contains(&peer) {
            return true;
        }
        let now = Instant::now();
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().any(|known| known.address == peer && known.until > now)
    }

    fn allows(&self, address: SocketAddr, purpose: SocketAddrUse) -> bool {
        match purpose {
            SocketAddrUse::TcpConnect | SocketAddrUse::UdpSend | SocketAddrUse::UdpReceive => self.is_granted(address),
            // Whoever sends needs an address of its own; which one is the system's choice.
            SocketAddrUse::TcpBind | SocketAddrUse::UdpBind => address.ip().is_unspecified() && address.port() == 0,
            SocketAddrUse::TcpListen | SocketAddrUse::TcpAccept => false,
        }
    }
}

/// Holds every address that a guest uses against `names`.
pub(super) fn check(names: &Arc<SocketNames>, builder: &mut WasiCtxBuilder) {
    let names = Arc::clone(names);
    builder.socket_addr_check(move |address, purpose| Box::pin(std::future::ready(names.allows(address, purpose))));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbound::Dns;

    fn names(grants: &[&str]) -> Arc<SocketNames> {
        let grants: Vec<SocketGrant> = grants.iter().map(|grant| grant.parse().unwrap()).collect();
        let nobody = SocketAddr::from(([127, 0, 0, 1], 9));
        let outbound = Outbound::new(Dns::Servers(vec![nobody]));
        SocketNames::of(&Sockets::new(&grants, &outbound).unwrap())
    }

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_granted_with_its_port_alone() {
        let names = names(&["10.0.0.7:6379", "[::1]:53"]);
        for purpose in [
            SocketAddrUse::TcpConnect,
            SocketAddrUse::UdpSend,
            SocketAddrUse::UdpReceive,
        ] {
            for granted in ["10.0.0.7:6379", "[::ffff:10.0.0.7]:6379", "[::1]:53"] {
                assert!(names.allows(at(granted), purpose), "{granted} {purpose:?}");
            }
            for denied in [
                "10.0.0.7:6380",
                "10.0.0.8:6379",
                "[::1]:6379",
                "127.0.0.1:53",
                "0.0.0.0:0",
            ] {
                assert!(!names.allows(at(denied), purpose), "{denied} {purpose:?}");
            }
        }
    }

    #[test]
    fn nothing_listens_and_only_the_system_chooses_an_address() {
        let names = names(&["127.0.0.1:80", "127.0.0.1:8080"]);
        for purpose in [SocketAddrUse::TcpBind, SocketAddrUse::UdpBind] {
            assert!(names.allows(at("0.0.0.0:0"), purpose) && names.allows(at("[::]:0"), purpose));
            for denied in ["127.0.0.1:80", "127.0.0.1:0", "0.0.0.0:80", "[::]:80", "[::1]:0"] {
                assert!(!names.allows(at(denied), purpose), "{denied} {purpose:?}");
            }
        }
        for purpose in [SocketAddrUse::TcpListen, SocketAddrUse::TcpAccept] {
            assert!(!names.allows(at("127.0.0.1:80"), purpose) && !names.allows(at("0.0.0.0:0"), purpose));
        }
    }

    #[tokio::test]
    async fn a_name_leads_where_its_lookup_led_and_on_its_own_ports() {
        let names = names(&["localhost:80", "localhost:81"]);
        assert!(!names.is_granted(at("127.0.0.1:80")), "nobody looked it up");
        let found = names.look_up("LocalHost.").await.unwrap();
        assert_eq!(found.first(), Some(&at("127.0.0.1:0").ip()));
        for granted in ["127.0.0.1:80", "127.0.0.1:81", "[::1]:80"] {
            assert!(names.is_granted(at(granted)), "{granted}");
        }
        for denied in ["127.0.0.1:82", "127.0.0.2:80", "[::2]:80"] {
            assert!(!names.is_granted(at(denied)), "{denied}");
        }
        // Another instance of the component has not looked it up.
        assert!(!SocketNames::of(&names.sockets).is_granted(at("127.0.0.1:80")));
    }

    #[tokio::test]
    async fn only_granted_names_are_looked_up() {
        let names = names(&["db.internal:5432", "10.0.0.7:80"]);
        for denied in ["localhost", "secret.attacker.example", "a.db.internal", "internal"] {
            assert_eq!(names.look_up(denied).await, Err(LookupError::Denied), "{denied}");
        }
        for invalid in ["", "a b", "127.1"] {
            assert_eq!(names.look_up(invalid).await, Err(LookupError::Invalid), "{invalid}");
        }
        // An address is no name. That it was looked up grants nothing.
        let literal = at("10.9.9.9:5432");
        assert_eq!(names.look_up("10.9.9.9").await.unwrap().as_slice(), [literal.ip()]);
        assert!(!names.is_granted(literal));
    }

    #[test]
    fn only_so_many_addresses_are_kept_and_none_twice() {
        let names = names(&["db.internal:1"]);
        let address = |last: usize| IpAddr::from([10, 0, 0, u8::try_from(last).unwrap()]);
        for _ in 0..2 {
            for last in 0..=limits::SOCKET_ADDRESSES_COUNT {
                names.learn(&[address(last)], 1);
            }
        }
        assert_eq!(names.known.lock().unwrap().len(), limits::SOCKET_ADDRESSES_COUNT);
        assert!(
            !names.is_granted(SocketAddr::new(address(0), 1)),
            "the oldest is forgotten"
        );
        assert!(names.is_granted(SocketAddr::new(address(limits::SOCKET_ADDRESSES_COUNT), 1)));
    }
}
