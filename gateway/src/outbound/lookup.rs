//! Names that are looked up for other ends than a guest's request: guests' own sockets, by the rules of their requests,
//! and the servers of upstreams.

use super::destination::{Destination, Host, canonical};
use super::policy::{LOCALHOST, Reach, is_localhost};
use super::resolve::Addresses;
use super::{Outbound, SendError};
use crate::limits;
use hickory_resolver::proto::rr::Name;
use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use tokio::time::Instant;

/// What a guest asks to look up, as grants have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Nothing to look up. A mapped address is the IPv4 address it maps.
    Address(IpAddr),
    /// In lower case, in ASCII and without a dot at its end.
    Name(Box<str>),
}

impl Asked {
    /// `None` for what is neither a name nor an address in its usual notation.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Some(Self::Address(canonical(address)));
        }
        if text.is_ascii() {
            return Self::of(text);
        }
        Self::of(&Name::from_utf8(text).ok()?.to_ascii())
    }

    fn of(text: &str) -> Option<Self> {
        Some(match Host::parse(text).ok()? {
            Host::Address(address) => Self::Address(address),
            Host::Name(name) => Self::Name(name.into()),
        })
    }

    /// Whether a grant for `granted` covers this name.
    pub(crate) fn is_covered_by(&self, granted: &str) -> bool {
        match self {
            Self::Address(_) => false,
            Self::Name(name) => **name == *granted || (granted == "localhost" && is_localhost(name)),
        }
    }
}

impl Outbound {
    /// The addresses of a name that was granted by its name: none that a name may not mean, and one at least.
    pub(crate) async fn addresses(&self, name: &str) -> Result<impl Iterator<Item = IpAddr> + use<>, SendError> {
        let reach = if is_localhost(name) {
            Reach::Localhost
        } else {
            Reach::Resolved { with_private: true }
        };
        let to = Destination {
            is_https: false,
            is_h2c: false,
            host: Host::Name(Cow::Borrowed(name)),
            port: 0,
        };
        let deadline = Instant::now() + limits::DNS_TIMEOUT;
        let found: Addresses = self.resolver.addresses(&to, reach, deadline).await?;
        Ok(found.into_iter().map(|address| canonical(address.ip())))
    }

    /// The addresses of an upstream's server, of one family, and one at least. The operator named it, so any will do.
    ///
    /// A name that has both families has the same machines in both as a rule: each would count twice, and where one
    /// family leads nowhere half the requests would go there. So it is IPv4 unless this machine has no route there.
    pub(crate) async fn upstream_addresses(&self, name: &str) -> Result<Vec<IpAddr>, SendError> {
        let found: Vec<IpAddr> = if is_localhost(name) {
            LOCALHOST.to_vec()
        } else {
            let deadline = Instant::now() + limits::DNS_TIMEOUT;
            let found = self.resolver.look_up(name, deadline).await?;
            found.into_iter().map(canonical).collect()
        };
        let of_one_family = one_family(found, has_route);
        if of_one_family.is_empty() {
            return Err(SendError::NameNotFound {
                rcode: "NOERROR".to_owned(),
            });
        }
        Ok(of_one_family)
    }
}

/// Those of IPv4, unless IPv6 alone has a route.
fn one_family(found: Vec<IpAddr>, has_route: impl Fn(&IpAddr) -> bool) -> Vec<IpAddr> {
    let (v4, v6): (Vec<_>, Vec<_>) = found.into_iter().partition(IpAddr::is_ipv4);
    let is_only_v6 = v4.is_empty() || (v6.iter().any(&has_route) && !v4.iter().any(&has_route));
    if is_only_v6 { v6 } else { v4 }
}

/// Whether packets to `address` have a way out of this machine. None is sent: the kernel looks for the way when a
/// datagram socket is told its peer.
fn has_route(address: &IpAddr) -> bool {
    let any = match address {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let discard = 9;
    std::net::UdpSocket::bind((any, 0)).is_ok_and(|socket| socket.connect((*address, discard)).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_grants_have_them() {
        let name = |text: &str| Some(Asked::Name(text.into()));
        let address = |text: &str| Some(Asked::Address(text.parse().unwrap()));
        assert_eq!(Asked::parse("DB.Internal."), name("db.internal"));
        assert_eq!(Asked::parse("bücher.example"), name("xn--bcher-kva.example"));
        assert_eq!(Asked::parse("::1"), address("::1"));
        assert_eq!(Asked::parse("[::1]"), address("::1"));
        assert_eq!(Asked::parse("::ffff:10.0.0.1"), address("10.0.0.1"));
        assert_eq!(Asked::parse("10.0.0.1"), address("10.0.0.1"));
        for neither in ["", ".", "127.1", "0x7f.1", "a b", "a..b", "-a", "a/b", "a:1"] {
            assert_eq!(Asked::parse(neither), None, "{neither}");
        }
    }

    #[test]
    fn a_grant_covers_its_own_name_and_localhost_all_below_it() {
        let asked = |text: &str| Asked::parse(text).unwrap();
        assert!(asked("db.internal").is_covered_by("db.internal"));
        assert!(!asked("a.db.internal").is_covered_by("db.internal"));
        assert!(!asked("internal").is_covered_by("db.internal"));
        assert!(asked("localhost").is_covered_by("localhost"));
        assert!(asked("a.localhost").is_covered_by("localhost"));
        assert!(!asked("alocalhost").is_covered_by("localhost"));
        assert!(!asked("127.0.0.1").is_covered_by("localhost"));
    }

    #[tokio::test]
    async fn localhost_is_this_machine_and_no_server_is_asked() {
        let nobody = std::net::SocketAddr::from(([127, 0, 0, 1], 9));
        let outbound = Outbound::new(super::super::Dns::Servers(vec![nobody]));
        let found: Vec<_> = outbound.addresses("a.localhost").await.unwrap().collect();
        assert_eq!(found, ["127.0.0.1".parse::<IpAddr>().unwrap(), "::1".parse().unwrap()]);
        let found = outbound.upstream_addresses("localhost").await.unwrap();
        assert_eq!(
            found,
            ["127.0.0.1".parse::<IpAddr>().unwrap()],
            "one machine is one server"
        );
    }

    #[test]
    fn a_server_of_both_families_is_reached_by_one() {
        let [a, b]: [IpAddr; 2] = ["192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap()];
        let c: IpAddr = "2001:db8::1".parse().unwrap();
        assert_eq!(one_family(vec![a, c, b], |_| true), [a, b]);
        assert_eq!(
            one_family(vec![a, c], |_| false),
            [a],
            "what is known to be wrong is no better than what is not"
        );
        assert_eq!(one_family(vec![a, c], IpAddr::is_ipv6), [c]);
        assert_eq!(one_family(vec![c], |_| false), [c]);
        assert_eq!(one_family(vec![], |_| true), [] as [IpAddr; 0]);
        assert!(has_route(&IpAddr::V4(Ipv4Addr::LOCALHOST)));
    }
}
