//! WebSockets through the gateway: to a server written in Python and one in JavaScript, from clients over HTTP/1.1,
//! TLS and HTTP/2.

use super::one;
use super::programs::{output, port, program, python};
use crate::support::certs::Authority;
use crate::support::command::Running;
use crate::support::{Gateway, background, wait};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::{Method, Request, Response};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value as Json;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};

const PACKAGE: &str = "python3-websockets";
const ALL: [&str; 12] = [
    "text",
    "binary",
    "compressed",
    "ping",
    "greet",
    "large",
    "closed_by_server",
    "closed_by_client",
    "subprotocol",
    "refused",
    "many",
    "seen",
];

struct Server {
    address: SocketAddr,
    running: Running,
}

impl Server {
    #[track_caller]
    fn start() -> Self {
        let running = Running::spawn(&mut python("websocket_server.py", "websockets", PACKAGE));
        Self {
            address: port(&running),
            running,
        }
    }

    /// Waits until it has seen a connection's end: its path, code and reason.
    #[track_caller]
    fn wait_closed(&self, end: &str) {
        let end = format!("closed {end}");
        self.running.stdout.wait(&end, |line| (line == end).then_some(()));
    }
}

/// Runs the client's scenarios, each of which has to hold.
#[track_caller]
fn client(url: &str, ca: &str, scenarios: &[&str]) {
    let mut command = python("websocket_client.py", "websockets", PACKAGE);
    let said = String::from_utf8(output(command.args([url, ca]).args(scenarios))).unwrap();
    assert_eq!(said.lines().collect::<Vec<_>>(), scenarios);
}

/// Tunnels that ended well left nothing behind.
#[track_caller]
fn nothing_is_left(gateway: &Gateway) {
    gateway.wait_metric("tidegate_upstream_tunnels_open", &[("upstream", "ws")], 0.0);
    wait::until_true("every load to be given back", || {
        let upstream = super::upstream(gateway, "ws");
        upstream["requests"] == 0
            && upstream["servers"][0]["requests"] == 0
            && upstream["servers"][0]["connections"] == 0
    });
}

#[test]
fn a_client_over_http_1_and_tls_gets_all_of_it() {
    let server = Server::start();
    let builder = Gateway::with();
    let authority = Authority::new();
    let ca = authority.write(builder.folder()).display().to_string();
    let (cert, key) = authority.sign(&["edge.test"]).write(builder.folder(), "edge");
    let gateway = builder
        .listener(&format!(
            "{{ name = 'secure', address = '127.0.0.1:0', tls = [{{ cert = '{}', key = '{}' }}] }}",
            cert.display(),
            key.display()
        ))
        .upstream("ws", &one(server.address, ""))
        .route("{ upstream = 'ws' }")
        .start();
    client(&format!("ws://{}", gateway.address()), "-", &ALL);
    server.wait_closed("/echo 4000 done");
    server.wait_closed("/close 4001 enough");
    client(&format!("wss://{}", gateway.address_of("secure")), &ca, &ALL);
    nothing_is_left(&gateway);
    // "many" brings a hundred, "refused" none.
    let each = (ALL.len() - 2 + 100) as f64;
    assert_eq!(
        gateway.metric("tidegate_upstream_tunnels_total", &[("upstream", "ws")]),
        2.0 * each
    );
    assert_eq!(gateway.metric("tidegate_upstream_failures_total", &[]), 0.0);
}

/// A client of extended CONNECT (RFC 8441): WebSockets in streams of one HTTP/2 connection.
struct Streams {
    runtime: Runtime,
    sender: http2::SendRequest<Empty<Bytes>>,
    host: String,
}

type Socket = WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>;

impl Streams {
    #[track_caller]
    fn connect(address: SocketAddr) -> Self {
        let runtime = background::runtime();
        let sender = runtime.block_on(async {
            let tcp = TcpStream::connect(address).await.unwrap();
            let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(tcp)).await.unwrap();
            tokio::spawn(connection);
            sender
        });
        let mut streams = Self {
            runtime,
            sender,
            host: address.to_string(),
        };
        // An answer shows that the settings are here, which allow extended CONNECT.
        streams.send(Method::GET, "/", None, &[]);
        streams
    }

    fn send(
        &mut self,
        method: Method,
        path: &str,
        protocol: Option<&'static str>,
        fields: &[(&str, &str)],
    ) -> Response<Incoming> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.host));
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        if let Some(protocol) = protocol {
            request = request.extension(hyper::ext::Protocol::from_static(protocol));
        }
        let request = request.body(Empty::new()).unwrap();
        let answer = async {
            self.sender.ready().await.unwrap();
            tokio::time::timeout(wait::PATIENCE, self.sender.send_request(request)).await
        };
        self.runtime
            .block_on(answer)
            .expect("an answer in time")
            .expect("an answer")
    }

    /// A WebSocket, and the fields of the answer that made it one.
    #[track_caller]
    fn open(&mut self, path: &str, fields: &[(&str, &str)]) -> (Socket, http::HeaderMap) {
        let fields = [&[("sec-websocket-version", "13")], fields].concat();
        let answer = self.send(Method::CONNECT, path, Some("websocket"), &fields);
        assert_eq!(answer.status(), 200, "{answer:?}");
        let headers = answer.headers().clone();
        let socket = self.runtime.block_on(async {
            let upgraded = hyper::upgrade::on(answer).await.unwrap();
            WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Client, None).await
        });
        (socket, headers)
    }

    #[track_caller]
    fn write(&self, socket: &mut Socket, message: Message) {
        self.runtime.block_on(socket.send(message)).unwrap();
    }

    #[track_caller]
    fn read(&self, socket: &mut Socket) -> Message {
        let read = async { tokio::time::timeout(wait::PATIENCE, socket.next()).await };
        let message = self.runtime.block_on(read).expect("a message in time");
        message.expect("a message").expect("a good one")
    }
}

#[test]
fn streams_of_one_http_2_connection_are_websockets() {
    let server = Server::start();
    let gateway = Gateway::with()
        .upstream("ws", &one(server.address, ""))
        .route("{ methods = ['GET'], upstream = 'ws' }")
        .start();
    let mut streams = Streams::connect(gateway.address());
    let (mut echo, headers) = streams.open("/echo", &[("sec-websocket-protocol", "chat.v3, chat.v2")]);
    assert_eq!(headers["sec-websocket-protocol"], "chat.v2");
    for name in ["connection", "upgrade", "sec-websocket-accept"] {
        assert_eq!(headers.get(name), None, "{headers:?}");
    }
    let (mut greet, _) = streams.open("/greet", &[]);
    for n in 0..3 {
        assert_eq!(streams.read(&mut greet), Message::text(format!("greeting {n}")));
    }
    for (text, bytes) in [("hello", 10), ("\u{e9}\u{4e16}", 200_000), ("", 4 << 20)] {
        streams.write(&mut echo, Message::text(text));
        assert_eq!(streams.read(&mut echo), Message::text(text));
        streams.write(&mut greet, Message::binary(vec![7; bytes]));
        assert!(streams.read(&mut greet) == Message::binary(vec![7; bytes]), "{bytes}");
    }
    streams.write(&mut echo, Message::Ping("there?".into()));
    assert_eq!(streams.read(&mut echo), Message::Pong("there?".into()));

    // Either side may close, and the other streams go on.
    let frame = CloseFrame {
        code: CloseCode::from(4000),
        reason: "done".into(),
    };
    streams.write(&mut greet, Message::Close(Some(frame.clone())));
    assert_eq!(streams.read(&mut greet), Message::Close(Some(frame)));
    server.wait_closed("/greet 4000 done");
    let (mut close, _) = streams.open("/close", &[]);
    streams.write(&mut close, Message::text("close, please"));
    let Message::Close(Some(frame)) = streams.read(&mut close) else {
        panic!("not closed")
    };
    assert_eq!((u16::from(frame.code), frame.reason.as_str()), (4001, "enough"));
    streams.write(&mut echo, Message::text("still here"));
    assert_eq!(streams.read(&mut echo), Message::text("still here"));
    drop((echo, greet, close, streams));
    nothing_is_left(&gateway);
}

#[test]
fn a_server_sees_the_handshake_of_http_1() {
    let server = Server::start();
    let gateway = Gateway::with()
        .upstream("ws", &one(server.address, ""))
        .route("{ upstream = 'ws' }")
        .start();
    let mut streams = Streams::connect(gateway.address());
    let (mut seen, _) = streams.open("/seen?room=7", &[("cookie", "sid=1"), ("cookie", "b=2")]);
    let Message::Text(text) = streams.read(&mut seen) else {
        panic!("no text")
    };
    let said: Json = serde_json::from_str(&text).unwrap();
    let field = |name: &str| {
        let fields = said["fields"].as_array().unwrap().iter();
        let values: Vec<_> = fields
            .filter(|field| field[0] == name)
            .map(|field| field[1].as_str().unwrap())
            .collect();
        assert_eq!(values.len(), 1, "{name}: {said}");
        values[0].to_owned()
    };
    assert_eq!(said["path"], "/seen?room=7");
    assert_eq!(
        (field("upgrade"), field("connection").to_lowercase()),
        ("websocket".into(), "upgrade".into())
    );
    assert_eq!(
        (field("host"), field("via")),
        (gateway.address().to_string(), "2.0 tidegate".into())
    );
    assert_eq!(
        (field("cookie"), field("sec-websocket-version")),
        ("sid=1; b=2".into(), "13".into())
    );
}

#[test]
fn an_extended_connect_that_makes_no_websocket_is_answered() {
    let server = Server::start();
    let gateway = Gateway::with()
        .upstream("ws", &one(server.address, ""))
        .route("{ path = '/fixed', respond = { body = 'fixed' } }")
        .route("{ path = '/without', websocket = false, upstream = 'ws' }")
        .route("{ upstream = 'ws' }")
        .start();
    let mut streams = Streams::connect(gateway.address());
    let version = ("sec-websocket-version", "13");
    // The server says no, and so is what the client gets.
    let answer = streams.send(Method::CONNECT, "/refuse", Some("websocket"), &[version]);
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["x-why"]),
        (403, &"not you".parse().unwrap())
    );
    let answer = streams.send(
        Method::CONNECT,
        "/echo",
        Some("websocket"),
        &[("sec-websocket-version", "12")],
    );
    assert!(answer.status().is_client_error(), "{answer:?}");
    assert_eq!(
        answer.headers().get("tidegate-error"),
        None,
        "it is the server who knows no version 12: {answer:?}"
    );
    // Nothing but a WebSocket is tunnelled, and nothing but a tunnel is.
    let answer = streams.send(Method::CONNECT, "/echo", Some("connect-udp"), &[]);
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["tidegate-error"]),
        (501, &"connect".parse().unwrap())
    );
    for path in ["/fixed", "/without"] {
        let answer = streams.send(Method::CONNECT, path, Some("websocket"), &[version]);
        assert!(
            answer.status().is_client_error() || answer.status() == 501,
            "{path}: {answer:?}"
        );
    }
    // The connection lives on.
    let (mut echo, _) = streams.open("/echo", &[]);
    streams.write(&mut echo, Message::text("here"));
    assert_eq!(streams.read(&mut echo), Message::text("here"));
    drop(echo);
    let answer = streams.send(Method::GET, "/fixed", None, &[]);
    assert_eq!(answer.status(), 200);
}

/// node's HTTP server gives an upgraded connection away with what came behind its head.
const NODE: &str = r#"
const http = require('http'), crypto = require('crypto');
const server = http.createServer((request, answer) => answer.end('plain ' + (request.headers.upgrade || 'none')));
server.on('upgrade', (request, socket, head) => {
    const key = request.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
    const accept = crypto.createHash('sha1').update(key).digest('base64');
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
        'Sec-WebSocket-Accept: ' + accept + '\r\n\r\nfirst|');
    socket.write(head);
    socket.on('data', data => socket.write(data));
    socket.on('end', () => socket.end('|last'));
    socket.on('error', () => socket.destroy());
});
server.listen(0, '127.0.0.1', () => console.log('port ' + server.address().port));
"#;

#[test]
fn node_gets_what_came_with_the_handshake_and_either_side_may_end_first() {
    let mut command = Command::new(program("node", "nodejs"));
    let running = Running::spawn(command.args(["-e", NODE]).stdin(Stdio::null()));
    let gateway = Gateway::with()
        .upstream("ws", &one(port(&running), ""))
        .route("{ upstream = 'ws' }")
        .start();
    let mut raw = gateway.connect();
    // RFC 6455's own example of a key and its answer (§1.3).
    raw.write(
        "GET /chat HTTP/1.1\r\nhost: ws.test\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\nearly|",
    );
    let head = raw.head().expect("an answer");
    assert_eq!(head.status, 101, "{head:?}");
    assert_eq!(head.field("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(raw.take("first|early|".len()), b"first|early|");
    raw.write("more");
    assert_eq!(raw.take(4), b"more");
    raw.finish_writing();
    assert_eq!(raw.rest(), b"|last");
    let line = gateway.wait_access("its line", |line| line["path"] == "/chat");
    assert_eq!(
        (&line["status"], &line["outcome"]),
        (&101.into(), &"complete".into()),
        "{line}"
    );
    assert_eq!(
        (&line["bytes_in"], &line["bytes_out"]),
        (&10.into(), &21.into()),
        "{line}"
    );
    nothing_is_left(&gateway);
}
