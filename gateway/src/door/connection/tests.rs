//! Connections at rest: nothing is lost with hyper's state, and nobody notices that it is gone.

mod upgrade;

use super::super::shared::{OpenBody, Registry};
use super::*;
use crate::config::{Config, Options, Source};
use crate::http::RequestCx;
use crate::telemetry::metrics::Registry as Metrics;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use std::sync::Mutex;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const HEADER_BYTES: usize = 4096;
const LONG_BYTES: usize = 64 * 1024;
/// Longer than the watch needs to tell an idle connection to rest, and that one to do so.
const LOOKS: u32 = 6;

/// A body to be read later, and what the door has its request keep with it.
type Later = (Incoming, OpenBody);

/// A connection under its door's watch, and the client's end of it. Requests are answered with their ordinal; `/long`
/// with that many bytes; `/later` at once, and the body is read when the test asks for it.
struct Talk {
    client: DuplexStream,
    connection: Arc<Connection>,
    registry: Arc<Registry>,
    ended: JoinHandle<()>,
    later: Arc<Mutex<Option<Later>>>,
}

impl Talk {
    async fn start(pipe_bytes: usize) -> Self {
        let registry = Arc::new(Registry::new());
        let connection = connection(&registry).await;
        let (client, stream) = duplex(pipe_bytes);
        let later = Arc::new(Mutex::new(None));
        tokio::spawn(Arc::clone(&registry).watch());
        let ended = tokio::spawn({
            let (registry, connection, later) = (Arc::clone(&registry), Arc::clone(&connection), Arc::clone(&later));
            async move {
                let _registered = registry.add(Arc::clone(&connection));
                let guard = Guard::new(HeadLimits::default());
                let io = DoorIo::new(stream, Arc::clone(&connection), Some(guard), Vec::new());
                let count = AtomicU64::new(0);
                let service = service_fn(|request| {
                    let ordinal = count.fetch_add(1, Ordering::Relaxed) + 1;
                    let answer = answer(&connection, &later, ordinal, request);
                    async { Ok(answer) }
                });
                talk(&connection, io, HEADER_BYTES, &service).await;
            }
        });
        Self {
            client,
            connection,
            registry,
            ended,
            later,
        }
    }

    async fn ask(&mut self, bytes: &[u8], answer: &str) {
        self.client.write_all(bytes).await.expect("it takes bytes");
        self.is_told(answer).await;
    }

    /// Reads an answer whole: its status and its body.
    async fn is_told(&mut self, answer: &str) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let byte = tokio::time::timeout(Duration::from_secs(10), self.client.read_u8()).await;
            head.push(byte.expect("it is answered").expect("an answer's head"));
        }
        let head = String::from_utf8(head).expect("text");
        let length = head
            .split("content-length: ")
            .nth(1)
            .and_then(|rest| rest.lines().next());
        let mut body = vec![0; length.expect("a length").parse().expect("a number")];
        self.client.read_exact(&mut body).await.expect("an answer's body");
        let status = head.get(9..12).expect("a status");
        assert_eq!(format!("{status} {}", String::from_utf8_lossy(&body)), answer);
    }

    async fn rests(&self) {
        until("it rests", || self.connection.is_resting()).await;
    }

    async fn is_looked_at(&self) {
        is_looked_at(&self.registry).await;
    }

    async fn ends(self) {
        let ended = tokio::time::timeout(Duration::from_secs(10), self.ended).await;
        ended.expect("it ends").expect("without a panic");
    }
}

/// The watch has looked often enough for whatever can rest to rest.
async fn is_looked_at(registry: &Registry) {
    let looked = || registry.clock.now();
    let end = looked() + LOOKS * u32::try_from(limits::WATCH_INTERVAL.as_millis()).expect("moments");
    until("the watch looks", || looked() >= end).await;
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let turns = 5_000;
    for _ in 0..turns {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("waited in vain: {what}");
}

async fn connection(registry: &Registry) -> Arc<Connection> {
    let text = "[[listener]]\naddress = \"127.0.0.1:0\"\n";
    let options = Options {
        check_files: false,
        ..Options::default()
    };
    let config = Config::from_sources(vec![Source::toml("gateway.toml", "/", text)], options).expect("a configuration");
    let config = config.listeners.first().expect("a listener");
    let metrics = Metrics::new().listener("public");
    let listener = Arc::new(Listener::new(config, config.address, None, metrics));
    // Only to be looked at by the watch; the bytes go through the pipe.
    let server = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = server.local_addr().expect("an address");
    let (socket, _) = tokio::join!(TcpStream::connect(address), server.accept());
    let client = Client {
        address,
        local: address,
        tls: false,
    };
    let socket = Socket::new(socket.expect("a connection"));
    Arc::new(Connection::new(
        client,
        listener,
        socket.look(),
        Arc::clone(&registry.clock),
    ))
}

fn answer(
    connection: &Arc<Connection>,
    later: &Mutex<Option<Later>>,
    ordinal: u64,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let cx = RequestCx::new(*connection.peer.client());
    connection.begin(cx.clone());
    let mut answer = Response::new(Full::from(ordinal.to_string()));
    if let Some(refusal) = connection.refusal(ordinal) {
        *answer.status_mut() = http::StatusCode::from_u16(refusal.status).expect("a status");
    }
    match request.uri().path() {
        "/long" => *answer.body_mut() = Full::from(vec![b'x'; LONG_BYTES]),
        "/later" => *later.lock().expect("no panic") = Some((request.into_body(), connection.body_opens())),
        _ => {}
    }
    // As at the door, where an exchange is over when hyper has taken the last of its body.
    connection.end(&cx);
    answer
}

const ASKED: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";

#[tokio::test]
async fn a_connection_rests_and_is_as_it_was() {
    let mut talk = Talk::start(LONG_BYTES).await;
    talk.ask(ASKED, "200 1").await;
    for ordinal in [2, 4, 6] {
        talk.rests().await;
        // Not a byte more than the first, which wakes it, and then all the rest with another request behind.
        talk.client.write_all(b"G").await.expect("it takes bytes");
        until("it wakes", || !talk.connection.is_resting()).await;
        assert_eq!(
            talk.connection.phase(),
            Phase::Head,
            "a head that has begun has its time"
        );
        let rest = [&ASKED[1..], ASKED].concat();
        talk.ask(&rest, &format!("200 {ordinal}")).await;
        talk.is_told(&format!("200 {}", ordinal + 1)).await;
    }
    talk.rests().await;
    // The refusal meets its own request: heads and requests are counted over all of the connection.
    talk.ask(b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", "400 8").await;
    talk.ends().await;
}

#[tokio::test]
async fn request_behind_request_needs_no_rest() {
    let mut talk = Talk::start(LONG_BYTES).await;
    let end = talk.registry.clock.now() + LOOKS * 50;
    let mut ordinal = 0;
    while talk.registry.clock.now() < end {
        ordinal += 1;
        talk.ask(ASKED, &format!("200 {ordinal}")).await;
    }
    assert!(ordinal > 100, "{ordinal} requests were no load");
}

#[tokio::test]
async fn a_connection_at_rest_hears_its_end_and_the_watch() {
    let mut talk = Talk::start(LONG_BYTES).await;
    talk.ask(ASKED, "200 1").await;
    talk.rests().await;
    talk.connection.order(Order::Kill);
    talk.ends().await;

    let mut talk = Talk::start(LONG_BYTES).await;
    talk.ask(ASKED, "200 1").await;
    talk.rests().await;
    talk.client.shutdown().await.expect("it can be closed");
    talk.ends().await;
}

#[tokio::test]
async fn an_answer_that_the_client_takes_late_is_whole() {
    let mut talk = Talk::start(1024).await;
    talk.client
        .write_all(b"GET /long HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .expect("it takes bytes");
    until("it is answered", || talk.connection.phase() == Phase::Idle).await;
    talk.is_looked_at().await;
    assert!(!talk.connection.is_resting());
    talk.is_told(&format!("200 {}", "x".repeat(LONG_BYTES))).await;
    talk.rests().await;
    talk.ask(ASKED, "200 2").await;
}

/// A handler may answer first and read the request's body then: hyper holds what has come of it.
#[tokio::test]
async fn a_body_that_is_read_behind_the_answer_is_whole() {
    for bytes in [16, 4 * 1024, LONG_BYTES] {
        let mut talk = Talk::start(4 * LONG_BYTES).await;
        let head = format!("POST /later HTTP/1.1\r\nhost: a\r\ncontent-length: {bytes}\r\n\r\n");
        let request = [head.into_bytes(), vec![b'b'; bytes]].concat();
        talk.ask(&request, "200 1").await;
        talk.is_looked_at().await;
        let (mut body, open) = talk.later.lock().expect("no panic").take().expect("a body");
        let mut read = 0;
        while read < bytes {
            // Slower than the watch looks, and the last byte is not the end that hyper tells.
            let frame = body.frame().await.expect("more of it").expect("no fault");
            read += frame.data_ref().expect("data").len();
            if read == bytes || read == frame.data_ref().expect("data").len() {
                talk.is_looked_at().await;
            }
        }
        assert_eq!(read, bytes);
        assert!(!talk.connection.is_resting(), "its body may still be read");
        let end = tokio::time::timeout(Duration::from_millis(1), body.frame()).await;
        assert!(!matches!(end, Ok(Some(Err(_)))), "{end:?}");
        drop((body, open));
        talk.rests().await;
        talk.ask(ASKED, "200 2").await;
    }
}
