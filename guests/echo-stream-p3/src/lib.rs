//! `echo-stream-p3`: the response is the request as it arrives, over wasi:http 0.3.
//!
//! Every byte passes through the guest's memory, 64 KiB at a time. With `/forward` the guest hands
//! the request's own stream and trailers on as the response's, and no byte enters it.

use wasip3::exports::http::handler::Guest;
use wasip3::http::types::{ErrorCode, Fields, Request, Response};
use wasip3::wit_bindgen::StreamResult;
use wasip3::{wit_future, wit_stream};

const CHUNK_BYTES: usize = 64 * 1024;

struct EchoStreamP3;

wasip3::http::service::export!(EchoStreamP3);

impl Guest for EchoStreamP3 {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let headers = Fields::new();
        let received = request.get_headers();
        for name in ["content-type", "trailer"] {
            let values = received.get(name);
            if !values.is_empty() {
                headers
                    .set(name, &values)
                    .map_err(|error| ErrorCode::InternalError(Some(error.to_string())))?;
            }
        }
        drop(received);
        let forward = request.get_path_with_query().as_deref() == Some("/forward");

        // The writer is dropped at once: the host is told that the request was handled well.
        let (_, handled) = wit_future::new(|| Ok(()));
        let (mut from, received_trailers) = Request::consume_body(request, handled);
        if forward {
            let (response, _sent) = Response::new(headers, Some(from), received_trailers);
            return Ok(response);
        }

        let (mut to, contents) = wit_stream::new();
        let (sent_trailers, trailers) = wit_future::new(|| Ok(None));
        let (response, _sent) = Response::new(headers, Some(contents), trailers);
        wasip3::spawn_local(async move {
            let mut buffer = Vec::with_capacity(CHUNK_BYTES);
            loop {
                let (result, bytes) = from.read(buffer).await;
                if result == StreamResult::Dropped {
                    break;
                }
                buffer = to.write_all(bytes).await;
                if !buffer.is_empty() {
                    // Nobody reads the response any more.
                    return;
                }
            }
            drop(to);
            drop(from);
            let _ = sent_trailers.write(received_trailers.await).await;
        });
        Ok(response)
    }
}
