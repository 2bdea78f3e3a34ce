use super::*;

fn parse(text: &str) -> Pattern {
    Pattern::parse(text).unwrap_or_else(|problem| panic!("{text}: {problem}"))
}

#[test]
fn what_patterns_take() {
    let table: [(&str, &[&str], &[&str]); 13] = [
        ("/", &["/"], &["/a", "//", "", "*"]),
        ("/a/b", &["/a/b"], &["/a", "/a/", "/a/b/", "/a/b/c", "/a/bb", "/A/b"]),
        ("/a/", &["/a/"], &["/a", "/a/b", "/a//"]),
        (
            "/users/{id}",
            &["/users/7", "/users/a.b"],
            &["/users", "/users/", "/users/7/", "/users/7/x"],
        ),
        ("/users/{id}/", &["/users/7/"], &["/users/7", "/users//", "/users/7/x"]),
        ("/{a}/x/{b}", &["/1/x/2"], &["/1/y/2", "//x/2", "/1/x/", "/1/x"]),
        (
            "/v1/*",
            &["/v1", "/v1/", "/v1/x", "/v1/x/y/", "/v1//"],
            &["/v1x", "/v", "/", "/V1", "v1"],
        ),
        ("/*", &["/", "/a", "/a/b/", "//"], &["", "*"]),
        ("/{*all}", &["/", "/a", "/a/b/"], &["", "*"]),
        (
            "/files/{*rest}",
            &["/files", "/files/", "/files/a/b"],
            &["/filesx", "/"],
        ),
        ("/u/{id}/*", &["/u/1", "/u/1/", "/u/1/x"], &["/u", "/u/", "/u//x"]),
        (
            "/café/%7ehome",
            &["/caf%C3%A9/~home"],
            &["/café/~home", "/caf%c3%a9/~home"],
        ),
        ("/a b/%7Bx%7d", &["/a%20b/%7Bx%7D"], &["/a b/{x}"]),
    ];
    for (pattern, taken, refused) in table {
        let parsed = parse(pattern);
        for path in taken {
            assert!(parsed.takes(path), "{pattern} takes {path}");
        }
        for path in refused {
            assert!(!parsed.takes(path), "{pattern} does not take {path}");
        }
    }
    assert!(Pattern::every_path().takes("/") && Pattern::every_path().takes("/a/b"));
}

#[test]
fn refused() {
    let name = |name: &str| PatternProblem::ParameterName(name.into());
    let twice = |name: &str| PatternProblem::ParameterRepeated(name.into());
    let long = format!("/{}", "a".repeat(PATTERN_BYTES_MAX));
    let deep = "/a".repeat(PATTERN_SEGMENTS_MAX + 1);
    let table = [
        ("", PatternProblem::Empty),
        ("a/b", PatternProblem::NotAbsolute),
        ("*", PatternProblem::NotAbsolute),
        ("{id}", PatternProblem::NotAbsolute),
        ("https://example.com/", PatternProblem::NotAbsolute),
        ("/a?b=1", PatternProblem::NotAPath),
        ("/a#b", PatternProblem::NotAPath),
        ("//", PatternProblem::EmptySegment),
        ("/a//b", PatternProblem::EmptySegment),
        ("/a//", PatternProblem::EmptySegment),
        ("//*", PatternProblem::EmptySegment),
        ("/a/./b", PatternProblem::DotSegment),
        ("/a/..", PatternProblem::DotSegment),
        ("/%2e%2E/a", PatternProblem::DotSegment),
        ("/v1*", PatternProblem::StarInSegment),
        ("/*.js", PatternProblem::StarInSegment),
        ("/a/**", PatternProblem::StarInSegment),
        ("/*/b", PatternProblem::StarNotLast),
        ("/*/", PatternProblem::StarNotLast),
        ("/{*rest}/b", PatternProblem::StarNotLast),
        ("/{*rest}/", PatternProblem::StarNotLast),
        ("/a{b}", PatternProblem::Brace),
        ("/{a}b", PatternProblem::Brace),
        ("/{a}{b}", PatternProblem::Brace),
        ("/{a", PatternProblem::Brace),
        ("/a}", PatternProblem::Brace),
        ("/{{a}}", PatternProblem::Brace),
        ("/{a/b}", PatternProblem::Brace),
        ("/users/:id", PatternProblem::Colon("id".into())),
        ("/{}", name("")),
        ("/{*}", name("")),
        ("/{a-b}", name("a-b")),
        ("/{1a}", name("1a")),
        ("/{ a }", name(" a ")),
        ("/{**a}", name("*a")),
        ("/{a:[0-9]+}", name("a:[0-9]+")),
        ("/{é}", name("é")),
        ("/{a}/{a}", twice("a")),
        ("/{a}/{*a}", twice("a")),
        (
            "/a%2Fb",
            PatternProblem::Literal(crate::PathError::EncodedSlash { at: 2 }),
        ),
        ("/a\\b", PatternProblem::Literal(crate::PathError::Backslash { at: 2 })),
        ("/x/%00", PatternProblem::Literal(crate::PathError::Nul { at: 3 })),
        ("/x/y%4", PatternProblem::Literal(crate::PathError::BadEscape { at: 4 })),
        ("/a\nb", PatternProblem::Literal(crate::PathError::Control { at: 2 })),
        (&long, PatternProblem::TooLong { max: PATTERN_BYTES_MAX }),
        (
            &deep,
            PatternProblem::TooManySegments {
                max: PATTERN_SEGMENTS_MAX,
            },
        ),
    ];
    for (text, expected) in table {
        assert!(!expected.help().is_empty());
        assert_eq!(Pattern::parse(text), Err(expected), "{text}");
    }
    // A colon that begins no name, or no segment, is a character like others.
    assert!(parse("/v1/messages:send").takes("/v1/messages:send"));
    assert!(parse("/:/:-").takes("/:/:-"));
}

#[test]
fn the_more_specific_pattern_is_the_smaller_one() {
    let order = [
        "/a/b", "/a/b/*", "/a/{x}", "/a/{x}/*", "/a", "/a/*", "/{x}/b", "/{x}/{y}", "/{x}", "/{x}/*", "/*",
    ];
    for (at, smaller) in order.iter().enumerate() {
        for larger in &order[at + 1..] {
            assert_eq!(
                parse(smaller).compare(&parse(larger)),
                Ordering::Less,
                "{smaller} before {larger}"
            );
            assert_eq!(
                parse(larger).compare(&parse(smaller)),
                Ordering::Greater,
                "{larger} after {smaller}"
            );
        }
    }
    assert_eq!(parse("/{a}/*").compare(&parse("/{b}/{*c}")), Ordering::Equal);
}

#[test]
fn regular_expressions_match_whole_values() {
    let table: [(&str, &[&str], &[&str]); 7] = [
        ("/a|/b", &["/a", "/b"], &["/ab", "/a/", "x/b"]),
        ("/a|/ab", &["/a", "/ab"], &["/abc"]),
        ("^/x$", &["/x"], &["/xx", "/x\n"]),
        (r"/\d+", &["/12"], &["/", "/12a"]),
        ("(?i)/A", &["/a", "/A"], &["/b"]),
        ("(?x) /a # a comment", &["/a"], &["/a "]),
        ("(?x) /a # )|(.*", &["/a"], &["/b"]),
    ];
    for (pattern, taken, refused) in table {
        let (path, value) = (path_regex(pattern).unwrap(), value_regex(pattern).unwrap());
        for text in taken {
            assert!(
                path.is_match(text) && value.is_match(text.as_bytes()),
                "{pattern} takes {text}"
            );
        }
        for text in refused {
            assert!(
                !path.is_match(text) && !value.is_match(text.as_bytes()),
                "{pattern} does not take {text:?}"
            );
        }
    }
    for pattern in [
        "(",
        "a)|(b",
        "[z-a]",
        r"\p{Nope}",
        "(?=a)",
        r"(a)\1",
        "a{1000}{1000}{1000}",
    ] {
        assert!(
            path_regex(pattern).is_err() && value_regex(pattern).is_err(),
            "{pattern} is refused"
        );
    }
}
