//! HTTP/1: messages in both directions, and what of them is handed on.

use super::*;
use http::{HeaderMap, HeaderValue, StatusCode, Version};

/// Whether an error is the one that was to come.
type Check = fn(&SendError) -> bool;

async fn fetch(origin: &Origin, request: Request<Sent>) -> Result<Response<ResponseBody>, SendError> {
    let client = client_of(4);
    let answer = client.send(request, patient()).await;
    assert!(origin.accepted() <= 1);
    answer
}

#[tokio::test]
async fn a_request_has_origin_form_and_host() {
    let origin = Origin::answering("HTTP/1.1 200 OK\r\nx-head: {head}\r\ncontent-length: 0\r\n\r\n").await;
    let answer = fetch(&origin, get(origin.uri("/a?b=c"))).await.unwrap();
    let head = answer.headers()["x-head"].to_str().unwrap().to_owned();
    assert!(head.starts_with("GET /a?b=c HTTP/1.1|"), "{head}");
    assert!(head.contains(&format!("host: {}|", origin.address)), "{head}");

    let mut request = get(origin.uri(""));
    let fields = request.headers_mut();
    fields.insert("host", HeaderValue::from_static("asked.example"));
    fields.insert("connection", HeaderValue::from_static("close"));
    fields.insert("transfer-encoding", HeaderValue::from_static("gzip"));
    fields.insert("te", HeaderValue::from_static("gzip"));
    let client = client_of(4);
    let answer = client.send(request, patient()).await.unwrap();
    let head = answer.headers()["x-head"].to_str().unwrap();
    assert!(head.starts_with("GET / HTTP/1.1|"), "{head}");
    assert!(head.contains("host: asked.example|"), "{head}");
    assert!(
        !head.contains("connection:") && !head.contains("te:") && !head.contains("gzip"),
        "{head}"
    );
}

#[tokio::test]
async fn fields_of_the_connection_are_not_handed_on() {
    let origin = Origin::answering(
        "HTTP/1.1 200 OK\r\nconnection: keep-alive, X-Hop\r\nx-hop: 1\r\nx-end: 2\r\nkeep-alive: timeout=5\r\n\
         proxy-connection: x\r\nupgrade: h2c\r\ncontent-length: 2\r\n\r\nok",
    )
    .await;
    let client = client_of(4);
    for _ in 0..2 {
        let answer = client.send(get(origin.uri("/")), patient()).await.unwrap();
        for gone in ["connection", "x-hop", "keep-alive", "proxy-connection", "upgrade"] {
            assert!(!answer.headers().contains_key(gone), "{gone}");
        }
        assert_eq!(answer.headers()["x-end"], "2");
        assert_eq!(text(answer).await, "ok");
    }
    assert_eq!(origin.accepted(), 1, "keep-alive is no close");
}

#[tokio::test]
async fn bodies_go_both_ways_with_trailers() {
    let origin = Origin::start(|mut stream| async move {
        let (head, body) = read_request(&mut stream).await.unwrap();
        assert!(head.starts_with("POST /up"));
        let answer = format!(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n{:x}\r\n{}\r\n0\r\nx-sum: 7\r\n\r\n",
            body.len(),
            String::from_utf8(body).unwrap(),
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
        read_to_end(&mut stream).await;
    })
    .await;
    let request = post(origin.uri("/up"), Sent::Whole(Some("hello".into())));
    let answer = fetch(&origin, request).await.unwrap();
    assert!(!answer.headers().contains_key("transfer-encoding"));
    let collected = answer.into_body().collect().await.unwrap();
    let mut expected = HeaderMap::new();
    expected.insert("x-sum", HeaderValue::from_static("7"));
    assert_eq!(collected.trailers(), Some(&expected));
    assert_eq!(collected.to_bytes(), "hello");
}

#[tokio::test]
async fn answers_without_a_body_give_their_connection_back_at_once() {
    for (method, answer) in [
        ("HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n"),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", "HTTP/1.1 304 Not Modified\r\ncontent-length: 500\r\n\r\n"),
        (
            "GET",
            "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        ),
    ] {
        let origin = Origin::answering(answer).await;
        let client = client_of(4);
        for _ in 0..3 {
            let mut request = get(origin.uri("/"));
            *request.method_mut() = method.parse().unwrap();
            let answer = client.send(request, patient()).await.unwrap();
            assert!(answer.body().is_end_stream(), "{method}");
            assert_ne!(answer.status(), StatusCode::EARLY_HINTS);
        }
        assert_eq!(origin.accepted(), 1, "{method} {answer}");
    }
}

#[tokio::test]
async fn a_connection_that_the_server_closes_is_not_kept() {
    for answer in [
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nConnection: x, Close\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
    ] {
        let origin = Origin::answering(answer).await;
        let client = client_of(4);
        for _ in 0..2 {
            assert_eq!(
                text(client.send(get(origin.uri("/")), patient()).await.unwrap()).await,
                "ok"
            );
        }
        assert_eq!(origin.accepted(), 2, "{answer}");
        until("both are closed", || client.connections() == 0 && origin.open() == 0).await;
    }
}

#[tokio::test]
async fn a_body_may_end_with_its_connection() {
    let origin = Origin::start(|mut stream| async move {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nall of it").await.unwrap();
    })
    .await;
    let answer = fetch(&origin, get(origin.uri("/"))).await.unwrap();
    assert_eq!(answer.version(), Version::HTTP_10);
    assert_eq!(text(answer).await, "all of it");
}

#[tokio::test]
async fn requests_that_would_not_be_what_they_say_are_refused() {
    let origin = Origin::answering(OK).await;
    let with = |name: &'static str, values: &[&'static str], body: Sent| {
        let mut request = post(origin.uri("/"), body);
        for value in values {
            request.headers_mut().append(name, HeaderValue::from_static(value));
        }
        request
    };
    for request in [
        with("content-length", &["5"], Sent::Whole(None)),
        with("content-length", &["5"], Sent::Whole(Some("four".into()))),
        with("content-length", &["4", "4"], Sent::Whole(Some("four".into()))),
        with("content-length", &["4, 4"], Sent::Whole(Some("four".into()))),
        with("content-length", &["+4"], Sent::Whole(Some("four".into()))),
        with("content-length", &[""], Sent::Whole(Some("four".into()))),
    ] {
        let error = fetch(&origin, request).await.unwrap_err();
        assert!(matches!(error, SendError::Fields(_)), "{error:?}");
    }
    let mut request = get(origin.uri("/"));
    *request.method_mut() = http::Method::CONNECT;
    assert!(matches!(fetch(&origin, request).await, Err(SendError::Method)));
    assert_eq!(origin.accepted(), 0);
    let right = with("content-length", &["4"], Sent::Whole(Some("four".into())));
    assert_eq!(text(fetch(&origin, right).await.unwrap()).await, "ok");
}

#[tokio::test]
async fn broken_answers_are_told_apart() {
    let many = "x: y\r\n".repeat(200);
    let large = format!("x: {}\r\n", "y".repeat(limits::OUTGOING_HEAD_BYTES));
    let cases: [(String, Check); 7] = [
        (
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n".into(),
            |error| matches!(error, SendError::Upgrade),
        ),
        ("SSH-2.0-OpenSSH_9\r\n\r\n".into(), |error| {
            matches!(error, SendError::Protocol(_))
        }),
        (format!("HTTP/1.1 200 OK\r\n{many}\r\n"), |error| {
            matches!(error, SendError::HeadTooLarge(_))
        }),
        (format!("HTTP/1.1 200 OK\r\n{large}\r\n"), |error| {
            matches!(error, SendError::HeadTooLarge(_))
        }),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n".into(),
            |error| matches!(error, SendError::Protocol(_)),
        ),
        ("".into(), |error| matches!(error, SendError::Terminated(_))),
        ("HTTP/1.1 200".into(), |error| matches!(error, SendError::Terminated(_))),
    ];
    for (answer, is_expected) in cases {
        let start: String = answer.chars().take(60).collect();
        let origin = Origin::start(move |mut stream| {
            let answer = answer.clone();
            async move {
                read_request(&mut stream).await;
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
                read_to_end(&mut stream).await;
            }
        })
        .await;
        let error = fetch(&origin, get(origin.uri("/"))).await.unwrap_err();
        assert!(is_expected(&error), "{start}: {}", error.report());
    }
}

#[tokio::test]
async fn broken_bodies_are_told_apart() {
    let cases: [(&str, Check); 3] = [
        ("content-length: 10\r\n\r\nhalf", |error| {
            matches!(error, SendError::Incomplete(_))
        }),
        ("transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n", |error| {
            matches!(error, SendError::Incomplete(_))
        }),
        ("transfer-encoding: chunked\r\n\r\nzz\r\n", |error| {
            matches!(error, SendError::Protocol(_))
        }),
    ];
    for (answer, is_expected) in cases {
        let origin = Origin::start(move |mut stream| async move {
            read_request(&mut stream).await;
            let answer = format!("HTTP/1.1 200 OK\r\n{answer}");
            stream.write_all(answer.as_bytes()).await.unwrap();
        })
        .await;
        let answer = fetch(&origin, get(origin.uri("/"))).await.unwrap();
        let error = answer.into_body().collect().await.unwrap_err();
        assert!(is_expected(&error), "{}", error.report());
    }
}

#[tokio::test]
async fn a_request_body_that_fails_says_why() {
    let origin = Origin::answering(OK).await;
    let (sender, body) = pieces();
    sender.try_send(Err(io::Error::other("the guest trapped"))).unwrap();
    let error = fetch(&origin, post(origin.uri("/"), body)).await.unwrap_err();
    assert!(matches!(error, SendError::RequestBody(_)), "{error:?}");
    assert!(error.report().contains("the guest trapped"), "{}", error.report());
}

#[tokio::test]
async fn nobody_listening_is_said_so() {
    let origin = Origin::answering(OK).await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = fetch(&origin, get(format!("http://{address}/"))).await.unwrap_err();
    assert!(matches!(error, SendError::Refused), "{error:?}");
}

#[tokio::test]
async fn localhost_is_this_machine_without_dns() {
    let origin = Origin::answering(OK).await;
    let nobody = Dns::Servers(vec!["127.0.0.1:9".parse().unwrap()]);
    let client: Arc<Client<Sent>> = Client::new(Outbound::new(nobody), local(), 4, 1);
    for host in ["localhost", "LOCALHOST.", "a.b.localhost"] {
        let uri = format!("http://{host}:{}/", origin.address.port());
        assert_eq!(text(client.send(get(uri), patient()).await.unwrap()).await, "ok");
    }
    assert_eq!(origin.accepted(), 2, "the first two are one host");
}
