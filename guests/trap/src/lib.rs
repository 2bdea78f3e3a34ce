//! `trap`: ends before it answers. `/` executes `unreachable`, `/panic` panics with a message on
//! stderr, `/exit` leaves through wasi:cli/exit, `/return` returns without an answer.

use support::{Request, Responder};

support::serve!(answer);

#[expect(
    clippy::panic,
    clippy::disallowed_methods,
    reason = "how a guest can end is what this one shows"
)]
fn answer(request: Request, out: Responder) {
    match request.path().as_str() {
        "/panic" => panic!("the guest was asked to panic"),
        "/exit" => std::process::exit(1),
        "/return" => drop(out),
        _ => std::arch::wasm32::unreachable(),
    }
}
