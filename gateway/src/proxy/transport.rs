//! The seam between choosing a server and talking to it: what the data path needs of a client.

use crate::http::Body;
use crate::outbound::{Attempt, Endpoint, Manner, Timeouts};
use http::Request;

/// Sends requests to one server.
pub(super) trait Transport {
    /// Sends `request` in origin-form; dropping the future breaks the exchange off.
    fn send(
        &self,
        request: Request<Body>,
        timeouts: &Timeouts,
        manner: Manner,
    ) -> impl Future<Output = Attempt<Body>> + Send;
}

impl Transport for Endpoint<Body> {
    fn send(
        &self,
        request: Request<Body>,
        timeouts: &Timeouts,
        manner: Manner,
    ) -> impl Future<Output = Attempt<Body>> + Send {
        Self::send(self, request, timeouts, manner)
    }
}
