//! One connection's life: TLS, which protocol, hyper, and the orders of the watch.

#[cfg(test)]
mod tests;

use super::DoorShared;
use super::io::{self, DoorIo};
use super::listener::{Admitted, Listener};
use super::proxy_protocol;
use super::service;
use super::shared::{Connection, Order, Phase};
use crate::http::guard::{Guard, HeadLimits};
use crate::http::{Client, Upgrade};
use crate::limits;
use crate::tcp::Socket;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::rt::Write as _;
use hyper::server::conn::{http1, http2};
use hyper::service::{Service, service_fn};
use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// What an HTTP/2 client sends first (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Serves one accepted connection to its end; `nameless` is its place where a PROXY header will say whose it is.
pub(super) async fn serve(
    door: Arc<DoorShared>,
    listener: Arc<Listener>,
    stream: TcpStream,
    address: SocketAddr,
    nameless: Option<&mut Admitted>,
) {
    let Ok(local) = stream.local_addr() else { return };
    // Answers are written whole, so waiting for more to fill a segment only delays them.
    let _ = stream.set_nodelay(true);
    let tls = listener.tls();
    let mut client = Client {
        address,
        local,
        tls: tls.is_some(),
    };
    let socket = Socket::new(stream);
    if let Some(place) = nameless {
        // Apart, so that connections without a header have no room for one.
        let named = Box::pin(proxy_protocol::receive(&door, &listener, &socket, client)).await;
        let Some(named) = named.filter(|client| place.count(client.address.ip())) else {
            return;
        };
        client = named;
    }
    let clock = Arc::clone(&door.registry.clock);
    let connection = Connection::new(client, Arc::clone(&listener), socket.look(), clock);
    let connection = Arc::new(connection.with_access(door.access.clone()));
    let _registered = door.registry.add(Arc::clone(&connection));
    let _open = listener.metrics.connection();
    let Some(tls) = tls else {
        return protocol(&door, connection, socket, None).await;
    };
    // Apart, so that only encrypted connections have room for what encryption needs.
    Box::pin(serve_tls(&door, connection, tls, socket)).await;
}

async fn serve_tls(
    door: &Arc<DoorShared>,
    connection: Arc<Connection>,
    tls: Arc<rustls::ServerConfig>,
    socket: Socket,
) {
    let handshake = Box::pin(async {
        // The semaphore is never closed; a connection that waits here has its handshake's time running.
        let _place = door.handshakes.acquire().await;
        // One place for all of its state, which stays where it is for the rest of the connection.
        let accepted = tokio_rustls::TlsAcceptor::from(tls).accept(socket).await;
        accepted.map(Box::new)
    });
    match until_killed(&connection, handshake).await {
        Some(Ok(stream)) => {
            connection.enter(Phase::First);
            let is_h2 = stream.get_ref().1.alpn_protocol().map(|protocol| protocol == b"h2");
            protocol(door, connection, stream, is_h2).await;
        }
        Some(Err(error)) => {
            connection.listener.metrics.tls_handshake_failures.increment(1);
            tracing::debug!(client = %connection.peer.client().address, "TLS handshake failed: {error}");
        }
        None => connection.listener.metrics.tls_handshake_failures.increment(1),
    }
}

/// Runs `future`, unless the watch kills the connection first.
pub(super) async fn until_killed<F: Future>(connection: &Connection, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| {
        connection.register(cx.waker());
        if connection.ordered() == Order::Kill {
            return Poll::Ready(None);
        }
        future.as_mut().poll(cx).map(Some)
    })
    .await
}

/// Finds out which protocol the client speaks, where ALPN did not say, and serves it.
async fn protocol<S>(door: &Arc<DoorShared>, connection: Arc<Connection>, mut stream: S, is_h2: Option<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut early = Vec::new();
    let is_h2 = match is_h2 {
        Some(is_h2) => is_h2,
        None => match until_killed(&connection, sniff(&mut stream, &mut early)).await {
            Some(Ok(is_h2)) => is_h2,
            _ => return,
        },
    };
    if is_h2 {
        connection.set_h2();
        let io = DoorIo::new(stream, Arc::clone(&connection), None, early);
        // Larger by far than what an HTTP/1 connection needs, which would have to make room for it.
        Box::pin(serve_h2(door, &connection, io)).await;
    } else {
        let limits = connection.listener.limits();
        let head = HeadLimits {
            head_bytes: limits.header_bytes,
            ..HeadLimits::default()
        };
        let io = DoorIo::new(stream, Arc::clone(&connection), Some(Guard::new(head)), early);
        serve_h1(door, &connection, io, limits.header_bytes).await;
    }
}

/// Reads until the bytes are the HTTP/2 preface or cannot become it.
async fn sniff<S: AsyncRead + Unpin>(stream: &mut S, early: &mut Vec<u8>) -> std::io::Result<bool> {
    loop {
        let seen = early.len().min(PREFACE.len());
        if early.get(..seen) != PREFACE.get(..seen) {
            return Ok(false);
        }
        if seen == PREFACE.len() {
            return Ok(true);
        }
        if poll_fn(|cx| io::poll_more(stream, early, cx)).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
}

async fn serve_h1<S>(door: &Arc<DoorShared>, connection: &Arc<Connection>, io: DoorIo<S>, header_bytes: usize)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let count = AtomicU64::new(0);
    let service = service_fn(|request| {
        let ordinal = count.fetch_add(1, Ordering::Relaxed) + 1;
        service::serve(Arc::clone(door), Arc::clone(connection), ordinal, request)
    });
    talk(connection, io, header_bytes, &service).await;
}

/// Speaks HTTP/1 to the connection's end.
///
/// hyper's connection has a buffer of 8 KiB for either direction and the place of a request, whether there is one or
/// not. Most connections most of the time only wait: so it is made when bytes come, and taken down when the watch
/// finds that none came for a while ([`limits::IDLE_REST`]). With request behind request it stays.
async fn talk<S, V, B>(connection: &Connection, mut io: DoorIo<S>, header_bytes: usize, service: &V)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    V: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    B: http_body::Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut builder = http1::Builder::new();
    // The guard has counted the head already; hyper's own bounds only must not be tighter.
    builder
        // A client may close its side behind its last request and still wait for the answer; one that takes longer
        // than a look of the watch finds it gone.
        .half_close(true)
        .max_header_size(header_bytes.saturating_mul(2))
        .max_buf_size(header_bytes.saturating_add(64 * 1024));
    loop {
        let mut serving = Box::new(builder.serve_connection(io, service));
        let ended = poll_fn(|cx| match Pin::new(&mut serving).poll(cx) {
            Poll::Ready(ended) => Poll::Ready(Some(ended)),
            Poll::Pending if connection.rests() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        });
        match until_killed(connection, ended).await {
            Some(None) => {}
            Some(Some(Ok(()))) => return leave(connection, serving).await,
            Some(Some(Err(error))) => {
                return tracing::debug!(client = %connection.peer.client().address, "HTTP/1 connection ended: {error}");
            }
            None => return,
        }
        io = take_down(serving);
        match until_killed(connection, poll_fn(|cx| io.poll_wake(cx))).await {
            // Also at the stream's end: hyper meets that again, and closes as it does.
            Some(Ok(())) => connection.wakes(),
            Some(Err(error)) => {
                return tracing::debug!(client = %connection.peer.client().address, "HTTP/1 connection ended: {error}");
            }
            None => return,
        }
    }
}

/// Goes on with what the connection's last answer began, if that was a change of protocol: hyper has then left the
/// stream open.
async fn leave<S, V, B>(connection: &Connection, serving: Box<http1::Connection<DoorIo<S>, V>>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    V: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    B: http_body::Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let Some(leaving) = connection.take_leaving() else {
        let mut io = serving.into_parts().io;
        // hyper leaves it open where any request asked for a change of protocol; to close it twice does no harm.
        until_killed(connection, poll_fn(|cx| Pin::new(&mut io).poll_shutdown(cx))).await;
        return linger(connection, io).await;
    };
    connection.enter(Phase::Tunnel);
    let (stream, early) = take_down(serving).into_tunnel();
    let mut running = pin!(leaving.run(Upgrade::new(stream, early)));
    // What is stopped before the connection is killed ends by itself, and then knows what it has carried.
    poll_fn(|cx| {
        connection.register(cx.waker());
        match running.as_mut().poll(cx) {
            Poll::Pending if connection.ordered() == Order::Kill => Poll::Ready(()),
            polled => polled,
        }
    })
    .await;
}

/// Takes what the client still sends of a body that nobody wanted, behind an answer that is out. Closed with bytes unread
/// a connection is reset, and a client that only hears of the reset loses the answer (RFC 9112 §9.6).
async fn linger<S: AsyncRead + Unpin>(connection: &Connection, mut io: DoorIo<S>) {
    if !io.is_in_body() {
        return;
    }
    connection.enter(Phase::Tunnel);
    let rest = until_killed(connection, poll_fn(|cx| io.poll_discard(cx)));
    // Whoever is not done by then is not waiting for the answer.
    let _ = tokio::time::timeout(limits::LINGER_TIME, rest).await;
}

/// Frees all that hyper has for a connection that only waits. A function, so that none of it stays behind in a variable
/// of the task that waits then: not the box, nor the buffer that an empty `read_buf` still holds.
#[expect(clippy::boxed_local, reason = "the box is what is to be freed")]
fn take_down<S, V, B>(serving: Box<http1::Connection<DoorIo<S>, V>>) -> DoorIo<S>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    V: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    B: http_body::Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let parts = serving.into_parts();
    debug_assert!(
        parts.read_buf.is_empty(),
        "hyper waited for more of a head it had a part of"
    );
    parts.io
}

async fn serve_h2<S>(door: &Arc<DoorShared>, connection: &Arc<Connection>, io: DoorIo<S>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn({
        let (door, connection) = (Arc::clone(door), Arc::clone(connection));
        move |request| service::serve(Arc::clone(&door), Arc::clone(&connection), u64::MAX, request)
    });
    let header_bytes = u32::try_from(connection.listener.limits().header_bytes).unwrap_or(u32::MAX);
    let mut builder = http2::Builder::new(Spawn(Arc::clone(connection)));
    builder
        // WebSockets in streams of their own (RFC 8441).
        .enable_connect_protocol()
        .max_concurrent_streams(limits::H2_STREAMS_COUNT)
        .max_pending_accept_reset_streams(limits::H2_PENDING_RESETS_COUNT)
        .max_local_error_reset_streams(limits::H2_LOCAL_RESETS_COUNT)
        .initial_stream_window_size(limits::H2_STREAM_WINDOW_BYTES)
        .initial_connection_window_size(limits::H2_CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(limits::H2_SEND_BUFFER_BYTES)
        .max_header_list_size(header_bytes);
    let mut serving = pin!(builder.serve_connection(io, service));
    let mut is_finishing = false;
    let ended = poll_fn(|cx| {
        connection.register(cx.waker());
        match connection.ordered() {
            Order::Kill => return Poll::Ready(Ok(())),
            Order::Finish if !is_finishing => {
                is_finishing = true;
                serving.as_mut().graceful_shutdown();
            }
            _ => {}
        }
        serving.as_mut().poll(cx)
    });
    if let Err(error) = ended.await {
        tracing::debug!(client = %connection.peer.client().address, "HTTP/2 connection ended: {error}");
    }
}

/// Runs HTTP/2 streams on the connection's own door.
#[derive(Clone)]
struct Spawn(Arc<Connection>);

impl<F> hyper::rt::Executor<F> for Spawn
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, stream: F) {
        // A stream ends with its connection: the connection's end fails whatever the stream waits for.
        let task = tokio::spawn(stream);
        self.0.spawned(task.abort_handle());
    }
}
