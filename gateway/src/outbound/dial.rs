//! Making a connection: TCP to one of the addresses, TLS where asked for, and the first words of HTTP.

use super::SendError;
use super::connection::{Connection, H1, H2};
use super::destination::{Destination, Host};
use super::pool::Pool;
use super::socket::{Link, Socket, Stream};
use super::upload::Upload;
use crate::limits;
use crate::tcp;
use bytes::Bytes;
use http::HeaderValue;
use http_body::Body;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::error::Error;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

/// Connects to one of `addresses`, each having its share of the time until `deadline`.
async fn connect(addresses: &[SocketAddr], deadline: Instant) -> Result<tcp::Socket, SendError> {
    let mut failure = SendError::ConnectTimeout;
    for (at, address) in addresses.iter().enumerate() {
        let left = u32::try_from(addresses.len().saturating_sub(at)).unwrap_or(1).max(1);
        let share = deadline.saturating_duration_since(Instant::now()) / left;
        let error = match tokio::time::timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Small requests must not wait for the acknowledgement of the one before.
                stream.set_nodelay(true).map_err(SendError::Connect)?;
                return Ok(tcp::Socket::new(stream));
            }
            Ok(Err(error)) => SendError::of_connect(error),
            Err(_) => SendError::ConnectTimeout,
        };
        // That one family leads nowhere says less than what the other one met.
        if at == 0 || !matches!(error, SendError::Unroutable(_)) {
            failure = error;
        }
    }
    Err(failure)
}

/// TLS towards a server: whom to trust, and the name its certificate has to have.
#[derive(Clone, Debug)]
pub(super) struct Secured {
    pub(super) config: Arc<ClientConfig>,
    pub(super) name: ServerName<'static>,
}

impl Secured {
    /// The same, where nothing but HTTP/1.1 is offered.
    pub(super) fn for_h1(&self) -> Self {
        let mut config = ClientConfig::clone(&self.config);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self {
            config: Arc::new(config),
            name: self.name.clone(),
        }
    }
}

impl Host<'_> {
    /// What a certificate has to name.
    pub(super) fn server_name(&self) -> Result<ServerName<'static>, SendError> {
        match self {
            Host::Name(name) => ServerName::try_from(name.to_string())
                .map_err(|_| SendError::Uri("its host cannot be named by a certificate")),
            Host::Address(address) => Ok(ServerName::IpAddress((*address).into())),
        }
    }
}

/// Opens a stream to one of `addresses`; whether HTTP/2 was agreed on.
pub(super) async fn open(
    secured: Option<Secured>,
    addresses: &[SocketAddr],
    deadline: Instant,
) -> Result<(Stream, bool), SendError> {
    let tcp = connect(addresses, deadline).await?;
    let Some(Secured { config, name }) = secured else {
        return Ok((Stream::Plain(tcp), false));
    };
    let handshake = TlsConnector::from(config).connect(name, tcp);
    let stream = match tokio::time::timeout_at(deadline, handshake).await {
        Ok(stream) => stream.map_err(SendError::of_handshake)?,
        Err(_) => return Err(SendError::ConnectTimeout),
    };
    let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    Ok((Stream::Tls(Box::new(stream)), is_h2))
}

/// Speaks HTTP on `stream`. The connection's driver is a task of this runtime; it ends when nobody holds the
/// connection any more, and with it the place is free.
pub(super) async fn speak<B>(
    pool: &Arc<Pool<B>>,
    to: Arc<Destination<'static>>,
    stream: Stream,
    is_h2: bool,
    place: OwnedSemaphorePermit,
) -> Result<Connection<B>, SendError>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + Unpin + 'static,
{
    let link = Arc::new(Link::new(stream.look(), Arc::clone(&pool.interims)));
    let socket = Socket::new(stream, Arc::clone(&link), place, !is_h2);
    if is_h2 {
        return h2(pool, to, socket, link).await;
    }
    Ok(Connection::H1(Box::new(h1(pool, to, socket, link).await?)))
}

async fn h1<B>(
    pool: &Arc<Pool<B>>,
    to: Arc<Destination<'static>>,
    socket: Socket,
    link: Arc<Link>,
) -> Result<H1<B>, SendError>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + Unpin + 'static,
{
    let host = HeaderValue::try_from(to.to_string()).map_err(|_| SendError::Uri("its host is no field value"))?;
    let (sender, connection) = http1::Builder::new()
        .max_header_size(limits::OUTGOING_HEAD_BYTES)
        .max_buf_size(limits::OUTGOING_BUFFER_BYTES)
        .handshake::<_, Upload<B>>(TokioIo::new(socket))
        .await
        .map_err(SendError::of_request)?;
    let driven = Arc::clone(&link);
    tokio::spawn(async move {
        // Where a server switches protocols the socket goes to whoever asked for that, and this task ends.
        let mut connection = pin!(connection.with_upgrades());
        // What went wrong is told to the request that is on the connection; on an idle one nobody cares.
        poll_fn(|cx| {
            if driven.poll_cut(cx) {
                return Poll::Ready(());
            }
            connection.as_mut().poll(cx).map(drop)
        })
        .await;
    });
    Ok(H1 {
        sender,
        link,
        to,
        host,
        timer: None,
        idle_since: Instant::now(),
        home: Arc::downgrade(pool),
        place: pool.here(),
    })
}

async fn h2<B>(
    pool: &Arc<Pool<B>>,
    to: Arc<Destination<'static>>,
    socket: Socket,
    link: Arc<Link>,
) -> Result<Connection<B>, SendError>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + Unpin + 'static,
{
    let head_bytes = u32::try_from(limits::OUTGOING_HEAD_BYTES).unwrap_or(u32::MAX);
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .initial_stream_window_size(limits::OUTGOING_H2_STREAM_WINDOW_BYTES)
        .initial_connection_window_size(limits::OUTGOING_H2_CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(limits::OUTGOING_H2_SEND_BUFFER_BYTES)
        .max_header_list_size(head_bytes)
        .keep_alive_interval(limits::OUTGOING_H2_PING_INTERVAL)
        .keep_alive_timeout(limits::OUTGOING_H2_PING_TIMEOUT)
        .handshake::<_, Upload<B>>(TokioIo::new(socket))
        .await
        .map_err(SendError::of_request)?;
    let streams_max = Arc::new(AtomicUsize::new(connection.current_max_send_streams()));
    let seen = Arc::clone(&streams_max);
    tokio::spawn(async move {
        let mut connection = connection;
        poll_fn(|cx| {
            let driven = Pin::new(&mut connection).poll(cx);
            seen.store(connection.current_max_send_streams(), Ordering::Relaxed);
            driven.map(drop)
        })
        .await;
    });
    let home = Arc::downgrade(pool);
    let connection = Arc::new(H2::new(sender, link, to, home, streams_max));
    let stream = connection.stream();
    pool.share(&connection);
    stream
        .map(Connection::H2)
        .ok_or_else(|| SendError::Connect(std::io::ErrorKind::ConnectionAborted.into()))
}
