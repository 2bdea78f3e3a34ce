//! A server of the tests' own on hyper: it knows what it was asked, and can be killed and started again.

use crate::support::background;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Either, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::Notify;

/// A server that answers with its name.
///
/// `/healthz` says whether it is well; `/hold` answers when it is told to; `/up` tells the checksum of a body, and
/// `/down/BYTES` brings so much [`Content`].
pub(super) struct Native {
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
}

#[derive(Default)]
struct Shared {
    name: String,
    accepted: AtomicUsize,
    open: AtomicUsize,
    is_ill: AtomicBool,
    /// Requests for its name, by their targets.
    seen: Mutex<HashSet<String>>,
    held: AtomicUsize,
    release: Notify,
}

/// What became of a server.
pub(super) struct Killed {
    pub(super) address: SocketAddr,
    /// When it was dead.
    pub(super) at: Instant,
}

impl Native {
    pub(super) fn start(name: &str) -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), name)
    }

    /// On the port of another one, at another address of this machine.
    pub(super) fn beside(other: &Self, ip: Ipv4Addr, name: &str) -> Self {
        Self::start_at((ip, other.address.port()).into(), name)
    }

    #[track_caller]
    pub(super) fn start_at(address: SocketAddr, name: &str) -> Self {
        let (runtime, listener, address) = background::listening(address);
        let shared = Arc::new(Shared {
            name: name.to_owned(),
            ..Shared::default()
        });
        runtime.spawn(accept(listener, Arc::clone(&shared)));
        Self {
            address,
            shared,
            runtime: Some(runtime),
        }
    }

    /// Ends it at once, with all its connections.
    pub(super) fn kill(mut self) -> Killed {
        drop(self.runtime.take());
        Killed {
            address: self.address,
            at: Instant::now(),
        }
    }

    /// Connections so far.
    pub(super) fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// Connections now.
    pub(super) fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// Whether it has got this request for its name.
    pub(super) fn has_seen(&self, target: &str) -> bool {
        self.shared.seen.lock().unwrap().contains(target)
    }

    /// Requests for its name so far.
    pub(super) fn served(&self) -> usize {
        self.shared.seen.lock().unwrap().len()
    }

    /// What `/healthz` says from now on.
    pub(super) fn set_ill(&self, is_ill: bool) {
        self.shared.is_ill.store(is_ill, Ordering::SeqCst);
    }

    /// Requests that wait at `/hold`.
    pub(super) fn held(&self) -> usize {
        self.shared.held.load(Ordering::SeqCst)
    }

    /// Answers those.
    pub(super) fn release(&self) {
        self.shared.release.notify_waiters();
    }
}

struct Open(Arc<Shared>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        shared.accepted.fetch_add(1, Ordering::SeqCst);
        shared.open.fetch_add(1, Ordering::SeqCst);
        let open = Open(Arc::clone(&shared));
        let _ = stream.set_nodelay(true);
        tokio::spawn(async move {
            let service = service_fn(|request| answer(Arc::clone(&open.0), request));
            // A client that leaves is no failure.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

type Answer = Response<Either<Full<Bytes>, Content>>;

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Answer, Infallible> {
    let target = request.uri().to_string();
    let text = |text: String| Response::new(Either::Left(Full::from(text)));
    if let Some(bytes) = target.strip_prefix("/down/") {
        let bytes = bytes.parse().expect("a number of bytes");
        return Ok(Response::new(Either::Right(Content::new(bytes))));
    }
    match target.as_str() {
        "/healthz" => {
            let mut answer = text("health".to_owned());
            if shared.is_ill.load(Ordering::SeqCst) {
                *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            }
            return Ok(answer);
        }
        "/up" => {
            let (mut body, mut digest, mut bytes) = (request.into_body(), Sha256::new(), 0);
            while let Some(Ok(frame)) = body.frame().await {
                if let Ok(data) = frame.into_data() {
                    digest.update(&data);
                    bytes += data.len();
                }
            }
            return Ok(text(format!("{bytes} {}", hex(digest))));
        }
        "/hold" => {
            let released = shared.release.notified();
            shared.held.fetch_add(1, Ordering::SeqCst);
            released.await;
            shared.held.fetch_sub(1, Ordering::SeqCst);
        }
        _ => {
            shared.seen.lock().unwrap().insert(target);
            let body = request.into_body().collect().await;
            if body.is_err() {
                return Ok(text("the body broke off".to_owned()));
            }
            // So that there always are some under way.
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    Ok(text(shared.name.clone()))
}

/// Bytes of which no two blocks are alike, made as they are needed.
pub(super) struct Content {
    block: Vec<u8>,
    count: u64,
    left: u64,
}

const BLOCK_BYTES: usize = 64 * 1024;

impl Content {
    pub(super) fn new(bytes: u64) -> Self {
        // Marsaglia's xorshift, to have no pattern that a framing fault could hide in.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let words = (0..BLOCK_BYTES / 8).flat_map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        });
        Self {
            block: words.collect(),
            count: 0,
            left: bytes,
        }
    }

    /// The checksum of all of it, in hexadecimal.
    pub(super) fn checksum(bytes: u64) -> String {
        let mut digest = Sha256::new();
        for block in Self::new(bytes) {
            digest.update(&block);
        }
        hex(digest)
    }
}

impl Iterator for Content {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.left == 0 {
            return None;
        }
        let length = usize::try_from(self.left).unwrap_or(usize::MAX).min(BLOCK_BYTES);
        self.block[..8].copy_from_slice(&self.count.to_le_bytes());
        self.count += 1;
        self.left -= length as u64;
        Some(Bytes::copy_from_slice(&self.block[..length]))
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.get_mut().next().map(|block| Ok(Frame::data(block))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// A finished checksum.
pub(super) fn hex(digest: Sha256) -> String {
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
