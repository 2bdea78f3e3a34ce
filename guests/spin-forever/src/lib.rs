//! `spin-forever`: burns CPU and never answers. With `/after-head` it answers with a head and one
//! chunk first. Only the host's clock can stop it: it never calls the host again.

use std::hint::black_box;

use support::{Head, Request, Responder};

support::serve!(answer);

fn answer(request: Request, out: Responder) {
    if request.path() == "/after-head" {
        let mut body = out.start(Head::text(200));
        if body.chunk(b"spinning\n").is_ok() {
            spin();
        }
        return;
    }
    spin()
}

fn spin() -> ! {
    let mut turns: u64 = 0;
    loop {
        // Hidden from the optimiser, which could make an empty loop cheaper than a real one.
        turns = black_box(turns.wrapping_add(1));
    }
}
