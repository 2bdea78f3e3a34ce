//! `GET /api/upstreams`, and the commands that ask a running gateway.

use crate::support::command::{Ran, run};
use crate::support::{Gateway, Raw, wait};
use serde_json::{Value, json};
use std::net::{SocketAddr, TcpListener};
use std::process::Command;

/// A server that the test plays itself.
struct Played(TcpListener);

impl Played {
    fn bind() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    /// The next connection.
    fn accept(&self) -> Raw {
        let (tcp, _) = wait::until("a connection of the gateway", || self.0.accept().ok());
        tcp.set_nonblocking(false).unwrap();
        Raw::over_tcp(tcp)
    }
}

/// An address where nothing listens.
fn nowhere() -> SocketAddr {
    Played::bind().address()
}

/// `/api/upstreams` until `is_it`, and the upstream of this name in it.
#[track_caller]
fn wait_upstream(gateway: &Gateway, name: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    let found = wait::try_until(|| {
        let answer = gateway.admin_json("/api/upstreams");
        let all = answer["upstreams"].as_array().unwrap();
        last = all.iter().find(|upstream| upstream["name"] == name)?.clone();
        is_it(&last).then(|| last.clone())
    });
    found.unwrap_or_else(|| panic!("{last:#}"))
}

#[track_caller]
fn ask(arguments: &[&str]) -> Ran {
    run(arguments.iter().copied())
}

#[test]
fn servers_are_shown_with_what_they_carry() {
    let (played, other) = (Played::bind(), nowhere());
    let servers = format!(
        "{{ servers = [{{ address = '{}', weight = 3 }}, '{other}'], balance = 'hash', hash = 'path' }}",
        played.address()
    );
    let gateway = Gateway::with()
        .upstream("idle", &format!("{{ servers = ['{other}'] }}"))
        .upstream(
            "api",
            &format!("{{ servers = ['{}'], balance = 'random' }}", played.address()),
        )
        .upstream("both", &servers)
        .route("{ path = '/api', upstream = 'api' }")
        .start();
    let server = |address: SocketAddr, weight: u32, requests: u32, connections: u32| {
        json!({
            "address": address, "name": address.to_string(), "weight": weight, "healthy": true,
            "ejected_for": null, "requests": requests, "connections": connections,
        })
    };
    let answer = gateway.admin_json("/api/upstreams");
    assert_eq!(answer["version"], 1);
    let names: Vec<_> = answer["upstreams"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["name"])
        .collect();
    assert_eq!(names, ["api", "both", "idle"]);
    let both = wait_upstream(&gateway, "both", |_| true);
    assert_eq!((&both["balance"], &both["requests"]), (&json!("hash"), &json!(0)));
    let mut servers = [server(played.address(), 3, 0, 0), server(other, 1, 0, 0)];
    servers.sort_by_key(|server| server["name"].as_str().unwrap().to_owned());
    assert_eq!(both["servers"], json!(servers));

    let mut client = gateway.connect();
    client.write("GET /api HTTP/1.1\r\nhost: a.example\r\n\r\n");
    let mut visit = played.accept();
    visit.take_until(b"\r\n\r\n").unwrap();
    let api = wait_upstream(&gateway, "api", |api| api["requests"] == 1);
    assert_eq!(api["servers"], json!([server(played.address(), 1, 1, 1)]));
    let played_at = played.address().to_string();
    let labels = [("upstream", "api"), ("server", played_at.as_str())];
    gateway.wait_metric("tidegate_upstream_requests_in_flight", &labels, 1.0);
    gateway.wait_metric("tidegate_upstream_connections_open", &labels, 1.0);
    visit.write("HTTP/1.1 204 No Content\r\n\r\n");
    client.response().is(204);
    let api = wait_upstream(&gateway, "api", |api| api["requests"] == 0);
    assert_eq!(api["servers"], json!([server(played.address(), 1, 0, 1)]));
    gateway.wait_metric("tidegate_upstream_requests_in_flight", &labels, 0.0);
    let labels = [("upstream", "api"), ("server", played_at.as_str()), ("code", "2xx")];
    gateway.wait_metric("tidegate_upstream_responses_total", &labels, 1.0);
}

#[test]
fn servers_that_fail_are_shown_as_such() {
    let servers = [nowhere(), nowhere()].map(|address| format!("'{address}'")).join(", ");
    let gateway = Gateway::with()
        .upstream(
            "ejected",
            &format!("{{ servers = [{servers}], ejection = {{ failures = 1, time = '1h', most = '100%' }} }}"),
        )
        .upstream(
            "checked",
            &format!("{{ servers = [{servers}], health = {{ tcp = true, interval = '1s', unhealthy_after = 1 }} }}"),
        )
        .route("{ path = '/ejected', upstream = 'ejected' }")
        .start();
    let mut client = gateway.connect();
    client.write("GET /ejected HTTP/1.1\r\nhost: a.example\r\n\r\n");
    client.response().is(502);
    let ejected = wait_upstream(&gateway, "ejected", |_| true);
    for server in ejected["servers"].as_array().unwrap() {
        let left = server["ejected_for"].as_u64().unwrap();
        assert!((3_500..=3_600).contains(&left), "{ejected:#}");
        assert_eq!(server["healthy"], true);
    }
    let all = |upstream: &Value, healthy: bool| {
        let servers = upstream["servers"].as_array().unwrap();
        servers.iter().all(|server| server["healthy"] == healthy)
    };
    wait_upstream(&gateway, "checked", |checked| all(checked, false));
    let printed = ask(&["upstreams", "--admin", &gateway.admin_address().to_string()]);
    let lines: Vec<_> = printed.exited(0).stdout.lines().collect();
    assert_eq!(lines.len(), 5, "{}", printed.stdout);
    assert!(
        lines[1].contains(" unhealthy ") && lines[3].contains(" ejected for 3"),
        "{}",
        printed.stdout
    );
}

#[test]
fn the_commands_ask_the_gateway_of_a_configuration() {
    let builder = Gateway::with();
    let socket = builder.folder().join("admin.sock");
    let server = nowhere();
    let gateway = builder
        .admin(&format!("unix:{}", socket.display()))
        .upstream("api", &format!("{{ servers = ['{server}'] }}"))
        .route("{ name = 'split', path = '/s', split = [{ upstream = 'api', weight = 9 }, { redirect = { to = '/there' }, weight = 1 }] }")
        .route("{ name = 'fixed', host = 'a.example', path = '/x/*', methods = ['GET'], source = ['10.0.0.0/8'], respond = { status = 204 } }")
        .start();
    let config = gateway.folder().join("gateway.toml").display().to_string();
    let admin = format!("unix:{}", socket.display());
    for way in [&["routes", &config][..], &["routes", "--admin", &admin]] {
        let printed = ask(way);
        let lines: Vec<_> = printed.exited(0).stdout.lines().collect();
        assert!(lines[0].starts_with("ROUTE "), "{}", printed.stdout);
        assert!(
            lines[1].starts_with("split ") && lines[1].contains("split 9 to upstream api, 1 to redirect "),
            "{}",
            printed.stdout
        );
        assert!(
            lines[2].starts_with("fixed ") && lines[2].contains(" from 10.0.0.0/8 "),
            "{}",
            printed.stdout
        );
        assert_eq!(lines.len(), 3);
    }
    let routes = ask(&["routes", &config, "--json"]).exited(0).json();
    assert_eq!(routes["routes"][1]["target"], json!({ "respond": { "status": 204 } }));
    let printed = ask(&["upstreams", &config]);
    let lines: Vec<_> = printed.exited(0).stdout.lines().collect();
    assert!(
        lines.len() == 2 && lines[1].contains(&server.to_string()),
        "{}",
        printed.stdout
    );
    let upstreams = ask(&["upstreams", &config, "--json"]).exited(0).json();
    assert_eq!(upstreams["upstreams"][0]["servers"][0]["address"], json!(server));
    // `./config` where nothing is named.
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("config")).unwrap();
    std::fs::copy(&config, folder.path().join("config/gateway.toml")).unwrap();
    let there = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .env_clear()
        .current_dir(folder.path())
        .arg("routes")
        .output()
        .unwrap();
    assert!(there.status.success(), "{there:?}");
}

#[test]
fn a_command_that_cannot_ask_says_what_to_do() {
    for command in ["routes", "upstreams"] {
        ask(&[command, "--admin", &nowhere().to_string()])
            .exited(69)
            .complained("no gateway answers on 127.0.0.1:")
            .complained("tidegate run");
        ask(&[command, "--admin", "unix:/nowhere/admin.sock"])
            .exited(69)
            .complained("no gateway answers on unix:/nowhere/admin.sock");
        ask(&[command, "--admin", "localhost"]).exited(64);
        ask(&[command, "edge.toml", "--admin", "127.0.0.1:1"]).exited(64);
        ask(&[command, "/nowhere.toml"])
            .complained("/nowhere.toml")
            .complained("--admin");
    }
    let gateway = Gateway::with().route("{ respond = { body = 'not an API' } }").start();
    ask(&["routes", "--admin", &gateway.address().to_string()])
        .exited(69)
        .complained("is not a gateway's admin API");
    // Its configuration has port 0, which is not where it listens.
    let config = gateway.folder().join("gateway.toml").display().to_string();
    ask(&["routes", &config])
        .exited(78)
        .complained("the last line of the gateway's start");
    let folder = tempfile::tempdir().unwrap();
    let silent = folder.path().join("edge.toml");
    std::fs::write(
        &silent,
        "[[listener]]\naddress = '127.0.0.1:0'\n\n[[route]]\nrespond = { status = 204 }\n",
    )
    .unwrap();
    ask(&["upstreams", silent.to_str().unwrap()])
        .exited(78)
        .complained("has no admin API");
}
