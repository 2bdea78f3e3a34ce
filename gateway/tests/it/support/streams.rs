//! The h2 crate's client, which can do to single streams what a well-behaved client would not.

use super::background;
use super::wait::{self, PATIENCE};
use bytes::Bytes;
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::{Error, RecvStream, SendStream};
use http::{Request, Response};
use std::net::SocketAddr;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// One HTTP/2 connection.
pub(crate) struct Streams {
    runtime: Runtime,
    sender: SendRequest<Bytes>,
    driver: JoinHandle<Result<(), Error>>,
}

/// A request under way.
pub(crate) struct Asked {
    pub(crate) upload: SendStream<Bytes>,
    response: ResponseFuture,
}

async fn in_time<F: Future>(future: F) -> F::Output {
    timeout(PATIENCE, future).await.expect("the gateway answers in time")
}

impl Streams {
    #[track_caller]
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let runtime = background::runtime();
        let (sender, driver) = runtime.block_on(in_time(async {
            let tcp = TcpStream::connect(address)
                .await
                .expect("the gateway takes connections");
            let (sender, connection) = Builder::new().handshake(tcp).await.expect("an HTTP/2 handshake");
            (sender, tokio::spawn(connection))
        }));
        Self {
            runtime,
            sender,
            driver,
        }
    }

    /// Sends a request's head to the host `NAME.test`; `POST` leaves its body open.
    pub(crate) fn ask(&mut self, method: &str, component: &str, path: &str) -> Result<Asked, Error> {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{component}.test{path}"));
        let request = request.body(()).expect("the request is valid");
        let mut sender = self.runtime.block_on(in_time(self.sender.clone().ready()))?;
        let (response, upload) = sender.send_request(request, method != "POST")?;
        Ok(Asked { upload, response })
    }

    /// Asks for a WebSocket in a stream of its own (RFC 8441), at the host `ws.test`. Its data may be sent at once.
    pub(crate) fn websocket(&mut self, path: &str) -> Result<Asked, Error> {
        let mut sender = self.runtime.block_on(in_time(self.sender.clone().ready()))?;
        // The gateway's settings have to be here, which allow it.
        wait::until_true("extended CONNECT", || sender.is_extended_connect_protocol_enabled());
        let request = Request::builder()
            .method("CONNECT")
            .uri(format!("http://ws.test{path}"))
            .extension(h2::ext::Protocol::from_static("websocket"))
            .header("sec-websocket-version", "13");
        let request = request.body(()).expect("the request is valid");
        let (response, upload) = sender.send_request(request, false)?;
        Ok(Asked { upload, response })
    }

    /// Waits for the head of its response; the sending half lives on beside it.
    pub(crate) fn head(&self, asked: Asked) -> Result<(Response<RecvStream>, SendStream<Bytes>), Error> {
        let response = self.runtime.block_on(in_time(asked.response))?;
        Ok((response, asked.upload))
    }

    /// The next data of a response; `None` at its end.
    pub(crate) fn data(&self, body: &mut RecvStream) -> Result<Option<Bytes>, Error> {
        while let Some(data) = self.runtime.block_on(in_time(body.data())).transpose()? {
            body.flow_control().release_capacity(data.len())?;
            // An empty frame only brings the end of the stream.
            if !data.is_empty() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    /// A GET, its answer read to the end: status and body.
    pub(crate) fn get(&mut self, component: &str, path: &str) -> Result<(u16, Vec<u8>), Error> {
        let asked = self.ask("GET", component, path)?;
        let (response, _upload) = self.head(asked)?;
        let status = response.status().as_u16();
        let mut stream = response.into_body();
        let mut body = Vec::new();
        while let Some(data) = self.data(&mut stream)? {
            body.extend_from_slice(&data);
        }
        Ok((status, body))
    }

    /// How the connection ended, waited for.
    pub(crate) fn ended(self) -> Result<(), Error> {
        drop(self.sender);
        self.runtime.block_on(in_time(self.driver)).expect("the driver ends")
    }
}
