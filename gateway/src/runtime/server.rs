//! The seam between triggers and components.

use super::component::State;
use std::sync::Arc;
use std::time::Duration;

/// Runs one kind of trigger (HTTP requests now; WebSocket events and messages to come) on components.
///
/// A server is opened with a resolver: whatever finds, for a request that begins now, the [`State`] that answers it.
/// Replacing what the resolver finds is how components and routes are swapped; a server is never restarted for it.
pub trait Server<S: State>: Send + Sync {
    /// From a request of this trigger to the state that answers it.
    type Resolver: Send + Sync;

    /// The resolver this server was opened with.
    fn resolver(&self) -> &Arc<Self::Resolver>;

    /// What is under way: connections, or calls.
    fn in_flight(&self) -> usize;

    /// Takes nothing new and waits for what is under way, at most until `deadline`; says how much was cut then.
    fn drain(&self, deadline: Duration) -> impl Future<Output = usize> + Send;
}
