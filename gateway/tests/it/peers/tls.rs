//! nginx with TLS behind the gateway: whom the gateway believes, and whom it says it is.

use super::one;
use super::programs::Nginx;
use crate::support::certs::{Authority, Pair};
use crate::support::{Gateway, Response};
use std::fs;

const SAYS: &str = "location / { return 200 '$server_protocol|$ssl_server_name|$ssl_client_verify|$ssl_client_s_dn'; }";

/// nginx with this certificate; `more` is further directives, in which `{folder}/clients.pem` is `clients`.
fn nginx(listen: &str, pair: &Pair, clients: &str, more: &str) -> Nginx {
    let server = format!("ssl_certificate {{folder}}/cert.pem; ssl_certificate_key {{folder}}/key.pem; {more} {SAYS}");
    let files = [
        ("cert.pem", pair.cert.as_bytes()),
        ("key.pem", pair.key.as_bytes()),
        ("clients.pem", clients.as_bytes()),
    ];
    Nginx::start_with(listen, &server, &files)
}

#[track_caller]
fn get(gateway: &Gateway, path: &str) -> Response {
    gateway.get("any", path)
}

#[track_caller]
fn says(gateway: &Gateway, path: &str, what: &str) {
    let answer = get(gateway, path);
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (200, what),
        "{path}: {answer:?}"
    );
}

#[test]
fn a_certificate_must_be_for_the_name_and_from_an_authority_that_is_trusted() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let by_name = nginx("ssl http2", &authority.sign(&["api.internal"]), "", "");
    let by_address = nginx("ssl", &authority.sign(&["127.0.0.1"]), "", "");
    let builder = Gateway::with();
    let elsewhere = tempfile::tempdir().unwrap();
    let ca = authority.write(builder.folder()).display().to_string();
    let other = stranger.write(elsewhere.path()).display().to_string();
    let (ca, other) = (format!("ca = '{ca}'"), format!("ca = '{other}'"));
    let name = "server_name = 'api.internal'";
    let gateway = [
        ("named", &by_name, format!("tls = {{ {ca}, {name} }}")),
        ("h1", &by_name, format!("protocol = 'http1', tls = {{ {ca}, {name} }}")),
        ("h2", &by_name, format!("protocol = 'h2', tls = {{ {ca}, {name} }}")),
        ("no-h2", &by_address, format!("protocol = 'h2', tls = {{ {ca} }}")),
        ("address", &by_address, format!("tls = {{ {ca} }}")),
        (
            "wrong-name",
            &by_name,
            format!("tls = {{ {ca}, server_name = 'www.internal' }}"),
        ),
        ("wrong-address", &by_name, format!("tls = {{ {ca} }}")),
        ("stranger", &by_name, format!("tls = {{ {other}, {name} }}")),
        ("system", &by_name, format!("tls = {{ {name} }}")),
        ("plain", &by_address, String::new()),
    ]
    .into_iter()
    .fold(builder, |builder, (name, nginx, more)| {
        let route = format!("{{ path = '/{name}', upstream = '{name}' }}");
        builder.upstream(name, &one(nginx.address, &more)).route(&route)
    })
    .start();
    says(&gateway, "/named", "HTTP/2.0|api.internal|NONE|");
    says(&gateway, "/h1", "HTTP/1.1|api.internal|NONE|");
    says(&gateway, "/h2", "HTTP/2.0|api.internal|NONE|");
    // An address is no name that SNI could carry (RFC 6066 §3).
    says(&gateway, "/address", "HTTP/1.1||NONE|");
    for path in ["/no-h2", "/wrong-name", "/wrong-address", "/stranger", "/system"] {
        let answer = get(&gateway, path);
        answer.is_fault(502, "upstream-tls");
    }
    let answer = get(&gateway, "/plain");
    assert!(
        answer.status == 400 && answer.text().contains("plain HTTP request"),
        "{answer:?}"
    );
    let log = gateway.metric("tidegate_upstream_failures_total", &[("code", "upstream-tls")]);
    assert!(log >= 5.0, "{log}");
}

#[test]
fn a_server_that_speaks_no_tls_is_not_spoken_to() {
    let plain = Nginx::start("location / { return 200 plain; }");
    let gateway = Gateway::with()
        .upstream("plain", &one(plain.address, "tls = {}"))
        .route("{ upstream = 'plain' }")
        .start();
    get(&gateway, "/").is_fault(502, "upstream-tls");
}

#[test]
fn nginx_may_ask_for_a_client_certificate() {
    let (authority, clients, stranger) = (Authority::new(), Authority::new(), Authority::new());
    let builder = Gateway::with();
    let ca = authority.write(builder.folder()).display().to_string();
    let elsewhere = tempfile::tempdir().unwrap();
    let trusted = fs::read_to_string(clients.write(elsewhere.path())).unwrap();
    let ask = "ssl_verify_client on; ssl_client_certificate {folder}/clients.pem;";
    let strict = nginx("ssl", &authority.sign(&["127.0.0.1"]), &trusted, ask);
    let pair = |authority: &Authority, name: &str| {
        let (cert, key) = authority.sign(&["gateway.internal"]).write(builder.folder(), name);
        format!("cert = '{}', key = '{}'", cert.display(), key.display())
    };
    let (own, strange) = (pair(&clients, "own"), pair(&stranger, "strange"));
    let gateway = builder
        .upstream("with", &one(strict.address, &format!("tls = {{ ca = '{ca}', {own} }}")))
        .upstream("without", &one(strict.address, &format!("tls = {{ ca = '{ca}' }}")))
        .upstream(
            "stranger",
            &one(strict.address, &format!("tls = {{ ca = '{ca}', {strange} }}")),
        )
        .route("{ path = '/with', upstream = 'with' }")
        .route("{ path = '/without', upstream = 'without' }")
        .route("{ path = '/stranger', upstream = 'stranger' }")
        .start();
    let answer = get(&gateway, "/with");
    assert!(
        answer.status == 200 && answer.text().starts_with("HTTP/1.1||SUCCESS|"),
        "{answer:?}"
    );
    // nginx ends the handshake well and then says what it misses.
    let answer = get(&gateway, "/without");
    assert!(
        answer.status == 400 && answer.text().contains("No required SSL certificate"),
        "{answer:?}"
    );
    let answer = get(&gateway, "/stranger");
    assert!(
        answer.status == 400 && answer.text().contains("SSL certificate error"),
        "{answer:?}"
    );
}

/// What a file says belongs to the upstream: a reload takes it up, and connections made under the old one are not used
/// any more.
#[test]
fn an_authority_that_changes_takes_effect_with_a_reload() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let server = nginx("ssl", &authority.sign(&["127.0.0.1"]), "", "");
    let builder = Gateway::with();
    let ca = authority.write(builder.folder());
    let gateway = builder
        .upstream(
            "tls",
            &one(server.address, &format!("tls = {{ ca = '{}' }}", ca.display())),
        )
        .route("{ upstream = 'tls' }")
        .start();
    for _ in 0..2 {
        says(&gateway, "/", "HTTP/1.1||NONE|");
        stranger.write(gateway.folder());
        says(&gateway, "/", "HTTP/1.1||NONE|");
        gateway.reload().is(200);
        get(&gateway, "/").is_fault(502, "upstream-tls");
        authority.write(gateway.folder());
        gateway.reload().is(200);
    }
    fs::write(&ca, "no certificate").unwrap();
    gateway.reload().is(422);
    says(&gateway, "/", "HTTP/1.1||NONE|");
}
