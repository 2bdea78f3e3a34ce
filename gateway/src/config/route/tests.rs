use std::time::Duration;

use super::super::tests::{assert_bad, bad, good, toml};
use super::*;

const HELLO: &str = "[component.hello]\nsource = \"hello.wasm\"\n";

fn route(text: &str) -> RouteConfig {
    let config = good(&format!("{HELLO}[[route]]\n{text}"));
    config.routes.first().expect("a route").clone()
}

/// A route that answers by itself; its text begins on line 3.
fn with(text: &str) -> String {
    format!("[[route]]\nrespond = {{}}\n{text}")
}

#[test]
fn every_key_is_read() {
    let route = route(
        "name = \"all\"\nhost = [\"example.com\", \"*.example.org\"]\npath = \"/users/{id}/*\"\nmethods = [\"GET\", \"PURGE\"]\n\
         headers = { X-Tenant = \"acme\", x-any = { present = true }, x-re = { regex = \"a+\" } }\n\
         query = { q = \"1\", r = { regex = \"b\" } }\nsource = [\"10.0.0.0/8\", \"192.0.2.1\", \"::1\"]\n\
         limits = { body = \"2GiB\", header_bytes = \"2KiB\", deadline = \"30s\", body_deadline = \"0s\", connections = 7, connections_per_address = 3 }\ncomponent = \"hello\"",
    );
    let exact = |text: &str| ValueMatch::Exact(text.to_owned());
    let header = |name: &'static str| http::HeaderName::from_static(name);
    let spec = RouteSpec {
        name: "all".into(),
        hosts: vec!["example.com".into(), "*.example.org".into()],
        path: Some(PathSpec::Pattern("/users/{id}/*".into())),
        methods: vec![Method::GET, Method::from_bytes(b"PURGE").unwrap()],
        headers: vec![
            (header("x-tenant"), exact("acme")),
            (header("x-any"), ValueMatch::Present),
            (header("x-re"), ValueMatch::Regex("a+".into())),
        ],
        query: vec![("q".into(), exact("1")), ("r".into(), ValueMatch::Regex("b".into()))],
        source: vec![
            "10.0.0.0/8".parse().unwrap(),
            "192.0.2.1/32".parse().unwrap(),
            "::1/128".parse().unwrap(),
        ],
    };
    assert_eq!(route.spec, spec);
    assert_eq!(route.name.as_str(), "all");
    let limits = RouteLimits {
        body: Some(2 << 30),
        deadline: Some(Some(Duration::from_secs(30))),
        body_deadline: Some(None),
        header_bytes: Some(2048),
        connections: Some(7),
        connections_per_address: Some(3),
    };
    assert_eq!(route.limits, limits);
    assert_eq!(route.target, TargetConfig::Component("hello".parse().unwrap()));
    assert_eq!(route.location.to_string(), "gateway.toml:5:1");
}

#[test]
fn a_target_is_all_that_is_needed() {
    let route = route("component = \"hello\"");
    assert_eq!(
        route.spec,
        RouteSpec {
            name: "route-1".into(),
            ..RouteSpec::default()
        }
    );
    assert_eq!(route.limits, RouteLimits::default());
    assert!(route.allow.is_empty() && route.deny.is_empty() && !route.websocket);
    assert_eq!(
        (route.rewrite, route.request_headers, route.response_headers),
        (None, HeaderEdits::default(), HeaderEdits::default())
    );
}

#[test]
fn one_word_is_a_list_of_one() {
    let route = route("host = \"example.com\"\nmethods = \"GET\"\nsource = \"10.0.0.0/8\"\ncomponent = \"hello\"");
    assert_eq!(
        (
            route.spec.hosts.len(),
            route.spec.methods.len(),
            route.spec.source.len()
        ),
        (1, 1, 1)
    );
}

#[test]
fn a_regex_may_be_a_path() {
    let route = route("path = { regex = \"/v[0-9]+\" }\ncomponent = \"hello\"");
    assert_eq!(route.spec.path, Some(PathSpec::Regex("/v[0-9]+".into())));
}

#[test]
fn empty_lists_are_refused() {
    for (key, column) in [("host", 8), ("methods", 11), ("source", 10)] {
        assert_bad(
            &with(&format!("{key} = []")),
            &format!("3:{column}"),
            &["is an empty list", "left out"],
        );
    }
}

#[test]
fn wrong_values_are_refused() {
    for (line, column, words) in [
        ("host = 5", 8, &["must be a string"][..]),
        ("host = [\"a.com\", 5]", 18, &["`route[0].host[1]` must be a string"]),
        ("path = 5", 8, &["must be a string or { regex = \"..\" }"]),
        ("path = [\"/a\", \"/b\"]", 8, &["must be a string or"]),
        ("path = {}", 8, &["has no `regex`"]),
        ("path = { regex = 5 }", 18, &["must be a string"]),
        ("path = { regx = \"/\", regex = \"/\" }", 10, &["did you mean `regex`?"]),
        (
            "methods = [\"get\"]",
            12,
            &["written in capitals", "did you mean \"GET\"?"],
        ),
        ("methods = [\"CONNECT\"]", 12, &["CONNECT is not routed"]),
        ("methods = [\"G T\"]", 12, &["is not a method"]),
        ("methods = [\"\"]", 12, &["is not a method"]),
        (
            "headers = { \"a b\" = \"x\" }",
            13,
            &["is not the name of a header field"],
        ),
        (
            "headers = { a = 5 }",
            17,
            &["must be a string, { present = true }", "in quotes"],
        ),
        ("headers = { a = {} }", 17, &["exactly one of `present` and `regex`"]),
        (
            "headers = { a = { present = true, regex = \"x\" } }",
            17,
            &["exactly one of"],
        ),
        ("headers = { a = { present = false } }", 29, &["to be absent"]),
        ("headers = { a = { present = 1 } }", 29, &["must be true or false"]),
        (
            "headers = { a = { presnt = true, regex = \"x\" } }",
            19,
            &["did you mean `present`?"],
        ),
        ("headers = [\"a\"]", 11, &["must be a table, not a list"]),
        ("query = { q = true }", 15, &["must be a string, { present = true }"]),
        ("source = [\"10.0.0.0/33\"]", 11, &["is not an address range"]),
        ("source = [\"example.com\"]", 11, &["is not an address range"]),
        (
            "source = [\"10.1.2.3/8\"]",
            11,
            &["a range or one address?", "write \"10.0.0.0/8\" for the range"],
        ),
        ("limits = { body = \"x\" }", 19, &["is not a size"]),
        (
            "limits = { memory = 1 }",
            12,
            &["unknown key `memory`", "known keys: body, body_deadline, connections"],
        ),
        (
            "limits = { header_bytes = 1023 }",
            27,
            &["out of range", "from 1KiB to 1MiB"],
        ),
        (
            "limits = { connections = 0 }",
            26,
            &["cannot be 0", "from 1 to 1000000"],
        ),
        ("limits = { connections_per_address = -1 }", 38, &["cannot be -1"]),
        ("name = \"Not A Name\"", 8, &["is not a name"]),
        ("hosts = \"a.com\"", 1, &["did you mean `host`?"]),
        ("method = \"GET\"", 1, &["did you mean `methods`?"]),
        ("prefix = \"/\"", 1, &["did you mean `path`?"]),
    ] {
        assert_bad(&with(line), &format!("3:{column}"), words);
    }
}

#[test]
fn what_the_table_cannot_match_is_pointed_at() {
    for (line, place) in [
        ("path = \"no-slash\"", "3:8"),
        ("path = \"/a/{b\"", "3:8"),
        ("path = \"/a%2Fb\"", "3:8"),
        ("path = { regex = \"(\" }", "3:8"),
        ("host = [\"a.com\", \"*\"]", "3:18"),
        ("host = \"a.*.com\"", "3:8"),
        ("host = \"\"", "3:8"),
        ("headers = { a = \"x\", b = { regex = \"(\" } }", "3:22"),
        ("query = { a = { regex = \"(\" } }", "3:11"),
    ] {
        assert_bad(&with(line), place, &["cannot be matched"]);
    }
}

#[test]
fn routes_that_cannot_be_told_apart_are_refused() {
    let text = "[[route]]\npath = \"/a\"\nrespond = {}\n[[route]]\npath = \"/a\"\nrespond = {}";
    assert_bad(
        text,
        "4:1",
        &[
            "the one at gateway.toml:1:1",
            "take the same requests",
            "tell them apart",
        ],
    );
}

#[test]
fn a_match_read_in_part_is_not_compared() {
    // Without its method the second would seem to be the first again.
    let text = "[[route]]\npath = \"/a\"\nrespond = {}\n[[route]]\npath = \"/a\"\nmethods = [5]\nrespond = {}";
    assert_bad(text, "6:12", &["must be a string"]);
}

const API: &str = "[upstream.api]\nservers = [\"a:1\"]\n";

#[test]
fn websockets_are_tunnelled_to_upstreams() {
    let tunnelled = |text: &str| {
        let config = good(&format!("{HELLO}{API}[[route]]\n{text}"));
        config.routes.first().expect("a route").websocket
    };
    assert!(tunnelled("upstream = \"api\""));
    assert!(tunnelled("upstream = \"api\"\nwebsocket = true"));
    assert!(!tunnelled("upstream = \"api\"\nwebsocket = false"));
    assert!(!tunnelled("component = \"hello\""));
    assert!(!tunnelled("component = \"hello\"\nwebsocket = false"));
    assert!(!tunnelled("respond = {}\nwebsocket = false"));
    let split = "split = [{ component = \"hello\", weight = 1 }, { upstream = \"api\", weight = 1 }]";
    assert!(tunnelled(split));
    assert!(!tunnelled(&format!("{split}\nwebsocket = false")));
    assert!(tunnelled(&format!("websocket = true\n{split}")));
}

#[test]
fn websockets_to_anything_else_are_refused() {
    let component = "`websocket` on a component is not served by this version of Tidegate yet";
    for (line, words) in [
        ("component = \"hello\"", &[component, "not served yet", "remove it"][..]),
        ("split = [{ component = \"hello\", weight = 1 }]", &[component]),
        (
            "respond = {}",
            &["`websocket` needs an `upstream`", "takes no WebSockets"],
        ),
        ("redirect = { to = \"/\" }", &["`websocket` needs an `upstream`"]),
    ] {
        let text = format!("{HELLO}[[route]]\n{line}\nwebsocket = true");
        assert_bad(&text, "5:13", words);
    }
    assert_bad(&with("websocket = 1"), "3:13", &["must be true or false"]);
    // Of a target that cannot be read nobody knows.
    let unknown = "[[route]]\nupstream = 5\nwebsocket = true";
    assert_bad(unknown, "2:12", &["must be a string"]);
}

#[test]
fn clients_are_allowed_and_denied() {
    let route = route("allow = [\"10.0.0.0/8\", \"::1\"]\ndeny = \"::ffff:10.0.0.13\"\ncomponent = \"hello\"");
    let network = |text: &str| text.parse::<IpNet>().unwrap();
    assert_eq!(route.allow, [network("10.0.0.0/8"), network("::1/128")]);
    assert_eq!(route.deny, [network("10.0.0.13/32")]);
    let words = &["is an empty list", "everybody is allowed when `allow` is left out"];
    assert_bad(&with("allow = []"), "3:9", words);
    assert_bad(&with("deny = []"), "3:8", &["is an empty list", "nobody is refused"]);
    for (line, column, words) in [
        ("allow = [\"example.com\"]", 10, &["is not an address range"][..]),
        ("allow = \"10.0.0.1/8\"", 9, &["a range or one address?"]),
        ("allow = true", 9, &["must be a string"]),
        ("deny = [\"*\"]", 9, &["is not an address range"]),
        ("deny = [\"10.0.0.0/8\", 5]", 23, &["must be a string"]),
        ("whitelist = []", 1, &["did you mean `allow`?"]),
    ] {
        assert_bad(&with(line), &format!("3:{column}"), words);
    }
    let many = vec!["\"::1\""; limits::NETWORKS_COUNT + 1].join(", ");
    let words = &["has 257 entries", "at most 256"];
    assert_bad(&with(&format!("deny = [{many}]")), "3:8", words);
}

#[test]
fn a_head_is_never_more_than_the_listeners() {
    let edge = "[[listener]]\naddress = \"127.0.0.1:1\"\nlimits = { header_bytes = \"64KiB\" }\n";
    let route = |bytes: &str| format!("{edge}[[route]]\nrespond = {{}}\nlimits = {{ header_bytes = \"{bytes}\" }}");
    for (bytes, read) in [("1KiB", 1024), ("64KiB", 65536)] {
        assert_eq!(good(&route(bytes)).routes[0].limits.header_bytes, Some(read));
    }
    let words = &[
        "no listener takes a head of so many bytes: at most 64KiB",
        "raise the listener's",
    ];
    assert_bad(&route("65KiB"), "6:27", words);
    let standard = with("limits = { header_bytes = \"33KiB\" }");
    assert_bad(&standard, "3:27", &["at most 32KiB"]);
    // One that cannot be read may allow more.
    let unknown = route("65KiB").replace("\"127.0.0.1:1\"", "1");
    assert_bad(&unknown, "2:11", &["must be a string"]);
}

#[test]
fn a_component_must_be_defined() {
    let text = |name: &str| format!("{HELLO}[[route]]\ncomponent = {name}");
    assert_bad(
        &text("\"helo\""),
        "4:13",
        &["there is no component `helo`", "did you mean `hello`?"],
    );
    assert_bad(&text("\"banana\""), "4:13", &["not defined", "[component.banana]"]);
    assert_bad(&text("5"), "4:13", &["must be a string"]);
    // One that is defined wrongly is not unknown.
    assert_bad(
        "[component.x]\nsource = 5\n[[route]]\ncomponent = \"x\"",
        "2:10",
        &["must be a string"],
    );
}

#[test]
fn names_are_unique() {
    let text =
        "[[route]]\nname = \"a\"\npath = \"/1\"\nrespond = {}\n[[route]]\nname = \"a\"\npath = \"/2\"\nrespond = {}";
    assert_bad(text, "6:8", &["route `a` is defined twice, first at gateway.toml:2:8"]);
}

#[test]
fn errors_of_every_route_are_reported() {
    let text = "[[route]]\npath = 1\n[[route]]\npath = \"x\"\nrespond = {}\n[[route]]\ncomponent = \"none\"";
    let places: Vec<_> = bad(text)
        .iter()
        .filter_map(|error| error.split(' ').next().map(str::to_owned))
        .collect();
    assert_eq!(places, ["1:1", "2:8", "4:8", "7:13"]);
    let errors = toml("route = [5]").expect_err("refused").to_string();
    assert!(
        errors.contains("`route[0]` must be a table, not an integer"),
        "{errors}"
    );
}
