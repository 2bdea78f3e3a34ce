//! Content-Length as it is sent on: once, and as plain a number as there is.

use super::SendError;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderValue};

/// What the field says, where it is there.
pub(super) fn content_length(headers: &HeaderMap) -> Result<Option<u64>, SendError> {
    let mut values = headers.get_all(CONTENT_LENGTH).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    match (number(value), values.next()) {
        (Some(length), None) => Ok(Some(length)),
        _ => Err(SendError::Fields("Content-Length is repeated or not a number")),
    }
}

/// Makes it one plain number. A server of HTTP/2 may say it twice, and zeros may stand before it (RFC 9110 §8.6): some read an
/// octal number then, and h2 resets a stream for more digits than a length can need.
pub(super) fn make_plain(headers: &mut HeaderMap) -> Result<(), SendError> {
    let mut values = headers.get_all(CONTENT_LENGTH).iter();
    let Some(first) = values.next() else {
        return Ok(());
    };
    let is_one = values.next().is_none();
    if is_one && matches!(first.as_bytes(), [b'0'] | [b'1'..=b'9', ..]) {
        return Ok(());
    }
    let length = number(first);
    let is_same = headers
        .get_all(CONTENT_LENGTH)
        .iter()
        .all(|value| number(value) == length);
    let Some(length) = length.filter(|_| is_same) else {
        return Err(SendError::Fields("Content-Length is not one number"));
    };
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    Ok(())
}

/// `1*DIGIT`, and no more than can be counted to.
fn number(value: &HeaderValue) -> Option<u64> {
    let text = value.to_str().ok()?;
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(values: &[&str]) -> Option<Vec<String>> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(CONTENT_LENGTH, HeaderValue::from_str(value).unwrap());
        }
        make_plain(&mut headers).ok()?;
        let values = headers.get_all(CONTENT_LENGTH).iter();
        Some(values.map(|value| value.to_str().unwrap().to_owned()).collect())
    }

    #[test]
    fn one_number_without_zeros_before_it() {
        for (values, expected) in [
            (&[][..], &[][..]),
            (&["0"], &["0"]),
            (&["5"], &["5"]),
            (&["00"], &["0"]),
            (&["0000000000000000000000005"], &["5"]),
            (&["5", "5"], &["5"]),
            (&["5", "05"], &["5"]),
            (&["18446744073709551615"], &["18446744073709551615"]),
        ] {
            assert_eq!(plain(values).unwrap(), expected, "{values:?}");
        }
        for values in [
            &["5", "6"][..],
            &["05", "6"],
            &["0x5"],
            &["+5"],
            &[""],
            &["018446744073709551616"],
            &["5", "a"],
        ] {
            assert_eq!(plain(values), None, "{values:?}");
        }
    }

    #[test]
    fn a_repeated_length_says_nothing() {
        let mut headers = HeaderMap::new();
        assert!(matches!(content_length(&headers), Ok(None)));
        headers.append(CONTENT_LENGTH, HeaderValue::from_static("5"));
        assert!(matches!(content_length(&headers), Ok(Some(5))));
        headers.append(CONTENT_LENGTH, HeaderValue::from_static("5"));
        assert!(matches!(content_length(&headers), Err(SendError::Fields(_))));
    }
}
