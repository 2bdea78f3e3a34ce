//! `env-and-config`: what a component is told about its surroundings, as JSON, and what it can say
//! into the log.
//!
//! - `GET /`: arguments, environment and configuration
//! - `GET /env/NAME`, `GET /config/NAME`: one value as text, 404 when there is none
//! - `GET /config-all`: the configuration alone
//! - `GET /stdin`: how many bytes were read from stdin before its end
//! - `POST /log`: logs the body through wasi:logging (level info, context `guest`) and prints a line
//!   on stdout and one on stderr

use std::io::Read;

use support::json::Value;
use support::{Request, Responder, text};

use bindings::wasi::config::store;
use bindings::wasi::logging::logging::{self, Level};

support::serve!(answer);

mod bindings {
    #![allow(unsafe_code, unreachable_pub, reason = "the generator's output")]

    wit_bindgen::generate!({
        inline: r#"
            package tidegate:env-and-config;

            world imports {
                import wasi:config/store@0.2.0-rc.1;
                import wasi:logging/logging@0.1.0-draft;
            }
        "#,
        path: ["../../wit/config", "../../wit/logging"],
        generate_all,
    });
}

const LOG_BYTES_MAX: usize = 64 * 1024;

fn answer(request: Request, out: Responder) {
    let path = request.path();
    let method = request.method();
    match (method.as_str(), path.as_str()) {
        ("POST", "/log") => log(request, out),
        ("GET" | "HEAD", path) => show(path, out),
        _ => out.text(405, "GET, or POST /log\n"),
    }
}

fn show(path: &str, out: Responder) {
    if let Some(name) = path.strip_prefix("/env/") {
        return one(std::env::var(text::percent_decode(name)).ok(), out);
    }
    if let Some(name) = path.strip_prefix("/config/") {
        return match store::get(&text::percent_decode(name)) {
            Ok(value) => one(value, out),
            Err(error) => out.text(502, &format!("{error}\n")),
        };
    }
    match path {
        "/" => everything(out),
        "/config-all" => match config() {
            Ok(config) => out.json(200, &config.to_string()),
            Err(error) => out.text(502, &format!("{error}\n")),
        },
        "/stdin" => match std::io::stdin().read_to_end(&mut Vec::new()) {
            Ok(bytes) => out.text(200, &bytes.to_string()),
            Err(error) => out.text(502, &format!("{error}\n")),
        },
        _ => out.text(404, "try /, /env/NAME, /config/NAME, /config-all or /stdin\n"),
    }
}

fn one(value: Option<String>, out: Responder) {
    match value {
        Some(value) => out.text(200, &value),
        None => out.text(404, "not set\n"),
    }
}

fn everything(out: Responder) {
    let config = match config() {
        Ok(config) => config,
        Err(error) => return out.text(502, &format!("{error}\n")),
    };
    let mut env: Vec<(String, String)> = std::env::vars().collect();
    env.sort();
    let all = Value::object([
        ("args", Value::List(std::env::args().map(Value::Text).collect())),
        ("env", Value::texts(env)),
        ("config", config),
    ]);
    out.json(200, &all.to_string());
}

/// The configuration with its keys sorted: the host promises no order.
fn config() -> Result<Value, store::Error> {
    let mut pairs = store::get_all()?;
    pairs.sort();
    Ok(Value::texts(pairs))
}

fn log(request: Request, out: Responder) {
    let body = match request.into_body().collect(LOG_BYTES_MAX) {
        Ok(body) => body,
        Err(error) => return out.text(400, &format!("the body broke off: {error}\n")),
    };
    let message = String::from_utf8_lossy(&body);
    logging::log(Level::Info, "guest", &message);
    println!("stdout: {message}");
    eprintln!("stderr: {message}");
    out.text(200, "logged\n");
}
