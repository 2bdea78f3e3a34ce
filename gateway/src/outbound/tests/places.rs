//! Connections kept, shared, made room for and waited for.

use super::*;
use std::sync::mpsc::{Receiver, SyncSender};

#[tokio::test]
async fn a_connection_is_used_again_at_once() {
    let origin = Origin::answering(OK).await;
    let client = client_of(8);
    for _ in 0..50 {
        assert_eq!(
            text(client.send(get(origin.uri("/")), patient()).await.unwrap()).await,
            "ok"
        );
    }
    assert_eq!(origin.accepted(), 1);
    assert_eq!(client.connections(), 1);
}

#[tokio::test]
async fn requests_at_once_have_a_connection_each_and_keep_them() {
    let origin = Origin::answering(OK).await;
    let client = client_of(8);
    for _ in 0..3 {
        let all: Vec<_> = (0..8).map(|_| client.send(get(origin.uri("/")), patient())).collect();
        for answer in futures_util::future::join_all(all).await {
            assert_eq!(text(answer.unwrap()).await, "ok");
        }
    }
    assert_eq!(origin.accepted(), 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_of_another_core_is_used_before_one_is_made() {
    let origin = Origin::answering(OK).await;
    let client = client_of(8);
    assert_eq!(
        text(client.send(get(origin.uri("/")), patient()).await.unwrap()).await,
        "ok"
    );
    let (other, uri) = (Arc::clone(&client), origin.uri("/"));
    let runtime = tokio::runtime::Handle::current();
    let answer = std::thread::spawn(move || {
        crate::per_core::enter(0);
        runtime.block_on(async move { text(other.send(get(uri), patient()).await.unwrap()).await })
    });
    assert_eq!(
        tokio::task::spawn_blocking(|| answer.join().unwrap()).await.unwrap(),
        "ok"
    );
    assert_eq!(origin.accepted(), 1);
}

/// A server of its own thread, which answers one request a connection and closes it when told to. It rings once that
/// is done.
fn closing_when_told() -> (SocketAddr, SyncSender<()>, Receiver<()>, std::os::unix::net::UnixStream) {
    use std::io::{Read, Write};
    let (close, told) = std::sync::mpsc::sync_channel(1);
    let (done, is_done) = std::sync::mpsc::sync_channel(1);
    let (bell, mut ring) = std::os::unix::net::UnixStream::pair().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\nbody") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.extend(byte);
            }
            stream.write_all(OK.as_bytes()).unwrap();
            if told.recv().is_err() {
                return;
            }
            drop(stream);
            ring.write_all(b"!").unwrap();
            done.send(()).unwrap();
        }
    });
    (address, close, is_done, bell)
}

/// The end of the connection and the bell become known in one turn of the runtime, which polls the test first: so the
/// request is put on a connection that looks sound, and is given back when its driver sees what became of it.
#[test]
fn a_request_that_meets_a_closed_connection_is_sent_again_once() {
    let (address, close, is_done, bell) = closing_when_told();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        bell.set_nonblocking(true).unwrap();
        let mut bell = tokio::net::UnixStream::from_std(bell).unwrap();
        let client = client_of(1);
        for _ in 0..5 {
            let request = post(format!("http://{address}/"), Sent::Whole(Some("body".into())));
            assert_eq!(text(client.send(request, patient()).await.unwrap()).await, "ok");
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            assert_eq!(client.connections(), 1);
            close.send(()).unwrap();
            // Not yielding: the runtime shall know nothing of it yet.
            is_done.recv().unwrap();
            assert_eq!(bell.read(&mut [0; 16]).await.unwrap(), 1);
        }
    });
}

/// The server answers before it has read what was sent, and keeps the connection: all of the answer is here, but the
/// connection still writes.
#[tokio::test]
async fn a_connection_that_still_writes_is_neither_used_nor_kept() {
    let origin = Origin::start(|mut stream| async move {
        let mut some = [0; 64];
        while matches!(stream.read(&mut some).await, Ok(1..)) {
            if stream.write_all(OK.as_bytes()).await.is_err() || some.starts_with(b"POST") {
                return std::future::pending().await;
            }
        }
    })
    .await;
    let client = client_of(4);
    let large = || Sent::Whole(Some(vec![0; 32 * 1024 * 1024].into()));
    for request in [
        post(origin.uri("/"), large()),
        get(origin.uri("/")),
        post(origin.uri("/"), large()),
    ] {
        assert_eq!(text(client.send(request, patient()).await.unwrap()).await, "ok");
    }
    client.close_idle(Duration::ZERO);
    until("nothing is open", || client.connections() == 0).await;
}

#[tokio::test]
async fn a_request_is_never_sent_twice() {
    let seen = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&seen);
    let origin = Origin::start(move |mut stream| {
        let seen = Arc::clone(&counted);
        async move {
            read_request(&mut stream).await;
            stream.write_all(OK.as_bytes()).await.unwrap();
            // The second request on the connection is read and never answered.
            if read_request(&mut stream).await.is_some() {
                seen.fetch_add(1, Ordering::SeqCst);
            }
        }
    })
    .await;
    let client = client_of(4);
    let request = || post(origin.uri("/"), Sent::Whole(Some("body".into())));
    assert_eq!(text(client.send(request(), patient()).await.unwrap()).await, "ok");
    let error = client.send(request(), patient()).await.unwrap_err();
    assert!(matches!(error, SendError::Terminated(_)), "{error:?}");
    assert_eq!((seen.load(Ordering::SeqCst), origin.accepted()), (1, 1));
}

#[tokio::test]
async fn the_connection_idle_longest_makes_room() {
    let client = client_of(2);
    let origins = [
        Origin::answering(OK).await,
        Origin::answering(OK).await,
        Origin::answering(OK).await,
    ];
    for (at, origin) in origins.iter().enumerate() {
        assert_eq!(
            text(client.send(get(origin.uri("/")), patient()).await.unwrap()).await,
            "ok"
        );
        assert!(client.connections() <= 2);
        if at < 2 {
            assert_eq!(client.connections(), at + 1);
        }
    }
    until("the first is closed", || origins[0].open() == 0).await;
    assert_eq!((origins[1].open(), origins[2].open()), (1, 1));
}

/// Answers when told to.
async fn held() -> (Origin, mpsc::Sender<()>) {
    let (release, released) = mpsc::channel::<()>(16);
    let released = Arc::new(tokio::sync::Mutex::new(released));
    let origin = Origin::start(move |mut stream| {
        let released = Arc::clone(&released);
        async move {
            while read_request(&mut stream).await.is_some() {
                released.lock().await.recv().await;
                if stream.write_all(OK.as_bytes()).await.is_err() {
                    return;
                }
            }
        }
    })
    .await;
    (origin, release)
}

#[tokio::test]
async fn requests_wait_for_a_connection_to_come_back() {
    let (origin, release) = held().await;
    let client = client_of(1);
    let send = || {
        let (client, uri) = (Arc::clone(&client), origin.uri("/"));
        tokio::spawn(async move { text(client.send(get(uri), patient()).await.unwrap()).await })
    };
    let all: Vec<_> = (0..5).map(|_| send()).collect();
    for _ in 0..5 {
        release.send(()).await.unwrap();
    }
    for answer in all {
        assert_eq!(answer.await.unwrap(), "ok");
    }
    assert_eq!(origin.accepted(), 1);
    assert_eq!(client.connections(), 1);
}

/// Waiters of different destinations share one place: each has to be let through in turn.
#[tokio::test]
async fn a_place_goes_from_one_destination_to_another() {
    let client = client_of(1);
    let (first, second) = (Origin::answering(OK).await, Origin::answering(OK).await);
    let all: Vec<_> = (0..40)
        .map(|at| {
            let uri = if at % 2 == 0 { first.uri("/") } else { second.uri("/") };
            let client = Arc::clone(&client);
            tokio::spawn(async move { text(client.send(get(uri), patient()).await.unwrap()).await })
        })
        .collect();
    for answer in all {
        assert_eq!(answer.await.unwrap(), "ok");
    }
    assert_eq!(client.connections(), 1);
}

#[tokio::test]
async fn waiting_for_a_place_ends() {
    let (origin, release) = held().await;
    let client = client_of(1);
    let (first, uri) = (Arc::clone(&client), origin.uri("/"));
    let first = tokio::spawn(async move { text(first.send(get(uri), patient()).await.unwrap()).await });
    until("the first is on its way", || origin.accepted() == 1).await;
    let timeouts = Timeouts {
        connect: brief(),
        ..patient()
    };
    let error = client.send(get(origin.uri("/")), timeouts).await.unwrap_err();
    assert!(matches!(error, SendError::LimitReached), "{error:?}");
    release.send(()).await.unwrap();
    assert_eq!(first.await.unwrap(), "ok");
}

#[tokio::test]
async fn idle_connections_are_closed_in_time() {
    let origin = Origin::answering(OK).await;
    let client = client_of(4);
    assert_eq!(
        text(client.send(get(origin.uri("/")), patient()).await.unwrap()).await,
        "ok"
    );
    client.close_idle(Duration::from_secs(3600));
    assert_eq!(client.connections(), 1);
    client.close_idle(Duration::ZERO);
    until("it is closed", || client.connections() == 0 && origin.open() == 0).await;
    assert_eq!(
        text(client.send(get(origin.uri("/")), patient()).await.unwrap()).await,
        "ok"
    );
}

#[tokio::test]
async fn a_client_takes_its_idle_connections_with_it() {
    let origin = Origin::answering(OK).await;
    let client = client_of(4);
    assert_eq!(
        text(client.send(get(origin.uri("/")), patient()).await.unwrap()).await,
        "ok"
    );
    drop(client);
    until("it is closed", || origin.open() == 0).await;
}

#[tokio::test]
async fn an_answer_before_the_end_of_its_request_ends_both() {
    let origin = Origin::start(|mut stream| async move {
        let mut some = [0; 64];
        assert!(stream.read(&mut some).await.unwrap() > 0);
        stream.write_all(OK.as_bytes()).await.unwrap();
        read_to_end(&mut stream).await;
    })
    .await;
    let client = client_of(4);
    let (sender, body) = pieces();
    let answer = client.send(post(origin.uri("/"), body), patient()).await.unwrap();
    assert_eq!(text(answer).await, "ok");
    until("the connection is closed", || {
        client.connections() == 0 && origin.open() == 0
    })
    .await;
    until("the body is wanted no more", || sender.is_closed()).await;
}
