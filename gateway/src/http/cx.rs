//! What travels with a request: owned, cheap to clone, alive until the last byte of the answer is out.

use super::call::Call;
use super::timing::Timing;
use std::any::Any;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
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

/// The context of one request. A clone is one atomic increment.
#[derive(Clone)]
pub struct RequestCx(Arc<Inner>);

struct Inner {
    id: RequestId,
    client: Client,
    call: Call,
    timing: Timing,
    /// The snapshot this request runs on; kept alive until the request's very end.
    pinned: OnceLock<Arc<dyn Any + Send + Sync>>,
}

impl RequestCx {
    /// A context for a request whose head is complete now.
    pub fn new(client: Client) -> Self {
        Self(Arc::new(Inner {
            id: RequestId::next(),
            client,
            call: Call::new(Instant::now()),
            timing: Timing::default(),
            pinned: OnceLock::new(),
        }))
    }

    /// The request's id.
    pub fn id(&self) -> RequestId {
        self.0.id
    }

    /// Who asks.
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

    /// Keeps `what` alive as long as this request. A request pins once; a second pin is ignored.
    pub fn pin(&self, what: Arc<dyn Any + Send + Sync>) {
        let _ = self.0.pinned.set(what);
    }

    /// Whether both are the context of the same request.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
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
