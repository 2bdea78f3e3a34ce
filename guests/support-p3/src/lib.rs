//! What the wasi:http 0.3 guests share. What has no version in it is `support`'s own source: the 0.3
//! guests cannot depend on that crate, as it would bring the 0.2 world into their components.

pub mod clock;
#[path = "../../support/src/error_code.rs"]
pub mod error_code;
#[path = "../../support/src/fetch.rs"]
pub mod fetch;
#[path = "../../support/src/json.rs"]
pub mod json;
#[path = "../../support/src/text.rs"]
pub mod text;

pub use wasip3;

use wasip3::http::types::{self, ErrorCode, Fields, Request, Response};
use wasip3::wit_bindgen::StreamResult;
use wasip3::wit_bindgen::rt::async_support::{FutureReader, StreamReader};
use wasip3::{wit_future, wit_stream};

/// Bytes a guest reads or writes at a time: the chunk size the gateway moves bodies in.
pub const CHUNK_BYTES: usize = 64 * 1024;

/// How a body ends: with trailers, without, or broken.
pub type Trailers = FutureReader<Result<Option<Fields>, ErrorCode>>;

/// The path without the query, and the query; both still percent-encoded.
pub fn target(request: &Request) -> (String, String) {
    let target = request.get_path_with_query().unwrap_or_else(|| "/".to_owned());
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    (path.to_owned(), query.to_owned())
}

/// A whole answer of plain text.
pub fn plain(status: u16, content: impl Into<String>) -> Result<Response, ErrorCode> {
    whole(status, "text/plain; charset=utf-8", content.into().into_bytes())
}

/// A whole answer; its body is written after the handler returned.
pub fn whole(status: u16, content_type: &str, content: Vec<u8>) -> Result<Response, ErrorCode> {
    let headers = Fields::from_list(&[
        ("content-type".to_owned(), content_type.as_bytes().to_vec()),
        ("content-length".to_owned(), content.len().to_string().into_bytes()),
    ])
    .map_err(internal)?;
    let (mut body, contents) = wit_stream::new();
    let response = respond(status, headers, contents, no_trailers())?;
    wasip3::spawn_local(async move {
        // What is left over was not wanted: a HEAD request, or a client that left.
        let _unsent = body.write_all(content).await;
    });
    Ok(response)
}

/// A response of these parts.
pub fn respond(status: u16, headers: Fields, body: StreamReader<u8>, end: Trailers) -> Result<Response, ErrorCode> {
    let (response, _sent) = Response::new(headers, Some(body), end);
    response
        .set_status_code(status)
        .map_err(|()| ErrorCode::InternalError(Some(format!("{status} is no status"))))?;
    Ok(response)
}

/// The end of a body without trailers.
pub fn no_trailers() -> Trailers {
    // The writer is dropped at once: the future then resolves to this.
    wit_future::new(|| Ok(None)).1
}

/// A body that carries on what `from` brings, through the guest's memory and no faster than it is
/// taken, and then its trailers or its error.
pub fn relayed(mut from: StreamReader<u8>, end: Trailers) -> (StreamReader<u8>, Trailers) {
    let (mut to, contents) = wit_stream::new();
    let (sent_end, to_end) = wit_future::new(|| Ok(None));
    wasip3::spawn_local(async move {
        let mut buffer = Vec::with_capacity(CHUNK_BYTES);
        loop {
            let (result, bytes) = from.read(buffer).await;
            buffer = to.write_all(bytes).await;
            if !buffer.is_empty() {
                // Nobody takes the rest.
                return;
            }
            if result == StreamResult::Dropped {
                break;
            }
        }
        drop(to);
        drop(from);
        let _ = sent_end.write(end.await).await;
    });
    (contents, to_end)
}

/// An error that is nobody's but the guest's.
pub fn internal(error: impl std::fmt::Display) -> ErrorCode {
    ErrorCode::InternalError(Some(error.to_string()))
}
