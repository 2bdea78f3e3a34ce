//! `outbound-proxy-p3`: `outbound-proxy` over `wasi:http/client` 0.3. `/?url=URL` fetches the URL and
//! streams the answer back: its status, `content-type`, `content-length` and `trailer`, its body and
//! its trailers.
//!
//! The request's method, body and trailers go out with it. Every byte passes through the guest's
//! memory, 64 KiB at a time; with `/forward?url=URL` the streams themselves are handed on both ways,
//! and no byte enters it. Query parameters and errors are those of `outbound-proxy`.

use std::time::Duration;

use support_p3::fetch::{Fetch, has_body};
use support_p3::json::Value;
use support_p3::wasip3::exports::http::handler::Guest;
use support_p3::wasip3::http::client;
use support_p3::wasip3::http::types::{ErrorCode, Fields, Method, Request, RequestOptions, Response, Scheme};
use support_p3::wasip3::wit_bindgen::rt::async_support::StreamReader;
use support_p3::wasip3::{self, wit_future};
use support_p3::{Trailers, error_code, no_trailers, plain, relayed, respond, target, whole};

const SENT_ON: [&str; 3] = ["content-type", "content-length", "trailer"];

struct OutboundProxyP3;

wasip3::http::service::export!(OutboundProxyP3);

impl Guest for OutboundProxyP3 {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let (path, query) = target(&request);
        let fetch = match Fetch::from_query(&query) {
            Ok(fetch) => fetch,
            Err(error) => return plain(400, error),
        };
        let through_guest = path != "/forward";
        let outgoing = match outgoing(request, &fetch, through_guest) {
            Ok(outgoing) => outgoing,
            Err(error) => return plain(400, error),
        };
        match client::send(outgoing).await {
            Ok(response) if fetch.head_only => show_head(&response),
            Ok(response) => pass_on(response, through_guest),
            Err(code) => plain(502, error_code::text(&code)),
        }
    }
}

fn outgoing(request: Request, fetch: &Fetch, through_guest: bool) -> Result<Request, String> {
    let method = request.get_method();
    let received = request.get_headers();
    let may_lack_length = !matches!(
        method,
        Method::Get | Method::Head | Method::Options | Method::Trace | Method::Delete
    );
    let with_body = has_body(
        may_lack_length,
        received.get("content-length").first().map(Vec::as_slice),
    );
    let headers = if with_body { chosen(&received) } else { Fields::new() };
    drop(received);
    for (name, value) in &fetch.headers {
        headers
            .append(name, value.as_bytes())
            .map_err(|error| format!("the host does not take the header {name}: {error}\n"))?;
    }

    // The writer is dropped at once: the host is told that the request was handled well.
    let (_, handled) = wit_future::new(|| Ok(()));
    let (body, end) = Request::consume_body(request, handled);
    let (body, end) = match (with_body, through_guest) {
        (false, _) => (None, no_trailers()),
        (true, false) => (Some(body), end),
        (true, true) => {
            let (body, end) = relayed(body, end);
            (Some(body), end)
        }
    };
    build(method, headers, body, end, fetch)
}

fn build(
    method: Method,
    headers: Fields,
    body: Option<StreamReader<u8>>,
    end: Trailers,
    fetch: &Fetch,
) -> Result<Request, String> {
    let options = RequestOptions::new();
    let nanos = |limit: Option<Duration>| limit.map(|limit| u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX));
    options
        .set_connect_timeout(nanos(fetch.connect))
        .and_then(|()| options.set_first_byte_timeout(nanos(fetch.first_byte)))
        .and_then(|()| options.set_between_bytes_timeout(nanos(fetch.between_bytes)))
        .map_err(|error| format!("a timeout: {error}\n"))?;

    let (outgoing, _sent) = Request::new(headers, body, end, Some(options));
    let scheme = if fetch.https { Scheme::Https } else { Scheme::Http };
    outgoing
        .set_method(&method)
        .and_then(|()| outgoing.set_scheme(Some(&scheme)))
        .and_then(|()| outgoing.set_authority(Some(&fetch.authority)))
        .and_then(|()| outgoing.set_path_with_query(Some(&fetch.path_with_query)))
        .map_err(|()| "the host does not take the method, the authority or the path\n".to_owned())?;
    Ok(outgoing)
}

fn pass_on(response: Response, through_guest: bool) -> Result<Response, ErrorCode> {
    let status = response.get_status_code();
    let headers = chosen(&response.get_headers());
    let (_, handled) = wit_future::new(|| Ok(()));
    let (body, end) = Response::consume_body(response, handled);
    let (body, end) = if through_guest { relayed(body, end) } else { (body, end) };
    respond(status, headers, body, end)
}

fn show_head(response: &Response) -> Result<Response, ErrorCode> {
    let headers = response.get_headers().copy_all();
    let headers = headers.into_iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(&value).into_owned();
        Value::List(vec![Value::Text(name), Value::Text(value)])
    });
    let head = Value::object([
        ("status", Value::Number(response.get_status_code().into())),
        ("headers", Value::List(headers.collect())),
    ]);
    whole(200, "application/json", head.to_string().into_bytes())
}

fn chosen(received: &Fields) -> Fields {
    let headers = Fields::new();
    for name in SENT_ON {
        for value in received.get(name) {
            // One that the host forbids is left out.
            let _ = headers.append(name, &value);
        }
    }
    headers
}
