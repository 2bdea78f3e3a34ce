//! The part of a request that decides where it goes: `hash` of an upstream and `sticky` of a split.

use http::HeaderName;

use super::header;
use super::node::Value;
use super::reader::Field;
use super::suggest;

/// One of `words`, `{ header = ".." }` or `{ cookie = ".." }`.
pub(super) fn read<T: Clone>(
    field: &Field<'_>,
    words: &[(&'static str, T)],
    header: fn(HeaderName) -> T,
    cookie: fn(String) -> T,
) -> Option<T> {
    let known: Vec<_> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
    let help = format!(
        "one of {}, {{ header = \"..\" }} and {{ cookie = \"..\" }}",
        known.join(", ")
    );
    match field.value() {
        Value::String(text) => {
            if let Some((_, value)) = words.iter().find(|(word, _)| word == text) {
                return Some(value.clone());
            }
            let label = match suggest::closest(text, words.iter().map(|(word, _)| *word)) {
                Some(word) => format!("did you mean \"{word}\"?"),
                None => "not one of the known words".to_owned(),
            };
            let message = format!("`{}` cannot be \"{}\"", field.path(), text.escape_debug());
            field.fail(message, label, help)
        }
        Value::Table(_) => {
            let mut table = field.table("RequestKey")?;
            let given = (table.take("header"), table.take("cookie"));
            table.finish();
            match given {
                (Some(name), None) => header::read_name_text(&name).map(header),
                (None, Some(name)) => read_cookie_name(&name).map(cookie),
                _ => field.fail(
                    format!("`{}` names no one part of a request", field.path()),
                    "exactly one of `header` and `cookie`",
                    help,
                ),
            }
        }
        _ => field.wrong_type("a string or a table", &help),
    }
}

/// A token (RFC 6265 §4.1.1): what every browser sends back as it was set.
fn read_cookie_name(field: &Field<'_>) -> Option<String> {
    let text = field.string()?;
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if !text.is_empty() && text.bytes().all(token) {
        return Some(text.to_owned());
    }
    field.fail(
        format!("\"{}\" is not the name of a cookie", text.escape_debug()),
        "not a cookie's name",
        "letters, digits, hyphens and underscores, such as \"sid\"",
    )
}
