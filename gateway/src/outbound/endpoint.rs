//! One server at one address, as an upstream has it: how to speak with it, and the connections to it.
//!
//! This is the data path of proxied requests, hyper's connections under a pool of our own; docs/decisions has the
//! figures that decided.

use super::connection::Connection;
use super::destination::{Destination, Host, Target};
use super::dial::{self, Secured};
use super::exchange::{self, Manner, Outcome};
use super::pool::Pool;
use super::response::ResponseBody;
use super::tunnel::Tunnel;
use super::upload::Upload;
use super::{SendError, Timeouts};
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use rustls::ClientConfig;
use std::error::Error;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

/// How an endpoint is reached.
#[derive(Clone, Debug)]
pub(crate) struct EndpointOptions {
    /// Where connections go.
    pub(crate) address: SocketAddr,
    /// What the configuration calls it: a name, or an address with or without brackets. It stands in for a Host field
    /// that is missing, and is the name on its certificate unless `server_name` is another one.
    pub(crate) host: String,
    /// With TLS: whom to trust, whom to be, and which protocols to offer.
    pub(crate) tls: Option<Arc<ClientConfig>>,
    /// The name its certificate has to have, and that SNI asks for.
    pub(crate) server_name: Option<String>,
    /// HTTP/2 without negotiation.
    pub(crate) is_h2c: bool,
    /// With TLS: HTTP/2 and nothing else will do.
    pub(crate) needs_h2: bool,
    /// Open connections at once, idle ones included.
    pub(crate) connections_max: usize,
    /// Requests that wait for one of them; one more fails at once.
    pub(crate) pending_max: usize,
    /// Door runtimes that use it.
    pub(crate) doors: usize,
}

/// One server, and the connections to it.
pub(crate) struct Endpoint<B> {
    to: Arc<Destination<'static>>,
    target: Target,
    address: [SocketAddr; 1],
    secured: Option<Secured>,
    /// The same with HTTP/1.1 alone, for requests that leave HTTP.
    secured_h1: Option<Secured>,
    needs_h2: bool,
    pool: Arc<Pool<B>>,
}

/// What became of a request.
pub(crate) enum Attempt {
    /// The head of the response is here.
    Response(Response<ResponseBody>),
    /// 101, as the request wanted.
    Upgraded(Response<()>, Tunnel),
    /// No byte of the request went anywhere, and it is where it was taken from.
    Unsent(SendError),
    /// A part of it may have, and whether the server acted on it is not known.
    Failed(SendError),
}

impl<B> Endpoint<B>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Default + Send + Unpin + 'static,
{
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// When the host, or the name that stands in for it, can be no name on a certificate.
    pub(crate) fn new(options: EndpointOptions) -> Result<Arc<Self>, SendError> {
        let address = options.address;
        let host = match options.host.parse() {
            Ok(address) => Host::Address(address),
            Err(_) => Host::parse(&options.host)?,
        };
        let to = Destination {
            is_https: options.tls.is_some(),
            is_h2c: options.is_h2c,
            host,
            port: address.port(),
        }
        .to_owned();
        let secured = match options.tls {
            None => None,
            Some(config) => Some(Secured {
                config,
                name: match &options.server_name {
                    Some(name) => Host::parse(name)?.server_name()?,
                    None => to.host.server_name()?,
                },
            }),
        };
        Ok(Arc::new(Self {
            target: to.target()?,
            to: Arc::new(to),
            address: [address],
            secured_h1: secured.as_ref().map(Secured::for_h1),
            secured,
            needs_h2: options.needs_h2,
            pool: Arc::new(Pool::new(options.connections_max, options.pending_max, options.doors)),
        }))
    }

    /// Sends the request that is in `slot`, whose URI is in origin-form, and gives the response once its head is here. Its
    /// fields are sent as they are: what concerns one connection only was taken out. Dropping this future, or the body
    /// of the response, breaks the exchange off at once.
    pub(crate) async fn send(&self, slot: &mut Option<Request<B>>, timeouts: &Timeouts, manner: Manner) -> Attempt {
        let kept = if manner.upgrades && self.to.may_share() {
            // Among the kept ones may be any of HTTP/2, which has no Upgrade.
            None
        } else {
            self.pool.take(&self.to, manner.goes_once).await
        };
        let connection = match kept {
            Some(connection) => connection,
            None if manner.upgrades => match Box::pin(self.connect_h1(timeouts.connect)).await {
                Ok(connection) => connection,
                Err(error) => return Attempt::Unsent(error),
            },
            // Apart, so that requests that find a connection have no room for making one.
            None => match Box::pin(self.connect(timeouts.connect, true)).await {
                Ok(connection) => connection,
                Err(error) => return Attempt::Unsent(error),
            },
        };
        let mut upload = slot.take().map(|request| request.map(Upload::new));
        let mut outcome = exchange::send(connection, &self.target, &mut upload, timeouts, manner).await;
        if matches!(outcome, Outcome::Unsent(_)) {
            // The server closed the connection, most likely while it was idle. Nothing of the request was sent, so it
            // is sent once more, on a connection that cannot have been waiting.
            outcome = Box::pin(self.send_anew(&mut upload, timeouts, manner)).await;
        }
        match outcome {
            Outcome::Response(response) => Attempt::Response(response),
            Outcome::Upgraded(response, tunnel) => Attempt::Upgraded(response, tunnel),
            Outcome::Failed(error) => Attempt::Failed(error),
            Outcome::Unsent(error) => {
                *slot = upload.map(|request| request.map(Upload::into_body));
                Attempt::Unsent(error)
            }
        }
    }

    /// A new connection of HTTP/1.1, whatever is spoken otherwise.
    async fn connect_h1(&self, patience: Duration) -> Result<Connection<B>, SendError> {
        let deadline = Instant::now() + patience;
        let dial = |place| async move {
            let (stream, _) = dial::open(self.secured_h1.clone(), &self.address, deadline).await?;
            let connection = dial::speak(&self.pool, Arc::clone(&self.to), stream, false, place).await;
            if let Ok(Connection::H1(connection)) = &connection
                && self.to.may_share()
            {
                // Not to be kept where requests without an upgrade would meet it.
                connection.link.spoil();
            }
            connection
        };
        self.pool.open(None, deadline, dial).await
    }

    async fn send_anew(&self, upload: &mut Option<Request<Upload<B>>>, timeouts: &Timeouts, manner: Manner) -> Outcome {
        match self.connect(timeouts.connect, false).await {
            Ok(connection) => exchange::send(connection, &self.target, upload, timeouts, manner).await,
            Err(error) => Outcome::Unsent(error),
        }
    }

    /// Whether a connection can be made within `patience`, the TLS handshake included. It is closed again.
    pub(crate) async fn reach(&self, patience: Duration) -> Result<(), SendError> {
        let opened = dial::open(self.secured.clone(), &self.address, Instant::now() + patience).await;
        opened.map(drop)
    }

    async fn connect(&self, patience: Duration, is_any_welcome: bool) -> Result<Connection<B>, SendError> {
        let deadline = Instant::now() + patience;
        let dial = |place| self.dial(place, deadline);
        if is_any_welcome {
            self.pool.connect(&self.to, deadline, dial).await
        } else {
            self.pool.open(None, deadline, dial).await
        }
    }

    async fn dial(&self, place: OwnedSemaphorePermit, deadline: Instant) -> Result<Connection<B>, SendError> {
        let (stream, is_h2) = dial::open(self.secured.clone(), &self.address, deadline).await?;
        if self.needs_h2 && !is_h2 {
            return Err(SendError::NoH2);
        }
        let is_h2 = is_h2 || self.to.is_h2c;
        if !is_h2 {
            self.pool.is_unshared(&self.to);
        }
        dial::speak(&self.pool, Arc::clone(&self.to), stream, is_h2, place).await
    }
}

impl<B> Endpoint<B> {
    /// Connections open now, or being made.
    pub(crate) fn connections(&self) -> usize {
        self.pool.connections()
    }

    /// Interim responses (1xx) since this was asked last: they are for the hop, and end here.
    pub(crate) fn take_interims(&self) -> u64 {
        self.pool.interims.swap(0, Ordering::Relaxed)
    }

    /// Closes the connections nobody used for `older_than`.
    pub(crate) fn close_idle(&self, older_than: Duration) {
        self.pool.close_idle(older_than);
    }
}

impl<B> fmt::Debug for Endpoint<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("to", &self.to)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}
