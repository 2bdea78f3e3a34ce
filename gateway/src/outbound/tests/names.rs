//! DNS, asked of a name server of the test's own.

use super::super::destination::{Destination, Host};
use super::super::policy::Reach;
use super::super::resolve::{Addresses, Resolver};
use super::name_server::NameServer;
use super::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use tokio::time::Instant;

const PUBLIC: IpAddr = IpAddr::V4(Ipv4Addr::new(93, 184, 216, 34));
const PUBLIC_6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2606, 0x4700, 0, 0, 0, 0, 0, 0x1111));
const PRIVATE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 1, 2, 3));
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const METADATA: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254));

fn zone(name: &str, asked_before: usize) -> Option<(u32, Vec<IpAddr>)> {
    Some(match name {
        "public.test" => (60, vec![PUBLIC, PUBLIC_6]),
        "private.test" => (60, vec![PRIVATE]),
        "loopback.test" => (60, vec![LOOPBACK, IpAddr::V6(Ipv6Addr::LOCALHOST)]),
        "metadata.test" => (60, vec![METADATA]),
        "mixed.test" => (60, vec![LOOPBACK, PUBLIC, METADATA, PRIVATE]),
        "rebinding.test" if asked_before == 0 => (0, vec![PUBLIC]),
        "rebinding.test" => (0, vec![LOOPBACK]),
        "empty.test" => (60, Vec::new()),
        "many.test" => (
            60,
            (1..=30)
                .map(|last| IpAddr::V4(Ipv4Addr::new(93, 184, 216, last)))
                .collect(),
        ),
        _ => return None,
    })
}

const ANY: Reach = Reach::Resolved { with_private: false };
const NAMED: Reach = Reach::Resolved { with_private: true };

fn resolver_of(server: &NameServer) -> Resolver {
    Resolver::new(Dns::Servers(vec![server.address]))
}

async fn addresses(resolver: &Resolver, name: &str, reach: Reach) -> Result<Addresses, SendError> {
    let to = Destination {
        is_https: false,
        is_h2c: false,
        host: Host::Name(name.into()),
        port: 8080,
    };
    resolver
        .addresses(&to, reach, Instant::now() + Duration::from_secs(20))
        .await
}

#[tokio::test]
async fn only_addresses_that_are_covered_are_connected_to() {
    let server = NameServer::start(zone).await;
    let resolver = resolver_of(&server);
    let at = |addresses: &[IpAddr]| {
        addresses
            .iter()
            .map(|ip| SocketAddr::new(*ip, 8080))
            .collect::<Addresses>()
    };
    for (name, for_any, for_name) in [
        ("public.test", at(&[PUBLIC, PUBLIC_6]), at(&[PUBLIC, PUBLIC_6])),
        ("private.test", at(&[]), at(&[PRIVATE])),
        ("loopback.test", at(&[]), at(&[])),
        ("metadata.test", at(&[]), at(&[])),
        ("mixed.test", at(&[PUBLIC]), at(&[PUBLIC, PRIVATE])),
    ] {
        for (reach, expected) in [(ANY, for_any), (NAMED, for_name)] {
            match addresses(&resolver, name, reach).await {
                Ok(found) => assert_eq!(found, expected, "{name} {reach:?}"),
                Err(SendError::Denied(DeniedReason::Address(..))) => assert!(expected.is_empty(), "{name} {reach:?}"),
                Err(error) => panic!("{name} {reach:?}: {error:?}"),
            }
        }
        assert_eq!(server.asked(name), 1, "{name}: the answer is kept for its time to live");
    }
    let many = addresses(&resolver, "many.test", ANY).await.unwrap();
    assert_eq!(many.len(), limits::OUTGOING_ADDRESSES_COUNT);
}

#[tokio::test]
async fn a_name_that_changes_its_address_is_judged_anew() {
    let server = NameServer::start(zone).await;
    let resolver = resolver_of(&server);
    assert!(addresses(&resolver, "rebinding.test", ANY).await.is_ok());
    // The first answer stands until its time to live is over.
    let judged_anew = async {
        let mut judged = addresses(&resolver, "rebinding.test", ANY).await;
        while judged.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
            judged = addresses(&resolver, "rebinding.test", ANY).await;
        }
        judged
    };
    let denied = tokio::time::timeout(Duration::from_secs(30), judged_anew).await;
    let denied = denied.expect("the name has another address by now");
    assert!(
        matches!(denied, Err(SendError::Denied(DeniedReason::Address(..)))),
        "{denied:?}"
    );
}

#[tokio::test]
async fn failures_are_told_apart() {
    let server = NameServer::start(zone).await;
    let resolver = resolver_of(&server);
    for name in ["missing.test", "empty.test"] {
        let error = addresses(&resolver, name, ANY).await.unwrap_err();
        assert!(matches!(error, SendError::NameNotFound { .. }), "{name}: {error:?}");
    }
    let to = Destination {
        is_https: false,
        is_h2c: false,
        host: Host::Name("silent.test".into()),
        port: 80,
    };
    let error = resolver
        .addresses(&to, ANY, Instant::now() + brief())
        .await
        .unwrap_err();
    assert!(matches!(error, SendError::DnsTimeout), "{error:?}");
}

#[tokio::test]
async fn a_component_cannot_reach_inwards_through_a_name() {
    let server = NameServer::start(zone).await;
    let origin = Origin::answering(OK).await;
    let outbound = Outbound::new(Dns::Servers(vec![server.address]));
    let granted = |host| HttpGrant {
        scheme: None,
        host,
        port: PortGrant::Any,
    };
    for (host, name) in [
        (HostGrant::Any, "loopback.test"),
        (HostGrant::Name("loopback.test".into()), "loopback.test"),
        (HostGrant::Suffix("test".into()), "loopback.test"),
        (HostGrant::Any, "metadata.test"),
        (HostGrant::Name("metadata.test".into()), "metadata.test"),
        (HostGrant::Any, "private.test"),
    ] {
        let client: Arc<Client<Sent>> = Client::new(Arc::clone(&outbound), Policy::new(vec![granted(host)]), 4, 1);
        let uri = format!("http://{name}:{}/", origin.address.port());
        let error = client.send(get(uri), patient()).await.unwrap_err();
        assert!(
            matches!(error, SendError::Denied(DeniedReason::Address(..))),
            "{name}: {error:?}"
        );
        assert_eq!(client.connections(), 0);
    }
    let client: Arc<Client<Sent>> = Client::new(outbound, local(), 4, 1);
    let asked = server.asked_in_all();
    let error = client.send(get("http://other.test/"), patient()).await.unwrap_err();
    assert!(
        matches!(error, SendError::Denied(DeniedReason::NotGranted)),
        "{error:?}"
    );
    assert_eq!(server.asked_in_all(), asked, "what is not granted is not looked up");
    assert_eq!(origin.accepted(), 0);
}
