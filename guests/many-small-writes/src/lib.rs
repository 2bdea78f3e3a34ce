//! `many-small-writes`: `/?writes=N&bytes=B` sends its body in N writes of B bytes (10000 of 1), as
//! fast as the client takes them and without a flush. Byte `i` of the body is `i % 251`.

use support::{Head, Request, Responder};

support::serve!(answer);

const WRITE_BYTES_MAX: u64 = 64 * 1024;

/// A prime, so that the pattern never falls together with a chunk's border.
const PATTERN_BYTES: u64 = 251;

fn answer(request: Request, out: Responder) {
    let (writes, bytes) = match (request.query_number("writes", 10_000), request.query_number("bytes", 1)) {
        (Ok(_), Ok(bytes)) if bytes > WRITE_BYTES_MAX => {
            return out.text(400, &format!("bytes: at most {WRITE_BYTES_MAX}\n"));
        }
        (Ok(writes), Ok(bytes)) => (writes, bytes),
        (Err(error), _) | (_, Err(error)) => return out.text(400, &error),
    };
    let mut body = out.start(Head::new(200).header("content-type", "application/octet-stream"));
    let mut piece = Vec::with_capacity(bytes as usize);
    let mut next: u64 = 0;
    for _ in 0..writes {
        piece.clear();
        piece.extend((next..next + bytes).map(|index| (index % PATTERN_BYTES) as u8));
        next += bytes;
        if body.write(&piece).is_err() {
            return;
        }
    }
    body.finish(&[]);
}
