//! Scripted servers: each connection is a thread that does what its test says, byte by byte.

use super::raw::{End, Raw, Response};
use super::wait;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use socket2::{Domain, SockRef, Socket, Type};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Longer than any test: an origin that gave up by itself would look as if the gateway had closed.
const READ_TIMEOUT: Duration = Duration::from_secs(120);

/// A server of 127.0.0.1.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    accepted: AtomicUsize,
    open: AtomicUsize,
    most: AtomicUsize,
    written: AtomicUsize,
    is_over: AtomicBool,
    received: Mutex<Vec<Received>>,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) method: String,
    pub(crate) target: String,
    /// Names in lower case.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(String, String)>,
}

/// One connection of a client.
pub(crate) struct Visit {
    pub(crate) raw: Raw,
    shared: Arc<Shared>,
}

impl Received {
    /// All values of a field.
    pub(crate) fn fields(&self, name: &str) -> Vec<&str> {
        let named = self.fields.iter().filter(|(known, _)| known == name);
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// A field that is there once.
    #[track_caller]
    pub(crate) fn field(&self, name: &str) -> &str {
        let [value] = self.fields(name)[..] else {
            panic!("{name} is not there once: {self:?}");
        };
        value
    }
}

impl Origin {
    pub(crate) fn start(script: impl Fn(&mut Visit) + Send + Sync + 'static) -> Self {
        Self::start_with(None, script)
    }

    /// Over TLS.
    pub(crate) fn start_tls(tls: ServerConfig, script: impl Fn(&mut Visit) + Send + Sync + 'static) -> Self {
        Self::start_with(Some(Arc::new(tls)), script)
    }

    /// Answers every request with these bytes.
    pub(crate) fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::start(move |visit| {
            while visit.request().is_some() {
                visit.raw.write(&answer);
            }
        })
    }

    /// Takes requests and says nothing, until its clients are gone.
    pub(crate) fn silent() -> Self {
        Self::start(|visit| {
            visit.request();
            visit.until_closed();
        })
    }

    fn start_with(tls: Option<Arc<ServerConfig>>, script: impl Fn(&mut Visit) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it has an address");
        let (shared, script) = (Arc::<Shared>::default(), Arc::new(script));
        let seen = Arc::clone(&shared);
        let accepting = thread::spawn(move || {
            for stream in listener.incoming() {
                if seen.is_over.load(Ordering::SeqCst) {
                    return;
                }
                let stream = stream.expect("a connection can be taken");
                seen.accepted.fetch_add(1, Ordering::SeqCst);
                let open = seen.open.fetch_add(1, Ordering::SeqCst) + 1;
                seen.most.fetch_max(open, Ordering::SeqCst);
                let (shared, script, tls) = (Arc::clone(&seen), Arc::clone(&script), tls.clone());
                // Ends with its client, the gateway, at the latest.
                thread::spawn(move || {
                    let _open = Open(Arc::clone(&shared));
                    let raw = raw(stream, tls);
                    script(&mut Visit { raw, shared });
                });
            }
        });
        Self {
            address,
            shared,
            accepting: Some(accepting),
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// A grant for it and nothing else.
    pub(crate) fn grant(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Connections so far.
    pub(crate) fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// Connections whose script is not over.
    pub(crate) fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// The most connections there were at once.
    pub(crate) fn most(&self) -> usize {
        self.shared.most.load(Ordering::SeqCst)
    }

    /// Bytes that [`Visit::write_forever`] got rid of.
    pub(crate) fn written(&self) -> usize {
        self.shared.written.load(Ordering::SeqCst)
    }

    /// The requests so far.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap().clone()
    }

    pub(crate) fn received_count(&self) -> usize {
        self.shared.received.lock().unwrap().len()
    }

    /// The latest request.
    #[track_caller]
    pub(crate) fn last(&self) -> Received {
        self.received().pop().expect("a request came")
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts, which then looks and ends.
        if TcpStream::connect(self.address).is_ok()
            && let Some(accepting) = self.accepting.take()
        {
            let _ = accepting.join();
        }
    }
}

/// Counted while it lives, however its thread ends.
struct Open(Arc<Shared>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

fn raw(stream: TcpStream, tls: Option<Arc<ServerConfig>>) -> Raw {
    stream.set_nodelay(true).expect("a TCP option");
    let raw = match tls {
        None => Raw::over_tcp(stream),
        Some(config) => {
            let copy = stream.try_clone().expect("a socket can be cloned");
            let session = ServerConnection::new(config).expect("the configuration is valid");
            Raw::over(Box::new(StreamOwned::new(session, stream)), copy)
        }
    };
    raw.tcp().set_read_timeout(Some(READ_TIMEOUT)).expect("a TCP option");
    raw
}

impl Visit {
    /// The next request with its body; `None` where the connection ends first.
    pub(crate) fn request(&mut self) -> Option<Received> {
        let mut request = self.head()?;
        let mut body = Response {
            status: 200,
            fields: request.fields.clone(),
            body: Vec::new(),
            chunks: Vec::new(),
            trailers: Vec::new(),
            end: End::Complete,
        };
        // Without either a request has no body, where a response would have all that follows (RFC 9112 §6.3).
        if body.field("transfer-encoding").is_some() || body.field("content-length").is_some() {
            self.raw.body(&mut body, "GET");
        }
        if body.end != End::Complete {
            return None;
        }
        request.body = body.body;
        request.trailers = body.trailers;
        self.shared.received.lock().unwrap().push(request.clone());
        Some(request)
    }

    /// The next request's head, its body still to be read.
    pub(crate) fn head(&mut self) -> Option<Received> {
        let bytes = self.raw.take_until(b"\r\n\r\n")?;
        let mut space = [httparse::EMPTY_HEADER; 64];
        let mut parsed = httparse::Request::new(&mut space);
        let status = parsed.parse(&bytes);
        assert!(
            matches!(status, Ok(httparse::Status::Complete(_))),
            "{:?}",
            String::from_utf8_lossy(&bytes)
        );
        let fields = parsed.headers.iter().map(|field| {
            let value = String::from_utf8_lossy(field.value).into_owned();
            (field.name.to_ascii_lowercase(), value)
        });
        Some(Received {
            fields: fields.collect(),
            method: parsed.method.expect("a complete head has a method").to_owned(),
            target: parsed.path.expect("a complete head has a target").to_owned(),
            body: Vec::new(),
            trailers: Vec::new(),
        })
    }

    /// Waits until the client has closed the connection.
    pub(crate) fn until_closed(&mut self) {
        self.raw.rest();
    }

    /// Waits until all that was written has arrived: a reset may overtake what has not.
    pub(crate) fn until_taken(&mut self) {
        wait::until_true("the client's system to have it", || self.unsent_bytes() == 0);
    }

    /// Bytes written that the other side's system has not acknowledged.
    fn unsent_bytes(&self) -> u64 {
        let text = std::fs::read_to_string("/proc/net/tcp").expect("Linux tells of its connections");
        let hex = |address: SocketAddr| match address {
            SocketAddr::V4(address) => {
                let octets = address.ip().octets();
                format!("{:08X}:{:04X}", u32::from_le_bytes(octets), address.port())
            }
            SocketAddr::V6(address) => panic!("{address}"),
        };
        let tcp = self.raw.tcp();
        let ends = (tcp.local_addr().map(hex), tcp.peer_addr().map(hex));
        let (Ok(local), Ok(peer)) = ends else {
            return 0;
        };
        let line = text.lines().find(|line| line.contains(&format!("{local} {peer}")));
        let queue = line.and_then(|line| line.split_whitespace().nth(4));
        let sent = queue.and_then(|queue| queue.split(':').next());
        sent.map_or(0, |sent| u64::from_str_radix(sent, 16).expect("a number"))
    }

    /// Makes the connection's end a reset (RST) in the place of a FIN.
    pub(crate) fn reset(&mut self) {
        SockRef::from(self.raw.tcp())
            .set_linger(Some(Duration::ZERO))
            .expect("a socket option");
    }

    /// Waits, without reading, until it is so, the client has left, or nobody needs this server any more.
    pub(crate) fn until(&self, is_it: impl Fn() -> bool) {
        while !is_it() && !self.is_left() && !self.shared.is_over.load(Ordering::SeqCst) {
            // Nobody unparks this thread: it is the pause between two looks.
            thread::park_timeout(Duration::from_millis(5));
        }
    }

    /// Reads nothing: what the client sends stays in the buffers on the way.
    pub(crate) fn ignore(&self) {
        self.until(|| false);
    }

    fn is_left(&self) -> bool {
        let mut fds = [PollFd::new(self.raw.tcp(), PollFlags::RDHUP)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut fds, Some(&now)).is_ok_and(|ready| ready > 0)
    }

    /// One chunk of a chunked body.
    pub(crate) fn chunk(&mut self, data: &[u8]) {
        self.raw.write(chunk(data));
    }

    /// Chunks without end, until the client is gone.
    pub(crate) fn write_forever(&mut self) {
        let piece = chunk(&[b'x'; 16 * 1024]);
        while self.raw.try_write(&piece).is_ok() {
            self.shared.written.fetch_add(piece.len(), Ordering::SeqCst);
        }
    }
}

/// A listener whose queue is full: Linux answers no further connection attempt.
pub(crate) struct Full {
    pub(crate) address: SocketAddr,
    _listener: Socket,
    _queued: Vec<TcpStream>,
}

impl Full {
    pub(crate) fn start() -> Self {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        listener
            .bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
            .expect("a port is free");
        listener.listen(0).expect("it can listen");
        let address = listener.local_addr().expect("an address").as_socket().expect("of IP");
        let mut queued = Vec::new();
        wait::until("the queue to be full", || {
            match TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
                Ok(stream) => {
                    queued.push(stream);
                    None
                }
                Err(_) => Some(()),
            }
        });
        Self {
            address,
            _listener: listener,
            _queued: queued,
        }
    }
}

/// An address where nobody listens.
pub(crate) fn nowhere() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it has an address")
}

/// As a body's chunk (RFC 9112 §7.1).
pub(crate) fn chunk(data: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{:x}\r\n", data.len()).into_bytes();
    bytes.extend_from_slice(data);
    bytes.extend_from_slice(b"\r\n");
    bytes
}
