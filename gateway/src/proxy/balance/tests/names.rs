//! Servers that a name server knows.

use super::*;
use crate::outbound::tests::name_server::NameServer;
use crate::outbound::{Attempt, Manner, Timeouts};
use http::Request;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// What a name server says at the moment: the last numbers of addresses in 127.0.0.0/24, or nothing.
type Answer = Arc<Mutex<Option<Vec<u8>>>>;

/// A name server that says `answer` of `api.test`, for no longer than it is asked.
async fn name_server(answer: &[u8]) -> (NameServer, Answer) {
    let says: Answer = Arc::new(Mutex::new(Some(answer.to_vec())));
    let said = Arc::clone(&says);
    let server = NameServer::start(move |name, _| {
        let last = said.lock().unwrap().clone().filter(|_| name == "api.test")?;
        let address = |last: u8| IpAddr::V4(Ipv4Addr::new(127, 0, 0, last));
        Some((0, last.into_iter().map(address).collect()))
    })
    .await;
    (server, says)
}

fn made(servers: &str, rest: &str, from: &NameServer) -> Made {
    let table = format!("servers = {servers}\nresolve = \"100ms\"\n{rest}");
    Made::with(&table, Dns::Servers(vec![from.address]))
}

fn numbers(made: &Made) -> Vec<usize> {
    let last = |member: &Arc<Member>| number(&member.server) % 256;
    made.members().iter().map(last).collect()
}

fn say(answer: &Answer, now: Option<&[u8]>) {
    *answer.lock().unwrap() = now.map(<[u8]>::to_vec);
}

#[tokio::test]
async fn servers_follow_their_name() {
    let (server, answer) = name_server(&[1, 2]).await;
    let made = made("[\"api.test:9001\"]", "", &server);
    assert!(made.pick().is_none());
    made.balancer().known(Duration::from_secs(20)).await;
    assert!(made.balancer().is_known());
    assert!(made.pick().is_some());
    assert_eq!(numbers(&made), [1, 2]);
    let kept = made.members()[1].clone();
    assert_eq!(
        (&*kept.server.name, kept.server.address.port()),
        ("api.test:9001", 9001)
    );

    // Another order is the same; one goes and one comes, and the other one is still itself.
    say(&answer, Some(&[2, 1]));
    let asked = server.asked("api.test");
    until("it is asked again", || server.asked("api.test") > asked + 1).await;
    assert!(Arc::ptr_eq(&made.members()[1], &kept));
    say(&answer, Some(&[2, 3]));
    until("traffic follows", || numbers(&made) == [2, 3]).await;
    assert!(Arc::ptr_eq(&made.members()[0], &kept));
    assert!(made.pick().is_some());
}

#[tokio::test]
async fn a_failed_lookup_keeps_what_is_known_and_is_counted() {
    let (server, answer) = name_server(&[1]).await;
    let made = made("[\"api.test:9001\"]", "", &server);
    until("it is found", || numbers(&made) == [1]).await;
    let kept = made.members()[0].clone();
    let failures = || {
        let text = made.metrics.render();
        let of = "tidegate_upstream_lookup_failures_total{upstream=\"api\"} ";
        let line = text.lines().find_map(|line| line.strip_prefix(of));
        line.map_or(0, |count| count.parse::<u64>().unwrap())
    };
    assert_eq!(failures(), 0);
    say(&answer, None);
    until("it is not found", || failures() > 2).await;
    assert_eq!(numbers(&made), [1]);
    say(&answer, Some(&[]));
    let before = failures();
    until("it has no address", || failures() > before).await;
    assert_eq!(numbers(&made), [1]);
    // A name that does not exist is remembered not to, for ten seconds at most.
    say(&answer, Some(&[4, 1]));
    until("it is found again", || numbers(&made) == [1, 4]).await;
    assert!(Arc::ptr_eq(&made.members()[0], &kept));
}

#[tokio::test]
async fn a_name_that_is_nowhere_keeps_nobody_waiting() {
    let (server, _) = name_server(&[1]).await;
    let nowhere = made("[\"missing.test:9001\"]", "", &server);
    nowhere.balancer().known(Duration::from_secs(20)).await;
    assert!(nowhere.balancer().is_known());
    assert!(nowhere.pick().is_none());

    // It may answer never; servers beside it do not wait for it.
    let beside = made("[\"silent.test:9001\", \"10.0.0.7:80\"]", "", &server);
    assert!(beside.balancer().is_known());
    assert_eq!(number(&beside.pick().unwrap()), 7);
    let beside = made("[\"silent.test:9001\", \"api.test:9001\"]", "", &server);
    beside.balancer().known(Duration::from_secs(20)).await;
    assert_eq!(numbers(&beside), [1]);

    let silent = made("[\"silent.test:9001\"]", "", &server);
    silent.balancer().known(Duration::from_millis(20)).await;
    assert!(!silent.balancer().is_known());
    assert!(silent.pick().is_none());
}

#[tokio::test]
async fn an_address_is_one_server_however_often_it_is_named() {
    let (server, answer) = name_server(&[1, 2]).await;
    let made = made(
        "[\"127.0.0.2:9001\", { address = \"api.test:9001\", weight = 3 }, \"api.test:9002\"]",
        "",
        &server,
    );
    let servers = || -> Vec<String> {
        let shown = |member: &Arc<Member>| format!("{} {}", member.address(), member.weight());
        made.members().iter().map(shown).collect()
    };
    let both = [
        "127.0.0.1:9001 3",
        "127.0.0.1:9002 1",
        "127.0.0.2:9001 1",
        "127.0.0.2:9002 1",
    ];
    until("both names are found", || servers() == both).await;
    say(&answer, Some(&[1]));
    let one = ["127.0.0.1:9001 3", "127.0.0.1:9002 1", "127.0.0.2:9001 1"];
    until("what was configured stays", || servers() == one).await;
}

#[tokio::test]
async fn a_server_that_comes_is_checked_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (server, answer) = name_server(&[1]).await;
    let health = "health = { tcp = true, interval = \"1h\", unhealthy_after = 1 }";
    let made = made(&format!("[\"api.test:{port}\"]"), health, &server);
    until("it is found and asked", || {
        numbers(&made) == [1] && listener_was_asked(&listener)
    })
    .await;
    // Nobody listens there.
    say(&answer, Some(&[1, 2]));
    let standing = || -> Vec<bool> { made.members().iter().map(|member| member.is_healthy()).collect() };
    until("it is found not to be there", || standing() == [true, false]).await;
}

fn listener_was_asked(listener: &TcpListener) -> bool {
    matches!(
        tokio::task::unconstrained(listener.accept()).now_or_never(),
        Some(Ok(_))
    )
}

#[tokio::test]
async fn idle_connections_of_a_server_that_is_gone_are_closed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let open = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&open);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let mut head = [0; 1024];
            while matches!(stream.read(&mut head).await, Ok(1..)) {
                stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
            }
            counted.fetch_sub(1, Ordering::SeqCst);
        }
    });
    let (server, answer) = name_server(&[1]).await;
    let made = made(&format!("[\"api.test:{port}\"]"), "", &server);
    made.balancer().known(Duration::from_secs(20)).await;
    let endpoint = made.pick().unwrap().endpoint.clone();
    let request = Request::get("/").body(Body::empty()).unwrap();
    let sent = endpoint
        .send(&mut Some(request), &Timeouts::default(), Manner::default())
        .await;
    assert!(matches!(sent, Attempt::Response(response) if response.status() == 204));
    assert_eq!((open.load(Ordering::SeqCst), endpoint.connections()), (1, 1));
    say(&answer, Some(&[2]));
    until("it is closed", || {
        open.load(Ordering::SeqCst) == 0 && endpoint.connections() == 0
    })
    .await;
}
