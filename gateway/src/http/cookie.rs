//! One cookie out of a request's fields (RFC 6265 §5.4).

use http::{HeaderMap, header};

/// The value of the cookie `name`, the first one where there are several.
pub(crate) fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h [u8]> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .flat_map(|field| field.as_bytes().split(|byte| *byte == b';'))
        .find_map(|pair| {
            let value = pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
            // Quotes are a part of how it is written, and clients give them back as they got them.
            Some(
                value
                    .strip_prefix(b"\"")
                    .and_then(|value| value.strip_suffix(b"\""))
                    .unwrap_or(value),
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, "av=1; v=two; x=\"3\"".parse().unwrap());
        headers.append(header::COOKIE, "v=other;y=;z".parse().unwrap());
        let found = |name| cookie(&headers, name).map(|value| std::str::from_utf8(value).unwrap());
        assert_eq!(found("v"), Some("two"));
        assert_eq!(found("av"), Some("1"));
        assert_eq!(found("x"), Some("3"));
        assert_eq!(found("y"), Some(""));
        assert_eq!(found("z"), None);
        assert_eq!(found("V"), None);
    }
}
