//! DNS, asked of a name server of the test's own.

use super::super::destination::{Destination, Host};
use super::super::policy::Reach;
use super::super::resolve::{Addresses, Resolver};
use super::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Mutex;
use tokio::net::UdpSocket;
use tokio::time::Instant;

/// What a name server has: answers come in turn, each with its time to live in seconds.
type Zone = fn(name: &str, asked_before: usize) -> Option<(u32, Vec<IpAddr>)>;

struct NameServer {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl NameServer {
    async fn start(zone: Zone) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            address: socket.local_addr().unwrap(),
            asked: Arc::default(),
        };
        let asked = Arc::clone(&server.asked);
        tokio::spawn(async move {
            let mut question = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut question).await {
                let (name, kind, end) = read_question(&question[..length]);
                let before = {
                    let mut asked = asked.lock().unwrap();
                    let before = asked.iter().filter(|asked| **asked == format!("{name} {kind}")).count();
                    asked.push(format!("{name} {kind}"));
                    before
                };
                if name != "silent.test" {
                    let answer = answer(&question[..end], kind, zone(&name, before));
                    socket.send_to(&answer, from).await.unwrap();
                }
            }
        });
        server
    }

    fn resolver(&self) -> Resolver {
        Resolver::new(Dns::Servers(vec![self.address]))
    }

    /// How often the addresses of version 4 of `name` were asked for.
    fn asked(&self, name: &str) -> usize {
        self.asked
            .lock()
            .unwrap()
            .iter()
            .filter(|asked| **asked == format!("{name} 1"))
            .count()
    }
}

/// Name, type, and where the question ends (RFC 1035 §4.1.2).
fn read_question(message: &[u8]) -> (String, u16, usize) {
    let (mut at, mut labels) = (12, Vec::new());
    while message[at] != 0 {
        let length = usize::from(message[at]);
        labels.push(String::from_utf8(message[at + 1..=at + length].to_vec()).unwrap());
        at += length + 1;
    }
    let kind = u16::from_be_bytes([message[at + 1], message[at + 2]]);
    (labels.join("."), kind, at + 5)
}

fn answer(question: &[u8], kind: u16, found: Option<(u32, Vec<IpAddr>)>) -> Vec<u8> {
    let code = if found.is_some() { 0 } else { 3 };
    let (ttl, addresses) = found.unwrap_or_default();
    let addresses: Vec<_> = addresses
        .into_iter()
        .filter(|found| found.is_ipv4() == (kind == 1))
        .collect();
    let mut message = question.to_vec();
    message[2..12].copy_from_slice(&[0x84, code, 0, 1, 0, addresses.len() as u8, 0, 0, 0, 0]);
    for address in addresses {
        message.extend([0xc0, 12]);
        message.extend(kind.to_be_bytes());
        message.extend([0, 1]);
        message.extend(ttl.to_be_bytes());
        let octets = match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        message.extend((octets.len() as u16).to_be_bytes());
        message.extend(octets);
    }
    message
}

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

async fn addresses(resolver: &Resolver, name: &str, reach: Reach) -> Result<Addresses, SendError> {
    let to = Destination {
        is_https: false,
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
    let resolver = server.resolver();
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
    let resolver = server.resolver();
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
    let resolver = server.resolver();
    for name in ["missing.test", "empty.test"] {
        let error = addresses(&resolver, name, ANY).await.unwrap_err();
        assert!(matches!(error, SendError::NameNotFound { .. }), "{name}: {error:?}");
    }
    let to = Destination {
        is_https: false,
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
    let asked = server.asked.lock().unwrap().len();
    let error = client.send(get("http://other.test/"), patient()).await.unwrap_err();
    assert!(
        matches!(error, SendError::Denied(DeniedReason::NotGranted)),
        "{error:?}"
    );
    assert_eq!(
        server.asked.lock().unwrap().len(),
        asked,
        "what is not granted is not looked up"
    );
    assert_eq!(origin.accepted(), 0);
}
