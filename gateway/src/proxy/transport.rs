//! The seam between choosing a server and talking to it: what the data path needs of a client.

use crate::http::Body;
use crate::outbound::{Attempt, Endpoint, Manner, Timeouts};
use http::Request;

/// Sends requests to one server.
pub(super) trait Transport {
    /// Sends the request in `slot`, which is in origin-form, and leaves it there where nothing of it was sent. Dropping
    /// the future breaks the exchange off.
    fn send(
        &self,
        slot: &mut Option<Request<Body>>,
        timeouts: &Timeouts,
        manner: Manner,
    ) -> impl Future<Output = Attempt> + Send;
}

impl Transport for Endpoint<Body> {
    fn send(
        &self,
        slot: &mut Option<Request<Body>>,
        timeouts: &Timeouts,
        manner: Manner,
    ) -> impl Future<Output = Attempt> + Send {
        Self::send(self, slot, timeouts, manner)
    }
}
