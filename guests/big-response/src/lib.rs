//! `big-response`: `/?bytes=N` streams N bytes (1 MiB when not given) in writes of 64 KiB.
//!
//! The byte at offset `i` is `i % 251`: a prime, so that a chunk lost, doubled or out of place shows
//! at once. With `length=1` the head has a content-length; otherwise the length is not known ahead.

use support::{CHUNK_BYTES, Head, Request, Responder};

support::serve!(answer);

const DEFAULT_BYTES: u64 = 1024 * 1024;
const PERIOD: u64 = 251;

fn answer(request: Request, out: Responder) {
    let bytes = match request.query("bytes").map(|text| text.parse::<u64>()) {
        None => DEFAULT_BYTES,
        Some(Ok(bytes)) => bytes,
        Some(Err(_)) => return out.text(400, "bytes must be a whole number\n"),
    };
    let mut head = Head::new(200).header("content-type", "application/octet-stream");
    if request.query("length").as_deref() == Some("1") {
        head = head.header("content-length", bytes.to_string());
    }

    // One period longer than a chunk, so that a chunk can start anywhere in the pattern.
    let pattern: Vec<u8> = (0..PERIOD as u8).cycle().take(CHUNK_BYTES + PERIOD as usize).collect();
    let mut body = out.start(head);
    let mut offset = 0;
    while offset < bytes {
        let size = (bytes - offset).min(CHUNK_BYTES as u64);
        let start = (offset % PERIOD) as usize;
        let Some(chunk) = pattern.get(start..start + size as usize) else {
            return;
        };
        if body.write(chunk).is_err() {
            return;
        }
        offset += size;
    }
    body.finish(&[]);
}
