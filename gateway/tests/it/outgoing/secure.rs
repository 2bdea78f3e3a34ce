//! Servers behind TLS: verified before a byte of the request goes out, and spoken to in HTTP/2 where they offer it.

use super::{MODES, all, error, fetch, get, outgoing};
use crate::support::certs::Authority;
use crate::support::gateway::Builder;
use crate::support::origin::Origin;
use crate::support::{Gateway, background, wait};
use bytes::Bytes;
use rustls::ServerConfig;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::runtime::Runtime;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const UNTRUSTED: &str = "TLS-certificate-error";

fn answering(tls: ServerConfig) -> Origin {
    Origin::start_tls(tls, |visit| {
        while visit.request().is_some() {
            visit.raw.write(OK);
        }
    })
}

/// A gateway that trusts `authority` and nobody else.
fn trusting(authority: &Authority, builder: Builder) -> Gateway {
    let file = authority.write(builder.folder());
    builder
        .process_env("SSL_CERT_FILE", &file.display().to_string())
        .start()
}

#[test]
fn a_server_is_what_its_certificate_says() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let good = answering(authority.sign(&["localhost", "127.0.0.1"]).server(&["http/1.1"]));
    let misnamed = answering(authority.sign(&["other.example"]).server(&[]));
    let unknown = answering(stranger.sign(&["localhost", "127.0.0.1"]).server(&[]));
    // It says something else before it has understood anything.
    let plain = Origin::start(|visit| {
        visit.raw.write("HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n");
        visit.raw.finish_writing();
        visit.until_closed();
    });
    let gateway = trusting(&authority, all(&["localhost:*", "127.0.0.1:*"]).set("workers", 1));
    for mode in MODES {
        for host in ["localhost", "127.0.0.1"] {
            let url = |origin: &Origin| format!("https://{host}:{}/", origin.port());
            assert_eq!(
                fetch(&gateway, mode, &url(&good), "").is(200).text(),
                "ok",
                "{mode:?} {host}"
            );
            assert_eq!(error(&gateway, mode, &url(&misnamed), ""), UNTRUSTED, "{mode:?} {host}");
            assert_eq!(error(&gateway, mode, &url(&unknown), ""), UNTRUSTED, "{mode:?} {host}");
            assert_eq!(
                error(&gateway, mode, &url(&plain), ""),
                "TLS-protocol-error",
                "{mode:?} {host}"
            );
        }
        // A name of this machine that the certificate does not have.
        let url = format!("https://a.localhost:{}/", good.port());
        assert_eq!(error(&gateway, mode, &url, ""), UNTRUSTED, "{mode:?}");
        assert_eq!(
            (outgoing(&gateway, mode, "ok"), outgoing(&gateway, mode, "failed")),
            (2.0, 7.0),
            "{mode:?}"
        );
    }
    let received: usize = [&misnamed, &unknown, &plain]
        .map(Origin::received_count)
        .into_iter()
        .sum();
    assert_eq!(received, 0, "a request went to a server that is not who it should be");
    let request = good.last();
    assert_eq!(request.field("host"), format!("127.0.0.1:{}", good.port()));
}

#[test]
fn a_tls_connection_is_kept_too() {
    let authority = Authority::new();
    let origin = answering(authority.sign(&["localhost"]).server(&["http/1.1"]));
    let gateway = trusting(&authority, all(&["https://localhost:*"]).set("workers", 1));
    let url = format!("https://localhost:{}/", origin.port());
    for mode in MODES {
        let before = origin.accepted();
        let mut raw = gateway.connect();
        for _ in 0..20 {
            raw.write(get(mode, &url, ""));
            raw.response().is(200);
        }
        assert_eq!(origin.accepted() - before, 1, "{mode:?}");
    }
}

/// A server that speaks HTTP/2 over TLS and answers when `together` requests are under way at once.
struct H2Origin {
    _runtime: Runtime,
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
}

impl H2Origin {
    fn start(tls: ServerConfig, together: usize) -> Self {
        let (runtime, listener, address) = background::listening_anywhere();
        let accepted = Arc::<AtomicUsize>::default();
        let (seen, acceptor) = (Arc::clone(&accepted), tokio_rustls::TlsAcceptor::from(Arc::new(tls)));
        let waiting = Arc::<AtomicUsize>::default();
        runtime.spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                seen.fetch_add(1, Ordering::SeqCst);
                let (acceptor, waiting) = (acceptor.clone(), Arc::clone(&waiting));
                tokio::spawn(async move {
                    let tls = acceptor.accept(tcp).await.expect("a TLS handshake");
                    assert_eq!(tls.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
                    let mut connection = h2::server::handshake(tls).await.expect("an HTTP/2 handshake");
                    while let Some(Ok((request, respond))) = connection.accept().await {
                        let waiting = Arc::clone(&waiting);
                        tokio::spawn(echo(request, respond, waiting, together));
                    }
                });
            }
        });
        Self {
            _runtime: runtime,
            address,
            accepted,
        }
    }
}

/// Answers with the request's target and body, in data frames and with trailers.
async fn echo(
    request: http::Request<h2::RecvStream>,
    mut respond: h2::server::SendResponse<Bytes>,
    waiting: Arc<AtomicUsize>,
    together: usize,
) {
    let (head, mut body) = request.into_parts();
    let mut text = format!("{} {} ", head.method, head.uri).into_bytes();
    while let Some(data) = body.data().await {
        let data = data.expect("the body is whole");
        text.extend_from_slice(&data);
        body.flow_control().release_capacity(data.len()).expect("it was taken");
    }
    waiting.fetch_add(1, Ordering::SeqCst);
    while waiting.load(Ordering::SeqCst) < together {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    let answer = http::Response::builder()
        .header("trailer", "x-end")
        .body(())
        .expect("a response");
    let mut send = respond.send_response(answer, false).expect("the stream is open");
    send.send_data(text.into(), false).expect("the stream is open");
    let mut trailers = http::HeaderMap::new();
    trailers.insert("x-end", "h2".parse().expect("a value"));
    send.send_trailers(trailers).expect("the stream is open");
}

#[test]
fn http2_is_spoken_where_it_is_offered() {
    let authority = Authority::new();
    let pair = authority.sign(&["localhost"]);
    let (count, waited) = (8, MODES.len() * 8);
    let origin = H2Origin::start(pair.server(&["h2", "http/1.1"]), 0);
    let gateway = trusting(&authority, all(&["https://localhost:*"]).set("workers", 1));
    let url = format!("https://localhost:{}/path?q", origin.address.port());
    for mode in MODES {
        let head = get(mode, &url, "");
        let (get, post) = (
            head.replace("\r\n\r\n", "\r\nte: trailers\r\nconnection: te\r\n\r\n"),
            head.replacen("GET", "POST", 1)
                .replace("\r\n\r\n", "\r\ncontent-length: 4\r\n\r\nbody"),
        );
        let mut raw = gateway.connect();
        for _ in 0..5 {
            raw.write(&get);
            let answer = raw.response();
            assert_eq!(answer.is(200).text(), format!("GET {url} "), "{mode:?}");
            assert_eq!(answer.trailer("x-end"), Some("h2"), "{mode:?}");
            raw.write(&post);
            assert_eq!(raw.response().is(200).text(), format!("POST {url} body"), "{mode:?}");
        }
    }
    let is_shared = |origin: &H2Origin| {
        // A guest that moved to the CPU lane, on a machine that keeps it waiting, is on another thread, and has a
        // connection there.
        let moved = gateway.metric("tidegate_component_lane_moves_total", &[]) as usize;
        let accepted = origin.accepted.load(Ordering::SeqCst);
        assert!(
            accepted >= MODES.len() && accepted <= MODES.len() + moved,
            "{accepted}, {moved} moved"
        );
    };
    is_shared(&origin);

    // None is answered before all are there: they share the connection.
    let together = H2Origin::start(pair.server(&["h2"]), waited);
    let url = format!("https://localhost:{}/", together.address.port());
    let mut asked = Vec::new();
    for mode in MODES {
        for _ in 0..count {
            let mut raw = gateway.connect();
            raw.write(get(mode, &url, ""));
            asked.push(raw);
        }
    }
    for raw in &mut asked {
        raw.response().is(200);
    }
    is_shared(&together);
    let ok = |mode| outgoing(&gateway, mode, "ok");
    wait::until_true("all to be counted", || {
        MODES.into_iter().map(ok).sum::<f64>() == (waited + MODES.len() * 10) as f64
    });
}
