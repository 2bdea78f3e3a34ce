//! TLS and HTTP/2.

use super::*;
use http::{HeaderMap, HeaderValue, Version};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::RootCertStore;
use rustls::pki_types::PrivateKeyDer;
use std::sync::Mutex;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// An authority of its own, and what it issued for the server.
struct Authority {
    roots: RootCertStore,
    acceptor: TlsAcceptor,
}

impl Authority {
    fn issuing(names: &[&str], alpn: &[&str]) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = params.self_signed(&key).unwrap();
        let issuer = Issuer::new(params, key);
        let server_key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let certificate = CertificateParams::new(names)
            .unwrap()
            .signed_by(&server_key, &issuer)
            .unwrap();

        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).unwrap();
        let key = PrivateKeyDer::try_from(server_key.serialize_der()).unwrap();
        let mut config =
            rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(vec![certificate.der().clone()], key)
                .unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Self {
            roots,
            acceptor: TlsAcceptor::from(Arc::new(config)),
        }
    }

    async fn serve<F>(&self, handle: impl Fn(TlsStream<TcpStream>) -> F + Clone + Send + Sync + 'static) -> Origin
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let acceptor = self.acceptor.clone();
        Origin::start(move |stream| {
            let (acceptor, handle) = (acceptor.clone(), handle.clone());
            async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    handle(stream).await;
                }
            }
        })
        .await
    }

    fn client(&self, connections: usize) -> Arc<Client<Sent>> {
        let outbound = Outbound::trusting(Dns::System, self.roots.clone());
        Client::new(outbound, local(), connections, 1)
    }
}

async fn answer_h1(mut stream: TlsStream<TcpStream>) {
    while read_request(&mut stream).await.is_some() {
        stream.write_all(OK.as_bytes()).await.unwrap();
    }
}

/// Answers each request of HTTP/2 with its method, authority, Host and body, and trailers.
async fn echo_h2(stream: TlsStream<TcpStream>) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        tokio::spawn(async move {
            let mut told = format!("{} {} ", request.method(), request.uri());
            assert!(request.headers().get("connection").is_none());
            told.push_str(request.headers().get("host").map_or("-", |host| host.to_str().unwrap()));
            let mut body = request.into_body();
            while let Some(Ok(data)) = body.data().await {
                told.push_str(std::str::from_utf8(&data).unwrap());
                body.flow_control().release_capacity(data.len()).unwrap();
            }
            let mut trailers = HeaderMap::new();
            trailers.insert("x-sum", HeaderValue::from_static("9"));
            let mut send = respond.send_response(Response::new(()), false).unwrap();
            send.send_data(told.into(), false).unwrap();
            send.send_trailers(trailers).unwrap();
        });
    }
}

fn https(origin: &Origin, path: &str) -> String {
    format!("https://{}{path}", origin.address)
}

#[tokio::test]
async fn many_requests_share_one_connection_of_http2() {
    let authority = Authority::issuing(&["127.0.0.1"], &["h2", "http/1.1"]);
    let origin = authority.serve(echo_h2).await;
    let client = authority.client(8);
    for _ in 0..2 {
        let all: Vec<_> = (0..40)
            .map(|_| client.send(get(https(&origin, "/a?b")), patient()))
            .collect();
        for answer in futures_util::future::join_all(all).await {
            let answer = answer.unwrap();
            assert_eq!(answer.version(), Version::HTTP_2);
            let collected = answer.into_body().collect().await.unwrap();
            assert_eq!(collected.trailers().unwrap()["x-sum"], "9");
            let expected = format!("GET {} -", https(&origin, "/a?b"));
            assert_eq!(collected.to_bytes(), expected);
        }
    }
    assert_eq!(origin.accepted(), 1);
    let mut request = post(https(&origin, "/"), Sent::Whole(Some(" body".into())));
    request
        .headers_mut()
        .insert("host", HeaderValue::from_static("asked.example"));
    let told = text(client.send(request, patient()).await.unwrap()).await;
    assert_eq!(told, "POST https://asked.example/ - body");

    client.close_idle(Duration::ZERO);
    until("it is closed", || client.connections() == 0 && origin.open() == 0).await;
    client.send(get(https(&origin, "/")), patient()).await.unwrap();
    assert_eq!(origin.accepted(), 2);
}

#[tokio::test]
async fn more_requests_than_a_server_takes_at_once_have_more_connections() {
    let authority = Authority::issuing(&["127.0.0.1"], &["h2"]);
    let most = Arc::new(Mutex::new(0));
    let seen = Arc::clone(&most);
    let origin = authority
        .serve(move |stream| {
            let seen = Arc::clone(&seen);
            async move {
                let mut builder = h2::server::Builder::new();
                builder.max_concurrent_streams(2);
                let mut connection = builder.handshake::<_, Bytes>(stream).await.unwrap();
                let mut held = Vec::new();
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    held.push(respond.send_response(Response::new(()), false).unwrap());
                    let mut most = seen.lock().unwrap();
                    *most = held.len().max(*most);
                }
            }
        })
        .await;
    let client = authority.client(8);
    let mut held = Vec::new();
    for _ in 0..6 {
        held.push(client.send(get(https(&origin, "/")), patient()).await.unwrap());
    }
    assert_eq!(origin.accepted(), 3);
    assert_eq!(*most.lock().unwrap(), 2);
}

#[tokio::test]
async fn http1_over_tls_is_kept_alive() {
    let authority = Authority::issuing(&["localhost"], &["http/1.1"]);
    let origin = authority.serve(answer_h1).await;
    let client = authority.client(4);
    let uri = format!("https://localhost:{}/", origin.address.port());
    for _ in 0..3 {
        let answer = client.send(get(&uri), patient()).await.unwrap();
        assert_eq!(answer.version(), Version::HTTP_11);
        assert_eq!(text(answer).await, "ok");
    }
    assert_eq!(origin.accepted(), 1);
}

#[tokio::test]
async fn certificates_must_be_for_the_name_and_trusted() {
    let authority = Authority::issuing(&["other.example"], &["http/1.1"]);
    let origin = authority.serve(answer_h1).await;
    let uri = format!("https://localhost:{}/", origin.address.port());
    for uri in [uri, https(&origin, "/")] {
        let error = authority.client(4).send(get(&uri), patient()).await.unwrap_err();
        assert!(matches!(error, SendError::TlsCertificate(_)), "{uri}: {error:?}");
    }
    let stranger = Authority::issuing(&["127.0.0.1"], &["http/1.1"]);
    let origin = stranger.serve(answer_h1).await;
    let error = authority
        .client(4)
        .send(get(https(&origin, "/")), patient())
        .await
        .unwrap_err();
    assert!(matches!(error, SendError::TlsCertificate(_)), "{error:?}");
    assert_eq!(
        text(
            stranger
                .client(4)
                .send(get(https(&origin, "/")), patient())
                .await
                .unwrap()
        )
        .await,
        "ok"
    );
}

#[tokio::test]
async fn handshakes_that_fail_are_told_apart() {
    let authority = Authority::issuing(&["127.0.0.1"], &["nothing-we-speak"]);
    let origin = authority.serve(answer_h1).await;
    let error = authority
        .client(4)
        .send(get(https(&origin, "/")), patient())
        .await
        .unwrap_err();
    assert!(
        matches!(error, SendError::TlsAlert { id: 120, .. }),
        "no_application_protocol: {error:?}"
    );
    let plain = Origin::answering(OK).await;
    let plain = Origin::start(move |mut stream| {
        let _ = &plain;
        async move {
            let _ = stream.write_all(b"220 mail.example ESMTP\r\n").await;
            read_to_end(&mut stream).await;
        }
    })
    .await;
    let error = authority
        .client(4)
        .send(get(https(&plain, "/")), patient())
        .await
        .unwrap_err();
    assert!(matches!(error, SendError::Tls(_)), "{error:?}");
}

#[tokio::test]
async fn a_dropped_answer_of_http2_resets_its_stream_alone() {
    let authority = Authority::issuing(&["127.0.0.1"], &["h2"]);
    let reset = Arc::new(AtomicUsize::new(0));
    let resets = Arc::clone(&reset);
    let origin = authority
        .serve(move |stream| {
            let resets = Arc::clone(&resets);
            async move {
                let mut connection = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((request, mut respond))) = connection.accept().await {
                    let resets = Arc::clone(&resets);
                    tokio::spawn(async move {
                        let is_head_awaited = request.uri().path() == "/never";
                        let reason = if is_head_awaited {
                            std::future::poll_fn(|cx| respond.poll_reset(cx)).await
                        } else {
                            let mut send = respond.send_response(Response::new(()), false).unwrap();
                            if request.uri().path() == "/ok" {
                                send.send_data("ok".into(), true).unwrap();
                                return;
                            }
                            std::future::poll_fn(|cx| send.poll_reset(cx)).await
                        };
                        assert_eq!(reason.unwrap(), h2::Reason::CANCEL);
                        resets.fetch_add(1, Ordering::SeqCst);
                    });
                }
            }
        })
        .await;
    let client = authority.client(4);
    drop(client.send(get(https(&origin, "/body")), patient()).await.unwrap());
    until("the body is reset", || reset.load(Ordering::SeqCst) == 1).await;
    let sending = client.send(get(https(&origin, "/never")), patient());
    assert!(tokio::time::timeout(brief(), sending).await.is_err());
    until("the request is reset", || reset.load(Ordering::SeqCst) == 2).await;
    assert_eq!(
        text(client.send(get(https(&origin, "/ok")), patient()).await.unwrap()).await,
        "ok"
    );
    assert_eq!(origin.accepted(), 1, "the connection is none the worse");
}

/// Answers heads alone, takes no byte of any body, and counts the streams that were reset.
async fn unreading(authority: &Authority) -> (Origin, Arc<AtomicUsize>) {
    let reset = Arc::new(AtomicUsize::new(0));
    let resets = Arc::clone(&reset);
    let origin = authority
        .serve(move |stream| {
            let resets = Arc::clone(&resets);
            async move {
                let mut connection = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((request, mut respond))) = connection.accept().await {
                    let resets = Arc::clone(&resets);
                    tokio::spawn(async move {
                        let mut send: h2::SendStream<Bytes> = respond.send_response(Response::new(()), false).unwrap();
                        let _ = std::future::poll_fn(|cx| send.poll_reset(cx)).await;
                        resets.fetch_add(1, Ordering::SeqCst);
                        drop(request);
                    });
                }
            }
        })
        .await;
    (origin, reset)
}

/// A request body whose server takes no more of it would hold its stream for ever.
#[tokio::test]
async fn an_upload_over_http2_that_hangs_is_broken_off_with_its_exchange() {
    let authority = Authority::issuing(&["127.0.0.1"], &["h2"]);
    let (origin, _) = unreading(&authority).await;
    let client = authority.client(4);
    let (sender, body) = pieces();
    let piece = || Ok(Frame::data(vec![0; 1024 * 1024].into()));
    let answer = client.send(post(https(&origin, "/"), body), patient()).await.unwrap();
    // The first is queued within HTTP/2, the second waits for the window.
    sender.send(piece()).await.unwrap();
    sender.send(piece()).await.unwrap();
    drop(sender.reserve().await.unwrap());
    drop(answer);
    until("nothing is left", || client.connections() == 0 && origin.open() == 0).await;
    until("the body is dropped", || sender.is_closed()).await;
}

#[tokio::test]
async fn an_upload_over_http2_that_waits_for_its_component_ends_alone() {
    let authority = Authority::issuing(&["127.0.0.1"], &["h2"]);
    let (origin, reset) = unreading(&authority).await;
    let client = authority.client(4);
    for count in 1..=2 {
        let (sender, body) = pieces();
        let answer = client.send(post(https(&origin, "/"), body), patient()).await.unwrap();
        drop(answer);
        until("the stream is reset", || reset.load(Ordering::SeqCst) == count).await;
        until("the body is dropped", || sender.is_closed()).await;
    }
    assert_eq!(origin.accepted(), 1);
}

#[tokio::test]
async fn a_server_of_http2_that_does_not_answer_is_met_by_no_other_request() {
    let authority = Authority::issuing(&["127.0.0.1"], &["h2"]);
    let origin = authority
        .serve(|stream| async move {
            let mut connection = h2::server::handshake(stream).await.unwrap();
            let mut held: Vec<(Request<h2::RecvStream>, h2::server::SendResponse<Bytes>)> = Vec::new();
            while let Some(Ok(request)) = connection.accept().await {
                held.push(request);
            }
        })
        .await;
    let client = authority.client(4);
    let timeouts = Timeouts {
        first_byte: brief(),
        ..patient()
    };
    for accepted in 1..=2 {
        let error = client.send(get(https(&origin, "/")), timeouts).await.unwrap_err();
        assert!(matches!(error, SendError::FirstByteTimeout), "{error:?}");
        assert_eq!(origin.accepted(), accepted);
    }
    until("both are closed", || client.connections() == 0).await;
}

/// After GOAWAY nothing new is sent on the connection, and requests go on a new one.
#[tokio::test]
async fn a_connection_that_goes_away_is_replaced() {
    let authority = Authority::issuing(&["127.0.0.1"], &["h2"]);
    let origin = authority
        .serve(|stream| async move {
            let mut connection = h2::server::handshake(stream).await.unwrap();
            if let Some(Ok((_, mut respond))) = connection.accept().await {
                let mut send = respond.send_response(Response::new(()), false).unwrap();
                send.send_data("ok".into(), true).unwrap();
                connection.graceful_shutdown();
            }
            while connection.accept().await.is_some() {}
        })
        .await;
    let client = authority.client(4);
    for _ in 0..4 {
        assert_eq!(
            text(client.send(get(https(&origin, "/")), patient()).await.unwrap()).await,
            "ok"
        );
        until("it is gone", || client.connections() == 0).await;
    }
    assert_eq!(origin.accepted(), 4);
}

#[tokio::test]
async fn no_trusted_authority_is_said_so() {
    let empty = tempfile_without_certificates();
    let found = super::super::tls::trusted(rustls_native_certs::load_certs_from_paths(Some(&empty), None));
    assert!(found.unwrap_err().contains("SSL_CERT_FILE"));
    std::fs::remove_file(empty).unwrap();
}

fn tempfile_without_certificates() -> std::path::PathBuf {
    let path = std::env::temp_dir().join(format!("tidegate-no-roots-{}", std::process::id()));
    std::fs::write(&path, "").unwrap();
    path
}
