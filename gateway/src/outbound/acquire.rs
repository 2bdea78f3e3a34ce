//! From a request without a connection to one: its turn to connect, a place, and the dialling, or a connection that
//! came free meanwhile.

use super::SendError;
use super::connection::Connection;
use super::destination::Destination;
use super::pool::{Pool, Room, Turn};
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

impl<B> Pool<B> {
    /// A connection to `to` until `deadline`: what `dial` makes of a place, or one that came free meanwhile.
    pub(super) async fn connect<F>(
        self: &Arc<Self>,
        to: &Destination<'_>,
        deadline: Instant,
        dial: impl FnOnce(OwnedSemaphorePermit) -> F,
    ) -> Result<Connection<B>, SendError>
    where
        F: Future<Output = Result<Connection<B>, SendError>>,
    {
        let _lead = match self.turn(to) {
            Turn::Lead(lead) => Some(lead),
            Turn::Beside => None,
            Turn::After(over) => {
                // Waited for once: whatever became of it, this request then goes its own way.
                if tokio::time::timeout_at(deadline, over).await.is_err() {
                    return Err(SendError::ConnectTimeout);
                }
                if let Some(connection) = self.take(to, true).await {
                    return Ok(connection);
                }
                None
            }
        };
        self.open(Some(to), deadline, dial).await
    }

    /// What `dial` makes of a place, or a connection to `instead` that came free before there was one. Without `instead`
    /// only a new connection will do: one that cannot have been closed while it waited.
    pub(super) async fn open<F>(
        &self,
        instead: Option<&Destination<'_>>,
        deadline: Instant,
        dial: impl FnOnce(OwnedSemaphorePermit) -> F,
    ) -> Result<Connection<B>, SendError>
    where
        F: Future<Output = Result<Connection<B>, SendError>>,
    {
        match self.room(instead, deadline).await? {
            Room::Connection(connection) => Ok(connection),
            Room::Place(place) => dial(place).await,
        }
    }
}
