//! What travels with a request: owned, cheap to clone, alive until the last byte of the answer is out.

use super::call::Call;
use super::forwarded::ForwardedFor;
use super::timing::Timing;
use super::trusted::Provenance;
use super::upgrade::AfterUpgrade;
use std::any::Any;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

/// Identifies one request in logs and answers: unique over processes, 128 bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId(u128);

impl RequestId {
    /// A new id: 64 random bits of this process and a count, so that making one takes no system call.
    fn next() -> Self {
        static PROCESS: OnceLock<u64> = OnceLock::new();
        static COUNT: AtomicU64 = AtomicU64::new(1);
        let process = *PROCESS.get_or_init(rand::random);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        // The count is mixed so that neighbouring ids differ in every digit when people compare them.
        let mixed = count.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Self((u128::from(process) << 64) | u128::from(mixed))
    }

    /// The id as a number.
    pub fn as_u128(self) -> u128 {
        self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Who sent the request, and over what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// The peer's address.
    pub address: SocketAddr,
    /// The listener's own address, as the client reached it.
    pub local: SocketAddr,
    /// Whether the connection is encrypted.
    pub tls: bool,
}

/// The other end of a connection.
#[derive(Debug)]
pub struct Peer {
    client: Client,
    /// What servers behind the gateway are told of it, once one has to be.
    forwarded: OnceLock<Box<ForwardedFor>>,
}

impl Peer {
    /// Whoever is connected.
    pub fn new(client: Client) -> Self {
        Self {
            client,
            forwarded: OnceLock::new(),
        }
    }

    /// Its address, and over what it is connected.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// What servers are told of it.
    pub(crate) fn forwarded(&self) -> &ForwardedFor {
        self.forwarded.get_or_init(|| Box::new(ForwardedFor::of(&self.client)))
    }
}

/// The context of one request. A clone is one atomic increment.
#[derive(Clone)]
pub struct RequestCx(Arc<Inner>);

struct Inner {
    id: RequestId,
    peer: Arc<Peer>,
    provenance: Provenance,
    client: Client,
    call: Call,
    timing: Timing,
    /// The snapshot this request runs on; kept alive until the request's very end.
    pinned: Mutex<Option<Arc<dyn Any + Send + Sync>>>,
    /// What runs on the connection behind the answer, where that ends HTTP on it.
    after: Mutex<Option<AfterUpgrade>>,
    /// The server that answered, where one behind the gateway did.
    answerer: OnceLock<Answerer>,
}

impl RequestCx {
    /// A context for a request whose head is complete now, of whoever is connected.
    pub fn new(client: Client) -> Self {
        Self::of(Arc::new(Peer::new(client)), Provenance::Direct)
    }

    /// The same for a request by way of `peer`, which may speak for somebody else.
    pub(crate) fn of(peer: Arc<Peer>, provenance: Provenance) -> Self {
        let mut client = peer.client;
        if let Some(address) = provenance.client() {
            client.address = address;
        }
        Self(Arc::new(Inner {
            id: RequestId::next(),
            peer,
            provenance,
            client,
            call: Call::new(Instant::now()),
            timing: Timing::default(),
            pinned: Mutex::new(None),
            after: Mutex::new(None),
            answerer: OnceLock::new(),
        }))
    }

    /// The request's id.
    pub fn id(&self) -> RequestId {
        self.0.id
    }

    /// Who is connected.
    pub(crate) fn peer(&self) -> &Peer {
        &self.0.peer
    }

    /// Whom the peer speaks for.
    pub(crate) fn provenance(&self) -> Provenance {
        self.0.provenance
    }

    /// Who asks: the peer, or whom a trusted proxy speaks for.
    pub fn client(&self) -> &Client {
        &self.0.client
    }

    /// The call that the connection may stop.
    pub fn call(&self) -> &Call {
        &self.0.call
    }

    /// Where its time goes.
    pub fn timing(&self) -> &Timing {
        &self.0.timing
    }

    /// Keeps `what` alive as long as this request, or until [`Self::unpin`].
    pub fn pin(&self, what: Arc<dyn Any + Send + Sync>) {
        *self.0.pinned.lock().unwrap_or_else(PoisonError::into_inner) = Some(what);
    }

    /// Lets go of what was pinned: what goes on behind an answer may last for days.
    pub(crate) fn unpin(&self) {
        let pinned = self.0.pinned.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(pinned);
    }

    /// The answer ends HTTP on this connection (101, or 2xx to an extended CONNECT), and `after` goes on with it.
    pub fn upgrade(&self, after: AfterUpgrade) {
        *self.0.after.lock().unwrap_or_else(PoisonError::into_inner) = Some(after);
    }

    /// What goes on behind the answer, once.
    pub fn take_upgrade(&self) -> Option<AfterUpgrade> {
        self.0.after.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Remembers which server behind the gateway answered. The first one stays.
    pub fn served_by(&self, server: Arc<str>) {
        let _ = self.0.answerer.set(Answerer::Server(server));
    }

    /// Remembers which component of a split answers. The first one stays.
    pub fn answered_by(&self, component: Arc<str>) {
        let _ = self.0.answerer.set(Answerer::Component(component));
    }

    /// The server behind the gateway that answered.
    pub fn server(&self) -> Option<&Arc<str>> {
        match self.0.answerer.get() {
            Some(Answerer::Server(server)) => Some(server),
            _ => None,
        }
    }

    /// The component that answered behind a split.
    pub fn component(&self) -> Option<&Arc<str>> {
        match self.0.answerer.get() {
            Some(Answerer::Component(component)) => Some(component),
            _ => None,
        }
    }

    /// Whether both are the context of the same request.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// Who answered, where the route alone does not say.
enum Answerer {
    Server(Arc<str>),
    Component(Arc<str>),
}

impl fmt::Debug for RequestCx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestCx")
            .field("id", &self.0.id)
            .field("client", &self.0.client)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_print_as_32_hex_digits() {
        let (a, b) = (RequestId::next(), RequestId::next());
        assert_ne!(a, b);
        assert_eq!(a.to_string().len(), 32);
        assert!(a.to_string().bytes().all(|b| b.is_ascii_hexdigit()));
    }
}
