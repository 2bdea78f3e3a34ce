//! `slow-stream`: `/?chunks=N&ms=M&bytes=B` sends N chunks of B bytes (10 of 16), each flushed by
//! itself and M milliseconds (100) after the one before it.

use std::time::Duration;

use support::{Head, Request, Responder};

support::serve!(answer);

const CHUNK_BYTES_MAX: u64 = 1024 * 1024;

fn answer(request: Request, out: Responder) {
    let ask = |name: &str, default: u64| request.query_number(name, default);
    let (chunks, ms, bytes) = match (ask("chunks", 10), ask("ms", 100), ask("bytes", 16)) {
        (Ok(_), Ok(_), Ok(bytes)) if bytes > CHUNK_BYTES_MAX => {
            return out.text(400, &format!("bytes: at most {CHUNK_BYTES_MAX}\n"));
        }
        (Ok(chunks), Ok(ms), Ok(bytes)) => (chunks, ms, bytes),
        (Err(error), _, _) | (_, Err(error), _) | (_, _, Err(error)) => return out.text(400, &error),
    };
    let chunk = vec![b'.'; bytes as usize];
    let mut body = out.start(Head::text(200));
    for index in 0..chunks {
        if index > 0 {
            support::clock::sleep(Duration::from_millis(ms));
        }
        if body.chunk(&chunk).is_err() {
            return;
        }
    }
    body.finish(&[]);
}
