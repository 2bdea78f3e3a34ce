//! The third peer: hyper's HTTP/1 server with a handler that answers a constant. It shows what the road costs
//! without a component on it, and it is the upstream: what guests call, and what stands behind a proxy.

use crate::error::{Context, Error};
use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

/// A failed accept (EMFILE) would otherwise spin.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

/// What a server has seen so far.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) connections: AtomicU64,
    pub(crate) requests: AtomicU64,
    /// The names of the fields in the first request, in small letters.
    pub(crate) first_fields: OnceLock<Vec<String>>,
}

/// Serves `body` on one thread until the process is ended. `ready` learns the bound address.
pub(crate) fn serve(address: SocketAddr, body: String, ready: impl FnOnce(SocketAddr)) -> Result<(), Error> {
    runtime()?.block_on(async move {
        let listener = listen(address).await?;
        ready(bound(&listener)?);
        accept(listener, body.into(), Arc::default()).await;
        Ok(())
    })
}

pub(crate) fn runtime() -> Result<Runtime, Error> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context(|| "starting the runtime".to_owned())
}

pub(crate) async fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address)
        .await
        .context(|| format!("listening on {address}"))
}

pub(crate) fn bound(listener: &TcpListener) -> Result<SocketAddr, Error> {
    listener.local_addr().context(|| "reading the bound address".to_owned())
}

/// Answers every request with `body`. Does not return: whoever polls it decides when it is over.
pub(crate) async fn accept(listener: TcpListener, body: Bytes, counts: Arc<Counts>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                counts.connections.fetch_add(1, Ordering::Relaxed);
                drop(tokio::spawn(connection(stream, body.clone(), Arc::clone(&counts))));
            }
            Err(_) => tokio::time::sleep(ACCEPT_BACKOFF).await,
        }
    }
}

async fn connection(stream: TcpStream, body: Bytes, counts: Arc<Counts>) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let service = service_fn(move |request: Request<Incoming>| {
        let names = || request.headers().keys().map(ToString::to_string).collect();
        counts.first_fields.get_or_init(names);
        counts.requests.fetch_add(1, Ordering::Relaxed);
        let body = body.clone();
        async move {
            let mut response = Response::new(Full::new(body));
            let text = header::HeaderValue::from_static("text/plain; charset=utf-8");
            response.headers_mut().insert(header::CONTENT_TYPE, text);
            Ok::<_, Infallible>(response)
        }
    });
    // A client that leaves in the middle is none of the benchmark's business: the loader counts it.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
