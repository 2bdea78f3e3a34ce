//! A public address: its sockets, its settings, and the loop that accepts.

use super::connection;
use super::{DoorShared, Tls};
use crate::config::{ListenerConfig, ListenerLimits, Name};
use crate::http::{Client, Provenance};
use crate::limits;
use crate::telemetry::metrics::ListenerMetrics;
use arc_swap::ArcSwap;
use http::HeaderMap;
use ipnet::IpNet;
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Why a listener cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address cannot be bound.
    #[error("listener `{name}` cannot listen on {address}: {source}{}", hint(.source))]
    Bind {
        /// Which listener.
        name: Name,
        /// Which address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Its certificates cannot be used.
    #[error("listener `{name}`: {source}")]
    Tls {
        /// Which listener.
        name: Name,
        /// What is wrong with them.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => ": another process listens there; stop it, or choose another port",
        io::ErrorKind::PermissionDenied => ": ports below 1024 need CAP_NET_BIND_SERVICE",
        io::ErrorKind::AddrNotAvailable => ": this machine does not have that address",
        _ => "",
    }
}

/// What may change about a listener while its sockets stay.
struct Settings {
    limits: ListenerLimits,
    /// Whose connections begin with a PROXY header. Nobody else may connect then; empty: anybody, and nobody sends one.
    proxy_protocol: Vec<IpNet>,
    /// Whose word about clients is believed.
    trusted_proxies: Vec<IpNet>,
    tls: Option<Tls>,
}

impl Settings {
    fn new(config: &ListenerConfig, tls: Option<Tls>) -> Self {
        Self {
            limits: config.limits.clone(),
            proxy_protocol: config.proxy_protocol.clone(),
            trusted_proxies: config.trusted_proxies.clone(),
            tls,
        }
    }
}

/// One public address, shared by all doors.
pub(super) struct Listener {
    pub(super) name: Name,
    /// As bound: never port 0.
    pub(super) address: SocketAddr,
    pub(super) metrics: Arc<ListenerMetrics>,
    settings: ArcSwap<Settings>,
    open: AtomicUsize,
    /// Accept loops that have not ended: one for each door, counted from when they are made.
    accepting: AtomicUsize,
    by_address: Mutex<HashMap<IpAddr, usize>>,
    is_draining: AtomicBool,
    closing: watch::Sender<bool>,
}

impl Listener {
    pub(super) fn new(
        config: &ListenerConfig,
        address: SocketAddr,
        tls: Option<Tls>,
        metrics: Arc<ListenerMetrics>,
    ) -> Self {
        Self {
            name: config.name.clone(),
            address,
            metrics,
            settings: ArcSwap::from_pointee(Settings::new(config, tls)),
            open: AtomicUsize::new(0),
            accepting: AtomicUsize::new(0),
            by_address: Mutex::new(HashMap::new()),
            is_draining: AtomicBool::new(false),
            closing: watch::Sender::new(false),
        }
    }

    /// Takes new settings for connections yet to come; limits of time hold for the open ones too.
    pub(super) fn update(&self, config: &ListenerConfig, tls: Option<Tls>) {
        self.settings.store(Arc::new(Settings::new(config, tls)));
    }

    pub(super) fn limits(&self) -> ListenerLimits {
        self.settings.load().limits.clone()
    }

    pub(super) fn tls(&self) -> Option<Arc<rustls::ServerConfig>> {
        self.settings.load().tls.as_ref().map(|tls| Arc::clone(&tls.config))
    }

    pub(super) fn tls_settings(&self) -> Option<Tls> {
        self.settings.load().tls.clone()
    }

    /// Whom `client` speaks for in a request with these fields.
    pub(super) fn provenance(&self, client: &Client, headers: &HeaderMap) -> Provenance {
        let settings = self.settings.load();
        if settings.trusted_proxies.is_empty() {
            return Provenance::Direct;
        }
        Provenance::of(client, headers, &settings.trusted_proxies)
    }

    /// Stops accepting; what is in the kernel's queue is still accepted.
    pub(super) fn close(&self) {
        self.is_draining.store(true, Ordering::Release);
        self.closing.send_replace(true);
    }

    pub(super) fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Acquire)
    }

    /// One more accept loop is about to be started; ended by [`accept`].
    pub(super) fn will_accept(&self) {
        self.accepting.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether a connection is open, also one just accepted, or may still come out of the kernel's queue.
    pub(super) fn is_in_use(&self) -> bool {
        // In this order: a connection is counted before its accept loop ends.
        self.accepting.load(Ordering::Acquire) > 0 || self.open.load(Ordering::Acquire) > 0
    }

    /// A place for one more connection; counts those it refuses.
    fn admit(self: &Arc<Self>) -> Option<Admitted> {
        let most = self.settings.load().limits.connections;
        if self.open.fetch_add(1, Ordering::AcqRel) >= most {
            self.open.fetch_sub(1, Ordering::AcqRel);
            self.metrics.refused_total.increment(1);
            return None;
        }
        Some(Admitted {
            listener: Arc::clone(self),
            address: None,
        })
    }

    /// Whether a connection from `peer` begins with a PROXY header; counts those that may not connect at all.
    fn begins_with_header(&self, peer: IpAddr) -> Option<bool> {
        let settings = self.settings.load();
        if settings.proxy_protocol.is_empty() {
            return Some(false);
        }
        let peer = peer.to_canonical();
        if settings.proxy_protocol.iter().any(|network| network.contains(&peer)) {
            return Some(true);
        }
        self.metrics.refused_proxy_protocol.increment(1);
        None
    }
}

/// A connection's place under the listener's bounds.
pub(super) struct Admitted {
    listener: Arc<Listener>,
    /// The client's, once it is known and counted.
    address: Option<IpAddr>,
}

impl Admitted {
    /// Counts it as one of `address`, once; false, and counted as refused, where that has as many as it may.
    pub(super) fn count(&mut self, address: IpAddr) -> bool {
        let most = self.listener.settings.load().limits.connections_per_address;
        let mut by_address = self.listener.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let count = by_address.entry(address).or_default();
        if *count >= most {
            drop(by_address);
            self.listener.metrics.refused_address.increment(1);
            return false;
        }
        *count += 1;
        drop(by_address);
        self.address = Some(address);
        true
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.listener.open.fetch_sub(1, Ordering::AcqRel);
        let Some(address) = &self.address else { return };
        let mut by_address = self.listener.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = by_address.get_mut(address) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(address);
            }
        }
    }
}

/// Binds one socket for each door, all on one address.
///
/// The first try is without SO_REUSEPORT, which would hide that another process listens there.
pub(super) fn bind(address: SocketAddr, doors: usize) -> io::Result<(SocketAddr, Vec<std::net::TcpListener>)> {
    let probe = socket(address, false)?;
    let bound = probe.local_addr()?;
    drop(probe);
    let sockets = (0..doors).map(|_| socket(bound, true)).collect::<io::Result<_>>()?;
    Ok((bound, sockets))
}

fn socket(address: SocketAddr, is_shared: bool) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(is_shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    if is_shared {
        socket.listen(i32::try_from(limits::LISTEN_BACKLOG_COUNT).unwrap_or(i32::MAX))?;
    }
    Ok(socket.into())
}

/// Accepts on one door's socket until the listener closes.
pub(super) async fn accept(door: Arc<DoorShared>, listener: Arc<Listener>, socket: std::net::TcpListener) {
    accept_all(&door, &listener, socket).await;
    listener.accepting.fetch_sub(1, Ordering::AcqRel);
}

async fn accept_all(door: &Arc<DoorShared>, listener: &Arc<Listener>, socket: std::net::TcpListener) {
    let socket = match TcpListener::from_std(socket) {
        Ok(socket) => socket,
        Err(error) => return tracing::error!(listener = %listener.name, "cannot accept: {error}"),
    };
    let mut closing = listener.closing.subscribe();
    // A queue that never runs empty must not keep a closing listener open.
    while !listener.is_draining() {
        tokio::select! {
            biased;
            accepted = socket.accept() => match accepted {
                Ok((stream, address)) => admit(door, listener, stream, address),
                Err(error) => failed(listener, &error).await,
            },
            () = closed(&mut closing) => {}
        }
    }
    take_rest(door, listener, socket);
}

/// Connections whose handshake the kernel has done already would be reset with the socket: takes them first. Not
/// through the runtime, which may not have heard of them yet.
fn take_rest(door: &Arc<DoorShared>, listener: &Arc<Listener>, socket: TcpListener) {
    let socket = match socket.into_std() {
        Ok(socket) => socket,
        Err(error) => return tracing::error!(listener = %listener.name, "cannot accept the last ones: {error}"),
    };
    loop {
        let accepted = socket.accept().and_then(|(stream, address)| {
            stream.set_nonblocking(true)?;
            Ok((TcpStream::from_std(stream)?, address))
        });
        match accepted {
            Ok((stream, address)) => admit(door, listener, stream, address),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) if is_the_peers(&error) || error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return tracing::warn!(listener = %listener.name, "cannot accept the last ones: {error}"),
        }
    }
}

async fn closed(closing: &mut watch::Receiver<bool>) {
    // The sender lives in the listener that the caller holds.
    let _ = closing.wait_for(|closed| *closed).await;
}

/// Running out of descriptors is no reason to stop: connections end and give theirs back.
async fn failed(listener: &Listener, error: &io::Error) {
    listener.metrics.accept_errors.increment(1);
    if !is_the_peers(error) {
        tracing::warn!(listener = %listener.name, "accept failed, trying again: {error}");
        tokio::time::sleep(limits::ACCEPT_BACKOFF).await;
    }
}

fn is_the_peers(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}

fn admit(door: &Arc<DoorShared>, listener: &Arc<Listener>, stream: TcpStream, address: SocketAddr) {
    listener.metrics.accepted.increment(1);
    let Some(has_header) = listener.begins_with_header(address.ip()) else {
        return;
    };
    let Some(mut place) = listener.admit() else { return };
    // With a header before it, it is the client's that counts, not the balancer's.
    if !has_header && !place.count(address.ip()) {
        return;
    }
    let (door, listener) = (Arc::clone(door), Arc::clone(listener));
    tokio::spawn(async move {
        connection::serve(door, listener, stream, address, has_header.then_some(&mut place)).await;
        drop(place);
    });
}
