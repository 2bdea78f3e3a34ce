//! `demo`: a small site in one component, to look at and to click through.
//!
//! It shows what a handler sees (request id, method, target, host, headers), takes a form, streams on
//! the clock, parses its own paths and reads its greeting from wasi:config. Everything it needs is
//! inside the component; its links are relative, so a route may strip a prefix before it.

mod page;
mod stream;
mod time;

use support::json::Value;
use support::{Head, Request, Responder, text};

use bindings::wasi::config::store;
use page::Page;

support::serve!(answer);

mod bindings {
    #![allow(unsafe_code, unreachable_pub, reason = "the generator's output")]

    wit_bindgen::generate!({
        inline: r#"
            package tidegate:demo;

            world imports {
                import wasi:config/store@0.2.0-rc.1;
            }
        "#,
        path: "../../wit/config",
        generate_all,
    });
}

/// A form is read into memory to be shown as a page; other bodies are streamed back unread.
const FORM_BYTES_MAX: usize = 64 * 1024;

fn answer(request: Request, out: Responder) {
    let path = request.path();
    let method = request.method();
    let reads = method == "GET" || method == "HEAD";
    match path.as_str() {
        "/echo" if method == "POST" => echo(request, out),
        "/echo" => not_allowed("POST", out),
        _ if !reads => not_allowed("GET, HEAD", out),
        "/" => home(&request, out),
        "/time" => now(out),
        "/stream" => stream::ten_lines(out),
        "/greet" => to_greeting(&request, out),
        _ => match path.strip_prefix("/greet/").filter(|name| is_one_segment(name)) {
            Some(name) => greet(&path, &text::percent_decode(name), out),
            None => not_found(&path, out),
        },
    }
}

fn is_one_segment(name: &str) -> bool {
    !name.is_empty() && !name.contains('/')
}

/// The word to greet with: the component's `greeting` in its `config` table.
fn greeting() -> String {
    store::get("greeting")
        .ok()
        .flatten()
        .unwrap_or_else(|| "Hello".to_owned())
}

fn home(request: &Request, out: Responder) {
    Page::new("Tidegate", "/").home(&greeting(), request).send(200, out);
}

fn greet(path: &str, name: &str, out: Responder) {
    Page::new("A greeting", path).greeting(&greeting(), name).send(200, out);
}

fn not_found(path: &str, out: Responder) {
    Page::new("Not found", path).not_found(path).send(404, out);
}

/// Where the greeting form goes: a form can only send a query, so it is turned into a path here.
fn to_greeting(request: &Request, out: Responder) {
    let name = request.query("name").filter(|name| !name.trim().is_empty());
    // An escaped slash in a path is refused by careful gateways, this one among them.
    let name = name.map_or_else(|| "stranger".to_owned(), |name| name.replace(['/', '\\', '\0'], " "));
    let head = Head::new(303).header("location", format!("greet/{}", page::path_segment(&name)));
    out.send(head, b"");
}

fn now(out: Responder) {
    let unix_ms = time::unix_ms();
    let now = Value::object([
        ("utc", Value::Text(time::rfc3339(unix_ms))),
        ("unix_ms", Value::Number(unix_ms)),
    ]);
    let head = Head::new(200)
        .header("content-type", "application/json")
        .header("cache-control", "no-store");
    out.send(head, format!("{now}\n").as_bytes());
}

fn not_allowed(allow: &str, out: Responder) {
    let message = format!("this path answers {allow}\n");
    out.send(Head::text(405).header("allow", allow), message.as_bytes());
}

/// A browser's form comes back as a page; everything else comes back as it arrives.
fn echo(request: Request, out: Responder) {
    let content_type = request.header("content-type").unwrap_or_default();
    let is_form = content_type.starts_with("application/x-www-form-urlencoded");
    let wants_page = request
        .header("accept")
        .is_some_and(|accept| accept.contains("text/html"));
    if is_form && wants_page {
        return match request.into_body().collect(FORM_BYTES_MAX) {
            Ok(body) => {
                let fields = text::form_fields(&String::from_utf8_lossy(&body));
                Page::new("Echo", "/echo").echo(&fields, body.len()).send(200, out);
            }
            Err(error) => out.text(400, &format!("the body broke off: {error}\n")),
        };
    }

    // Never a type that a browser would run: what comes back is whatever anyone sent.
    let safe_type = match content_type.split(';').next().unwrap_or_default().trim() {
        "application/json" => "application/json",
        "application/octet-stream" => "application/octet-stream",
        _ => "text/plain; charset=utf-8",
    };
    let head = Head::new(200)
        .header("content-type", safe_type)
        .header("x-content-type-options", "nosniff");
    let mut from = request.into_body();
    let mut to = out.start(head);
    while let Ok(chunk) = from.read() {
        match chunk {
            Some(bytes) if to.write(&bytes).is_ok() => {}
            Some(_) => return,
            None => return to.finish(&[]),
        }
    }
}
