//! `trap-after-head`: a good head, one flushed chunk, then a trap. The client must see a body that
//! broke off, never one that ended.

use support::{Head, Request, Responder};

support::serve!(answer);

fn answer(_request: Request, out: Responder) {
    let mut body = out.start(Head::text(200));
    let _ = body.chunk(b"this is the only chunk\n");
    std::arch::wasm32::unreachable()
}
