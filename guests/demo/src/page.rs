//! The pages: one frame, and a part for each path to stand in it.

use support::text::escape_html;
use support::wasip2::random::random::get_random_bytes;
use support::{Head, Request, Responder};

use crate::time;

const FRAME: &str = include_str!("page/frame.html");
const HOME: &str = include_str!("page/home.html");
const GREETING: &str = include_str!("page/greeting.html");
const ECHO: &str = include_str!("page/echo.html");
const NOT_FOUND: &str = include_str!("page/not-found.html");
const STYLE: &str = include_str!("page/style.css");
const SCRIPT: &str = include_str!("page/script.js");

/// A page of the site, without its inside until one of the methods gave it one.
pub(crate) struct Page {
    title: &'static str,
    /// From this page's address to the site's root, so that links work behind a stripped prefix.
    root: String,
    inside: String,
    script: &'static str,
}

impl Page {
    pub(crate) fn new(title: &'static str, path: &str) -> Self {
        let depth = path.trim_start_matches('/').matches('/').count();
        let root = if depth == 0 {
            "./".to_owned()
        } else {
            "../".repeat(depth)
        };
        Self {
            title,
            root,
            inside: String::new(),
            script: "",
        }
    }

    pub(crate) fn home(mut self, greeting: &str, request: &Request) -> Self {
        let headers = request.headers();
        let rows: Vec<(String, String)> = headers
            .iter()
            .map(|(name, value)| (name.clone(), String::from_utf8_lossy(value).into_owned()))
            .collect();
        let id = request.header("x-request-id");
        let host = request.authority().or_else(|| request.header("host"));
        let origin = format!("{}://{}", request.scheme(), host.as_deref().unwrap_or("localhost"));
        let values = [
            ("greeting", escape_html(greeting)),
            ("id", escape_html(id.as_deref().unwrap_or("none was passed on"))),
            ("method", escape_html(&request.method())),
            ("target", escape_html(&request.target())),
            ("host", escape_html(host.as_deref().unwrap_or("none"))),
            ("time", time::rfc3339(time::unix_ms())),
            ("count", rows.len().to_string()),
            ("headers", table_rows(&rows)),
            ("origin", escape_html(&origin)),
        ];
        self.script = SCRIPT;
        self.with(HOME, &values)
    }

    pub(crate) fn greeting(self, greeting: &str, name: &str) -> Self {
        self.with(
            GREETING,
            &[("greeting", escape_html(greeting)), ("name", escape_html(name))],
        )
    }

    pub(crate) fn echo(self, fields: &[(String, String)], bytes: usize) -> Self {
        self.with(ECHO, &[("rows", table_rows(fields)), ("bytes", bytes.to_string())])
    }

    pub(crate) fn not_found(self, path: &str) -> Self {
        self.with(NOT_FOUND, &[("path", escape_html(path))])
    }

    /// Sends the page. Its style and script carry a fresh nonce, so that nothing else runs
    /// even if a header or a name got into the page unescaped.
    pub(crate) fn send(self, status: u16, out: Responder) {
        let nonce: String = get_random_bytes(16).iter().map(|byte| format!("{byte:02x}")).collect();
        let html = fill(
            FRAME,
            &[
                ("title", self.title.to_owned()),
                ("root", self.root),
                ("inside", self.inside),
                ("style", STYLE.to_owned()),
                ("script", self.script.to_owned()),
                ("nonce", nonce.clone()),
            ],
        );
        let policy = format!(
            "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; \
             connect-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; \
             frame-ancestors 'none'"
        );
        let head = Head::new(status)
            .header("content-type", "text/html; charset=utf-8")
            .header("content-security-policy", policy)
            .header("x-content-type-options", "nosniff")
            .header("referrer-policy", "no-referrer")
            .header("cache-control", "no-store");
        out.send(head, html.as_bytes());
    }

    fn with(mut self, template: &str, values: &[(&str, String)]) -> Self {
        let mut values = values.to_vec();
        values.push(("root", self.root.clone()));
        self.inside = fill(template, &values);
        self
    }
}

/// Puts values in the place of `{{name}}`, in one pass, so that a value is never read as a template.
fn fill(template: &str, values: &[(&str, String)]) -> String {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        let Some((name, after)) = after.split_once("}}") else {
            rest = after;
            break;
        };
        if let Some((_, value)) = values.iter().find(|(key, _)| *key == name) {
            out.push_str(value);
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

fn table_rows(pairs: &[(String, String)]) -> String {
    pairs
        .iter()
        .map(|(name, value)| {
            format!(
                "<tr><th scope=\"row\">{}</th><td>{}</td></tr>",
                escape_html(name),
                escape_html(value)
            )
        })
        .collect()
}

/// A name as one segment of a path: everything but RFC 3986's unreserved characters is escaped.
pub(crate) fn path_segment(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_not_read_as_a_template() {
        let values = [("a", "{{b}}".to_owned()), ("b", "no".to_owned())];
        assert_eq!(fill("<{{a}}{{gone}}>", &values), "<{{b}}>");
    }

    #[test]
    fn links_lead_to_the_root_from_any_depth() {
        let root = |path| Page::new("x", path).root;
        assert_eq!(root("/"), "./");
        assert_eq!(root("/echo"), "./");
        assert_eq!(root("/greet/ada"), "../");
        assert_eq!(root("/a/b/c"), "../../");
    }

    #[test]
    fn names_become_one_path_segment() {
        assert_eq!(path_segment("Ada L/ü?"), "Ada%20L%2F%C3%BC%3F");
    }

    #[test]
    fn rows_are_escaped() {
        let rows = table_rows(&[("x".to_owned(), "<script>".to_owned())]);
        assert_eq!(rows, "<tr><th scope=\"row\">x</th><td>&lt;script&gt;</td></tr>");
    }
}
