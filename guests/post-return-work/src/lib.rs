//! `post-return-work`: answers at once and then works on, in a task that outlives the answer.
//!
//! - `/?ms=N&id=ID`: awaits N milliseconds (500), then prints `post-return done ID`
//! - `/?spin=N`: burns CPU for N milliseconds instead
//! - `/?trap=1`: traps instead

use std::time::Duration;

use support_p3::wasip3::exports::http::handler::Guest;
use support_p3::wasip3::http::types::{ErrorCode, Fields, Request, Response};
use support_p3::wasip3::{self, wit_stream};
use support_p3::{clock, no_trailers, plain, respond, target, text};

const BODY: &[u8] = b"answered\n";

struct PostReturnWork;

wasip3::http::service::export!(PostReturnWork);

impl Guest for PostReturnWork {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let (_, query) = target(&request);
        drop(request);
        let work = match Work::from_query(&query) {
            Ok(work) => work,
            Err(error) => return plain(400, error),
        };

        let headers = Fields::new();
        let length = BODY.len().to_string();
        headers
            .append("content-length", length.as_bytes())
            .map_err(support_p3::internal)?;
        let (mut body, contents) = wit_stream::new();
        let response = respond(200, headers, contents, no_trailers())?;
        wasip3::spawn_local(async move {
            let _unsent = body.write_all(BODY.to_vec()).await;
            drop(body);
            work.run().await;
        });
        Ok(response)
    }
}

struct Work {
    wait: Duration,
    burn: Duration,
    trap: bool,
    id: String,
}

impl Work {
    fn from_query(query: &str) -> Result<Self, String> {
        Ok(Self {
            wait: Duration::from_millis(text::query_number(query, "ms", 500)?),
            burn: Duration::from_millis(text::query_number(query, "spin", 0)?),
            trap: text::query_value(query, "trap").as_deref() == Some("1"),
            id: text::query_value(query, "id").unwrap_or_default(),
        })
    }

    async fn run(self) {
        if self.trap {
            core::arch::wasm32::unreachable();
        }
        if self.burn.is_zero() {
            clock::sleep(self.wait).await;
        } else {
            clock::burn(self.burn);
        }
        println!("post-return done {}", self.id);
    }
}
