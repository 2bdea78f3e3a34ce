//! `configured-fetch`: a component as people deploy them elsewhere, with `wasi:config/store` and outgoing HTTP.
//!
//! `/` fetches the URL of the config key `url`, `/?url=URL` that one, and answers
//! `{"greeting":…,"status":…}`: the config key `greeting` (null where it is not set) and what the
//! server said. A fetch that fails is 502 and its error; no URL at all is 400.

use support::fetch::Fetch;
use support::json::Value;
use support::wasip2::http::outgoing_handler;
use support::wasip2::http::types::{ErrorCode, Fields, OutgoingRequest, Scheme};
use support::{Request, Responder, error_code};

use bindings::wasi::config::store;

support::serve!(answer);

mod bindings {
    #![allow(unsafe_code, unreachable_pub, reason = "the generator's output")]

    wit_bindgen::generate!({
        inline: r#"
            package tidegate:configured-fetch;

            world imports {
                import wasi:config/store@0.2.0-rc.1;
            }
        "#,
        path: "../../wit/config",
        generate_all,
    });
}

fn answer(request: Request, out: Responder) {
    let target = request.target();
    let query = match target.split_once('?') {
        Some((_, query)) => query.to_owned(),
        None => config("url").map_or_else(String::new, |url| format!("url={url}")),
    };
    let fetch = match Fetch::from_query(&query) {
        Ok(fetch) => fetch,
        Err(error) => return out.text(400, &error),
    };
    match status(&fetch) {
        Ok(status) => {
            let greeting = config("greeting").map_or(Value::Null, Value::text);
            let members = [("greeting", greeting), ("status", Value::Number(status.into()))];
            out.json(200, &Value::object(members).to_string());
        }
        Err(code) => out.text(502, &error_code::text(&code)),
    }
}

fn config(key: &str) -> Option<String> {
    store::get(key).ok().flatten()
}

fn status(fetch: &Fetch) -> Result<u16, ErrorCode> {
    let request = OutgoingRequest::new(Fields::new());
    let scheme = if fetch.https { Scheme::Https } else { Scheme::Http };
    request
        .set_scheme(Some(&scheme))
        .and_then(|()| request.set_authority(Some(&fetch.authority)))
        .and_then(|()| request.set_path_with_query(Some(&fetch.path_with_query)))
        .map_err(|()| ErrorCode::HttpRequestUriInvalid)?;
    let future = outgoing_handler::handle(request, None)?;
    future.subscribe().block();
    let nothing = || ErrorCode::InternalError(Some("no response to get".to_owned()));
    let response = future.get().ok_or_else(nothing)?.map_err(|()| nothing())??;
    Ok(response.status())
}
