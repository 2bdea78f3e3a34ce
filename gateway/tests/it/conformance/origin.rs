//! The server behind the upstream routes: hyper's own, with the same paths as the components of the other route.

use super::{ECHO, FIELDS, HELD, MANY, MANY_BYTES};
use crate::support::{Protocol, background};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{iter, pending};
use http::{Method, Request, Response, header};
use http_body::Frame;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

/// A server of 127.0.0.1; it ends when dropped.
pub(super) struct Origin {
    pub(super) address: SocketAddr,
    /// Requests for ECHO so far.
    echoed: Arc<AtomicUsize>,
    _runtime: Runtime,
}

impl Origin {
    /// HTTP/1.1, or HTTP/2 by prior knowledge.
    pub(super) fn start(protocol: Protocol) -> Self {
        let (runtime, listener, address) = background::listening_anywhere();
        let echoed = Arc::<AtomicUsize>::default();
        let seen = Arc::clone(&echoed);
        runtime.spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                tokio::spawn(serve(protocol, tcp, Arc::clone(&seen)));
            }
        });
        Self {
            address,
            echoed,
            _runtime: runtime,
        }
    }

    pub(super) fn echoed(&self) -> usize {
        self.echoed.load(Ordering::SeqCst)
    }
}

async fn serve(protocol: Protocol, tcp: TcpStream, echoed: Arc<AtomicUsize>) {
    let service = service_fn(move |request| {
        if request.uri().path() == ECHO {
            echoed.fetch_add(1, Ordering::SeqCst);
        }
        std::future::ready(Ok::<_, Infallible>(answer(request)))
    });
    let io = TokioIo::new(tcp);
    // However it ends, the gateway has seen it.
    let _ = match protocol {
        Protocol::H1 => http1::Builder::new().serve_connection(io, service).await,
        Protocol::H2 => {
            http2::Builder::new(TokioExecutor::new())
                .max_header_list_size(1 << 20)
                .serve_connection(io, service)
                .await
        }
    };
}

fn answer(request: Request<Incoming>) -> Response<BoxBody<Bytes, hyper::Error>> {
    // Over HTTP/2 hyper sends whatever body it is given, also to HEAD.
    let is_head = request.method() == Method::HEAD;
    let text = |text: String| {
        let text = if is_head { String::new() } else { text };
        Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed()
    };
    match request.uri().path() {
        ECHO => {
            let (head, body) = request.into_parts();
            let mut response = Response::new(body.boxed());
            for name in [header::CONTENT_TYPE, header::TRAILER] {
                if let Some(value) = head.headers.get(&name) {
                    response.headers_mut().insert(name, value.clone());
                }
            }
            response
        }
        HELD => {
            let some = Ok(Frame::data(Bytes::from_static(b"and now, silence\n")));
            // Its body is kept, and not read.
            let body = request.into_body();
            let held = iter([some]).chain(pending()).map(move |piece| {
                let _held = &body;
                piece
            });
            Response::new(BodyExt::boxed(StreamBody::new(held)))
        }
        MANY => {
            let piece = |_| Ok(Frame::data(Bytes::from_static(b"x")));
            Response::new(BodyExt::boxed(StreamBody::new(iter((0..MANY_BYTES).map(piece)))))
        }
        FIELDS => Response::new(text(format!("{:?}", request.headers()))),
        _ => Response::new(text("Hello, world!\n".to_owned())),
    }
}
