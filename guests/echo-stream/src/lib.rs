//! `echo-stream`: the response is the request as it arrives: content-type, bytes, trailers.
//!
//! The head goes out before a byte of the body was read, and no more than one chunk is ever in the
//! guest, so a body of any length passes in flat memory, and a client that reads slowly slows down
//! its own sending.

use support::{Gone, Head, Request, Responder};

support::serve!(answer);

fn answer(request: Request, out: Responder) {
    let mut head = Head::new(200);
    if let Some(content_type) = request.header("content-type") {
        head = head.header("content-type", content_type);
    }
    if let Some(trailer) = request.header("trailer") {
        head = head.header("trailer", trailer);
    }
    let mut from = request.into_body();
    let mut to = out.start(head);
    loop {
        match from.read() {
            Ok(Some(bytes)) => {
                if to.write(&bytes) == Err(Gone) {
                    return;
                }
            }
            Ok(None) => break,
            // Returning without `finish` breaks the response off, as the request did.
            Err(_) => return,
        }
    }
    if let Ok(trailers) = from.trailers() {
        to.finish(&trailers);
    }
}
