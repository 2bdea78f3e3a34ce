//! The admin API: health, metrics, what is in force, and reload. Never on a public listener.
//!
//! Reads need no token on the loopback or unix address this is bound to; writes carry `Authorization: Bearer` with
//! the content of `data_dir/admin.token`. The Host of every request is checked, so that a page in somebody's browser
//! cannot reach this by a name of its own (DNS rebinding).

use super::gateway::Control;
use crate::config::AdminAddress;
use crate::limits;
use crate::snapshot::Target;
use crate::telemetry::metrics;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;

/// The admin API's own address; a unix socket's file goes away with it.
pub(super) struct Bound {
    address: AdminAddress,
    socket_file: Option<PathBuf>,
}

impl Bound {
    pub(super) fn address(&self) -> &AdminAddress {
        &self.address
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        if let Some(file) = &self.socket_file {
            // Gone already is as good.
            let _ = std::fs::remove_file(file);
        }
    }
}

/// Opens the address and serves on it until the runtime ends.
pub(super) async fn open(control: Arc<Control>, address: &AdminAddress) -> io::Result<Bound> {
    match address {
        AdminAddress::Tcp(address) => {
            let listener = TcpListener::bind(address).await?;
            let bound = AdminAddress::Tcp(listener.local_addr()?);
            tokio::spawn(accept(control, true, listener, async |listener: &TcpListener| {
                listener.accept().await.map(|(stream, _)| stream)
            }));
            Ok(Bound {
                address: bound,
                socket_file: None,
            })
        }
        AdminAddress::Unix(path) => {
            let listener = bind_unix(path)?;
            tokio::spawn(accept(control, false, listener, async |listener: &UnixListener| {
                listener.accept().await.map(|(stream, _)| stream)
            }));
            Ok(Bound {
                address: address.clone(),
                socket_file: Some(path.clone()),
            })
        }
    }
}

/// A socket file that a killed gateway left behind is replaced; one that answers, or another kind of file, is not.
fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    if let Ok(meta) = std::fs::symlink_metadata(path) {
        if !meta.file_type().is_socket() {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "a file that is no socket is there",
            ));
        }
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

async fn accept<L, S, F>(control: Arc<Control>, checks_host: bool, listener: L, mut next: F)
where
    F: AsyncFnMut(&L) -> io::Result<S>,
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let places = Arc::new(Semaphore::new(limits::ADMIN_CONNECTIONS_COUNT));
    // The semaphore is never closed.
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        let stream = match next(&listener).await {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!("the admin API cannot accept, trying again: {error}");
                tokio::time::sleep(limits::ACCEPT_BACKOFF).await;
                continue;
            }
        };
        let control = Arc::clone(&control);
        tokio::spawn(async move {
            let service = service_fn(|request| answer(Arc::clone(&control), checks_host, request));
            let mut builder = http1::Builder::new();
            builder
                .timer(TokioTimer::new())
                .header_read_timeout(limits::HEADER_TIMEOUT);
            if let Err(error) = builder.serve_connection(TokioIo::new(stream), service).await {
                tracing::debug!("admin connection ended: {error}");
            }
            drop(place);
        });
    }
}

type Answer = Response<Full<Bytes>>;

async fn answer(control: Arc<Control>, checks_host: bool, request: Request<Incoming>) -> Result<Answer, Infallible> {
    if checks_host && !is_own_host(request.headers(), request.uri()) {
        let why = "the Host of an admin request must be localhost or a loopback address";
        return Ok(fault(StatusCode::FORBIDDEN, why));
    }
    let path = request.uri().path();
    let method = request.method();
    let Some((_, allowed)) = ROUTES.iter().find(|(known, _)| *known == path) else {
        return Ok(fault(StatusCode::NOT_FOUND, "no such admin path"));
    };
    let is_read = *allowed == Method::GET && (*method == Method::GET || *method == Method::HEAD);
    if !is_read && *allowed != *method {
        let mut answer = fault(StatusCode::METHOD_NOT_ALLOWED, "this admin path takes another method");
        let allow = if *allowed == Method::GET { "GET, HEAD" } else { "POST" };
        answer
            .headers_mut()
            .insert(header::ALLOW, HeaderValue::from_static(allow));
        return Ok(answer);
    }
    if !is_read && !is_authorized(&control, request.headers()) {
        let why = "a write needs `Authorization: Bearer` with the content of admin.token in the data_dir";
        let mut answer = fault(StatusCode::UNAUTHORIZED, why);
        answer
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        return Ok(answer);
    }
    Ok(match path {
        "/healthz" => text(StatusCode::OK, "ok\n"),
        "/readyz" if control.is_ready() => text(StatusCode::OK, "ready\n"),
        "/readyz" => text(StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
        "/metrics" => typed(StatusCode::OK, metrics::CONTENT_TYPE, control.scrape()),
        "/api/snapshot" => snapshot(&control),
        "/api/routes" => ok(&routes(&control)),
        "/api/components" => ok(&components(&control)),
        "/api/upstreams" => ok(&upstreams(&control)),
        "/api/reload" => reload(control).await,
        _ => fault(StatusCode::NOT_FOUND, "no such admin path"),
    })
}

const ROUTES: [(&str, Method); 8] = [
    ("/healthz", Method::GET),
    ("/readyz", Method::GET),
    ("/metrics", Method::GET),
    ("/api/snapshot", Method::GET),
    ("/api/routes", Method::GET),
    ("/api/components", Method::GET),
    ("/api/upstreams", Method::GET),
    ("/api/reload", Method::POST),
];

fn is_authorized(control: &Control, headers: &HeaderMap) -> bool {
    headers
        .get(header::AUTHORIZATION)
        .is_some_and(|value| control.token.is_in(value.as_bytes()))
}

/// Whether the client addressed this machine as itself.
fn is_own_host(headers: &HeaderMap, uri: &Uri) -> bool {
    let host = uri.authority().map(http::uri::Authority::as_str);
    let host = host.or_else(|| headers.get(header::HOST).and_then(|host| host.to_str().ok()));
    let Some(authority) = host.and_then(|host| host.parse::<http::uri::Authority>().ok()) else {
        return false;
    };
    let name = authority.host().trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn snapshot(control: &Control) -> Answer {
    let status = control.status();
    let mut answer = ok(&json!({
        "version": status.version,
        "digest": status.digest,
        "ready": status.is_ready,
        "connections": status.connections,
    }));
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{}-{}\"", status.version, status.digest)) {
        answer.headers_mut().insert(header::ETAG, tag);
    }
    answer
}

fn routes(control: &Control) -> Value {
    let snapshot = control.snapshot();
    let route = |route: &Arc<crate::snapshot::Route>| json!({ "name": &*route.name, "match": control.describe(&route.name), "target": target(&route.target) });
    json!({ "version": snapshot.version, "routes": snapshot.entries.iter().map(route).collect::<Vec<_>>() })
}

fn target(one: &Target) -> Value {
    match one {
        Target::Component(component, _) => json!({ "component": &**component.name() }),
        Target::Upstream(upstream, _) => json!({ "upstream": upstream.name().as_str() }),
        Target::Split(shares) => {
            let share = |(one, weight)| json!({ "weight": weight, "target": target(one) });
            json!({ "split": shares.targets().iter().zip(shares.weights()).map(share).collect::<Vec<_>>() })
        }
        Target::Redirect(fixed) => {
            let to = fixed.headers.get(header::LOCATION).and_then(|to| to.to_str().ok());
            json!({ "redirect": { "to": to, "status": fixed.status.as_u16() } })
        }
        Target::Respond(fixed) => json!({ "respond": { "status": fixed.status.as_u16() } }),
        Target::External(_) => json!({ "external": true }),
    }
}

fn components(control: &Control) -> Value {
    let snapshot = control.snapshot();
    let one = |component: &Arc<crate::runtime::Component>| {
        json!({
            "name": &**component.name(),
            "source": component.source().display().to_string(),
            "digest": format!("sha256:{}", component.digest()),
            "handler": component.handler().as_str(),
        })
    };
    json!({ "version": snapshot.version, "components": snapshot.components.values().map(one).collect::<Vec<_>>() })
}

fn upstreams(control: &Control) -> Value {
    let snapshot = control.snapshot();
    let all: Vec<_> = snapshot.upstreams.values().map(|upstream| upstream.view()).collect();
    json!({ "version": snapshot.version, "upstreams": all })
}

async fn reload(control: Arc<Control>) -> Answer {
    match tokio::task::spawn_blocking(move || control.reload()).await {
        Ok(Ok(version)) => ok(&json!({ "version": version })),
        Ok(Err(error)) => {
            let body = json!({ "error": error.to_string(), "reasons": error.reasons() });
            typed(StatusCode::UNPROCESSABLE_ENTITY, JSON, format!("{body:#}\n"))
        }
        Err(_) => fault(StatusCode::INTERNAL_SERVER_ERROR, "the reload failed; see the log"),
    }
}

const JSON: &str = "application/json";

fn ok(body: &Value) -> Answer {
    typed(StatusCode::OK, JSON, format!("{body:#}\n"))
}

fn fault(status: StatusCode, why: &str) -> Answer {
    typed(status, JSON, format!("{:#}\n", json!({ "error": why })))
}

fn text(status: StatusCode, body: &'static str) -> Answer {
    typed(status, "text/plain; charset=utf-8", body)
}

fn typed(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(host: Option<&str>, uri: &str) -> bool {
        let headers = host.map(|host| (header::HOST, HeaderValue::from_str(host).unwrap()));
        is_own_host(&HeaderMap::from_iter(headers), &uri.parse().unwrap())
    }

    #[test]
    fn only_loopback_names_are_answered() {
        for host in [
            "localhost",
            "LOCALHOST:9180",
            "127.0.0.1",
            "127.0.0.1:9180",
            "[::1]:9180",
            "127.1.2.3",
        ] {
            assert!(own(Some(host), "/"), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "10.0.0.1",
            "127.0.0.1.nip.io",
            "",
            "a b",
        ] {
            assert!(!own(Some(host), "/"), "{host:?}");
        }
        assert!(!own(None, "/"));
        assert!(
            !own(Some("localhost"), "http://evil.example/"),
            "an absolute target counts first"
        );
    }
}
