//! Sending a request: judged, put on a connection that is open or made for it, and sent once.

use super::connection::Connection;
use super::destination::{Destination, Target};
use super::dial::{self, Secured};
use super::exchange::{self, Manner, Outcome};
use super::policy::{Policy, Reach};
use super::pool::Pool;
use super::response::ResponseBody;
use super::upload::Upload;
use super::{Outbound, SendError, Timeouts, length};
use bytes::Bytes;
use http::header::{CONNECTION, TE, TRANSFER_ENCODING, UPGRADE};
use http::{Method, Request, Response};
use http_body::Body;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

/// The connections of one component to the servers its policy allows.
pub(crate) struct Client<B> {
    outbound: Arc<Outbound>,
    policy: Policy,
    pool: Arc<Pool<B>>,
}

impl<B> Client<B>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + Unpin + 'static,
{
    /// At most `connections_max` connections at once, idle ones included, used by `doors` door runtimes.
    pub(crate) fn new(outbound: Arc<Outbound>, policy: Policy, connections_max: usize, doors: usize) -> Arc<Self> {
        Arc::new(Self {
            outbound,
            policy,
            pool: Arc::new(Pool::new(connections_max, usize::MAX, doors)),
        })
    }

    /// Sends `request`, whose URI is absolute, and gives the response once its head is here. Dropping this future, or
    /// the body of the response, breaks the exchange off at once.
    pub(crate) async fn send(
        self: &Arc<Self>,
        mut request: Request<B>,
        timeouts: Timeouts,
    ) -> Result<Response<ResponseBody>, SendError> {
        let timeouts = timeouts.bounded();
        if request.method() == Method::CONNECT {
            return Err(SendError::Method);
        }
        let target = Target::take(request.uri_mut())?;
        let to = target.destination()?;
        let reach = self.policy.judge(&to).map_err(SendError::Denied)?;
        check_fields(&mut request)?;
        let request = request.map(Upload::new);
        let deadline = Instant::now() + timeouts.connect;
        let connection = match self.pool.take(&to, true).await {
            Some(connection) => connection,
            None => {
                let dial = |place| self.dial(&to, reach, place, deadline);
                self.pool.connect(&to, deadline, dial).await?
            }
        };
        let mut slot = Some(request);
        match exchange::send(connection, &target, &mut slot, &timeouts, Manner::default()).await {
            Outcome::Response(response) => return Ok(response),
            Outcome::Upgraded(..) => return Err(SendError::Upgrade),
            Outcome::Failed(error) => return Err(error),
            Outcome::Unsent(_) => {}
        }
        // The server closed the connection, most likely while it was idle. Nothing of the request was sent, so it is
        // sent once more, on a connection that cannot have been waiting.
        let deadline = Instant::now() + timeouts.connect;
        let dial = |place| self.dial(&to, reach, place, deadline);
        let connection = self.pool.open(None, deadline, dial).await?;
        match exchange::send(connection, &target, &mut slot, &timeouts, Manner::default()).await {
            Outcome::Response(response) => Ok(response),
            Outcome::Upgraded(..) => Err(SendError::Upgrade),
            Outcome::Failed(error) | Outcome::Unsent(error) => Err(error),
        }
    }

    /// Connections open now, or being made.
    pub(crate) fn connections(&self) -> usize {
        self.pool.connections()
    }

    /// Closes the connections nobody used for `older_than`.
    pub(crate) fn close_idle(&self, older_than: Duration) {
        self.pool.close_idle(older_than);
    }

    /// A new connection, which has `place`.
    async fn dial(
        &self,
        to: &Destination<'_>,
        reach: Reach,
        place: OwnedSemaphorePermit,
        deadline: Instant,
    ) -> Result<Connection<B>, SendError> {
        let addresses = self.outbound.resolver.addresses(to, reach, deadline).await?;
        let secured = if to.is_https {
            let config = self.outbound.tls.config().await?;
            let name = to.host.server_name()?;
            Some(Secured { config, name })
        } else {
            None
        };
        let (stream, is_h2) = dial::open(secured, &addresses, deadline).await?;
        let to = Arc::new(to.to_owned());
        if !is_h2 {
            self.pool.is_unshared(&to);
        }
        dial::speak(&self.pool, to, stream, is_h2, place).await
    }
}

/// Takes out what would concern the connection, and refuses lengths that are not those of the body: what a server
/// takes for the rest of a body that never comes is the next request (RFC 9112 §11.2).
fn check_fields<B: Body>(request: &mut Request<B>) -> Result<(), SendError> {
    let exact = request.body().size_hint().exact();
    let headers = request.headers_mut();
    for name in [CONNECTION, TRANSFER_ENCODING, UPGRADE] {
        headers.remove(name);
    }
    if headers.get(TE).is_some_and(|te| te != "trailers") {
        headers.remove(TE);
    }
    let Some(length) = length::content_length(headers)? else {
        return Ok(());
    };
    match exact {
        Some(exact) if exact != length => Err(SendError::Fields("Content-Length is not the length of the body")),
        _ => Ok(()),
    }
}

impl<B> fmt::Debug for Client<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("policy", &self.policy)
            .field("pool", &self.pool)
            .finish_non_exhaustive()
    }
}
