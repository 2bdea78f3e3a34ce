//! `remember`: answers from what its instance remembers of earlier requests, and looks for what it
//! should not be able to find.
//!
//! - `GET /`: how many requests this instance had, this one included
//! - `PUT /secret`: keeps the body in a global, and the request's handles for ever
//! - `GET /secret`: `{"count":…,"secret":…,"found":…,"handle":…}`: whether this instance was given a
//!   secret (and then `"value"`), whether the bytes of the headers `x-needle-a` and `x-needle-b`, one
//!   after the other, are anywhere in its memory, and the number of this request's handle, which tells
//!   whether handles of others are in the table before it
//!
//! The needle comes in two halves so that looking for it does not put it into the memory.

mod memory;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use support::json::Value;
use support::{Request, Responder};

support::serve!(answer);

static COUNT: AtomicU64 = AtomicU64::new(0);
static SECRET: Mutex<Option<Vec<u8>>> = Mutex::new(None);

const SECRET_BYTES_MAX: usize = 64 * 1024;

fn answer(request: Request, out: Responder) {
    let count = COUNT.fetch_add(1, Ordering::Relaxed) + 1;
    match (request.method().as_str(), request.path().as_str()) {
        ("GET", "/") => out.text(200, &count.to_string()),
        ("GET", "/secret") => tell(count, request, out),
        ("PUT", "/secret") => keep(request, out),
        _ => out.text(404, "GET /, GET /secret or PUT /secret\n"),
    }
}

fn keep(request: Request, out: Responder) {
    let mut body = request.into_body();
    match body.collect(SECRET_BYTES_MAX) {
        Ok(secret) => {
            *SECRET.lock().unwrap_or_else(PoisonError::into_inner) = Some(secret);
            std::mem::forget(body);
            out.text(200, "kept\n");
        }
        Err(error) => out.text(400, &format!("the body broke off: {error}\n")),
    }
}

fn tell(count: u64, request: Request, out: Responder) {
    let half = |name| request.header(name).unwrap_or_default();
    let (first, second) = (half("x-needle-a"), half("x-needle-b"));
    let found = memory::holds(first.as_bytes(), second.as_bytes());
    let handle = u64::from(request.into_inner().handle());

    let mut members = vec![("count".to_owned(), Value::Number(count))];
    let secret = SECRET.lock().unwrap_or_else(PoisonError::into_inner);
    members.push(("secret".to_owned(), Value::Bool(secret.is_some())));
    members.push(("found".to_owned(), Value::Bool(found)));
    members.push(("handle".to_owned(), Value::Number(handle)));
    if let Some(secret) = secret.as_deref() {
        members.push(("value".to_owned(), Value::text(String::from_utf8_lossy(secret))));
    }
    out.json(200, &Value::Object(members).to_string());
}
