//! `outbound-proxy`: `/?url=URL` fetches the URL through `wasi:http/outgoing-handler` 0.2 and streams
//! the answer back: its status, `content-type`, `content-length` and `trailer`, its body and its
//! trailers.
//!
//! The request's method, body and trailers go out with it, and so do `content-type`, `content-length`
//! and `trailer`. Both bodies move at once, each no faster than it is taken. Query parameters:
//!
//! - `connect=MS`, `first=MS`, `between=MS`: the timeouts of the request
//! - `header=NAME:VALUE`, any number of them: a header to send
//! - `head=1`: answers `{"status":…,"headers":[[name,value],…]}` instead of the body
//!
//! A fetch that fails is 502 and its error as WIT names it, with what came along after a space; a
//! wrong query is 400. A body that breaks off ends the response broken.

mod relay;

use std::time::Duration;

use support::fetch::{Fetch, has_body};
use support::json::Value;
use support::wasip2::http::outgoing_handler;
use support::wasip2::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingRequest, IncomingResponse, Method, OutgoingRequest,
    OutgoingResponse, RequestOptions, ResponseOutparam, Scheme,
};
use support::{Request, Responder, error_code};

use relay::{Relay, Step};

support::serve!(answer);

const SENT_ON: [&str; 3] = ["content-type", "content-length", "trailer"];

fn answer(request: Request, out: Responder) {
    let target = request.target();
    let query = target.split_once('?').map_or("", |(_, query)| query);
    let fetch = match Fetch::from_query(query) {
        Ok(fetch) => fetch,
        Err(error) => return out.text(400, &error),
    };
    let request = request.into_inner();
    let (outgoing, options, with_body) = match outgoing(&request, &fetch) {
        Ok(outgoing) => outgoing,
        Err(error) => return out.text(400, &error),
    };
    // Its body has to be taken before the request is given away.
    let mut upload = with_body.then(|| upload(&request, &outgoing)).flatten();
    let response = outgoing_handler::handle(outgoing, Some(options));
    match response.and_then(|future| wait(&future, &mut upload)) {
        Ok(response) if fetch.head_only => out.json(200, &shown(&response)),
        Ok(response) => pass_on(&response, upload, out.into_inner()),
        Err(code) => out.text(502, &error_code::text(&code)),
    }
}

fn outgoing(request: &IncomingRequest, fetch: &Fetch) -> Result<(OutgoingRequest, RequestOptions, bool), String> {
    let method = request.method();
    let received = request.headers();
    let may_lack_length = !matches!(
        method,
        Method::Get | Method::Head | Method::Options | Method::Trace | Method::Delete
    );
    let with_body = has_body(
        may_lack_length,
        received.get("content-length").first().map(Vec::as_slice),
    );
    let headers = if with_body { chosen(&received) } else { Fields::new() };
    for (name, value) in &fetch.headers {
        headers
            .append(name, value.as_bytes())
            .map_err(|error| format!("the host does not take the header {name}: {error}\n"))?;
    }

    let outgoing = OutgoingRequest::new(headers);
    let scheme = if fetch.https { Scheme::Https } else { Scheme::Http };
    outgoing
        .set_method(&method)
        .and_then(|()| outgoing.set_scheme(Some(&scheme)))
        .and_then(|()| outgoing.set_authority(Some(&fetch.authority)))
        .and_then(|()| outgoing.set_path_with_query(Some(&fetch.path_with_query)))
        .map_err(|()| "the host does not take the method, the authority or the path\n".to_owned())?;

    let options = RequestOptions::new();
    let nanos = |limit: Option<Duration>| limit.map(|limit| u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX));
    options
        .set_connect_timeout(nanos(fetch.connect))
        .and_then(|()| options.set_first_byte_timeout(nanos(fetch.first_byte)))
        .and_then(|()| options.set_between_bytes_timeout(nanos(fetch.between_bytes)))
        .map_err(|()| "the host does not take the timeouts\n".to_owned())?;
    Ok((outgoing, options, with_body))
}

fn upload(request: &IncomingRequest, outgoing: &OutgoingRequest) -> Option<Relay> {
    Relay::new(request.consume().ok()?, outgoing.body().ok()?)
}

/// Waits for the response's head, and moves the request's body meanwhile.
fn wait(future: &FutureIncomingResponse, upload: &mut Option<Relay>) -> Result<IncomingResponse, ErrorCode> {
    let ready = future.subscribe();
    loop {
        if let Some(result) = future.get() {
            return result.unwrap_or_else(|()| Err(ErrorCode::InternalError(Some("no response to get".to_owned()))));
        }
        match upload.as_mut().map(Relay::step) {
            None => ready.block(),
            Some(Step::Moved) => {}
            Some(Step::Waiting(upload_ready)) => relay::wait_for(&[&ready, &upload_ready]),
            Some(Step::Over) => *upload = None,
        }
    }
}

/// Answers with the response, and goes on with the request's body until the response is over.
fn pass_on(response: &IncomingResponse, mut upload: Option<Relay>, out: ResponseOutparam) {
    let answer = OutgoingResponse::new(chosen(&response.headers()));
    let body = response.consume().ok().zip(answer.body().ok());
    let download = body.and_then(|(from, to)| Relay::new(from, to));
    let (Ok(()), Some(mut download)) = (answer.set_status_code(response.status()), download) else {
        let why = "the response cannot be passed on".to_owned();
        return ResponseOutparam::set(out, Err(ErrorCode::InternalError(Some(why))));
    };
    ResponseOutparam::set(out, Ok(answer));
    loop {
        let uploaded = upload.as_mut().map(Relay::step);
        match (download.step(), uploaded) {
            (Step::Over, _) => return,
            (_, Some(Step::Over)) => upload = None,
            (Step::Moved, _) | (_, Some(Step::Moved)) => {}
            (Step::Waiting(ready), None) => ready.block(),
            (Step::Waiting(ready), Some(Step::Waiting(upload_ready))) => relay::wait_for(&[&ready, &upload_ready]),
        }
    }
}

fn shown(response: &IncomingResponse) -> String {
    let headers = response.headers().entries();
    let headers = headers.into_iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(&value).into_owned();
        Value::List(vec![Value::Text(name), Value::Text(value)])
    });
    let head = Value::object([
        ("status", Value::Number(response.status().into())),
        ("headers", Value::List(headers.collect())),
    ]);
    head.to_string()
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
