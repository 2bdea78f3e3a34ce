//! A name server on a port of its own, which answers what a test wants to be true.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

/// What it says of a name.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Says {
    /// This address, for so many seconds; of version 6 there is none.
    Address(Ipv4Addr, u32),
    /// Two of them.
    Both([Ipv4Addr; 2], u32),
    /// This response code (RFC 1035 §4.1.1).
    Code(u8),
    Nothing,
}

pub(crate) struct NameServer {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    is_over: Arc<AtomicBool>,
    serving: Option<JoinHandle<()>>,
}

const A: u16 = 1;

impl NameServer {
    /// `zone` gets a name and how often its address was asked for before.
    pub(crate) fn start(zone: impl Fn(&str, usize) -> Says + Send + 'static) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
        let address = socket.local_addr().expect("it has an address");
        let (asked, is_over) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<AtomicBool>::default());
        let (seen, over) = (Arc::clone(&asked), Arc::clone(&is_over));
        let serving = thread::spawn(move || {
            let mut message = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut message) {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let (name, kind, end) = question(&message[..length]);
                let mut asked = seen.lock().unwrap();
                let before = asked.iter().filter(|known| **known == name).count();
                let says = zone(&name, before);
                if kind == A {
                    asked.push(name);
                }
                drop(asked);
                if let Some(reply) = reply(&message[..end], kind, says) {
                    // Who asked may be gone.
                    let _ = socket.send_to(&reply, from);
                }
            }
        });
        Self {
            address,
            asked,
            is_over,
            serving: Some(serving),
        }
    }

    /// How often the address of `name` was asked for.
    pub(crate) fn asked(&self, name: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|known| *known == name).count()
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        let waker = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
        if waker.send_to(&[0], self.address).is_ok()
            && let Some(serving) = self.serving.take()
        {
            let _ = serving.join();
        }
    }
}

/// Name, type, and where the question ends (RFC 1035 §4.1.2).
fn question(message: &[u8]) -> (String, u16, usize) {
    let (mut at, mut name) = (12, String::new());
    while message[at] != 0 {
        let end = at + 1 + usize::from(message[at]);
        if !name.is_empty() {
            name.push('.');
        }
        name.push_str(&String::from_utf8_lossy(&message[at + 1..end]).to_ascii_lowercase());
        at = end;
    }
    (name, u16::from_be_bytes([message[at + 1], message[at + 2]]), at + 5)
}

fn reply(question: &[u8], kind: u16, says: Says) -> Option<Vec<u8>> {
    let (code, found, ttl) = match says {
        Says::Nothing => return None,
        Says::Code(code) => (code, Vec::new(), 0),
        Says::Address(address, ttl) => (0, vec![address], ttl),
        Says::Both(both, ttl) => (0, both.to_vec(), ttl),
    };
    let found = if kind == A { found } else { Vec::new() };
    let count = u8::try_from(found.len()).expect("few addresses");
    let mut message = question.to_vec();
    // An authoritative response with one question and as many answers; the identifier stays.
    message[2..12].copy_from_slice(&[0x84, code, 0, 1, 0, count, 0, 0, 0, 0]);
    for address in found {
        // The name of the question, type A, class IN.
        message.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1]);
        message.extend_from_slice(&ttl.to_be_bytes());
        message.extend_from_slice(&[0, 4]);
        message.extend_from_slice(&address.octets());
    }
    Some(message)
}
