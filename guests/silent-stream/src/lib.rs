//! `silent-stream`: a head and one flushed chunk, then nothing for ever, with the body held open. A
//! client that leaves now can only be noticed by the host.

use support::{Head, Request, Responder};

support::serve!(answer);

fn answer(_request: Request, out: Responder) {
    let mut body = out.start(Head::text(200));
    if body.chunk(b"and now, silence\n").is_ok() {
        support::clock::sleep_forever();
    }
}
