//! `hello-p3`: the answer of `hello` over wasi:http 0.3, where the handler is an async function and
//! the body is a stream that the guest goes on writing after it returned the head.

use wasip3::exports::http::handler::Guest;
use wasip3::http::types::{ErrorCode, Fields, Request, Response};
use wasip3::{wit_future, wit_stream};

const BODY: &[u8] = b"Hello, world!\n";

struct HelloP3;

wasip3::http::service::export!(HelloP3);

impl Guest for HelloP3 {
    async fn handle(_request: Request) -> Result<Response, ErrorCode> {
        let headers = Fields::from_list(&[
            ("content-type".to_owned(), b"text/plain; charset=utf-8".to_vec()),
            ("content-length".to_owned(), BODY.len().to_string().into_bytes()),
        ])
        .map_err(|error| ErrorCode::InternalError(Some(error.to_string())))?;

        let (mut body, contents) = wit_stream::new();
        // The writer is dropped at once: the future then resolves to "no trailers".
        let (_, trailers) = wit_future::new(|| Ok(None));
        let (response, _sent) = Response::new(headers, Some(contents), trailers);

        wasip3::spawn_local(async move {
            // What is left over was not wanted: a HEAD request, or a client that left.
            let _unsent = body.write_all(BODY.to_vec()).await;
        });
        Ok(response)
    }
}
