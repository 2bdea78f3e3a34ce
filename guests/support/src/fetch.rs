//! What the outbound proxies are asked to fetch, read from their query. 0.2 and 0.3 share it, so
//! `support-p3` takes this file too.

use std::time::Duration;

use crate::text;

/// What to write into the address, for whoever wrote it otherwise.
pub const USAGE: &str = "write /?url=URL with an http:// or https:// URL; percent-encode its own & # + %\n\
    and, when wanted, connect=MS first=MS between=MS header=NAME:VALUE head=1\n";

/// One request to send, but for its method and its body.
#[derive(Debug, PartialEq, Eq)]
pub struct Fetch {
    pub https: bool,
    pub authority: String,
    pub path_with_query: String,
    pub connect: Option<Duration>,
    pub first_byte: Option<Duration>,
    pub between_bytes: Option<Duration>,
    pub headers: Vec<(String, String)>,
    /// Show the head that came back instead of its body.
    pub head_only: bool,
}

impl Fetch {
    /// Reads the query; the error is what to answer with 400.
    pub fn from_query(query: &str) -> Result<Self, String> {
        let fields = text::form_fields(query);
        let url = fields.iter().find(|(name, _)| name == "url");
        let (_, url) = url.ok_or_else(|| USAGE.to_owned())?;
        let mut fetch = Self::from_url(url).ok_or_else(|| format!("no URL: {url:?}\n{USAGE}"))?;
        for (name, value) in &fields {
            match name.as_str() {
                "connect" => fetch.connect = Some(millis(name, value)?),
                "first" => fetch.first_byte = Some(millis(name, value)?),
                "between" => fetch.between_bytes = Some(millis(name, value)?),
                "header" => fetch.headers.push(header(value)?),
                "head" => fetch.head_only = value == "1",
                _ => {}
            }
        }
        Ok(fetch)
    }

    fn from_url(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let https = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let rest = rest.split('#').next()?;
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.is_empty() || rest.contains(char::is_whitespace) {
            return None;
        }
        let slash = if target.starts_with('/') { "" } else { "/" };
        Some(Self {
            https,
            authority: authority.to_owned(),
            path_with_query: format!("{slash}{target}"),
            connect: None,
            first_byte: None,
            between_bytes: None,
            headers: Vec::new(),
            head_only: false,
        })
    }
}

/// Whether a request with this method and this `content-length` sends a body along. wasi:http shows a
/// body for every request, and one sent with a GET would make it a chunked one.
pub fn has_body(may_lack_length: bool, content_length: Option<&[u8]>) -> bool {
    match content_length {
        Some(length) => length != b"0",
        None => may_lack_length,
    }
}

fn millis(name: &str, value: &str) -> Result<Duration, String> {
    let count = value
        .parse()
        .map_err(|_| format!("{name}: a number of milliseconds, not {value:?}\n"))?;
    Ok(Duration::from_millis(count))
}

fn header(field: &str) -> Result<(String, String), String> {
    let (name, value) = field
        .split_once(':')
        .ok_or_else(|| format!("header: NAME:VALUE, not {field:?}\n"))?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(query: &str) -> (bool, String, String) {
        let fetch = Fetch::from_query(query).expect("a URL");
        (fetch.https, fetch.authority, fetch.path_with_query)
    }

    #[test]
    fn takes_urls_plain_and_encoded() {
        let expected = (false, "a.example:81".to_owned(), "/x?y=1".to_owned());
        assert_eq!(target("url=http://a.example:81/x?y=1"), expected);
        assert_eq!(target("url=HTTP%3A%2F%2Fa.example%3A81%2Fx%3Fy%3D1%23z"), expected);
        assert_eq!(target("url=https://[::1]"), (true, "[::1]".to_owned(), "/".to_owned()));
        assert_eq!(target("url=http://a?b"), (false, "a".to_owned(), "/?b".to_owned()));
    }

    #[test]
    fn says_what_to_write_instead() {
        for query in [
            "",
            "u=x",
            "url=",
            "url=a.example",
            "url=ftp://a",
            "url=http:///x",
            "url=http://a/b%20c",
        ] {
            let error = Fetch::from_query(query).expect_err(query);
            assert!(error.ends_with(USAGE), "{query}: {error}");
        }
        let error = Fetch::from_query("url=http://a&first=soon").expect_err("no number");
        assert_eq!(error, "first: a number of milliseconds, not \"soon\"\n");
        let error = Fetch::from_query("url=http://a&header=x").expect_err("no colon");
        assert_eq!(error, "header: NAME:VALUE, not \"x\"\n");
    }

    #[test]
    fn reads_every_option() {
        let fetch = Fetch::from_query("url=http://a&connect=1&first=2&between=3&header=x:1&header=y:+a:b&head=1");
        let fetch = fetch.expect("good");
        let times = [fetch.connect, fetch.first_byte, fetch.between_bytes];
        assert_eq!(times, [1, 2, 3].map(|count| Some(Duration::from_millis(count))));
        let headers = [("x", "1"), ("y", "a:b")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(fetch.headers, headers);
        assert!(fetch.head_only);
    }

    #[test]
    fn a_body_is_sent_when_there_may_be_one() {
        assert!(has_body(true, None));
        assert!(!has_body(false, None));
        assert!(has_body(false, Some(b"1")));
        assert!(!has_body(true, Some(b"0")));
    }
}
