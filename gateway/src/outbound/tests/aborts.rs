//! Every wait has an end, and what nobody waits for any more ends at once.

use super::*;
use std::sync::atomic::AtomicBool;

/// Reads requests and never answers; says when its connections have ended.
async fn silent() -> Origin {
    Origin::start(|mut stream| async move { read_to_end(&mut stream).await }).await
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up() {
    let origin = silent().await;
    let client = client_of(4);
    let timeouts = Timeouts {
        first_byte: brief(),
        ..patient()
    };
    let error = client.send(get(origin.uri("/")), timeouts).await.unwrap_err();
    assert!(matches!(error, SendError::FirstByteTimeout), "{error:?}");
    until("the socket is closed", || {
        client.connections() == 0 && origin.open() == 0
    })
    .await;
}

/// Each piece gives a new lease of time; together they take several times what a standstill may.
#[tokio::test]
async fn an_upload_may_take_long_while_it_moves() {
    let origin = Origin::start(|mut stream| async move {
        let mut seen = Vec::new();
        while !seen.ends_with(b"0\r\n\r\n") {
            seen.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(OK.as_bytes()).await.unwrap();
        read_to_end(&mut stream).await;
    })
    .await;
    let client = client_of(4);
    let timeouts = Timeouts {
        first_byte: brief() * 4,
        ..patient()
    };
    let (sender, body) = pieces();
    tokio::spawn(async move {
        for _ in 0..10 {
            tokio::time::sleep(brief()).await;
            sender.send(Ok(Frame::data("piece".into()))).await.unwrap();
        }
    });
    let began = std::time::Instant::now();
    assert_eq!(
        text(client.send(post(origin.uri("/"), body), timeouts).await.unwrap()).await,
        "ok"
    );
    assert!(began.elapsed() > timeouts.first_byte * 2);
}

#[tokio::test]
async fn a_server_that_takes_no_more_is_given_up() {
    let origin = Origin::start(|stream| async move {
        stream.readable().await.unwrap();
        tokio::time::sleep(Duration::from_secs(3600)).await;
    })
    .await;
    let client = client_of(4);
    let timeouts = Timeouts {
        first_byte: brief() * 2,
        ..patient()
    };
    let (sender, body) = pieces();
    let fed = tokio::spawn(async move {
        let piece = Bytes::from(vec![0; 1024 * 1024]);
        while sender.send(Ok(Frame::data(piece.clone()))).await.is_ok() {}
    });
    let error = client.send(post(origin.uri("/"), body), timeouts).await.unwrap_err();
    assert!(matches!(error, SendError::WriteTimeout), "{error:?}");
    fed.await.unwrap();
    until("the socket is closed", || client.connections() == 0).await;
}

#[tokio::test]
async fn a_body_that_stops_coming_is_given_up() {
    let origin = Origin::start(|mut stream| async move {
        read_request(&mut stream).await;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")
            .await
            .unwrap();
        read_to_end(&mut stream).await;
    })
    .await;
    let client = client_of(4);
    let timeouts = Timeouts {
        between_bytes: brief(),
        ..patient()
    };
    let mut body = client.send(get(origin.uri("/")), timeouts).await.unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "half");
    let error = body.frame().await.unwrap().unwrap_err();
    assert!(matches!(error, SendError::BetweenBytesTimeout), "{error:?}");
    until("the socket is closed", || {
        client.connections() == 0 && origin.open() == 0
    })
    .await;
}

/// What the guest takes its time with is not the server's standstill.
#[tokio::test]
async fn a_body_may_be_read_slowly() {
    let origin = Origin::start(|mut stream| async move {
        read_request(&mut stream).await;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nhalf")
            .await
            .unwrap();
        read_request(&mut stream).await;
    })
    .await;
    let client = client_of(4);
    let timeouts = Timeouts {
        between_bytes: brief() * 4,
        ..patient()
    };
    let mut body = client.send(get(origin.uri("/")), timeouts).await.unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "half");
    tokio::time::sleep(brief() * 6).await;
    let began = std::time::Instant::now();
    assert!(matches!(
        body.frame().await.unwrap(),
        Err(SendError::BetweenBytesTimeout)
    ));
    assert!(
        began.elapsed() > brief() * 3,
        "the time runs from when the body is asked for more"
    );
}

#[tokio::test]
async fn a_handshake_that_stalls_is_given_up() {
    let origin = silent().await;
    let client = client_of(4);
    let timeouts = Timeouts {
        connect: brief(),
        ..patient()
    };
    let uri = format!("https://{}/", origin.address);
    let outbound = Outbound::trusting(Dns::System, rustls::RootCertStore::empty());
    let client_tls: Arc<Client<Sent>> = Client::new(outbound, local(), 4, 1);
    let error = client_tls.send(get(uri), timeouts).await.unwrap_err();
    assert!(matches!(error, SendError::ConnectTimeout), "{error:?}");
    until("the socket is closed", || {
        client_tls.connections() == 0 && origin.open() == 0
    })
    .await;
    drop(client);
}

/// A listener whose queue is full takes no connection and refuses none.
#[tokio::test]
async fn a_connection_that_does_not_come_about_is_given_up() {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket
        .bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into())
        .unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let mut queued = Vec::new();
    while let Ok(Ok(stream)) = tokio::time::timeout(brief(), TcpStream::connect(address)).await {
        queued.push(stream);
        assert!(queued.len() < 64, "the queue never fills");
    }
    let client = client_of(4);
    let timeouts = Timeouts {
        connect: brief(),
        ..patient()
    };
    let error = client
        .send(get(format!("http://{address}/")), timeouts)
        .await
        .unwrap_err();
    assert!(matches!(error, SendError::ConnectTimeout), "{error:?}");
    assert_eq!(client.connections(), 0);
}

#[tokio::test]
async fn absurd_timeouts_do_no_harm() {
    let origin = Origin::answering(OK).await;
    let client = client_of(4);
    let timeouts = Timeouts {
        connect: Duration::MAX,
        first_byte: Duration::MAX,
        between_bytes: Duration::MAX,
    };
    for _ in 0..2 {
        assert_eq!(
            text(client.send(get(origin.uri("/")), timeouts).await.unwrap()).await,
            "ok"
        );
    }
    client.close_idle(Duration::MAX);
    assert_eq!(client.connections(), 1);
}

#[tokio::test]
async fn a_request_nobody_waits_for_is_broken_off() {
    let origin = silent().await;
    let client = client_of(4);
    let (sender, body) = pieces();
    for request in [get(origin.uri("/")), post(origin.uri("/"), body)] {
        let sending = client.send(request, patient());
        assert!(tokio::time::timeout(brief(), sending).await.is_err());
        until("the socket is closed", || {
            client.connections() == 0 && origin.open() == 0
        })
        .await;
    }
    until("the request body is dropped", || sender.is_closed()).await;
    assert_eq!(origin.accepted(), 2);
}

#[tokio::test]
async fn an_answer_nobody_reads_is_broken_off() {
    let origin = Origin::start(|mut stream| async move {
        read_request(&mut stream).await;
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")
            .await;
        read_to_end(&mut stream).await;
    })
    .await;
    let client = client_of(4);
    let (sender, body) = pieces();
    sender.try_send(Ok(Frame::data("more to come".into()))).unwrap();
    drop(client.send(get(origin.uri("/")), patient()).await.unwrap());
    until("the socket is closed", || {
        client.connections() == 0 && origin.open() == 0
    })
    .await;
    drop(body);
}

const HUGE: usize = 256 * 1024 * 1024;

#[tokio::test]
async fn a_huge_answer_waits_for_its_reader() {
    let written = Arc::new(AtomicUsize::new(0));
    let is_stalled = Arc::new(AtomicBool::new(false));
    let (count, stalled) = (Arc::clone(&written), Arc::clone(&is_stalled));
    let origin = Origin::start(move |mut stream| {
        let (count, stalled) = (Arc::clone(&count), Arc::clone(&stalled));
        async move {
            read_request(&mut stream).await;
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {HUGE}\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            let piece = vec![7; 64 * 1024];
            let mut sent = 0;
            while sent < HUGE {
                let rest = piece.len().min(HUGE - sent);
                let write = stream.write(&piece[..rest]);
                sent += match tokio::time::timeout(brief(), write).await {
                    Ok(written) => written.unwrap(),
                    Err(_) => {
                        stalled.store(true, Ordering::SeqCst);
                        0
                    }
                };
                count.store(sent, Ordering::SeqCst);
            }
            read_to_end(&mut stream).await;
        }
    })
    .await;
    let client = client_of(4);
    let mut body = client.send(get(origin.uri("/")), patient()).await.unwrap().into_body();
    until("the server's writes stall", || is_stalled.load(Ordering::SeqCst)).await;
    let ahead = written.load(Ordering::SeqCst);
    assert!(ahead < HUGE / 4, "{ahead} bytes were taken that nobody asked for");
    let mut read = 0;
    while let Some(frame) = body.frame().await {
        let data = frame.unwrap().into_data().unwrap();
        assert!(data.iter().all(|byte| *byte == 7));
        read += data.len();
    }
    assert_eq!(read, HUGE);
    drop(body);
    assert_eq!(client.connections(), 1, "read to its end, it is kept");
}
