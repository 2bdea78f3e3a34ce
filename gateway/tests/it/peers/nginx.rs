//! nginx behind the gateway, asked by curl over each version of HTTP.

use super::one;
use super::programs::{Nginx, Reply, ask, curl, output};
use crate::support::certs::Authority;
use crate::support::gateway::Builder;
use crate::support::{Gateway, wait};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;

/// A way to ask: curl's switches, the version it shows, and what Via says of it.
struct Way {
    switches: &'static [&'static str],
    is_tls: bool,
    version: &'static str,
    via: &'static str,
}

const WAYS: [Way; 4] = [
    Way {
        switches: &["--http1.1"],
        is_tls: false,
        version: "HTTP/1.1",
        via: "1.1 tidegate",
    },
    Way {
        switches: &["--http2-prior-knowledge"],
        is_tls: false,
        version: "HTTP/2",
        via: "2.0 tidegate",
    },
    Way {
        switches: &["--http1.1"],
        is_tls: true,
        version: "HTTP/1.1",
        via: "1.1 tidegate",
    },
    Way {
        switches: &["--http2"],
        is_tls: true,
        version: "HTTP/2",
        via: "2.0 tidegate",
    },
];

/// A gateway with a plain and an encrypted listener, and curl's arguments to ask it.
struct Edge {
    gateway: Gateway,
    ca: PathBuf,
}

impl Edge {
    #[track_caller]
    fn start(nginx: &Nginx, change: impl FnOnce(Builder) -> Builder) -> Self {
        let builder = Gateway::with();
        let authority = Authority::new();
        let ca = authority.write(builder.folder());
        let (cert, key) = authority.sign(&["edge.test"]).write(builder.folder(), "edge");
        let listener = format!(
            "{{ name = 'secure', address = '127.0.0.1:0', tls = [{{ cert = '{}', key = '{}' }}] }}",
            cert.display(),
            key.display()
        );
        let builder = builder
            .listener(&listener)
            .upstream("nginx", &one(nginx.address, ""))
            .route("{ upstream = 'nginx' }");
        Self {
            gateway: change(builder).start(),
            ca,
        }
    }

    fn url(&self, way: &Way, target: &str) -> String {
        let (scheme, listener) = if way.is_tls {
            ("https", "secure")
        } else {
            ("http", "public")
        };
        let port = self.gateway.address_of(listener).port();
        format!("{scheme}://edge.test:{port}{target}")
    }

    fn args(&self, way: &Way, target: &str, more: &[&str]) -> Vec<String> {
        let url = self.url(way, target);
        let ca = self.ca.display().to_string();
        let fixed = ["--cacert", &ca, "--connect-to", "edge.test::127.0.0.1:", &url];
        let all = way.switches.iter().chain(&fixed).chain(more);
        all.map(|arg| (*arg).to_owned()).collect()
    }

    #[track_caller]
    fn ask(&self, way: &Way, target: &str, more: &[&str]) -> Reply {
        let reply = ask(self.args(way, target, more));
        assert_eq!(reply.version, way.version, "{reply:?}");
        reply
    }
}

#[test]
fn nginx_sees_who_asks_and_how() {
    let seen = [
        "host=$http_host",
        "for=$http_x_forwarded_for",
        "proto=$http_x_forwarded_proto",
        "asked=$http_x_forwarded_host",
        "forwarded=$http_forwarded",
        "via=$http_via",
        "real=$http_x_real_ip",
        "connection=$http_connection",
        "te=$http_te",
        "kept=$http_x_kept",
        "request=$request",
    ]
    .join("|");
    let nginx = Nginx::start(&format!("location / {{ return 200 '{seen}'; }}"));
    let edge = Edge::start(&nginx, |builder| builder);
    for way in &WAYS {
        let host = edge.url(way, "").split_once("://").unwrap().1.to_owned();
        let proto = if way.is_tls { "https" } else { "http" };
        let claims = [
            "-H",
            "X-Forwarded-For: 203.0.113.9",
            "-H",
            "X-Forwarded-Proto: gopher",
            "-H",
            "X-Forwarded-Host: other.test",
            "-H",
            "Forwarded: for=203.0.113.9",
            "-H",
            "X-Real-IP: 203.0.113.9",
            "-H",
            "X-Kept: yes",
        ];
        let reply = edge.ask(way, "/a/b?c=d&e=%20", &claims);
        assert_eq!(reply.status, 200, "{reply:?}");
        let expected = [
            format!("host={host}"),
            "for=127.0.0.1".to_owned(),
            format!("proto={proto}"),
            format!("asked={host}"),
            format!("forwarded=for=127.0.0.1;proto={proto};host=\"{host}\""),
            format!("via={}", way.via),
            "real=".to_owned(),
            "connection=".to_owned(),
            "te=".to_owned(),
            "kept=yes".to_owned(),
            "request=GET /a/b?c=d&e=%20 HTTP/1.1".to_owned(),
        ];
        let text = reply.text();
        assert_eq!(text.split('|').collect::<Vec<_>>(), expected, "{}", way.version);
        assert_eq!(reply.field("via"), Some("1.1 tidegate"), "nginx answered by HTTP/1.1");
        assert!(
            reply.field("server").is_some_and(|server| server.starts_with("nginx/")),
            "{reply:?}"
        );
        assert_eq!(reply.field("connection"), None, "{reply:?}");
    }
}

#[test]
fn its_answers_come_as_they_are() {
    let page = (0..60_000).map(|n| format!("line {n}\n")).collect::<String>();
    let server = "root {folder}; gzip on; gzip_types text/plain; gzip_min_length 1; gzip_proxied any;
        location = /empty { return 204; }
        location = /there { return 301 /elsewhere; }
        location = /ill { return 503; }
        location = /many { add_header Set-Cookie a=1; add_header Set-Cookie b=2; return 200 many; }";
    let nginx = Nginx::start_with("", server, &[("page.txt", page.as_bytes())]);
    let edge = Edge::start(&nginx, |builder| builder);
    for way in &WAYS {
        let reply = edge.ask(way, "/page.txt", &[]);
        assert_eq!((reply.status, reply.text().as_str()), (200, page.as_str()));
        let tag = reply.field("etag").expect("nginx tags files").to_owned();
        assert_eq!(reply.field("content-length"), Some(page.len().to_string().as_str()));

        let reply = edge.ask(way, "/page.txt", &["--head"]);
        assert_eq!((reply.status, reply.body.len()), (200, 0));
        assert_eq!(reply.field("content-length"), Some(page.len().to_string().as_str()));

        let reply = edge.ask(way, "/page.txt", &["--range", "7-13"]);
        assert_eq!((reply.status, reply.text().as_str()), (206, "line 1\n"));
        let reply = edge.ask(way, "/page.txt", &["-H", &format!("If-None-Match: {tag}")]);
        assert_eq!((reply.status, reply.body.len()), (304, 0));
        let reply = edge.ask(way, "/page.txt", &["--compressed"]);
        assert_eq!((reply.status, reply.text().as_str()), (200, page.as_str()));
        assert_eq!(reply.field("content-encoding"), Some("gzip"));

        let reply = edge.ask(way, "/empty", &[]);
        assert_eq!((reply.status, reply.body.len()), (204, 0));
        let reply = edge.ask(way, "/there", &[]);
        let place = reply.field("location").unwrap_or_default();
        assert!(reply.status == 301 && place.ends_with("/elsewhere"), "{reply:?}");
        let reply = edge.ask(way, "/nowhere", &[]);
        assert!(reply.status == 404 && reply.text().contains("nginx"), "{reply:?}");
        let reply = edge.ask(way, "/ill", &[]);
        assert!(reply.status == 503 && reply.text().contains("nginx"), "{reply:?}");
        assert_eq!(
            reply.field("tidegate-error"),
            None,
            "an answer is no fault of the gateway's"
        );
        let reply = edge.ask(way, "/many", &[]);
        let cookies = reply.fields.iter().filter(|(name, _)| name == "set-cookie").count();
        assert_eq!(cookies, 2, "{reply:?}");
    }
}

/// nginx reads a body as a whole, chunked or not, before it passes it on. curl asks `Expect: 100-continue` before it sends
/// a large one by HTTP/1.1.
#[test]
fn bodies_go_up() {
    let server = "client_max_body_size 64m;
        location = /read { proxy_pass http://$server_addr:$server_port/told; }
        location = /told { return 200 '$http_content_length'; }";
    let body = vec![b'b'; 3_000_000];
    let nginx = Nginx::start_with("", server, &[("body", &body)]);
    let edge = Edge::start(&nginx, |builder| builder);
    let from = nginx.folder().join("body").display().to_string();
    for way in &WAYS {
        for more in [
            &["--upload-file", &from][..],
            &["--upload-file", &from, "-H", "Transfer-Encoding: chunked"],
        ] {
            let reply = edge.ask(way, "/read", more);
            assert_eq!((reply.status, reply.text().as_str()), (200, "3000000"), "{more:?}");
        }
        let reply = edge.ask(way, "/read", &["--data-binary", "x=1"]);
        assert_eq!((reply.status, reply.text().as_str()), (200, "3"));
    }
}

/// nginx answers before the body has come. By HTTP/2 curl 7.88 cannot be answered so: nginx alone fails it as well.
#[test]
fn answers_come_before_bodies_have() {
    let server = "client_max_body_size 64m;
        location = /small { client_max_body_size 1k; return 200 'small'; }
        location = /at-once { return 200 'at once'; }";
    let body = vec![b'b'; 3_000_000];
    let nginx = Nginx::start_with("", server, &[("body", &body)]);
    let edge = Edge::start(&nginx, |builder| builder);
    let from = nginx.folder().join("body").display().to_string();
    for way in WAYS.iter().filter(|way| way.version == "HTTP/1.1") {
        for more in [
            &["--upload-file", &from][..],
            &["--upload-file", &from, "-H", "Transfer-Encoding: chunked"],
            &["--upload-file", &from, "-H", "Expect:"],
            &["--data-binary", "x=1"],
        ] {
            let reply = edge.ask(way, "/at-once", more);
            assert_eq!((reply.status, reply.text().as_str()), (200, "at once"), "{more:?}");
        }
        let reply = edge.ask(way, "/small", &["--data-binary", "x=1"]);
        assert_eq!((reply.status, reply.text().as_str()), (200, "small"));
        let reply = edge.ask(way, "/small", &["--data-binary", &format!("@{from}")]);
        assert_eq!(reply.status, 413, "{reply:?}");
        assert_eq!(reply.field("tidegate-error"), None, "it is nginx who says so");
    }
}

#[test]
fn connections_are_kept_and_follow_nginx_when_it_closes_them() {
    let server = "keepalive_requests 4; location / { return 200 '$connection $connection_requests'; }";
    let nginx = Nginx::start(server);
    let edge = Edge::start(&nginx, |builder| builder.set("workers", 1));
    let said = |n: usize| {
        let reply = edge.ask(&WAYS[n % WAYS.len()], "/", &[]);
        assert_eq!(reply.status, 200, "{reply:?}");
        let text = reply.text();
        let (connection, requests) = text.split_once(' ').unwrap();
        (connection.to_owned(), requests.parse::<usize>().unwrap())
    };
    let all: Vec<_> = (0..10).map(said).collect();
    let requests: Vec<_> = all.iter().map(|(_, requests)| *requests).collect();
    assert_eq!(requests, [1, 2, 3, 4, 1, 2, 3, 4, 1, 2], "{all:?}");
    let server = nginx.address.to_string();
    let labels = [("upstream", "nginx"), ("server", server.as_str())];
    edge.gateway
        .wait_metric("tidegate_upstream_connections_open", &labels, 1.0);
    let labels = [labels[0], labels[1], ("code", "2xx")];
    edge.gateway
        .wait_metric("tidegate_upstream_responses_total", &labels, 10.0);
    assert_eq!(edge.gateway.metric("tidegate_upstream_retries_total", &[]), 0.0);
}

/// Without TLS curl's own HTTP/2 fails when it is to do many things at once (curl 7.88, with any server).
#[test]
fn many_at_once_share_connections() {
    let page = vec![b'p'; 200_000];
    let nginx = Nginx::start_with("", "root {folder};", &[("page", &page)]);
    let edge = Edge::start(&nginx, |builder| builder);
    let ways = WAYS.iter().filter(|way| way.is_tls || way.version == "HTTP/1.1");
    for way in ways.clone() {
        let folder = tempfile::tempdir().unwrap();
        let into = folder.path().join("#1").display().to_string();
        output(&mut curl(edge.args(
            way,
            "/page?[1-200]",
            &["--parallel", "--parallel-max", "40", "-o", &into],
        )));
        let mut whole = 0;
        for file in fs::read_dir(folder.path()).unwrap() {
            assert!(fs::read(file.unwrap().path()).unwrap() == page, "{}", way.version);
            whole += 1;
        }
        assert_eq!(whole, 200);
    }
    let server = nginx.address.to_string();
    let labels = [("upstream", "nginx"), ("server", server.as_str()), ("code", "2xx")];
    let all = 200.0 * ways.count() as f64;
    edge.gateway
        .wait_metric("tidegate_upstream_responses_total", &labels, all);
}

/// nginx dies in the middle of an answer: curl is told, by every version of HTTP.
#[test]
fn an_answer_that_breaks_off_is_no_whole_one() {
    for way in &WAYS {
        let page = vec![b'p'; 3_000_000];
        // Slow enough to be in the middle of it.
        let nginx = Nginx::start_with(
            "",
            "root {folder}; limit_rate 100k; limit_rate_after 100k;",
            &[("page", &page)],
        );
        let edge = Edge::start(&nginx, |builder| builder);
        let server = nginx.address.to_string();
        let mut command: Command = curl(edge.args(way, "/page", &["-o", "/dev/null"]));
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let waiting = thread::spawn(move || child.wait_with_output().unwrap());
        let labels = [("upstream", "nginx"), ("server", server.as_str()), ("code", "2xx")];
        edge.gateway
            .wait_metric("tidegate_upstream_responses_total", &labels, 1.0);
        nginx.kill();
        let ended = waiting.join().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        // 18: a partial file; 92: an error in the HTTP/2 framing layer, which a reset is.
        assert!(
            matches!(ended.status.code(), Some(18 | 92)),
            "{}: {:?} {said}",
            way.version,
            ended.status
        );
        let line = edge.gateway.wait_access("its line", |line| line["path"] == "/page");
        assert_eq!(
            (&line["status"], &line["outcome"]),
            (&200.into(), &"upstream-closed".into()),
            "{line}"
        );
        wait::until_true("its load to be given back", || {
            super::upstream(&edge.gateway, "nginx")["requests"] == 0
        });
    }
}
