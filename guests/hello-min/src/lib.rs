//! `hello-min`: as few host calls and as little memory as a 0.2 answer can have.
//!
//! It is what the benchmarks call, so that they measure the gateway and not the guest. Nothing on
//! its path allocates, formats or suspends; its imports are `wasi:http/types`, `wasi:io/streams` and
//! what those name.

#![no_std]

mod arena;

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam};

const BODY: &[u8] = b"Hello, world!\n";

struct HelloMin;

wasip2::http::proxy::export!(HelloMin);

impl Guest for HelloMin {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        arena::reset();
        drop(request);

        let headers = Fields::new();
        let _ = headers.append("content-type", b"text/plain; charset=utf-8");
        let response = OutgoingResponse::new(headers);
        let Ok(body) = response.body() else { return };
        let Ok(stream) = body.write() else { return };
        ResponseOutparam::set(out, Ok(response));

        // `write` never suspends the guest, where `blocking-write-and-flush` needs a fiber switch.
        match stream.check_write() {
            Ok(permit) if permit >= BODY.len() as u64 => {
                let _ = stream.write(BODY);
            }
            Ok(_) => {
                let _ = stream.blocking_write_and_flush(BODY);
            }
            Err(_) => return,
        }
        drop(stream);
        let _ = OutgoingBody::finish(body, None);
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}
