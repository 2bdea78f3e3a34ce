//! Connections that may leave HTTP: what comes behind the handshake is kept as it is for whoever goes on, and is the
//! next request where nobody does.

use super::*;
use crate::door::io::SCRATCH_BYTES;
use http::StatusCode;
use tokio::sync::oneshot;

const UPGRADE: &[u8] = b"GET /chat HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
/// What no HTTP server would take for a head.
const FRAMES: &[u8] = b"\x81\x85\0\0\0\0hello\n\0\r\n\r\nGET / HTTP/9";
/// Far more than anybody may hold.
const FLOOD_BYTES: usize = 1024 * 1024;
const PIPE_BYTES: usize = 4096;

/// A connection whose first request is answered when the test says so, with a status and no body; all later ones at
/// once with 200.
struct Waiting {
    client: DuplexStream,
    connection: Arc<Connection>,
    registry: Arc<Registry>,
    answer: oneshot::Sender<StatusCode>,
    requests: Arc<AtomicU64>,
    /// What is left when hyper is done: the stream and what came behind the handshake.
    left: JoinHandle<(DuplexStream, Vec<u8>)>,
}

impl Waiting {
    async fn start(early: &[u8]) -> Self {
        let registry = Arc::new(Registry::new());
        let connection = connection(&registry).await;
        let (client, stream) = duplex(PIPE_BYTES);
        let (answer, answered) = oneshot::channel();
        let requests = Arc::new(AtomicU64::new(0));
        let guard = Guard::new(HeadLimits::default());
        let io = DoorIo::new(stream, Arc::clone(&connection), Some(guard), early.to_vec());
        let seen = Arc::clone(&requests);
        let left = tokio::spawn(async move {
            let first = Mutex::new(Some(answered));
            let service = service_fn(|_: Request<Incoming>| {
                seen.fetch_add(1, Ordering::Relaxed);
                let first = first.lock().expect("no panic").take();
                async {
                    let status = match first {
                        Some(first) => first.await.expect("an answer"),
                        None => StatusCode::OK,
                    };
                    let mut answer = Response::new(Full::new(Bytes::new()));
                    *answer.status_mut() = status;
                    Ok::<_, Infallible>(answer)
                }
            });
            let mut serving = http1::Builder::new().half_close(true).serve_connection(io, service);
            (&mut serving).await.expect("it ends well");
            let parts = serving.into_parts();
            assert!(parts.read_buf.is_empty(), "hyper has bytes of the other protocol");
            parts.io.into_tunnel()
        });
        Self {
            client,
            connection,
            registry,
            answer,
            requests,
            left,
        }
    }

    async fn write(&mut self, bytes: &[u8]) {
        self.client.write_all(bytes).await.expect("it takes bytes");
    }

    async fn is_asked(&self, requests: u64) {
        until("a request comes", || self.requests.load(Ordering::Relaxed) == requests).await;
    }
}

#[tokio::test]
async fn what_comes_behind_a_handshake_that_is_answered_is_kept() {
    for with_handshake in 0..=FRAMES.len() {
        let mut waiting = Waiting::start(b"").await;
        let (at_once, later) = FRAMES.split_at(with_handshake);
        waiting.write(&[UPGRADE, at_once].concat()).await;
        waiting.is_asked(1).await;
        waiting.write(later).await;
        waiting.answer.send(StatusCode::SWITCHING_PROTOCOLS).expect("it waits");
        let (mut stream, mut frames) = waiting.left.await.expect("no panic");
        assert_eq!(frames, at_once);
        waiting.client.write_all(b"last").await.expect("it takes bytes");
        drop(waiting.client);
        stream.read_to_end(&mut frames).await.expect("the rest");
        assert_eq!(frames, [FRAMES, b"last"].concat());
        assert_eq!(waiting.connection.refusal(2), None);
    }
}

/// The bytes that told which protocol it is are read before there is a guard.
#[tokio::test]
async fn what_was_read_before_the_guard_is_kept_too() {
    for early in [UPGRADE.len() - 1, UPGRADE.len(), UPGRADE.len() + FRAMES.len()] {
        let bytes = [UPGRADE, FRAMES].concat();
        let (early, later) = bytes.split_at(early);
        let mut waiting = Waiting::start(early).await;
        waiting.write(later).await;
        waiting.is_asked(1).await;
        waiting.answer.send(StatusCode::SWITCHING_PROTOCOLS).expect("it waits");
        let (mut stream, mut frames) = waiting.left.await.expect("no panic");
        drop(waiting.client);
        stream.read_to_end(&mut frames).await.expect("the rest");
        assert_eq!(frames, FRAMES);
    }
}

/// hyper takes a long head in more than one read; until it has all of it nobody can have answered.
#[tokio::test]
async fn a_long_handshake_is_no_reason_to_go_on() {
    let field = format!("x: {}\r\n\r\n", "y".repeat(20 * 1024));
    let head = [UPGRADE.strip_suffix(b"\r\n").expect("a head"), field.as_bytes()].concat();
    let (front, end) = head.split_at(head.len() - 16);
    let mut waiting = Waiting::start(b"").await;
    waiting.write(front).await;
    for _ in 0..16 {
        tokio::task::yield_now().await;
    }
    waiting.write(&[end, FRAMES].concat()).await;
    waiting.is_asked(1).await;
    waiting.answer.send(StatusCode::SWITCHING_PROTOCOLS).expect("it waits");
    let (_, frames) = waiting.left.await.expect("no panic");
    assert_eq!(frames, FRAMES);
    assert_eq!(waiting.connection.refusal(2), None);
}

#[tokio::test]
async fn requests_behind_a_handshake_that_is_not_answered_are_served() {
    let mut talk = Talk::start(LONG_BYTES).await;
    talk.ask(&[UPGRADE, ASKED, UPGRADE, UPGRADE, ASKED].concat(), "200 1")
        .await;
    for ordinal in 2..=5 {
        talk.is_told(&format!("200 {ordinal}")).await;
    }
    talk.rests().await;
    // Cut anywhere, by a client that does not wait either.
    for cut in 1..UPGRADE.len() + ASKED.len() {
        let bytes = [UPGRADE, ASKED].concat();
        let (first, second) = bytes.split_at(cut);
        let asked = 4 + 2 * cut;
        talk.client.write_all(first).await.expect("it takes bytes");
        tokio::task::yield_now().await;
        talk.ask(second, &format!("200 {asked}")).await;
        talk.is_told(&format!("200 {}", asked + 1)).await;
    }
    // What is no request is refused in its own place.
    let next = 4 + 2 * (UPGRADE.len() + ASKED.len());
    talk.ask(&[UPGRADE, FRAMES].concat(), &format!("200 {next}")).await;
    talk.is_told(&format!("400 {}", next + 1)).await;
    talk.ends().await;
}

#[tokio::test]
async fn what_comes_behind_a_handshake_is_not_judged_before_its_answer() {
    let mut waiting = Waiting::start(b"").await;
    waiting.write(&[UPGRADE, FRAMES].concat()).await;
    waiting.is_asked(1).await;
    tokio::spawn(Arc::clone(&waiting.registry).watch());
    let _registered = waiting.registry.add(Arc::clone(&waiting.connection));
    is_looked_at(&waiting.registry).await;
    assert_eq!(waiting.connection.refusal(2), None);
    waiting.answer.send(StatusCode::OK).expect("it waits");
    until("it is refused", || waiting.connection.refusal(2).is_some()).await;
}

/// Not a byte is read behind what came with the handshake, however long its answer takes.
#[tokio::test]
async fn a_client_that_floods_before_the_answer_is_not_read() {
    let Waiting {
        mut client,
        registry,
        connection,
        answer,
        requests,
        left: _left,
    } = Waiting::start(b"").await;
    let written = Arc::new(AtomicU64::new(0));
    let flood = tokio::spawn({
        let written = Arc::clone(&written);
        async move {
            client.write_all(UPGRADE).await.expect("it takes bytes");
            let flood = vec![b'x'; PIPE_BYTES];
            for _ in 0..FLOOD_BYTES / PIPE_BYTES {
                if client.write_all(&flood).await.is_err() {
                    return;
                }
                written.fetch_add(PIPE_BYTES as u64, Ordering::Relaxed);
            }
        }
    });
    until("the handshake comes", || requests.load(Ordering::Relaxed) == 1).await;
    tokio::spawn(Arc::clone(&registry).watch());
    let _registered = registry.add(Arc::clone(&connection));
    is_looked_at(&registry).await;
    let taken = written.load(Ordering::Relaxed);
    is_looked_at(&registry).await;
    assert_eq!(written.load(Ordering::Relaxed), taken, "it is still read");
    assert!(taken <= (SCRATCH_BYTES + PIPE_BYTES) as u64, "{taken} bytes were taken");
    // Then it is a head, and longer than one may be.
    answer.send(StatusCode::OK).expect("it waits");
    until("it is refused", || connection.refusal(2).is_some()).await;
    assert_eq!(connection.refusal(2).map(|refusal| refusal.code), Some("head-bytes"));
    flood.await.expect("it is cut off");
}
