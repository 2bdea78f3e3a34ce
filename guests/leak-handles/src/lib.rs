//! `leak-handles`: each request leaves handles of the host behind in the instance, and answers how
//! many it left there in all, by the guest's own count.
//!
//! - `/?n=N`, `/?what=fields&n=N`: N `fields` resources (8)
//! - `/?what=request`: the request itself, its body and the body's stream, which are 3

use std::sync::atomic::{AtomicU64, Ordering};

use support::wasip2::http::types::Fields;
use support::{Request, Responder};

support::serve!(answer);

static KEPT: AtomicU64 = AtomicU64::new(0);

/// What [`Request::into_body`] holds: the request, its body and the body's stream.
const REQUEST_HANDLES: u64 = 3;

fn answer(request: Request, out: Responder) {
    let more = match request.query("what").as_deref() {
        None | Some("fields") => match request.query_number("n", 8) {
            Ok(count) => {
                (0..count).for_each(|_| std::mem::forget(Fields::new()));
                count
            }
            Err(error) => return out.text(400, &error),
        },
        Some("request") => {
            std::mem::forget(request.into_body());
            REQUEST_HANDLES
        }
        Some(_) => return out.text(400, "what: fields or request\n"),
    };
    let kept = KEPT.fetch_add(more, Ordering::Relaxed) + more;
    out.text(200, &kept.to_string());
}
