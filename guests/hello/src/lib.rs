//! `hello`: an ordinary std program behind wasi:http 0.2, with no care taken to be small.

use support::{Request, Responder};

support::serve!(answer);

fn answer(_request: Request, out: Responder) {
    out.text(200, "Hello, world!\n");
}
