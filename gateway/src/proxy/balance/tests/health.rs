//! Health checks of real servers.

use super::*;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// A server that says the same to every request, until it is told to say something else.
struct Origin {
    address: SocketAddr,
    answer: Arc<Mutex<&'static str>>,
    heads: Arc<Mutex<Vec<String>>>,
    accepted: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

const GOOD: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const BAD: &str = "HTTP/1.1 500 No\r\ncontent-length: 2\r\n\r\nno";
/// Says nothing at all.
const SILENT: &str = "";

impl Origin {
    async fn start(answer: &'static str) -> Self {
        Self::at("127.0.0.1:0".parse().unwrap(), answer, None).await
    }

    async fn at(address: SocketAddr, answer: &'static str, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (answer, heads) = (Arc::new(Mutex::new(answer)), Arc::<Mutex<Vec<String>>>::default());
        let accepted = Arc::new(AtomicUsize::new(0));
        let (says, seen, counted) = (Arc::clone(&answer), Arc::clone(&heads), Arc::clone(&accepted));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let (says, seen, tls) = (Arc::clone(&says), Arc::clone(&seen), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, &says, &seen).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, &says, &seen).await;
                            }
                        }
                    }
                });
            }
        });
        Self {
            address,
            answer,
            heads,
            accepted,
            task,
        }
    }

    fn says(&self, answer: &'static str) {
        *self.answer.lock().unwrap() = answer;
    }

    fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    fn asked(&self) -> usize {
        self.heads.lock().unwrap().len()
    }

    /// Stops listening; the port is free again.
    async fn stop(self) -> SocketAddr {
        self.task.abort();
        let _ = self.task.await;
        self.address
    }
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, says: &Mutex<&str>, seen: &Mutex<Vec<String>>) {
    let mut head = Vec::new();
    while let Ok(byte) = stream.read_u8().await {
        head.push(byte);
        if head.ends_with(b"\r\n\r\n") {
            let text = String::from_utf8(std::mem::take(&mut head)).unwrap();
            seen.lock().unwrap().push(text);
            let answer = *says.lock().unwrap();
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}

fn checked(server: SocketAddr, check: &str) -> Made {
    Made::of(&format!(
        "servers = [\"{server}\"]\nhealth = {{ interval = \"100ms\", {check} }}"
    ))
}

/// Whether there is a healthy server.
fn is_up(made: &Made) -> bool {
    made.pick().is_some()
}

fn gauge(made: &Made) -> bool {
    let text = made.metrics.render();
    let series = "tidegate_upstream_server_healthy{upstream=\"api\",";
    let line = text.lines().find(|line| line.starts_with(series));
    line.unwrap_or_else(|| panic!("{text}")).ends_with(" 1")
}

#[tokio::test]
async fn the_status_of_an_answer_decides() {
    let origin = Origin::start(BAD).await;
    let made = checked(origin.address, "path = \"/healthz?deep\", timeout = \"300ms\"");
    assert!(is_up(&made), "until it is known better");
    until("it is found unhealthy", || !is_up(&made)).await;
    assert!(!gauge(&made));
    assert!(!made.balancer().view()[0].1);
    origin.says(GOOD);
    until("it is found healthy", || is_up(&made)).await;
    assert!(gauge(&made));
    // Each is a change from the one before it.
    for (answer, is_healthy) in [
        ("HTTP/1.1 404 Where\r\ncontent-length: 0\r\n\r\n", false),
        ("HTTP/1.1 204 Nothing\r\n\r\n", true),
        (SILENT, false),
        ("HTTP/1.1 302 There\r\ncontent-length: 0\r\nlocation: /x\r\n\r\n", true),
        ("SSH-2.0-OpenSSH_9.2\r\n", false),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            true,
        ),
        ("HTTP/1.1 101 Other\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n", false),
        ("HTTP/1.0 399 Last\r\ncontent-length: 0\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok", false),
    ] {
        origin.says(answer);
        until(answer, || is_up(&made) == is_healthy).await;
    }
    let head = origin.heads.lock().unwrap()[0].clone();
    assert!(head.starts_with("GET /healthz?deep HTTP/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("host: {}\r\n", origin.address)), "{head}");
    assert!(head.contains("user-agent: tidegate/"), "{head}");
}

#[tokio::test]
async fn a_change_needs_as_many_checks_in_a_row_as_configured() {
    let origin = Origin::start(GOOD).await;
    let made = checked(
        origin.address,
        "path = \"/\", host = \"api.example\", unhealthy_after = 3, healthy_after = 2",
    );
    until("it is asked", || origin.asked() >= 2).await;
    assert_eq!(
        origin.accepted(),
        origin.asked(),
        "each time on a connection of its own"
    );
    origin.says(BAD);
    let before = origin.asked();
    until("it is down", || !is_up(&made)).await;
    // One that was under way may have been counted before, and its answer was good.
    assert!(
        (3..=4).contains(&(origin.asked() - before)),
        "{}",
        origin.asked() - before
    );
    origin.says(GOOD);
    let before = origin.asked();
    until("it is up", || is_up(&made)).await;
    assert!(
        (2..=3).contains(&(origin.asked() - before)),
        "{}",
        origin.asked() - before
    );
    let head = origin.heads.lock().unwrap()[0].clone();
    assert!(head.contains("host: api.example\r\n"), "{head}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_down_until_it_is_back() {
    for check in ["path = \"/\"", "tcp = true"] {
        let origin = Origin::start(GOOD).await;
        let made = checked(origin.address, check);
        until("it is asked", || origin.accepted() >= 2).await;
        assert!(is_up(&made));
        let address = origin.stop().await;
        until("it is down", || !is_up(&made)).await;
        let origin = Origin::at(address, GOOD, None).await;
        until("it is up", || is_up(&made)).await;
        let asked = origin.asked();
        assert_eq!(asked > 0, check != "tcp = true", "{check}: {asked} requests");
    }
}

#[tokio::test]
async fn a_check_has_its_time_and_reads_no_more_than_it_needs() {
    let endless = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok";
    let origin = Origin::start(endless).await;
    let made = checked(origin.address, "path = \"/\", timeout = \"100ms\", unhealthy_after = 1");
    until("its body does not end", || !is_up(&made)).await;
    assert!(
        made.members()[0].reason().contains("100ms"),
        "{}",
        made.members()[0].reason()
    );

    let large = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n{}",
        "x".repeat(1 << 20)
    );
    origin.says(large.leak());
    until("it is large, and good", || is_up(&made)).await;
}

#[tokio::test]
async fn each_server_is_asked_at_once_and_by_itself() {
    let (good, bad) = (Origin::start(GOOD).await, Origin::start(BAD).await);
    let table = format!(
        "servers = [\"{}\", \"{}\"]\nhealth = {{ path = \"/\", interval = \"1h\", unhealthy_after = 1 }}",
        good.address, bad.address
    );
    let made = Made::of(&table);
    // The first checks come at once, whatever the interval.
    until("one is down", || {
        made.balancer().view().iter().any(|(_, is_healthy)| !is_healthy)
    })
    .await;
    for _ in 0..100 {
        assert_eq!(made.pick().unwrap().address, good.address);
    }
    assert!(good.asked() <= 2 && bad.asked() <= 2);
}

/// Acceptors for a certificate of 127.0.0.1 and for one of another address, and a file with their authority.
fn authority(folder: &TempDir) -> (TlsAcceptor, TlsAcceptor, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let acceptor = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    };
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, pem).unwrap();
    (acceptor("127.0.0.1"), acceptor("127.0.0.9"), file.display().to_string())
}

#[tokio::test]
async fn certificates_are_verified_by_checks_too() {
    let folder = TempDir::new().unwrap();
    let (right, wrong, ca) = authority(&folder);
    let any = "127.0.0.1:0".parse().unwrap();
    for check in ["path = \"/\"", "tcp = true"] {
        let (right, wrong) = (right.clone(), wrong.clone());
        let (right, wrong) = (
            Origin::at(any, GOOD, Some(right)).await,
            Origin::at(any, GOOD, Some(wrong)).await,
        );
        let plain = Origin::start(GOOD).await;
        let made = Made::of(&format!(
            "servers = [\"{}\", \"{}\", \"{}\"]\nhealth = {{ interval = \"100ms\", timeout = \"500ms\", {check} }}\n\
             tls = {{ ca = \"{ca}\" }}",
            right.address, wrong.address, plain.address
        ));
        let is_healthy = |address| {
            let view = made.balancer().view();
            view.iter()
                .any(|(server, is_healthy)| server.address == address && *is_healthy)
        };
        until("both others are down", || {
            !is_healthy(wrong.address) && !is_healthy(plain.address)
        })
        .await;
        let accepted = right.accepted();
        until("it is asked again", || right.accepted() > accepted + 2).await;
        assert!(is_healthy(right.address), "{check}");
        let member = made
            .members()
            .into_iter()
            .find(|member| member.address() == wrong.address)
            .unwrap();
        assert!(member.reason().contains("certificate"), "{check}: {}", member.reason());
    }
}
