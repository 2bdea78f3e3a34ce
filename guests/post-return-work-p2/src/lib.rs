//! `post-return-work-p2`: `post-return-work` over wasi:http 0.2, where the handler goes on after it
//! set and finished its response.
//!
//! - `/?ms=N&id=ID`: waits N milliseconds (500), then prints `post-return done ID`
//! - `/?spin=N`: burns CPU for N milliseconds instead
//! - `/?trap=1`: traps instead

use std::hint::black_box;
use std::time::{Duration, Instant};

use support::{Request, Responder};

support::serve!(answer);

fn answer(request: Request, out: Responder) {
    let (wait, spin) = match (request.query_number("ms", 500), request.query_number("spin", 0)) {
        (Ok(wait), Ok(spin)) => (Duration::from_millis(wait), Duration::from_millis(spin)),
        (Err(error), _) | (_, Err(error)) => return out.text(400, &error),
    };
    let id = request.query("id").unwrap_or_default();
    let trap = request.query("trap").as_deref() == Some("1");
    drop(request);
    out.text(200, "answered\n");

    if trap {
        core::arch::wasm32::unreachable();
    }
    if spin.is_zero() {
        support::clock::sleep(wait);
    } else {
        let start = Instant::now();
        while start.elapsed() < spin {
            // Most of the time is spent in the guest, not in asking for the time.
            for step in 0..100_000_u32 {
                black_box(step);
            }
        }
    }
    println!("post-return done {id}");
}
