//! Clients that share a server's HTTP/2 connection, some of whom take nothing: the others do not wait for them.

use super::{HOST, ONCE, api, get, in_time, is_own};
use crate::support::streams::Streams;
use crate::support::{background, wait};
use bytes::Bytes;
use h2::server::SendResponse;
use http::{Request, Response};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

/// A server of the h2 crate, which sends as much as windows let it.
struct Server {
    address: SocketAddr,
    /// Bytes of `/endless` so far.
    sent: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
    _runtime: Runtime,
}

impl Server {
    fn start() -> Self {
        let (runtime, listener, address) = background::listening_anywhere();
        let (sent, connections) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let (into, count) = (Arc::clone(&sent), Arc::clone(&connections));
        runtime.spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(tcp, Arc::clone(&into)));
            }
        });
        Self {
            address,
            sent,
            connections,
            _runtime: runtime,
        }
    }

    /// Waits until nobody takes any more.
    fn wait_blocked(&self) {
        let mut last = (0, Instant::now());
        wait::until_true("all windows to be full", || {
            let sent = self.sent.load(Ordering::SeqCst);
            if sent != last.0 {
                last = (sent, Instant::now());
            }
            sent > 0 && last.1.elapsed() > Duration::from_millis(500)
        });
    }
}

async fn serve(tcp: TcpStream, sent: Arc<AtomicUsize>) {
    let Ok(mut connection) = h2::server::handshake(tcp).await else {
        return;
    };
    while let Some(Ok((request, respond))) = connection.accept().await {
        tokio::spawn(answer(request, respond, Arc::clone(&sent)));
    }
}

/// `None` where the client is gone.
async fn answer(
    request: Request<h2::RecvStream>,
    mut respond: SendResponse<Bytes>,
    sent: Arc<AtomicUsize>,
) -> Option<()> {
    let mut stream = respond.send_response(Response::new(()), false).ok()?;
    let target = request.uri().path();
    if target != "/endless" {
        return stream.send_data(format!("GET {target}").into(), true).ok();
    }
    loop {
        stream.reserve_capacity(16 * 1024);
        let bytes = poll_fn(|cx| stream.poll_capacity(cx)).await?.ok()?;
        stream.send_data(vec![b'x'; bytes].into(), false).ok()?;
        sent.fetch_add(bytes, Ordering::SeqCst);
    }
}

#[test]
fn clients_that_take_nothing_keep_nobody_waiting() {
    let server = Server::start();
    let gateway = api(&[server.address], &format!("{ONCE}, protocol = 'h2'"))
        .set("workers", 1)
        .start();
    let (mut raw, mut streams) = (gateway.connect(), Streams::connect(gateway.address()));
    is_own(&mut raw, "/before");
    let slow: Vec<_> = (0..90)
        .map(|_| {
            let mut raw = gateway.connect();
            raw.write(get("/endless"));
            raw
        })
        .collect();
    server.wait_blocked();
    for round in 0..5 {
        in_time("200", Duration::ZERO, || is_own(&mut raw, &format!("/{round}")));
        let answer = in_time("200", Duration::ZERO, || streams.get(HOST, "/next"));
        assert_eq!(answer.expect("an answer"), (200, b"GET /next".to_vec()));
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
    drop(slow);
    gateway.wait_metric("tidegate_upstream_requests_in_flight", &[], 0.0);
}
