//! Decoding of URLs and forms, and escaping for HTML.

/// Decodes `%XX`; a broken escape stays as it is, and bytes that are not UTF-8 become U+FFFD.
pub fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = match (first, after) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)),
            _ => None,
        };
        match escaped {
            Some((high, low)) => {
                bytes.push(high << 4 | low);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The fields of `application/x-www-form-urlencoded`, which a query is too, in their order.
pub fn form_fields(form: &str) -> Vec<(String, String)> {
    let decode = |part: &str| percent_decode(&part.replace('+', " "));
    form.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
        .collect()
}

/// The first value of a query's parameter, decoded.
pub fn query_value(query: &str, name: &str) -> Option<String> {
    let mut fields = form_fields(query).into_iter();
    fields.find(|(key, _)| key == name).map(|(_, value)| value)
}

/// A number from a query, or `default` when it is not there; the error is what to answer with 400.
pub fn query_number(query: &str, name: &str, default: u64) -> Result<u64, String> {
    match query_value(query, name) {
        None => Ok(default),
        Some(value) => value.parse().map_err(|_| format!("{name}: a number, not {value:?}\n")),
    }
}

/// Escapes text for HTML, inside elements and quoted attributes.
pub fn escape_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_escapes_and_leaves_broken_ones() {
        assert_eq!(percent_decode("J%C3%BCrgen%20%2f"), "Jürgen /");
        assert_eq!(percent_decode("100%"), "100%");
        assert_eq!(percent_decode("%4"), "%4");
        assert_eq!(percent_decode("%zz%41"), "%zzA");
        assert_eq!(percent_decode("%ff"), "\u{fffd}");
    }

    #[test]
    fn splits_forms() {
        let fields = form_fields("a=1+2&&b&c=%3D%26");
        let expected = [("a", "1 2"), ("b", ""), ("c", "=&")];
        assert_eq!(fields.len(), expected.len());
        for ((name, value), (expected_name, expected_value)) in fields.iter().zip(expected) {
            assert_eq!((name.as_str(), value.as_str()), (expected_name, expected_value));
        }
    }

    #[test]
    fn reads_numbers_and_says_what_is_not_one() {
        assert_eq!(query_number("n=7&n=8", "n", 1), Ok(7));
        assert_eq!(query_number("m=7", "n", 1), Ok(1));
        assert_eq!(
            query_number("n=-1", "n", 1),
            Err("n: a number, not \"-1\"\n".to_owned())
        );
    }

    #[test]
    fn escapes_html() {
        assert_eq!(escape_html("<a b='\"'>&"), "&lt;a b=&#39;&quot;&#39;&gt;&amp;");
    }
}
