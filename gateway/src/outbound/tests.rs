//! Whole exchanges over real sockets. This file has what the tests share: a client, bodies, and scripted servers.

mod aborts;
mod http1;
pub(crate) mod name_server;
mod names;
mod places;
mod secure;

use super::*;
use crate::config::{HostGrant, HttpGrant, PortGrant};
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt;

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// A request body: whole, or in pieces as the test sends them.
#[derive(Debug)]
enum Sent {
    Whole(Option<Bytes>),
    Pieces(mpsc::Receiver<Result<Frame<Bytes>, io::Error>>),
}

impl Body for Sent {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Pieces(pieces) => pieces.poll_recv(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> http_body::SizeHint {
        match self {
            Self::Whole(bytes) => http_body::SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Pieces(_) => http_body::SizeHint::default(),
        }
    }
}

fn pieces() -> (mpsc::Sender<Result<Frame<Bytes>, io::Error>>, Sent) {
    let (sender, receiver) = mpsc::channel(1);
    (sender, Sent::Pieces(receiver))
}

fn get(uri: impl AsRef<str>) -> Request<Sent> {
    Request::get(uri.as_ref()).body(Sent::Whole(None)).unwrap()
}

fn post(uri: impl AsRef<str>, body: Sent) -> Request<Sent> {
    Request::post(uri.as_ref()).body(body).unwrap()
}

/// Every address these tests use.
fn local() -> Policy {
    let granted = |host| HttpGrant {
        scheme: None,
        host,
        port: PortGrant::Any,
    };
    Policy::new(vec![
        granted(HostGrant::Address("127.0.0.1".parse().unwrap())),
        granted(HostGrant::Name("localhost".into())),
    ])
}

fn client_of(connections: usize) -> Arc<Client<Sent>> {
    Client::new(Outbound::new(Dns::System), local(), connections, 1)
}

/// Long enough for a slow machine; a test that waits for all of it fails.
fn patient() -> Timeouts {
    let time = Duration::from_secs(20);
    Timeouts {
        connect: time,
        first_byte: time,
        between_bytes: time,
    }
}

fn brief() -> Duration {
    Duration::from_millis(150)
}

async fn text(response: Response<ResponseBody>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

/// Waits until `is_so`.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(20), "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A server whose every connection is handled by a test's own function.
struct Origin {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
}

impl Origin {
    async fn start<F>(handle: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = Self {
            address: listener.local_addr().unwrap(),
            accepted: Arc::default(),
            open: Arc::default(),
        };
        let (accepted, open) = (Arc::clone(&origin.accepted), Arc::clone(&origin.open));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                accepted.fetch_add(1, Ordering::SeqCst);
                open.fetch_add(1, Ordering::SeqCst);
                let (handled, open) = (handle(stream), Arc::clone(&open));
                tokio::spawn(async move {
                    handled.await;
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        origin
    }

    /// Answers every request with `answer`, as it is.
    async fn answering(answer: impl Into<String>) -> Self {
        let answer = answer.into();
        Self::start(move |mut stream| {
            let answer = answer.clone();
            async move {
                while let Some((head, _)) = read_request(&mut stream).await {
                    let answer = answer.replace("{head}", &head.replace("\r\n", "|"));
                    if stream.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            }
        })
        .await
    }

    fn uri(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// One request, its body framed by Content-Length.
async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<(String, Vec<u8>)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some((head, body))
}

/// Until the client closes its end, or breaks the connection.
async fn read_to_end(stream: &mut (impl AsyncRead + Unpin)) {
    let mut bytes = [0; 4096];
    while matches!(stream.read(&mut bytes).await, Ok(1..)) {}
}

#[test]
fn what_is_sent_may_move_between_threads() {
    fn is_send<T: Send>(_: &T) {}
    fn is_sync<T: Send + Sync + Unpin + 'static>() {}
    is_sync::<Client<Sent>>();
    is_sync::<ResponseBody>();
    is_sync::<SendError>();
    is_send(&client_of(1).send(get("http://localhost/"), Timeouts::default()));
}
