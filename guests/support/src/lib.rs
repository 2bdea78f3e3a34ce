//! What the wasi:http 0.2 guests share, so that each of them is only its behaviour.
//!
//! - [`serve!`] exports a function as the component's `wasi:http/incoming-handler`.
//! - [`Request`] and [`RequestBody`] read what the client sent, as it arrives.
//! - [`Responder`], [`Head`] and [`ResponseBody`] answer, with backpressure and trailers.
//! - [`error_code`] and [`fetch`] are for guests that send requests themselves.
//! - [`clock`], [`json`] and [`text`] are small helpers without any HTTP in them.

pub mod clock;
pub mod error_code;
pub mod fetch;
pub mod json;
mod request;
mod response;
pub mod text;

pub use request::{Request, RequestBody};
pub use response::{Gone, Head, Responder, ResponseBody};
pub use wasip2;

use wasip2::http::types;

/// Bytes a guest reads or writes at a time: the chunk size the gateway moves bodies in.
pub const CHUNK_BYTES: usize = 64 * 1024;

/// Exports `fn(Request, Responder)` as the component's `wasi:http/incoming-handler`.
///
/// ```no_run
/// use support::{Request, Responder};
///
/// support::serve!(answer);
///
/// fn answer(_request: Request, out: Responder) {
///     out.text(200, "Hello\n");
/// }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! serve {
    ($handler:path) => {
        struct Component;

        $crate::wasip2::http::proxy::export!(Component with_types_in $crate::wasip2);

        impl $crate::wasip2::exports::http::incoming_handler::Guest for Component {
            fn handle(
                request: $crate::wasip2::http::types::IncomingRequest,
                out: $crate::wasip2::http::types::ResponseOutparam,
            ) {
                $handler($crate::Request::new(request), $crate::Responder::new(out));
            }
        }
    };
}
