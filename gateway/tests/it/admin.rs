//! The admin API and reloads.

use crate::support::config::{entry, inline, list};
use crate::support::gateway::copy_guest;
use crate::support::{Client, Gateway, Protocol, Raw, Response, wait};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use toml::Value as Toml;

fn body(response: &Response) -> Value {
    serde_json::from_slice(&response.body).unwrap_or_else(|error| panic!("{error}: {}", response.text()))
}

#[test]
fn health_and_readiness() {
    let gateway = Gateway::with().component("hello").start();
    assert_eq!(gateway.admin("GET", "/healthz", &[]).is(200).text(), "ok\n");
    assert_eq!(gateway.admin("GET", "/readyz", &[]).is(200).text(), "ready\n");
    let answer = gateway.admin("HEAD", "/healthz", &[]);
    assert!(answer.status == 200 && answer.body.is_empty(), "{answer:?}");
}

#[test]
fn a_draining_gateway_is_healthy_and_not_ready() {
    let mut gateway = Gateway::with().set("drain", "60s").component("silent-stream").start();
    let mut held = gateway.connect();
    held.write("GET / HTTP/1.1\r\nhost: silent-stream.test\r\n\r\n");
    assert_eq!(held.head().unwrap().status, 200);
    gateway.signal(Signal::TERM);
    wait::until_true("readiness to fail", || {
        gateway.admin("GET", "/readyz", &[]).status == 503
    });
    gateway.admin("GET", "/healthz", &[]).is(200);
    assert_eq!(gateway.admin_json("/api/snapshot")["ready"], false);
    drop(held);
    assert_eq!(gateway.wait().code(), Some(0));
}

#[test]
fn metrics_are_prometheus_text() {
    let gateway = Gateway::with().component("hello").component("trap").start();
    gateway.get("hello", "/").is(200);
    gateway.get("trap", "/").is(502);
    let answer = gateway.admin("GET", "/metrics", &[]);
    assert!(
        answer
            .is(200)
            .field("content-type")
            .unwrap()
            .starts_with("text/plain; version=0.0.4")
    );
    check_exposition(&answer.text());
    gateway.wait_metric("tidegate_requests_total", &[("route", "hello"), ("code", "2xx")], 1.0);
    gateway.wait_metric("tidegate_requests_total", &[("route", "trap"), ("code", "5xx")], 1.0);
    gateway.wait_metric("tidegate_request_duration_seconds_count", &[("route", "hello")], 1.0);
    gateway.wait_metric("tidegate_component_traps_total", &[("component", "trap")], 1.0);
    gateway.wait_metric("tidegate_snapshot_version", &[], 1.0);
    assert_eq!(
        gateway.metric("tidegate_build_info", &[("version", env!("CARGO_PKG_VERSION"))]),
        1.0
    );
}

/// Every sample has a declared type, every family one declaration, every series is there once.
fn check_exposition(text: &str) {
    let (mut families, mut series) = (HashSet::new(), HashSet::new());
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a type has a name");
            assert!(["counter", "gauge", "histogram", "summary"].contains(&kind), "{line}");
            assert!(families.insert(name.to_owned()), "{name} is declared twice");
            continue;
        }
        if line.starts_with("# HELP ") {
            continue;
        }
        let (sample, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line:?} has no value"));
        assert!(value == "+Inf" || value.parse::<f64>().is_ok(), "{line}");
        assert!(series.insert(sample.to_owned()), "{sample} is there twice");
        let (name, labels) = sample
            .split_once('{')
            .map_or((sample, None), |(name, labels)| (name, Some(labels)));
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "{line}");
        assert!(labels.is_none_or(|labels| labels.ends_with('}')), "{line}");
        let parts = ["", "_bucket", "_sum", "_count"];
        let is_declared = parts
            .iter()
            .any(|part| name.strip_suffix(part).is_some_and(|name| families.contains(name)));
        assert!(is_declared, "{name} has no type above it");
    }
    assert!(series.len() > 20, "{} series", series.len());
}

#[test]
fn what_is_in_force_can_be_read() {
    let gateway = Gateway::with()
        .component_with("hello", |hello| hello.without_route())
        .component("hello-p3")
        .route("{ name = 'greet', host = 'a.example', path = '/hello/*', methods = ['GET'], component = 'hello' }")
        .route("{ name = 'old', path = '/old', redirect = { to = '/new', status = 301 } }")
        .start();
    let answer = gateway.admin("GET", "/api/snapshot", &[]);
    let snapshot = body(&answer);
    assert_eq!(
        (&snapshot["version"], &snapshot["ready"]),
        (&json!(1), &json!(true)),
        "{snapshot}"
    );
    let tag = answer.field("etag").expect("a snapshot has an ETag");
    assert!(tag.contains(snapshot["digest"].as_str().unwrap()), "{tag}");

    let routes = gateway.admin_json("/api/routes");
    let find = |name: &str| {
        let route = routes["routes"]
            .as_array()
            .unwrap()
            .iter()
            .find(|route| route["name"] == name);
        route.unwrap_or_else(|| panic!("{name} is not in {routes}"))
    };
    assert_eq!(find("greet")["target"], json!({ "component": "hello" }));
    assert_eq!(find("greet")["match"]["path"], "/hello/*");
    assert_eq!(find("greet")["match"]["methods"], json!(["GET"]));
    assert_eq!(
        find("old")["target"],
        json!({ "redirect": { "to": "/new", "status": 301 } })
    );

    let components = gateway.admin_json("/api/components");
    let handlers = components["components"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (&one["name"], &one["handler"]));
    let expected = [
        ("hello", "wasi:http/incoming-handler@0.2"),
        ("hello-p3", "wasi:http/handler@0.3"),
    ]
    .map(|(n, h)| (json!(n), json!(h)));
    assert_eq!(
        handlers.map(|(n, h)| (n.clone(), h.clone())).collect::<Vec<_>>(),
        expected
    );
}

#[test]
fn writes_need_the_token() {
    let gateway = Gateway::with().component("hello").start();
    let token = gateway.folder().join("var/admin.token");
    assert_eq!(fs::metadata(&token).unwrap().permissions().mode() & 0o777, 0o600);
    let reload = |authorization: Option<&str>| {
        let fields = authorization.map(|value| ("authorization", value));
        gateway.admin("POST", "/api/reload", fields.as_slice())
    };
    for wrong in [
        None,
        Some("Bearer "),
        Some("Bearer 0000"),
        Some(gateway.bearer().trim_start_matches("Bearer ")),
    ] {
        let answer = reload(wrong);
        assert_eq!(
            (answer.status, answer.field("www-authenticate")),
            (401, Some("Bearer")),
            "{wrong:?}"
        );
    }
    assert_eq!(gateway.admin_json("/api/snapshot")["version"], 1);
    assert_eq!(body(reload(Some(&gateway.bearer())).is(200)), json!({ "version": 2 }));
    // A page in somebody's browser that knows the token by chance still speaks under its own name.
    let fields = [("host", "evil.example"), ("authorization", &gateway.bearer())];
    gateway.admin("POST", "/api/reload", &fields).is(403);
}

#[test]
fn other_hosts_methods_and_paths_are_refused() {
    let gateway = Gateway::with().component("hello").start();
    for host in ["evil.example", "localhost.evil.example", "10.0.0.1", "127.0.0.1.nip.io"] {
        gateway.admin("GET", "/healthz", &[("host", host)]).is(403);
    }
    for host in ["localhost", "127.0.0.1:1", "[::1]"] {
        gateway.admin("GET", "/healthz", &[("host", host)]).is(200);
    }
    let answer = gateway.admin("GET", "/api/reload", &[]);
    assert_eq!((answer.status, answer.field("allow")), (405, Some("POST")));
    let answer = gateway.admin("DELETE", "/api/routes", &[("authorization", &gateway.bearer())]);
    assert_eq!((answer.status, answer.field("allow")), (405, Some("GET, HEAD")));
    gateway.admin("GET", "/api/nothing", &[]).is(404);
    // Nothing of this is on the public listener.
    for path in ["/healthz", "/metrics", "/api/snapshot"] {
        gateway.get("any", path).is_fault(404, "no-route");
    }
}

#[test]
fn the_admin_api_can_be_a_unix_socket() {
    let builder = Gateway::with().component("hello");
    let socket = builder.folder().join("admin.sock");
    let mut gateway = builder.admin(&format!("unix:{}", socket.display())).start();
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    let ask = |request: &str| {
        let mut raw = Raw::connect_unix(&socket);
        raw.write(request);
        raw.response()
    };
    // Who can open the socket is who may read, whatever the Host says.
    ask("GET /readyz HTTP/1.1\r\nhost: any.example\r\nconnection: close\r\n\r\n").is(200);
    ask("POST /api/reload HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").is(401);
    let bearer = gateway.bearer();
    ask(&format!(
        "POST /api/reload HTTP/1.1\r\nhost: localhost\r\nauthorization: {bearer}\r\nconnection: close\r\n\r\n"
    ))
    .is(200);
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.wait().code(), Some(0));
    assert!(!socket.exists(), "the socket's file goes with the gateway");
}

#[test]
fn a_bad_reload_says_why_and_changes_nothing() {
    let mut gateway = Gateway::with().component("hello").start();
    let before = gateway
        .admin("GET", "/api/snapshot", &[])
        .field("etag")
        .unwrap()
        .to_owned();
    gateway.edit(|config| {
        list(config, "route").push(inline("{ path = 'x', component = 'hello' }"));
        list(config, "route").push(inline("{ path = '/y', component = 'nobody' }"));
    });
    let answer = gateway.reload();
    let reasons = body(answer.is(422))["reasons"].to_string();
    for part in ["nobody", "route[1].path", "gateway.toml"] {
        assert!(reasons.contains(part), "{part:?} is not in {reasons}");
    }
    gateway.overwrite_config("this is = no [toml");
    gateway.reload().is(422);
    // Good in itself, and still it cannot be served.
    gateway.edit(|config| {
        list(config, "route").truncate(1);
        let not_http = crate::support::guest("not-http").display().to_string();
        entry(entry(config, "component"), "other").insert("source".to_owned(), not_http.into());
    });
    let reasons = body(gateway.reload().is(422))["reasons"].to_string();
    assert!(reasons.contains("exports no handler"), "{reasons}");
    gateway.get("hello", "/").is(200);
    assert_eq!(
        gateway.admin("GET", "/api/snapshot", &[]).field("etag"),
        Some(before.as_str())
    );
    gateway.wait_metric("tidegate_reloads_total", &[("result", "failed")], 3.0);
    gateway.wait_metric("tidegate_reloads_total", &[("result", "ok")], 0.0);
}

#[test]
fn sighup_reloads() {
    let mut gateway = Gateway::with().component("hello").start();
    gateway.get("new", "/new").is(404);
    gateway.edit(|config| list(config, "route").push(inline("{ path = '/new', respond = { body = 'new' } }")));
    gateway.signal(Signal::HUP);
    gateway.wait_metric("tidegate_snapshot_version", &[], 2.0);
    assert_eq!(gateway.get("new", "/new").is(200).text(), "new");
    gateway.wait_log("the reload", |line| {
        line["message"] == "reloaded" && line["version"] == 2
    });
    // A bad one is no reason to end.
    gateway.overwrite_config("[[route");
    gateway.signal(Signal::HUP);
    gateway.wait_metric("tidegate_reloads_total", &[("result", "failed")], 1.0);
    gateway.get("hello", "/").is(200);
}

/// An address that was free a moment ago: a listener that a reload opens cannot say which port 0 became.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("there is a free port")
}

#[test]
fn a_reload_opens_closes_and_keeps_listeners() {
    let mut gateway = Gateway::with()
        .component("hello")
        .listener("{ name = 'leaving', address = '127.0.0.1:0' }")
        .start();
    let leaving = gateway.address_of("leaving");
    let ask = |raw: &mut Raw| {
        raw.write("GET / HTTP/1.1\r\nhost: hello.test\r\n\r\n");
        raw.response().status
    };
    let mut kept = gateway.connect();
    let mut kept_h2 = Client::connect(Protocol::H2, gateway.address());
    let mut idle = Raw::connect(leaving);
    assert_eq!(
        (ask(&mut kept), kept_h2.get("hello", "/").status, ask(&mut idle)),
        (200, 200, 200)
    );

    let added = free_address();
    gateway.edit(|config| {
        let listeners = list(config, "listener");
        listeners.pop();
        listeners.push(inline(&format!("{{ name = 'added', address = '{added}' }}")));
    });
    gateway.reload().is(200);
    assert_eq!(ask(&mut Raw::connect(added)), 200);
    wait::until_true("the listener to close", || TcpStream::connect(leaving).is_err());
    // Its idle connections are asked to end; those of a kept listener go on as if nothing had been.
    idle.is_closed();
    assert_eq!((ask(&mut kept), kept_h2.get("hello", "/").status), (200, 200));
    gateway.wait_metric("tidegate_connections_total", &[("listener", "public")], 2.0);
}

#[test]
fn a_reload_changes_the_limits_of_a_kept_listener() {
    let mut gateway = Gateway::with().component("echo-stream").start();
    let post = |gateway: &Gateway| {
        gateway
            .send(
                "echo-stream",
                "POST / HTTP/1.1\r\nhost: {host}\r\ncontent-length: 4\r\nconnection: close\r\n\r\nbody",
            )
            .status
    };
    assert_eq!(post(&gateway), 200);
    gateway.edit(|config| {
        let listener = list(config, "listener")[0].as_table_mut().unwrap();
        listener.insert("limits".to_owned(), inline("{ body = '3B' }"));
    });
    gateway.reload().is(200);
    assert_eq!(post(&gateway), 413);
}

#[test]
fn a_reload_keeps_what_has_not_changed() {
    let mut gateway = Gateway::with().component("hello").component("hello-min").start();
    gateway.get("hello", "/").is(200);
    // Whatever is loaded again now has to be compiled again, and says so.
    let compiled = gateway.folder().join("var/compiled");
    for file in fs::read_dir(&compiled).unwrap() {
        fs::remove_file(file.unwrap().path()).unwrap();
    }
    gateway.edit(|config| list(config, "route").push(inline("{ path = '/new', component = 'hello' }")));
    gateway.reload().is(200);
    gateway.get("new", "/new").is(200);
    assert_eq!(
        fs::read_dir(&compiled).unwrap().count(),
        0,
        "a component that had not changed was compiled"
    );
    gateway.wait_metric("tidegate_component_calls_total", &[("component", "hello")], 2.0);

    // Another limit is another component; its neighbour stays.
    gateway.edit(|config| {
        let hello = entry(entry(config, "component"), "hello");
        entry(hello, "limits").insert("concurrency".to_owned(), Toml::Integer(3));
    });
    gateway.reload().is(200);
    gateway.get("hello", "/").is(200);
    assert!(fs::read_dir(&compiled).unwrap().count() <= 1);
    gateway.wait_metric("tidegate_component_calls_total", &[("component", "hello")], 3.0);
}

#[test]
fn a_reload_takes_a_component_whose_file_has_changed() {
    let builder = Gateway::with();
    let source = builder.folder().join("changing.wasm");
    copy_guest("hello", &source);
    let path = source.display().to_string();
    let gateway = builder
        .component_with("hello", |hello| hello.named("changing").set("source", path))
        .start();
    assert!(gateway.get("changing", "/").is(200).text().starts_with("Hello"));
    // A request that is under way finishes on what it began with.
    copy_guest("silent-stream", &source);
    gateway.reload().is(200);
    let mut old = gateway.connect();
    old.write("GET / HTTP/1.1\r\nhost: changing.test\r\n\r\n");
    let mut answer = old.head().unwrap();
    assert!(old.chunk(&mut answer));
    copy_guest("hello-min", &source);
    gateway.reload().is(200);
    assert!(gateway.get("changing", "/").is(200).text().starts_with("Hello"));
    gateway.wait_metric("tidegate_snapshot_versions_alive", &[], 2.0);
    drop(old);
    // What nobody runs on any more is freed.
    gateway.wait_metric("tidegate_snapshot_versions_alive", &[], 1.0);
}

#[test]
fn a_removed_component_is_gone_and_its_neighbours_are_not() {
    let mut gateway = Gateway::with().component("hello").component("hello-min").start();
    gateway.get("hello-min", "/").is(200);
    gateway.edit(|config| {
        list(config, "route").retain(|route| route["component"].as_str() != Some("hello-min"));
        entry(config, "component").remove("hello-min");
    });
    gateway.reload().is(200);
    gateway.get("hello-min", "/").is_fault(404, "no-route");
    gateway.get("hello", "/").is(200);
    assert_eq!(
        gateway.admin_json("/api/components")["components"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}
