//! Any path: whatever is accepted is its own normal form, and holds nothing a server could read in two ways.

#![no_main]

use std::borrow::Cow;

use libfuzzer_sys::fuzz_target;
use tidegate_routing::{NormalizeOptions, normalize_path};

fuzz_target!(|input: (bool, &str)| {
    let (merge_slashes, raw) = input;
    let options = NormalizeOptions { merge_slashes };
    let Ok(path) = normalize_path(raw, options) else { return };
    assert!(path.starts_with('/'));
    assert!(
        path.bytes()
            .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'?' | b'#'))
    );
    assert!(path.split('/').all(|segment| segment != "." && segment != ".."));
    assert!(!merge_slashes || !path.contains("//"));
    for (at, _) in path.match_indices('%') {
        let digits = path.get(at + 1..at + 3).expect("an escape has two digits");
        assert!(
            digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'A'..=b'F')),
            "{path}"
        );
        let byte = u8::from_str_radix(digits, 16).expect("they are hexadecimal");
        assert!(!byte.is_ascii_alphanumeric() && !b"-._~/\\\0".contains(&byte), "{path}");
    }
    let again = normalize_path(&path, options).expect("a normal path is accepted");
    assert!(matches!(again, Cow::Borrowed(_)), "{path} is not its own normal form");
    assert_eq!(again, path);
});
