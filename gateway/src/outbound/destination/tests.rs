use super::*;

fn parsed(uri: &str) -> Result<(Target, Uri), SendError> {
    let mut uri: Uri = uri.parse().map_err(|_| SendError::Uri("not even a URI"))?;
    Target::take(&mut uri).map(|target| (target, uri))
}

/// The destination as `scheme://host:port`, so that a table can be read.
fn shown(uri: &str) -> Result<String, String> {
    let (target, _) = parsed(uri).map_err(|error| error.to_string())?;
    let to = target.destination().map_err(|error| error.to_string())?;
    let kind = match &to.host {
        Host::Name(name) => format!("name {name}"),
        Host::Address(address) => format!("address {address}"),
    };
    Ok(format!(
        "{} {kind} {}",
        if to.is_https { "https" } else { "http" },
        to.port
    ))
}

#[test]
fn names_and_literals_are_read() {
    for (uri, expected) in [
        ("http://example.com/", "http name example.com 80"),
        ("https://example.com", "https name example.com 443"),
        ("http://EXAMPLE.Com./x", "http name example.com 80"),
        ("http://example.com:8080/", "http name example.com 8080"),
        ("https://example.com:443/", "https name example.com 443"),
        ("http://my_service:3000/", "http name my_service 3000"),
        ("http://xn--bcher-kva.example/", "http name xn--bcher-kva.example 80"),
        ("http://127.0.0.1:1/", "http address 127.0.0.1 1"),
        ("http://[::1]:8080/", "http address ::1 8080"),
        ("http://[::ffff:10.0.0.1]/", "http address 10.0.0.1 80"),
        ("https://[2606:4700::1111]/", "https address 2606:4700::1111 443"),
        ("http://1.example/", "http name 1.example 80"),
        ("http://0x7f.example/", "http name 0x7f.example 80"),
    ] {
        assert_eq!(shown(uri).as_deref(), Ok(expected), "{uri}");
    }
}

#[test]
fn what_a_resolver_might_take_for_an_address_is_refused() {
    for uri in [
        "http://2130706433/",
        "http://127.1/",
        "http://127.0.1/",
        "http://0177.0.0.1/",
        "http://0x7f.0.0.1/",
        "http://0x7f.1/",
        "http://0x7f000001/",
        "http://0x/",
        "http://127.0.0.1./",
        "http://127.0.0.256/",
        "http://1.2.3.4.5/",
        "http://foo.0x4/",
        "http://foo.09/",
        "http://017700000001/",
    ] {
        let refused = shown(uri);
        assert!(refused.is_err(), "{uri}: {refused:?}");
    }
}

#[test]
fn malformed_authorities_are_refused() {
    let long = format!("http://{}.example/", "a".repeat(64));
    let longer = format!("http://{}example/", "abcdefgh.".repeat(30));
    for uri in [
        "ftp://example.com/",
        "/path",
        "http://user@example.com/",
        "http://user:secret@example.com/",
        "http://example.com:0/",
        "http://example.com:65536/",
        "http://example.com:+80/",
        "http://example.com:8 0/",
        "http://ex%61mple.com/",
        "http://-example.com/",
        "http://example-.com/",
        "http://example..com/",
        "http://.example.com/",
        "http://example.com../",
        "http://exa,mple.com/",
        "http://exa!mple.com/",
        "http://[::1/",
        "http://[127.0.0.1]/",
        "http://[fe80::1%25eth0]/",
        "http://[::1]x/",
        "http://b\u{fc}cher.example/",
        &long,
        &longer,
    ] {
        let refused = shown(uri);
        assert!(refused.is_err(), "{uri}: {refused:?}");
    }
}

#[test]
fn each_version_has_its_form_and_back() {
    let (target, mut uri) = parsed("https://api.example.com:8443/a/b?c=d").unwrap();
    assert_eq!(uri.to_string(), "/a/b?c=d");
    target.restore(&mut uri, None).unwrap();
    assert_eq!(uri.to_string(), "https://api.example.com:8443/a/b?c=d");
    to_origin_form(&mut uri).unwrap();
    assert_eq!(uri.to_string(), "/a/b?c=d");
    target
        .restore(&mut uri, Some(&HeaderValue::from_static("other.example")))
        .unwrap();
    assert_eq!(uri.to_string(), "https://other.example/a/b?c=d");
    assert!(
        target
            .restore(&mut uri, Some(&HeaderValue::from_static("a b")))
            .is_err()
    );

    let (_, root) = parsed("http://example.com").unwrap();
    assert_eq!(root.to_string(), "/");
    let (_, query) = parsed("http://example.com?q").unwrap();
    assert_eq!(query.to_string(), "/?q");
}

#[test]
fn a_host_field_leaves_out_the_default_port() {
    for (uri, host) in [
        ("http://Example.com:80/", "example.com"),
        ("https://example.com:443/", "example.com"),
        ("http://example.com:443/", "example.com:443"),
        ("http://[::1]:81/", "[::1]:81"),
        ("http://127.0.0.1/", "127.0.0.1"),
    ] {
        let (target, _) = parsed(uri).unwrap();
        assert_eq!(target.destination().unwrap().to_string(), host, "{uri}");
    }
}
