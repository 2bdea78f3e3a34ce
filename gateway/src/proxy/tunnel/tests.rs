//! Both directions, their ends, and bytes that wait.

use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

/// A client and a server, joined by a tunnel that allows this much silence.
fn joined(idle: Duration, room: usize) -> (DuplexStream, DuplexStream, tokio::task::JoinHandle<Carried>) {
    let (client, near_client) = duplex(room);
    let (server, near_server) = duplex(room);
    let task = tokio::spawn(Joined::new(near_client, near_server, idle));
    (client, server, task)
}

const LONG: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn bytes_pass_both_ways_and_are_counted() {
    let (mut client, mut server, task) = joined(LONG, 64);
    client.write_all(b"ping").await.unwrap();
    let mut four = [0; 4];
    server.read_exact(&mut four).await.unwrap();
    assert_eq!(&four, b"ping");
    server.write_all(b"pong!").await.unwrap();
    let mut five = [0; 5];
    client.read_exact(&mut five).await.unwrap();
    assert_eq!(&five, b"pong!");
    drop((client, server));
    let carried = task.await.unwrap();
    assert_eq!((carried.bytes_in, carried.bytes_out), (4, 5));
}

#[tokio::test]
async fn an_end_of_one_direction_leaves_the_other_open() {
    let (mut client, mut server, task) = joined(LONG, 64);
    client.write_all(b"last words").await.unwrap();
    client.shutdown().await.unwrap();
    let mut heard = Vec::new();
    server.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"last words");
    server.write_all(b"answer").await.unwrap();
    server.shutdown().await.unwrap();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, b"answer");
    let carried = task.await.unwrap();
    assert_eq!(carried.outcome, None);
}

#[tokio::test]
async fn what_is_not_taken_waits_and_stops_the_reading() {
    let (mut client, mut server, task) = joined(LONG, 16);
    let sent: Vec<u8> = (0..200_000u32).map(|n| n as u8).collect();
    let writing = {
        let sent = sent.clone();
        tokio::spawn(async move {
            client.write_all(&sent).await.unwrap();
            client
        })
    };
    let mut got = vec![0; sent.len()];
    server.read_exact(&mut got).await.unwrap();
    assert!(got == sent);
    drop((writing.await.unwrap(), server));
    assert_eq!(task.await.unwrap().bytes_in, 200_000);
}

#[tokio::test(start_paused = true)]
async fn silence_both_ways_ends_it_and_a_byte_begins_it_anew() {
    let (mut client, mut server, task) = joined(Duration::from_secs(10), 64);
    let began = Instant::now();
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_secs(9)).await;
        client.write_all(b"x").await.unwrap();
        server.read_u8().await.unwrap();
    }
    let carried = task.await.unwrap();
    assert_eq!(carried.outcome, Some("tunnel-idle"));
    assert_eq!(began.elapsed().as_secs(), 37);
}

fn head(version: Version, method: Method, fields: &[(&'static str, &'static str)]) -> request::Parts {
    let mut request = http::Request::new(());
    *request.version_mut() = version;
    *request.method_mut() = method;
    for (name, value) in fields {
        let (name, value) = (HeaderName::from_static(name), HeaderValue::from_static(value));
        request.headers_mut().append(name, value);
    }
    request.into_parts().0
}

#[test]
fn only_a_websocket_is_an_upgrade() {
    let asks = |version, method, fields: &[_]| Handshake::of(&head(version, method, fields), true).unwrap().is_some();
    let good = &[("upgrade", "WebSocket"), ("connection", "keep-alive, Upgrade")];
    assert!(asks(Version::HTTP_11, Method::GET, good));
    assert!(!asks(Version::HTTP_10, Method::GET, good));
    assert!(!asks(Version::HTTP_11, Method::POST, good));
    assert!(!asks(Version::HTTP_2, Method::GET, good));
    for bad in [
        [("upgrade", "h2c"), ("connection", "upgrade, http2-settings")],
        [("upgrade", "websocket"), ("connection", "close")],
        [("upgrade", "websockets"), ("connection", "upgrade")],
        [("upgrade", "websocket/13"), ("connection", "upgrade")],
    ] {
        assert!(!asks(Version::HTTP_11, Method::GET, &bad), "{bad:?}");
    }
}
