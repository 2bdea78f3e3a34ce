//! `remember-p3`: answers how many requests its instance had, how many are in flight in it now and how
//! many were at most: `COUNT NOW MOST`, this one included.
//!
//! - `/`, `/?ms=N`: at once, or after awaiting N milliseconds
//! - `/trap`: traps
//! - `/spin?ms=N`: burns CPU for N milliseconds (0: for ever) and awaits nothing
//! - `/hang`: awaits for ever
//! - `/grow?mib=N`: leaks N MiB (1) that it wrote to; 507 when there is no more memory
//! - `/log?…`: logs its query through wasi:logging (level info, context `guest`), and prints it

use std::cell::Cell;
use std::time::Duration;

use bindings::wasi::logging::logging::{self, Level};
use support_p3::wasip3;
use support_p3::wasip3::exports::http::handler::Guest;
use support_p3::wasip3::http::types::{ErrorCode, Request, Response};
use support_p3::{clock, plain, target, text};

mod bindings {
    #![allow(unsafe_code, unreachable_pub, reason = "the generator's output")]

    wit_bindgen::generate!({
        inline: r#"
            package tidegate:remember-p3;

            world imports {
                import wasi:logging/logging@0.1.0-draft;
            }
        "#,
        path: "../../wit/logging",
        generate_all,
    });
}

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
    static NOW: Cell<u64> = const { Cell::new(0) };
    static MOST: Cell<u64> = const { Cell::new(0) };
}

struct RememberP3;

wasip3::http::service::export!(RememberP3);

impl Guest for RememberP3 {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let _in_flight = InFlight::enter();
        let (path, query) = target(&request);
        drop(request);
        let number = |name, default| text::query_number(&query, name, default);
        match path.as_str() {
            "/" => match number("ms", 0) {
                Ok(0) => {}
                Ok(ms) => clock::sleep(Duration::from_millis(ms)).await,
                Err(error) => return plain(400, error),
            },
            "/trap" => core::arch::wasm32::unreachable(),
            "/spin" => match number("ms", 0) {
                Ok(0) => clock::burn_forever(),
                Ok(ms) => clock::burn(Duration::from_millis(ms)),
                Err(error) => return plain(400, error),
            },
            "/hang" => clock::sleep_forever().await,
            "/grow" => match number("mib", 1) {
                Ok(mib) if grow(mib) => {}
                Ok(_) => return plain(507, "no more memory\n"),
                Err(error) => return plain(400, error),
            },
            "/log" => {
                logging::log(Level::Info, "guest", &query);
                println!("stdout: {query}");
            }
            _ => return plain(404, "try /, /trap, /spin, /hang, /grow or /log\n"),
        }
        plain(200, format!("{} {} {}", COUNT.get(), NOW.get(), MOST.get()))
    }
}

/// One request between its start and its end, however it ends.
struct InFlight;

impl InFlight {
    fn enter() -> Self {
        COUNT.set(COUNT.get() + 1);
        NOW.set(NOW.get() + 1);
        MOST.set(MOST.get().max(NOW.get()));
        Self
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        NOW.set(NOW.get() - 1);
    }
}

fn grow(mib: u64) -> bool {
    let Some(bytes) = usize::try_from(mib).ok().and_then(|mib| mib.checked_mul(1024 * 1024)) else {
        return false;
    };
    let mut kept: Vec<u8> = Vec::new();
    if kept.try_reserve_exact(bytes).is_err() {
        return false;
    }
    kept.resize(bytes, 1);
    std::hint::black_box(kept.leak());
    true
}
