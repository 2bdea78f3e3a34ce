//! hyper's client, on a runtime of its own, so that tests stay plain functions.

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Which HTTP a client speaks: HTTP/2 by prior knowledge, or by ALPN over TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    H1,
    H2,
}

type Received = Result<Frame<Bytes>, std::convert::Infallible>;
type Sent = StreamBody<tokio_stream::Frames>;

/// The stream of a request body's frames.
mod tokio_stream {
    use super::{Received, mpsc};
    use futures_util::Stream;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    pub(crate) struct Frames(pub(crate) mpsc::Receiver<Received>);

    impl Stream for Frames {
        type Item = Received;

        fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Received>> {
            self.0.poll_recv(cx)
        }
    }
}

enum Sender {
    H1(http1::SendRequest<Sent>),
    H2(http2::SendRequest<Sent>),
}

/// One connection.
pub(crate) struct Client {
    runtime: Arc<Runtime>,
    sender: Sender,
    driver: JoinHandle<hyper::Result<()>>,
}

/// The request's side of an exchange.
pub(crate) struct Upload {
    frames: Option<mpsc::Sender<Received>>,
}

/// The response's side of an exchange.
pub(crate) struct Download {
    runtime: Arc<Runtime>,
    body: Incoming,
}

/// A whole response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Option<HeaderMap>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.headers
            .get(name)
            .map(|value| value.to_str().expect("a field is text"))
    }

    pub(crate) fn trailer(&self, name: &str) -> Option<&str> {
        self.trailers
            .as_ref()?
            .get(name)
            .map(|value| value.to_str().expect("a trailer is text"))
    }
}

/// A response that did not become whole.
#[derive(Debug)]
pub(crate) struct Broken {
    /// The reason of an HTTP/2 reset, where that was it.
    pub(crate) reset: Option<h2::Reason>,
    #[expect(dead_code, reason = "what a failed test prints")]
    pub(crate) error: hyper::Error,
}

impl From<hyper::Error> for Broken {
    fn from(error: hyper::Error) -> Self {
        let mut source = std::error::Error::source(&error);
        let mut reset = None;
        while let Some(cause) = source {
            reset = reset.or_else(|| cause.downcast_ref::<h2::Error>().and_then(h2::Error::reason));
            source = cause.source();
        }
        Self { reset, error }
    }
}

fn runtime() -> Arc<Runtime> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    Arc::new(runtime.expect("a runtime can be made"))
}

/// Nothing here takes this long.
async fn in_time<F: Future>(future: F) -> F::Output {
    timeout(super::wait::PATIENCE + Duration::from_secs(10), future)
        .await
        .expect("the gateway answers in time")
}

impl Client {
    #[track_caller]
    pub(crate) fn connect(protocol: Protocol, address: SocketAddr) -> Self {
        let runtime = runtime();
        let made = runtime.block_on(in_time(async {
            let tcp = TcpStream::connect(address)
                .await
                .expect("the gateway takes connections");
            shake(protocol, tcp).await
        }));
        let (sender, driver) = made.expect("an HTTP handshake");
        Self {
            runtime,
            sender,
            driver,
        }
    }

    /// Over TLS, to the server of this name.
    #[track_caller]
    pub(crate) fn connect_tls(protocol: Protocol, address: SocketAddr, name: &str, config: Arc<ClientConfig>) -> Self {
        let runtime = runtime();
        let made = runtime.block_on(in_time(async {
            let tcp = TcpStream::connect(address)
                .await
                .expect("the gateway takes connections");
            let server = ServerName::try_from(name.to_owned()).expect("the name is valid");
            let tls = tokio_rustls::TlsConnector::from(config)
                .connect(server, tcp)
                .await
                .expect("a TLS handshake");
            shake(protocol, tls).await
        }));
        let (sender, driver) = made.expect("an HTTP handshake");
        Self {
            runtime,
            sender,
            driver,
        }
    }

    /// A GET to the host `NAME.test`.
    #[track_caller]
    pub(crate) fn get(&mut self, component: &str, path: &str) -> Answer {
        self.send(self.request("GET", component, path), b"")
            .expect("a whole answer")
    }

    /// The head of a request to the host `NAME.test`.
    pub(crate) fn request(&self, method: &str, component: &str, path: &str) -> Request<()> {
        let host = format!("{component}.test");
        let builder = Request::builder().method(method);
        let builder = match self.sender {
            Sender::H1(_) => builder.uri(path).header("host", host),
            Sender::H2(_) => builder.uri(format!("http://{host}{path}")),
        };
        builder.body(()).expect("the request is valid")
    }

    /// Sends a request with this body and reads the answer to its end.
    pub(crate) fn send(&mut self, head: Request<()>, body: &[u8]) -> Result<Answer, Broken> {
        let (mut upload, response) = self.begin(head);
        let body = Bytes::copy_from_slice(body);
        if !body.is_empty() {
            upload.send(body);
        }
        upload.finish(None);
        let (head, mut download) = response()?;
        let mut answer = Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body: Vec::new(),
            trailers: None,
        };
        while let Some(frame) = download.frame()? {
            match frame.into_data() {
                Ok(data) => answer.body.extend_from_slice(&data),
                Err(frame) => answer.trailers = frame.into_trailers().ok(),
            }
        }
        Ok(answer)
    }

    /// Starts a request: its body is sent through the first, and the second waits for the response's head.
    pub(crate) fn begin(
        &mut self,
        head: Request<()>,
    ) -> (
        Upload,
        impl FnOnce() -> Result<(http::response::Parts, Download), Broken> + use<>,
    ) {
        let (frames, received) = mpsc::channel(1);
        let request = head.map(|()| StreamBody::new(tokio_stream::Frames(received)));
        let runtime = Arc::clone(&self.runtime);
        // Spawned, so that the body goes out before anybody waits for the head.
        let response = match &mut self.sender {
            Sender::H1(sender) => {
                runtime
                    .block_on(in_time(sender.ready()))
                    .expect("the connection is ready");
                runtime.spawn(sender.send_request(request))
            }
            Sender::H2(sender) => {
                runtime
                    .block_on(in_time(sender.ready()))
                    .expect("the connection is ready");
                runtime.spawn(sender.send_request(request))
            }
        };
        let wait = move || {
            let response: Response<Incoming> = runtime.block_on(in_time(response)).expect("the request's task ends")?;
            let (head, body) = response.into_parts();
            Ok((head, Download { runtime, body }))
        };
        (Upload { frames: Some(frames) }, wait)
    }

    /// How the other side ended the connection, waited for.
    pub(crate) fn ended(&mut self) -> hyper::Result<()> {
        self.runtime
            .block_on(in_time(&mut self.driver))
            .expect("the driver ends")
    }
}

async fn shake<S>(protocol: Protocol, stream: S) -> hyper::Result<(Sender, JoinHandle<hyper::Result<()>>)>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let io = TokioIo::new(stream);
    Ok(match protocol {
        Protocol::H1 => {
            let (sender, connection) = http1::handshake(io).await?;
            (Sender::H1(sender), tokio::spawn(connection))
        }
        Protocol::H2 => {
            let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
            (Sender::H2(sender), tokio::spawn(connection))
        }
    })
}

impl Upload {
    /// Sends more of the body; false when nobody takes it any more.
    pub(crate) fn send(&mut self, data: impl Into<Bytes>) -> bool {
        let frames = self.frames.as_ref().expect("the body is not finished");
        frames.blocking_send(Ok(Frame::data(data.into()))).is_ok()
    }

    /// Ends the body.
    pub(crate) fn finish(&mut self, trailers: Option<HeaderMap>) {
        if let (Some(frames), Some(trailers)) = (&self.frames, trailers) {
            // A gateway that answered already needs none.
            let _ = frames.blocking_send(Ok(Frame::trailers(trailers)));
        }
        self.frames = None;
    }
}

impl Download {
    /// The next frame; `None` at the end.
    pub(crate) fn frame(&mut self) -> Result<Option<Frame<Bytes>>, Broken> {
        let frame = self.runtime.block_on(in_time(self.body.frame()));
        frame.transpose().map_err(Broken::from)
    }

    /// The next data that is not empty; `None` at the end.
    pub(crate) fn data(&mut self) -> Result<Option<Bytes>, Broken> {
        while let Some(frame) = self.frame()? {
            // HTTP/2 may end a stream with an empty frame.
            if let Some(data) = frame.into_data().ok().filter(|data| !data.is_empty()) {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }
}
