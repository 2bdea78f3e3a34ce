use proptest::prelude::*;

use super::*;

const MERGE: NormalizeOptions = NormalizeOptions { merge_slashes: true };
const KEEP: NormalizeOptions = NormalizeOptions { merge_slashes: false };

#[test]
fn one_spelling() {
    let table = [
        // (raw, merged, not merged)
        ("", "/", "/"),
        ("/", "/", "/"),
        ("//", "/", "//"),
        ("///", "/", "///"),
        ("/a//b", "/a/b", "/a//b"),
        ("//a", "/a", "//a"),
        ("/a/", "/a/", "/a/"),
        ("/a//", "/a/", "/a//"),
        ("/.", "/", "/"),
        ("/./", "/", "/"),
        ("/a/.", "/a/", "/a/"),
        ("/a/./b", "/a/b", "/a/b"),
        ("/a/..", "/", "/"),
        ("/a/../", "/", "/"),
        ("/a/b/..", "/a/", "/a/"),
        ("/a/b/../c", "/a/c", "/a/c"),
        ("/a/b/../../c", "/c", "/c"),
        ("/a//../b", "/b", "/a/b"),
        ("/a/..//b", "/b", "//b"),
        ("//..", "", "/"),
        ("/a//.", "/a/", "/a//"),
        ("/a/.//b", "/a/b", "/a//b"),
        ("/...", "/...", "/..."),
        ("/.a/..b/c.", "/.a/..b/c.", "/.a/..b/c."),
        ("/%2e", "/", "/"),
        ("/a/%2e%2E/b", "/b", "/b"),
        ("/a/.%2e", "/", "/"),
        ("/%41%7a%30%2d%5F%7e", "/Az0-_~", "/Az0-_~"),
        ("/caf%c3%a9", "/caf%C3%A9", "/caf%C3%A9"),
        ("/café", "/caf%C3%A9", "/caf%C3%A9"),
        ("/a b", "/a%20b", "/a%20b"),
        ("/%7bid%7D/{id}", "/%7Bid%7D/%7Bid%7D", "/%7Bid%7D/%7Bid%7D"),
        ("/a%2Bb+c", "/a%2Bb+c", "/a%2Bb+c"),
        ("/a%3Fb%23c", "/a%3Fb%23c", "/a%3Fb%23c"),
        ("/a%252Fb", "/a%252Fb", "/a%252Fb"),
        ("/%0a%7f", "/%0A%7F", "/%0A%7F"),
        ("/;p=1/a:b@c", "/;p=1/a:b@c", "/;p=1/a:b@c"),
    ];
    for (raw, merged, kept) in table {
        // Once `//` is `/`, there is nothing for `..` to climb from.
        let expected = if merged.is_empty() {
            Err(PathError::AboveRoot)
        } else {
            Ok(merged)
        };
        assert_eq!(
            normalize_path(raw, MERGE).as_deref(),
            expected.as_ref().map(|s| &**s),
            "{raw} merged"
        );
        assert_eq!(normalize_path(raw, KEEP).as_deref(), Ok(kept), "{raw} not merged");
    }
}

#[test]
fn refused() {
    let table = [
        ("*", PathError::NotAbsolute),
        ("a", PathError::NotAbsolute),
        ("../a", PathError::NotAbsolute),
        ("%2Fa", PathError::NotAbsolute),
        ("http://a/", PathError::NotAbsolute),
        ("/a%2Fb", PathError::EncodedSlash { at: 2 }),
        ("/a%2fb", PathError::EncodedSlash { at: 2 }),
        ("/..%2f..%2fetc", PathError::EncodedSlash { at: 3 }),
        ("/a\\b", PathError::Backslash { at: 2 }),
        ("/a%5Cb", PathError::Backslash { at: 2 }),
        ("/a/%5cb", PathError::Backslash { at: 3 }),
        ("/a%00", PathError::Nul { at: 2 }),
        ("/%", PathError::BadEscape { at: 1 }),
        ("/%4", PathError::BadEscape { at: 1 }),
        ("/a/%4/b", PathError::BadEscape { at: 3 }),
        ("/%zz", PathError::BadEscape { at: 1 }),
        ("/%4g", PathError::BadEscape { at: 1 }),
        ("/%%41", PathError::BadEscape { at: 1 }),
        ("/%é1", PathError::BadEscape { at: 1 }),
        ("/%+1", PathError::BadEscape { at: 1 }),
        ("/a\0", PathError::Control { at: 2 }),
        ("/a\tb", PathError::Control { at: 2 }),
        ("/a\r\n", PathError::Control { at: 2 }),
        ("/a\x7f", PathError::Control { at: 2 }),
        ("/a?b", PathError::Delimiter { at: 2 }),
        ("/a#b", PathError::Delimiter { at: 2 }),
        ("/..", PathError::AboveRoot),
        ("/../a", PathError::AboveRoot),
        ("/./..", PathError::AboveRoot),
        ("/a/../../b", PathError::AboveRoot),
        ("/a/../../b/..", PathError::AboveRoot),
        ("/%2e%2e/a", PathError::AboveRoot),
    ];
    for (raw, expected) in table {
        assert_eq!(normalize_path(raw, MERGE), Err(expected), "{raw:?} merged");
        assert_eq!(normalize_path(raw, KEEP), Err(expected), "{raw:?} not merged");
    }
    // Refused even where a later `..` would have taken it away.
    assert_eq!(
        normalize_path("/a%2Fb/../c", MERGE),
        Err(PathError::EncodedSlash { at: 2 })
    );
}

#[test]
fn normal_paths_are_borrowed() {
    for path in [
        "/",
        "/a",
        "/a/",
        "/a.b/.c/..d",
        "/caf%C3%A9",
        "/a%20b",
        "/v1/users/4711",
    ] {
        assert!(matches!(normalize_path(path, MERGE), Ok(Cow::Borrowed(_))), "{path}");
    }
    assert!(matches!(normalize_path("/a//b", KEEP), Ok(Cow::Borrowed(_))));
}

/// Paths from pieces that have something to be normalised about them, and others from any character.
fn raw_path() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "/", "/", "/", ".", "..", "a", "B", "%2e", "%2E", "%41", "%c3%a9", "%C3", "%20", " ", "{", "é", "%25", "~",
        "%7E",
    ]);
    prop_oneof![
        4 => prop::collection::vec(piece, 0..16).prop_map(|pieces| format!("/{}", pieces.concat())),
        1 => "/\\PC{0,24}",
        1 => any::<String>(),
    ]
}

proptest! {
    #[test]
    fn idempotent_and_borrowed_the_second_time(raw in raw_path(), merge_slashes: bool) {
        let options = NormalizeOptions { merge_slashes };
        if let Ok(once) = normalize_path(&raw, options) {
            let twice = normalize_path(&once, options);
            prop_assert!(matches!(twice, Ok(Cow::Borrowed(_))), "{once} is not normal");
            prop_assert_eq!(twice.as_deref(), Ok(&*once));
        }
    }

    #[test]
    fn the_scan_and_the_rewrite_agree(raw in raw_path(), merge_slashes: bool) {
        let options = NormalizeOptions { merge_slashes };
        if let Some(relative) = raw.strip_prefix('/') {
            let rewritten = rewrite(relative, options);
            prop_assert_eq!(is_normal(relative.as_bytes(), options), rewritten.as_deref() == Ok(&*raw));
        }
    }

    #[test]
    fn what_comes_out_holds_nothing_dangerous(raw in raw_path(), merge_slashes: bool) {
        if let Ok(path) = normalize_path(&raw, NormalizeOptions { merge_slashes }) {
            prop_assert!(path.starts_with('/'));
            prop_assert!(path.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'?' | b'#')));
            prop_assert!(path.split('/').all(|segment| segment != "." && segment != ".."));
            prop_assert!(!merge_slashes || !path.contains("//"));
            for refused in ["%2F", "%5C", "%00", "%2f", "%5c"] {
                prop_assert!(!path.contains(refused));
            }
        }
    }

    /// Encoding a byte that needs no encoding names the same resource.
    #[test]
    fn escapes_of_unreserved_bytes_do_not_matter(path in "(/[a-z0-9._~-]{1,6}){1,5}", at in any::<prop::sample::Index>()) {
        let plain = normalize_path(&path, MERGE);
        let at = at.index(path.len());
        if !path[at..].starts_with('/') {
            let escaped = format!("{}%{:02x}{}", &path[..at], path.as_bytes()[at], &path[at + 1..]);
            prop_assert_eq!(plain, normalize_path(&escaped, MERGE));
        }
    }
}
