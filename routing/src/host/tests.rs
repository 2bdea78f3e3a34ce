use super::*;

#[test]
fn parsed() {
    let exact = |name: &str| Ok(HostPattern::Exact(name.into()));
    let suffix = |name: &str| Ok(HostPattern::Suffix(name.into()));
    let table = [
        ("example.com", exact("example.com")),
        ("Example.COM.", exact("example.com")),
        ("localhost", exact("localhost")),
        ("127.0.0.1", exact("127.0.0.1")),
        ("[::1]", exact("[::1]")),
        ("[2001:DB8:0:0::1]", exact("[2001:db8::1]")),
        ("a_b.internal", exact("a_b.internal")),
        ("xn--bcher-kva.example", exact("xn--bcher-kva.example")),
        ("*.Example.com", suffix("example.com")),
        ("*.com", suffix("com")),
    ];
    for (text, expected) in table {
        assert_eq!(HostPattern::parse(text), expected, "{text}");
    }
}

#[test]
fn refused() {
    let long_label = format!("{}.com", "a".repeat(64));
    let long_name = ["a".repeat(50).as_str(); 6].join(".");
    let table = [
        ("", HostProblem::Empty),
        ("*", HostProblem::StarAlone),
        ("*.*.com", HostProblem::Star),
        ("a.*.com", HostProblem::Star),
        ("*a.com", HostProblem::Star),
        ("a.*", HostProblem::Star),
        ("**.a.com", HostProblem::Star),
        ("https://example.com", HostProblem::NotAName),
        ("example.com/path", HostProblem::NotAName),
        ("user@example.com", HostProblem::NotAName),
        ("example.com:8080", HostProblem::Port),
        ("*.example.com:443", HostProblem::Port),
        ("::1", HostProblem::Ipv6),
        ("[::1", HostProblem::Ipv6),
        ("[::1]:80", HostProblem::Ipv6),
        ("[example.com]", HostProblem::Ipv6),
        ("[127.0.0.1]", HostProblem::Ipv6),
        (".", HostProblem::EmptyLabel),
        (".example.com", HostProblem::EmptyLabel),
        ("a..b", HostProblem::EmptyLabel),
        ("a.b..", HostProblem::EmptyLabel),
        ("*.", HostProblem::Star),
        (&long_label, HostProblem::TooLong),
        (&long_name, HostProblem::TooLong),
        ("bücher.example", HostProblem::NotAscii('ü')),
        ("a b.com", HostProblem::Character(' ')),
        ("a,b.com", HostProblem::Character(',')),
        ("-a.com", HostProblem::Hyphen),
        ("a-.com", HostProblem::Hyphen),
    ];
    for (text, expected) in table {
        assert_eq!(HostPattern::parse(text), Err(expected.clone()), "{text}");
        assert!(!expected.help().is_empty());
    }
}

#[test]
fn the_host_of_a_request() {
    let table = [
        ("example.com", "example.com"),
        ("example.com:8080", "example.com"),
        ("example.com.", "example.com"),
        ("example.com.:443", "example.com"),
        ("Example.COM:80", "Example.COM"),
        ("", ""),
        (":80", ""),
        ("127.0.0.1:80", "127.0.0.1"),
        ("[::1]", "[::1]"),
        ("[::1]:8443", "[::1]"),
        ("[0:0:0:0:0:0:0:1]:80", "[::1]"),
        ("[::FFFF:1.2.3.4]", "[::ffff:1.2.3.4]"),
        (
            "[1111:2222:3333:4444:5555:6666:7777:8888]",
            "[1111:2222:3333:4444:5555:6666:7777:8888]",
        ),
    ];
    for (raw, expected) in table {
        RequestHost::new(raw).with(|host| assert_eq!(host, expected.as_bytes(), "{raw}"));
    }
}

fn levels(index: &HostIndex, host: &str) -> Vec<u32> {
    let mut seen = Vec::new();
    RequestHost::new(host).with(|host| {
        index.find(host, |level| -> Option<()> {
            seen.push(level);
            None
        })
    });
    seen
}

#[test]
fn the_most_specific_level_comes_first() {
    let names = [
        "example.com",
        "a.example.com",
        "*.example.com",
        "*.com",
        "*.b.example.com",
        "[::1]",
    ];
    let mut patterns: Vec<_> = names.iter().map(|name| HostPattern::parse(name).unwrap()).collect();
    patterns.push(HostPattern::Any);
    let index = HostIndex::build(patterns.clone());
    let table: [(&str, &[u32]); 13] = [
        ("example.com", &[0, 3, 6]),
        ("EXAMPLE.com:80", &[0, 3, 6]),
        ("a.example.com", &[1, 2, 3, 6]),
        ("A.Example.Com.", &[1, 2, 3, 6]),
        ("x.b.example.com", &[4, 2, 3, 6]),
        ("x.y.b.example.com", &[4, 2, 3, 6]),
        ("b.example.com", &[2, 3, 6]),
        ("notexample.com", &[3, 6]),
        ("com", &[6]),
        (".com", &[6]),
        ("example.org", &[6]),
        ("[0::1]:80", &[5, 6]),
        ("", &[6]),
    ];
    for (host, expected) in table {
        assert_eq!(levels(&index, host), expected, "{host}");
        // The plain statement agrees with the index, in which levels and in what order.
        let mut plain: Vec<u32> =
            RequestHost::new(host).with(|text| (0..7).filter(|level| patterns[*level as usize].takes(text)).collect());
        plain.sort_by_key(|level| patterns[*level as usize].rank());
        assert_eq!(plain, expected, "{host}, one by one");
    }
}

#[test]
fn a_host_of_many_labels_is_harmless() {
    let index = HostIndex::build(vec![HostPattern::parse("*.example.com").unwrap()]);
    let host = format!("{}example.com", "a.".repeat(2000));
    assert_eq!(levels(&index, &host), [0]);
    assert_eq!(levels(&index, &".".repeat(5000)), [0u32; 0]);
    assert_eq!(levels(&index, &"a.".repeat(5000)), [0u32; 0]);
}
