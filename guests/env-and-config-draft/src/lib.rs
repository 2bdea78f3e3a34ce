//! `env-and-config-draft`: reads its configuration through `wasi:config/runtime@0.2.0-draft` and
//! `store@0.2.0-draft`, as components built before the release candidate do.
//!
//! - `GET /`: the whole configuration as JSON, through `runtime`
//! - `GET /config/NAME`: one value as text, through `runtime`; 404 when there is none
//! - `GET /store/NAME`: one value as text, through `store`; 404 when there is none

use support::json::Value;
use support::{Request, Responder, text};

use bindings::wasi::config::{runtime, store};

support::serve!(answer);

mod bindings {
    #![allow(unsafe_code, unreachable_pub, reason = "the generator's output")]

    wit_bindgen::generate!({
        inline: r#"
            package tidegate:env-and-config-draft;

            world imports {
                import wasi:config/runtime@0.2.0-draft;
                import wasi:config/store@0.2.0-draft;
            }
        "#,
        path: "../../wit/config-runtime",
        generate_all,
    });
}

fn answer(request: Request, out: Responder) {
    let path = request.path();
    if let Some(name) = path.strip_prefix("/config/") {
        return match runtime::get(&text::percent_decode(name)) {
            Ok(Some(value)) => out.text(200, &value),
            Ok(None) => out.text(404, "not set\n"),
            Err(error) => out.text(502, &format!("{error}\n")),
        };
    }
    if let Some(name) = path.strip_prefix("/store/") {
        return match store::get(&text::percent_decode(name)) {
            Ok(Some(value)) => out.text(200, &value),
            Ok(None) => out.text(404, "not set\n"),
            Err(error) => out.text(502, &format!("{error}\n")),
        };
    }
    match (path.as_str(), runtime::get_all()) {
        ("/", Ok(mut pairs)) => {
            pairs.sort();
            out.json(200, &Value::texts(pairs).to_string());
        }
        ("/", Err(error)) => out.text(502, &format!("{error}\n")),
        _ => out.text(404, "try /, /config/NAME or /store/NAME\n"),
    }
}
