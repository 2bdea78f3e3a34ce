//! `handle-hoarder`: makes `fields` resources and never drops one, until the host's table is full and
//! the call traps. The table is host memory, which no limit on the guest's own memory covers.

use support::wasip2::http::types::Fields;
use support::{Request, Responder};

support::serve!(answer);

fn answer(_request: Request, _out: Responder) {
    loop {
        std::mem::forget(Fields::new());
    }
}
