//! A name server of a test's own.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use tokio::net::UdpSocket;

/// A name with its addresses and their time to live in seconds, or none.
type Found = Option<(u32, Vec<IpAddr>)>;

pub(crate) struct NameServer {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl NameServer {
    /// Answers with what `zone` has for a name that was asked for so often before. `silent.test` gets no answer.
    pub(crate) async fn start(zone: impl Fn(&str, usize) -> Found + Send + 'static) -> Self {
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

    /// How often the addresses of version 4 of `name` were asked for.
    pub(crate) fn asked(&self, name: &str) -> usize {
        self.asked
            .lock()
            .unwrap()
            .iter()
            .filter(|asked| **asked == format!("{name} 1"))
            .count()
    }

    /// Questions of any kind.
    pub(crate) fn asked_in_all(&self) -> usize {
        self.asked.lock().unwrap().len()
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

fn answer(question: &[u8], kind: u16, found: Found) -> Vec<u8> {
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
