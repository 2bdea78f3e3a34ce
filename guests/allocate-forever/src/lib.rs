//! `allocate-forever`: takes memory and touches it until the host gives no more, then aborts as a
//! program does that ran out. With `/report` it survives the refusal and answers with the number of
//! bytes it held, which shows that a refusal is an ordinary failed `memory.grow` to the guest.

use std::hint::black_box;

use support::{Request, Responder};

support::serve!(answer);

const STEP_BYTES: usize = 1024 * 1024;

fn answer(request: Request, out: Responder) {
    if request.path() == "/report" {
        let held = take_all();
        out.text(200, &format!("{held}\n"));
        return;
    }
    let mut held = Vec::new();
    loop {
        // Ones, not zeros: fresh memory is zero already and would not be touched.
        held.push(black_box(vec![1_u8; STEP_BYTES]));
    }
}

/// Takes what there is and gives it back, so that there is memory to answer with.
fn take_all() -> usize {
    let mut held: Vec<Vec<u8>> = Vec::new();
    loop {
        let mut block = Vec::new();
        if held.try_reserve(1).is_err() || block.try_reserve_exact(STEP_BYTES).is_err() {
            return held.len() * STEP_BYTES;
        }
        block.resize(STEP_BYTES, 1);
        held.push(black_box(block));
    }
}
