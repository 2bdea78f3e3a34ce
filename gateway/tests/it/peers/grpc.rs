//! A gRPC server and a gRPC client with the gateway between them.

use super::one;
use super::programs::{output, port, python};
use crate::support::certs::Authority;
use crate::support::command::Running;
use crate::support::gateway::Builder;
use crate::support::{Gateway, Raw};
use std::net::SocketAddr;

const PACKAGE: &str = "python3-grpcio";
const ALL: [&str; 9] = [
    "unary", "down", "up", "talk", "errors", "deadline", "cancel", "large", "many",
];

struct Server {
    address: SocketAddr,
    _running: Running,
}

impl Server {
    #[track_caller]
    fn start(args: &[String]) -> Self {
        let running = Running::spawn(python("grpc_server.py", "grpc", PACKAGE).args(args));
        Self {
            address: port(&running),
            _running: running,
        }
    }
}

/// Runs the client's scenarios, each of which has to hold.
#[track_caller]
fn client(gateway: SocketAddr, ca: &str, scenarios: &[&str]) {
    let mut command = python("grpc_client.py", "grpc", PACKAGE);
    let said = output(command.args([&gateway.to_string(), ca]).args(scenarios));
    let said = String::from_utf8(said).unwrap();
    assert_eq!(said.lines().collect::<Vec<_>>(), scenarios);
}

/// Its messages may be larger, and its conversations longer, than what a listener allows by default.
fn route(builder: Builder) -> Builder {
    builder.route("{ path = '/tidegate.Peer/*', upstream = 'grpc', limits = { body = '1GiB' } }")
}

#[test]
fn every_kind_of_call_passes_over_h2c() {
    let server = Server::start(&[]);
    let gateway = route(Gateway::with().upstream("grpc", &one(server.address, "protocol = 'h2'"))).start();
    client(gateway.address(), "-", &ALL);
    let upstream = super::upstream(&gateway, "grpc");
    assert_eq!(upstream["requests"], 0, "{upstream:#}");
    // A status in trailers alone is as good an answer as any.
    let address = server.address.to_string();
    let failed = gateway.metric("tidegate_upstream_failures_total", &[("server", &address)]);
    assert_eq!(
        failed, 0.0,
        "calls that their client cancels are no failures of the server"
    );
}

#[test]
fn every_kind_of_call_passes_over_tls_on_both_sides() {
    let builder = Gateway::with();
    let authority = Authority::new();
    let ca = authority.write(builder.folder()).display().to_string();
    let edge = authority.sign(&["edge.test"]).write(builder.folder(), "edge");
    let (cert, key) = authority.sign(&["grpc.internal"]).write(builder.folder(), "grpc");
    let server = Server::start(&[cert.display().to_string(), key.display().to_string()]);
    let tls = format!("tls = {{ ca = '{ca}', server_name = 'grpc.internal' }}");
    let builder = builder.tls(&[edge]).upstream("grpc", &one(server.address, &tls));
    let gateway = route(builder).start();
    client(gateway.address(), &ca, &ALL);
}

/// gRPC libraries make UNAVAILABLE of 502 and 503 (gRPC's HTTP/2 mapping), which callers know to try again.
#[test]
fn a_server_that_is_gone_is_unavailable() {
    let server = Server::start(&[]);
    let address = server.address;
    drop(server);
    let gateway = route(Gateway::with().upstream("grpc", &one(address, "protocol = 'h2'"))).start();
    client(gateway.address(), "-", &["unavailable"]);
}

/// A message of gRPC: not compressed, its length, its bytes.
fn message(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap();
    let mut message = vec![0];
    message.extend_from_slice(&length.to_be_bytes());
    message.extend_from_slice(bytes);
    message
}

fn call(raw: &mut Raw, method: &str, te: &str, body: &[u8]) {
    let length = body.len();
    raw.write(format!(
        "POST /tidegate.Peer/{method} HTTP/1.1\r\nhost: grpc.test\r\ncontent-type: application/grpc\r\n{te}\
         content-length: {length}\r\n\r\n"
    ));
    raw.write(body);
}

#[test]
fn trailers_reach_an_http_1_client_that_takes_them() {
    let server = Server::start(&[]);
    let gateway = route(Gateway::with().upstream("grpc", &one(server.address, "protocol = 'h2'"))).start();
    let mut raw = gateway.connect();
    let takes = "te: trailers\r\nconnection: te\r\n";
    call(&mut raw, "Unary", takes, &message(b"hello"));
    let answer = raw.response();
    assert_eq!(
        (answer.status, answer.body.as_slice()),
        (200, message(b"hello").as_slice())
    );
    assert_eq!(answer.field("content-type"), Some("application/grpc"));
    assert!(
        answer
            .field("trailer")
            .is_some_and(|names| names.contains("grpc-status")),
        "{answer:?}"
    );
    assert_eq!(answer.trailer("grpc-status"), Some("0"), "{answer:?}");

    // On the same connection: an error, which is in the head alone, and one behind two messages.
    call(&mut raw, "Fail", takes, &message(b""));
    let answer = raw.response();
    assert_eq!((answer.status, answer.body.len()), (200, 0), "{answer:?}");
    let status = answer.field("grpc-status").or(answer.trailer("grpc-status"));
    assert_eq!(status, Some("9"), "{answer:?}");
    call(&mut raw, "FailLate", takes, &message(b""));
    let answer = raw.response();
    assert_eq!(answer.body, [message(b"one"), message(b"two")].concat());
    assert_eq!(answer.trailer("grpc-status"), Some("8"), "{answer:?}");
    assert_eq!(answer.trailer("grpc-message"), Some("no three"), "{answer:?}");

    // Who does not say that it takes them has another proxy behind it that would lose them, as a gRPC server sees it.
    call(&mut raw, "Unary", "", &message(b"again"));
    let answer = raw.response();
    assert!(answer.status == 200 && answer.trailers.is_empty(), "{answer:?}");
    assert_ne!(answer.field("grpc-status"), Some("0"), "{answer:?}");
}
