use super::super::destination::Target;
use super::*;
use crate::config::HttpScheme;
use http::Uri;

fn host(text: &str) -> HostGrant {
    if text == "*" {
        return HostGrant::Any;
    }
    match (text.strip_prefix("*."), text.parse()) {
        (Some(suffix), _) => HostGrant::Suffix(suffix.into()),
        (None, Ok(address)) => HostGrant::Address(address),
        (None, Err(_)) => HostGrant::Name(text.into()),
    }
}

fn grant(scheme: Option<HttpScheme>, name: &str, port: PortGrant) -> HttpGrant {
    HttpGrant {
        scheme,
        host: host(name),
        port,
    }
}

fn any_port(name: &str) -> Policy {
    Policy::new(vec![grant(None, name, PortGrant::Any)])
}

fn judged(policy: &Policy, uri: &str) -> Result<Reach, DeniedReason> {
    let mut uri: Uri = uri.parse().unwrap();
    let target = Target::take(&mut uri).unwrap();
    policy.judge(&target.destination().unwrap())
}

const PUBLIC: Reach = Reach::Resolved { with_private: false };
const PRIVATE: Reach = Reach::Resolved { with_private: true };

#[test]
fn nothing_is_reached_without_a_grant() {
    for uri in [
        "http://example.com/",
        "http://localhost/",
        "http://1.1.1.1/",
        "http://127.0.0.1/",
    ] {
        assert_eq!(judged(&Policy::default(), uri), Err(DeniedReason::NotGranted), "{uri}");
    }
}

#[test]
fn hosts_are_matched_by_their_grants() {
    let denied = Err(DeniedReason::NotGranted);
    for (grant, uri, expected) in [
        ("*", "http://example.com/", Ok(PUBLIC)),
        ("*", "http://a.b.c:99/", Ok(PUBLIC)),
        ("*", "http://localhost/", denied),
        ("*", "http://a.localhost/", denied),
        ("example.com", "http://example.com/", Ok(PRIVATE)),
        ("example.com", "http://EXAMPLE.com./", Ok(PRIVATE)),
        ("example.com", "http://a.example.com/", denied),
        ("example.com", "http://xexample.com/", denied),
        ("example.com", "http://example.com.evil.test/", denied),
        ("*.example.com", "http://a.example.com/", Ok(PRIVATE)),
        ("*.example.com", "http://a.b.example.com/", Ok(PRIVATE)),
        ("*.example.com", "http://example.com/", denied),
        ("*.example.com", "http://xexample.com/", denied),
        ("*.example.com", "http://example.com.test/", denied),
        ("*.localhost", "http://a.localhost/", denied),
        ("localhost", "http://localhost/", Ok(Reach::Localhost)),
        ("localhost", "http://LOCALHOST./", Ok(Reach::Localhost)),
        ("localhost", "http://a.localhost/", Ok(Reach::Localhost)),
        ("localhost", "http://localhost.example.com/", denied),
        ("localhost", "http://127.0.0.1/", denied),
        ("a.localhost", "http://a.localhost/", Ok(Reach::Localhost)),
        ("a.localhost", "http://b.localhost/", denied),
        ("example.com", "http://1.1.1.1/", denied),
        ("*.example.com", "http://[2606:4700::1111]/", denied),
        ("1.1.1.1", "http://example.com/", denied),
    ] {
        assert_eq!(judged(&any_port(grant), uri), expected, "{grant} {uri}");
    }
}

#[test]
fn literal_addresses_need_their_own_grant_unless_public() {
    let literal = |text: &str| Ok(Reach::Literal(text.parse().unwrap()));
    for (grant, address, expected) in [
        ("*", "1.1.1.1", literal("1.1.1.1")),
        ("*", "[2606:4700::1111]", literal("2606:4700::1111")),
        ("*", "[::ffff:1.1.1.1]", literal("1.1.1.1")),
        ("10.0.0.7", "10.0.0.7", literal("10.0.0.7")),
        ("10.0.0.7", "[::ffff:10.0.0.7]", literal("10.0.0.7")),
        ("::ffff:10.0.0.7", "10.0.0.7", literal("10.0.0.7")),
        ("127.0.0.1", "127.0.0.1", literal("127.0.0.1")),
        ("::1", "[::1]", literal("::1")),
        ("169.254.169.254", "169.254.169.254", literal("169.254.169.254")),
        ("fe80::1", "[fe80::1]", literal("fe80::1")),
        ("192.0.2.1", "192.0.2.1", literal("192.0.2.1")),
    ] {
        assert_eq!(
            judged(&any_port(grant), &format!("http://{address}/")),
            expected,
            "{grant} {address}"
        );
    }
    for (grant, address) in [
        ("10.0.0.7", "10.0.0.8"),
        ("127.0.0.1", "127.0.0.2"),
        ("127.0.0.1", "[::1]"),
        ("10.0.0.7", "[64:ff9b::a00:7]"),
        ("*", "10.0.0.7"),
        ("*", "127.0.0.1"),
        ("*", "[::1]"),
        ("*", "[::ffff:127.0.0.1]"),
        ("*", "169.254.169.254"),
        ("*", "[64:ff9b::a9fe:a9fe]"),
        ("*", "[2002:7f00:1::]"),
        ("*", "[fd00::1]"),
        ("*", "0.0.0.0"),
        ("*", "[::]"),
        ("*", "192.0.2.1"),
        ("*", "255.255.255.255"),
        ("*", "224.0.0.1"),
        ("0.0.0.0", "0.0.0.0"),
        ("::", "[::]"),
        ("255.255.255.255", "255.255.255.255"),
        ("224.0.0.1", "224.0.0.1"),
    ] {
        let denied = judged(&any_port(grant), &format!("http://{address}/"));
        assert!(denied.is_err(), "{grant} {address}: {denied:?}");
    }
}

#[test]
fn schemes_and_ports_are_matched() {
    use HttpScheme::{Http, Https};
    let denied = |scheme, port, uri: &str| {
        judged(&Policy::new(vec![grant(scheme, "example.com", port)]), uri) == Err(DeniedReason::NotGranted)
    };
    for (scheme, port, uri, is_denied) in [
        (None, PortGrant::Default, "http://example.com/", false),
        (None, PortGrant::Default, "https://example.com/", false),
        (None, PortGrant::Default, "http://example.com:443/", true),
        (None, PortGrant::Default, "https://example.com:80/", true),
        (None, PortGrant::Exact(8080), "http://example.com:8080/", false),
        (None, PortGrant::Exact(8080), "http://example.com/", true),
        (Some(Https), PortGrant::Default, "https://example.com/", false),
        (Some(Https), PortGrant::Default, "http://example.com/", true),
        (Some(Https), PortGrant::Any, "http://example.com:443/", true),
        (Some(Http), PortGrant::Any, "http://example.com:443/", false),
        (Some(Http), PortGrant::Exact(80), "http://example.com/", false),
    ] {
        assert_eq!(denied(scheme, port, uri), is_denied, "{scheme:?} {port:?} {uri}");
    }
}

#[test]
fn the_widest_of_several_grants_counts() {
    let policy = Policy::new(vec![
        grant(None, "*", PortGrant::Any),
        grant(None, "*.internal.test", PortGrant::Any),
        grant(None, "10.0.0.7", PortGrant::Any),
    ]);
    assert_eq!(judged(&policy, "http://example.com/"), Ok(PUBLIC));
    assert_eq!(judged(&policy, "http://a.internal.test/"), Ok(PRIVATE));
    assert!(matches!(judged(&policy, "http://10.0.0.7/"), Ok(Reach::Literal(_))));
    assert!(matches!(
        judged(&policy, "http://10.0.0.8/"),
        Err(DeniedReason::Address(..))
    ));
}

#[test]
fn addresses_behind_names_are_judged() {
    let judge = |reach: Reach, address: &str| reach.judge(address.parse().unwrap()).is_ok();
    for (address, for_any, for_name, for_localhost) in [
        ("1.1.1.1", true, true, false),
        ("2606:4700::1111", true, true, false),
        ("10.0.0.1", false, true, false),
        ("100.64.0.1", false, true, false),
        ("fd00::1", false, true, false),
        ("::ffff:192.168.0.1", false, true, false),
        ("64:ff9b::c0a8:1", false, true, false),
        ("127.0.0.1", false, false, true),
        ("::1", false, false, true),
        ("::ffff:127.0.0.1", false, false, true),
        ("169.254.169.254", false, false, false),
        ("fd00:ec2::254", false, false, false),
        ("100.100.100.200", false, false, false),
        ("fe80::1", false, false, false),
        ("0.0.0.0", false, false, false),
        ("::", false, false, false),
        ("224.0.0.1", false, false, false),
        ("255.255.255.255", false, false, false),
        ("203.0.113.1", false, false, false),
        ("2001:db8::1", false, false, false),
    ] {
        assert_eq!(judge(PUBLIC, address), for_any, "* {address}");
        assert_eq!(judge(PRIVATE, address), for_name, "name {address}");
        assert_eq!(judge(Reach::Localhost, address), for_localhost, "localhost {address}");
    }
}
