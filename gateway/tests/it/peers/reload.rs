//! Changes of the configuration: an upstream that they do not touch keeps its connections and its servers' health.

use super::native::Native;
use super::traffic::{Outcome, Traffic};
use super::tunnels::{accepted, echo, open};
use super::{one, upstream, wait_server};
use crate::support::config::{entry, inline, list};
use crate::support::origin::Origin;
use crate::support::{Gateway, wait};

/// A route that has nothing to do with the upstream, so that something changes.
fn change(gateway: &mut Gateway, n: usize) {
    gateway.edit(|config| {
        list(config, "route").push(inline(&format!(
            "{{ path = '/other/{n}', respond = {{ body = 'other' }} }}"
        )))
    });
    gateway.reload().is(200);
    assert_eq!(gateway.get("any", &format!("/other/{n}")).text(), "other");
}

#[test]
fn an_untouched_upstream_keeps_its_connections() {
    let a = Native::start("a");
    let mut gateway = Gateway::with()
        .set("workers", 1)
        .upstream("api", &one(a.address, ""))
        .route("{ upstream = 'api' }")
        .start();
    let mut raw = gateway.connect();
    for n in 0..5 {
        raw.write(format!("GET /r/{n} HTTP/1.1\r\nhost: any.test\r\n\r\n"));
        assert_eq!(raw.response().text(), "a");
        change(&mut gateway, n);
    }
    assert_eq!((a.accepted(), a.served()), (1, 5), "one connection for all of them");
    assert_eq!(upstream(&gateway, "api")["servers"][0]["connections"], 1);
}

#[test]
fn an_untouched_upstream_keeps_its_servers_health() {
    let (a, ill) = (Native::start("a"), Native::start("ill"));
    ill.set_ill(true);
    let dead = Native::start("dead").kill().address;
    let mut gateway = Gateway::with()
        .upstream(
            "checked",
            &format!(
                "{{ servers = ['{}', '{}'], health = {{ path = '/healthz', interval = '10s', unhealthy_after = 1 }} }}",
                a.address, ill.address
            ),
        )
        .upstream(
            "failing",
            &format!(
                "{{ servers = ['{}', '{dead}'], ejection = {{ failures = 1, time = '1h' }} }}",
                a.address
            ),
        )
        .route("{ path = '/checked/*', upstream = 'checked' }")
        .route("{ path = '/failing/*', upstream = 'failing' }")
        .start();
    wait_server(&gateway, "checked", ill.address, "unhealthy", |server| {
        server["healthy"] == false
    });
    wait::until_true("the dead server to be tried", || {
        gateway.get("any", "/failing/1").is(200);
        !upstream(&gateway, "failing")["servers"]
            .as_array()
            .unwrap()
            .iter()
            .all(|server| server["ejected_for"].is_null())
    });
    for n in 0..3 {
        change(&mut gateway, n);
        // At once: no check has run since.
        let checked = upstream(&gateway, "checked");
        let servers = checked["servers"].as_array().unwrap();
        let server = servers
            .iter()
            .find(|server| server["address"] == ill.address.to_string());
        assert_eq!(server.unwrap()["healthy"], false, "{checked:#}");
        let failing = upstream(&gateway, "failing");
        let servers = failing["servers"].as_array().unwrap();
        let server = servers.iter().find(|server| server["address"] == dead.to_string());
        assert!(
            server.unwrap()["ejected_for"].as_u64().is_some_and(|left| left > 3_500),
            "{failing:#}"
        );
        for m in 0..4 {
            assert_eq!(gateway.get("any", &format!("/checked/{n}/{m}")).text(), "a");
            assert_eq!(gateway.get("any", &format!("/failing/{n}/{m}")).text(), "a");
        }
    }
    assert_eq!(ill.served(), 0);
    let failures = gateway.metric("tidegate_upstream_failures_total", &[("server", &dead.to_string())]);
    assert_eq!(failures, 1.0, "it was tried once and not again");
}

#[test]
fn a_changed_upstream_is_another_one_and_what_is_under_way_is_finished() {
    let (a, b) = (Native::start("a"), Native::start("b"));
    let mut gateway = Gateway::with()
        .upstream("api", &one(a.address, ""))
        .route("{ upstream = 'api' }")
        .start();
    let traffic = Traffic::start(&gateway, 6, &["GET", "POST"]);
    traffic.go_on(20);
    let mut raw = gateway.connect();
    raw.write("GET /hold HTTP/1.1\r\nhost: any.test\r\n\r\n");
    wait::until_true("the request to be held", || a.held() == 1);
    gateway.edit(|config| {
        entry(config, "upstream").insert("api".to_owned(), inline(&one(b.address, "")));
    });
    gateway.reload().is(200);
    traffic.go_on(12);
    let served = a.served();
    traffic.go_on(50);
    assert_eq!(a.served(), served, "it gets no more");
    assert!(b.served() > 30, "{}", b.served());
    a.release();
    let answer = raw.response();
    assert_eq!((answer.status, answer.text().as_str()), (200, "a"));
    wait::until_true("the connections to the old one to be closed", || a.open() == 0);
    let outcomes = traffic.stop();
    assert!(outcomes.iter().all(Outcome::is_well), "{outcomes:?}");
    wait::until_true("the old version to be gone", || {
        gateway.metric("tidegate_snapshot_versions_alive", &[]) <= 1.0
    });
}

/// An upstream that leaves the configuration takes its connections with it; one that cannot be made changes nothing.
#[test]
fn upstreams_come_and_go() {
    let (a, b) = (Native::start("a"), Native::start("b"));
    let mut gateway = Gateway::with()
        .upstream("api", &one(a.address, ""))
        .route("{ name = 'api', path = '/r/*', upstream = 'api' }")
        .start();
    assert_eq!(gateway.get("any", "/r/1").text(), "a");
    let good = std::fs::read_to_string(gateway.folder().join("gateway.toml")).unwrap();
    gateway.overwrite_config(&good.replace("servers = [", "tls = { ca = '/nowhere.pem' }\nservers = ["));
    gateway.reload().is(422);
    assert_eq!(gateway.get("any", "/r/2").text(), "a");
    gateway.edit(|config| {
        let upstreams = entry(config, "upstream");
        upstreams.remove("api");
        upstreams.insert("new".to_owned(), inline(&one(b.address, "")));
        let routes = list(config, "route");
        *routes = vec![inline("{ path = '/r/*', upstream = 'new' }")];
    });
    gateway.reload().is(200);
    assert_eq!(gateway.get("any", "/r/3").text(), "b");
    wait::until_true("the connections to the one that left to be closed", || a.open() == 0);
    let all = gateway.admin_json("/api/upstreams");
    assert_eq!(all["upstreams"].as_array().unwrap().len(), 1, "{all:#}");
    let gone = a.address.to_string();
    wait::until_true("its metrics to be gone", || {
        let text = gateway.admin("GET", "/metrics", &[]).text();
        !text.lines().any(|line| line.contains(&gone))
    });
}

/// A tunnel may last for days: of the configuration it was opened under it keeps its own server, and nothing else.
#[test]
fn a_tunnel_outlives_its_configuration() {
    let origin = Origin::start(|visit| {
        let request = visit.request().expect("a handshake");
        visit.raw.write(accepted(request.field("sec-websocket-key")));
        echo(visit);
    });
    let (a, b) = (Native::start("a"), Native::start("b"));
    let checked = |server: &Native| one(server.address, "health = { path = '/healthz', interval = '100ms' }");
    let mut gateway = Gateway::with()
        .upstream("ws", &one(origin.address, ""))
        .upstream("api", &checked(&a))
        .route("{ name = 'ws', path = '/tunnel', upstream = 'ws' }")
        .route("{ name = 'api', path = '/r/*', upstream = 'api' }")
        .start();
    let mut raw = open(&gateway);
    assert_eq!(gateway.get("any", "/r/1").text(), "a");
    gateway.edit(|config| {
        let upstreams = entry(config, "upstream");
        upstreams.remove("ws");
        upstreams.insert("api".to_owned(), inline(&checked(&b)));
        list(config, "route").retain(|route| route["name"].as_str() != Some("ws"));
    });
    gateway.reload().is(200);
    assert_eq!(gateway.get("any", "/r/2").text(), "b");
    raw.write("still");
    assert_eq!(raw.take(5), b"still");
    gateway.wait_metric("tidegate_snapshot_versions_alive", &[], 1.0);
    wait::until_true("the connections to the server that left to be closed", || a.open() == 0);
    let (old, new) = (a.accepted(), b.accepted());
    wait::until_true("the health of the new one to be asked for", || b.accepted() > new + 3);
    assert_eq!(a.accepted(), old, "nobody asks for the old one's health");
    raw.write("and still");
    assert_eq!(raw.take(9), b"and still");
    raw.finish_writing();
    raw.is_closed();
    let line = gateway.wait_access("its line", |line| line["path"] == "/tunnel");
    let said = (&line["outcome"], &line["bytes_in"], &line["bytes_out"]);
    assert_eq!(said, (&"complete".into(), &14.into(), &14.into()), "{line}");
}
