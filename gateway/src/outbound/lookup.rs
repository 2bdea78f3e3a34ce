//! Names that guests look up for sockets of their own, by the rules of outgoing requests.

use super::destination::{Destination, Host, canonical};
use super::policy::{Reach, is_localhost};
use super::resolve::Addresses;
use super::{Outbound, SendError};
use crate::limits;
use hickory_resolver::proto::rr::Name;
use std::borrow::Cow;
use std::net::IpAddr;
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
            host: Host::Name(Cow::Borrowed(name)),
            port: 0,
        };
        let deadline = Instant::now() + limits::DNS_TIMEOUT;
        let found: Addresses = self.resolver.addresses(&to, reach, deadline).await?;
        Ok(found.into_iter().map(|address| canonical(address.ip())))
    }
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
    }
}
