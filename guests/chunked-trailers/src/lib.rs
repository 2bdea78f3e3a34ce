//! `chunked-trailers`: several chunks of body, each flushed, and then trailers.
//!
//! `x-checksum` is the 32-bit FNV-1a of the body in hexadecimal, `x-chunks` their number; both are
//! named in the head's `Trailer`. With POST, every trailer of the request comes back with `echo-`
//! before its name.

use support::{Head, Request, Responder, ResponseBody};

support::serve!(answer);

const CHUNKS: usize = 5;

fn answer(request: Request, out: Responder) {
    let echo = request.method() == "POST";
    let from = request.into_body();
    let mut body = out.start(Head::text(200).header("trailer", "x-checksum, x-chunks"));

    let Some(checksum) = write_chunks(&mut body) else {
        return;
    };
    let mut trailers = vec![
        ("x-checksum".to_owned(), format!("{checksum:08x}").into_bytes()),
        ("x-chunks".to_owned(), CHUNKS.to_string().into_bytes()),
    ];
    if echo {
        // The request's trailers come after its body, which `trailers` passes over.
        let Ok(received) = from.trailers() else { return };
        trailers.extend(
            received
                .into_iter()
                .map(|(name, value)| (format!("echo-{name}"), value)),
        );
    }
    body.finish(&trailers);
}

/// The checksum of what was written, or `None` when nobody takes it any more.
fn write_chunks(body: &mut ResponseBody) -> Option<u32> {
    let mut checksum = FNV_OFFSET;
    for number in 1..=CHUNKS {
        let chunk = format!("chunk {number} of {CHUNKS}\n");
        checksum = fnv1a(checksum, chunk.as_bytes());
        body.chunk(chunk.as_bytes()).ok()?;
    }
    Some(checksum)
}

const FNV_OFFSET: u32 = 0x811c_9dc5;

fn fnv1a(start: u32, bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .fold(start, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}
