//! The reader, the schema and config/gateway.toml say the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value as Json;

use super::*;
use crate::config::reader::Trace;

/// Keys the readers know in order to refuse them, which a schema must not complete.
const UNSERVED: &[(&str, &[&str])] = &[
    ("Config", &["store"]),
    (
        "Grants",
        &["keyvalue", "blobstore", "secrets", "websocket", "messaging", "sql"],
    ),
    ("Route", &["static"]),
    ("SplitTarget", &["static", "split"]),
];

fn annotated() -> String {
    fs::read_to_string(config_folder().join("gateway.toml")).unwrap()
}

/// The annotated file with everything in it turned on: what is off begins with `#` and no space.
pub(super) fn all_on() -> String {
    let on = |line: &str| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|first: char| first.is_ascii_alphabetic() || first == '[') => rest.to_owned(),
        _ => line.to_owned(),
    };
    annotated().lines().map(on).collect::<Vec<_>>().join("\n")
}

/// What the readers ask of a text, and the errors.
fn trace(text: &str) -> (Trace, Vec<String>) {
    let sink = Sink::new(TEXT_ONLY);
    let sources = [Source::toml("gateway.toml", "", text)];
    let draft = Draft::read(&sources, &sink);
    check::resolve(draft, &sources, &sink);
    let trace = sink.trace.take();
    (trace, sink.into_errors().iter().map(ToString::to_string).collect())
}

/// The properties of every object of the schema, by the name of its definition.
fn schema_keys() -> BTreeMap<String, BTreeSet<String>> {
    let schema = schema();
    let mut keys = BTreeMap::new();
    let definitions = schema["definitions"].as_object().unwrap();
    let root = ("Config".to_owned(), &schema);
    for (name, definition) in definitions
        .iter()
        .map(|(name, value)| (name.clone(), value))
        .chain([root])
    {
        if definition["type"] == "object" {
            assert_eq!(definition["additionalProperties"], false, "{name} takes any key");
            let properties = definition["properties"].as_object().unwrap();
            keys.insert(name, properties.keys().cloned().collect());
        }
    }
    keys
}

#[test]
fn the_schema_file_is_the_generated_one() {
    let path = config_folder().join("schema.json");
    if std::env::var_os("TIDEGATE_BLESS").is_some() {
        fs::write(&path, schema_text()).unwrap();
    }
    let stored: Json = serde_json::from_str(&fs::read_to_string(&path).unwrap_or_default()).unwrap_or_default();
    assert!(
        stored == schema(),
        "config/schema.json is stale: run TIDEGATE_BLESS=1 cargo test -p tidegate config"
    );
}

#[test]
fn reader_and_schema_know_the_same_keys() {
    let (trace, errors) = trace(&all_on());
    assert!(errors.is_empty(), "{errors:#?}");
    let known: BTreeMap<String, BTreeSet<String>> = trace
        .into_iter()
        .map(|(kind, keys)| (kind.to_owned(), keys.into_keys().map(str::to_owned).collect()))
        .collect();
    assert_eq!(known, schema_keys());
}

#[test]
fn what_is_not_served_is_not_completed() {
    let schema = schema_keys();
    for (kind, keys) in UNSERVED {
        for key in *keys {
            assert!(
                !schema[*kind].contains(*key),
                "{kind}.{key} is both in the schema and refused"
            );
        }
    }
}

#[test]
fn the_annotated_file_is_complete() {
    let (trace, _) = trace(&all_on());
    let missing: Vec<_> = trace
        .iter()
        .flat_map(|(kind, keys)| keys.iter().map(move |(key, given)| (*kind, *key, *given)))
        .filter(|(_, key, given)| !given && *key != "$schema")
        .collect();
    assert!(missing.is_empty(), "config/gateway.toml does not show {missing:?}");
}

#[test]
fn the_annotated_file_shows_the_defaults() {
    assert!(annotated().starts_with("#:schema ./schema.json\n"));
    let config = Config::load(&config_folder().join("gateway.toml"), TEXT_ONLY).unwrap();
    assert_eq!(config.gateway, GatewayConfig::default_in(&config_folder()));
    let [listener] = config.listeners.as_slice() else {
        panic!("one listener")
    };
    assert_eq!(listener.limits, ListenerLimits::default());
    let plain = &good("").listeners[0];
    let shown = (&listener.tls, &listener.proxy_protocol, &listener.trusted_proxies);
    assert_eq!(shown, (&plain.tls, &plain.proxy_protocol, &plain.trusted_proxies));
    let hello = &config.components["hello"];
    assert_eq!(hello.source, config_folder().join("../target/guests/hello.wasm"));
    let plain = &good("[component.hello]\nsource = \"x\"").components["hello"];
    assert_eq!(hello.limits, ComponentLimits::default());
    assert_eq!(
        *hello,
        ComponentConfig {
            source: hello.source.clone(),
            ..plain.clone()
        }
    );
    let api = &config.upstreams["api"];
    let plain = &good("[upstream.api]\nservers = [\"127.0.0.1:9001\", \"127.0.0.1:9002\"]").upstreams["api"];
    assert_eq!(api, plain);
    let route = config.routes.iter().find(|route| route.name.as_str() == "api");
    let plain = good(
        "[upstream.api]\nservers = [\"127.0.0.1:9001\"]\n[[route]]\nname = \"api\"\npath = \"/api/*\"\nupstream = \"api\"",
    );
    assert_eq!(route, plain.routes.first());
}

/// What is off in the annotated file is a default too, where it is not an example.
#[test]
fn the_annotated_file_shows_the_defaults_of_what_is_off() {
    let config = toml(&all_on()).unwrap();
    let checked = config.upstreams["checked"].health.clone().unwrap();
    let plain = good("[upstream.x]\nservers = [\"x:1\"]\nhealth = { path = \"/healthz\", host = \"api.internal\" }");
    assert_eq!(Some(checked), plain.upstreams["x"].health);
    assert_eq!(config.components["shared"].reuse, ReuseConfig::default());
}

#[test]
fn the_demo_is_a_good_configuration() {
    let demo = Config::load(&config_folder().join("demo"), TEXT_ONLY);
    if let Err(errors) = &demo {
        panic!("{}", errors.render(ReportStyle::Plain));
    }
}

#[test]
fn the_schema_shows_the_defaults() {
    let schema = schema();
    let defaults = |kind: &str| {
        let properties = schema["definitions"][kind]["properties"].as_object().unwrap().clone();
        properties
            .into_iter()
            .map(|(key, property)| (key, property["default"].clone()))
            .collect::<Json>()
    };
    let property = |kind: &str, key: &str| schema["definitions"][kind]["properties"][key]["default"].clone();
    // Keys that have no default are those without which there is no such thing.
    let given = |kind: &str| {
        let mut defaults = defaults(kind);
        defaults.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        defaults
    };
    let mut upstream = given("Upstream");
    upstream["servers"] = serde_json::json!([{ "address": "u:1", "weight": property("Server", "weight") }]);
    for (key, kind) in [
        ("ejection", "Ejection"),
        ("timeout", "UpstreamTimeouts"),
        ("retry", "Retry"),
        ("limits", "UpstreamLimits"),
        ("keepalive", "Keepalive"),
    ] {
        upstream[key] = defaults(kind);
    }
    upstream["health"] = given("Health");
    upstream["health"]["tcp"] = true.into();
    let mut listener = given("Listener");
    listener["address"] = "127.0.0.1:1".into();
    listener["limits"] = defaults("ListenerLimits");
    let document = serde_json::json!({
        "gateway": defaults("Gateway"),
        "listener": [listener],
        "component": {
            "x": { "source": "x", "limits": defaults("ComponentLimits"), "grants": defaults("Grants") },
            "y": { "source": "y", "isolation": "concurrent", "reuse": defaults("Reuse") },
        },
        "upstream": { "u": upstream },
        "route": [
            { "path": "/a", "redirect": { "to": "/", "status": property("Redirect", "status") } },
            { "path": "/b", "respond": defaults("Respond") },
            { "path": "/c", "respond": {}, "request_headers": defaults("HeaderEdits") },
        ],
    });
    let nulls = document.to_string().matches("null").count();
    assert_eq!(nulls, 0, "a key without a default: {document:#}");
    let shown = json(&document.to_string()).unwrap();
    let plain = good(
        "[component.x]\nsource = \"x\"\n[component.y]\nsource = \"y\"\nisolation = \"concurrent\"\n[[route]]\npath = \"/a\"\nredirect = { to = \"/\" }\n[[route]]\npath = \"/b\"\nrespond = {}\n[[route]]\npath = \"/c\"\nrespond = {}\n[upstream.u]\nservers = [\"u:1\"]\nhealth = { tcp = true }",
    );
    assert_eq!(shown.gateway, plain.gateway);
    let (listener, expected) = (&shown.listeners[0], &plain.listeners[0]);
    assert_eq!(listener.limits, expected.limits);
    assert_eq!(listener.proxy_protocol, expected.proxy_protocol);
    assert_eq!(listener.trusted_proxies, expected.trusted_proxies);
    assert_eq!(shown.components, plain.components);
    assert_eq!(shown.upstreams, plain.upstreams);
    assert_eq!(shown.routes, plain.routes);
    assert_eq!(
        schema["definitions"]["DirGrant"]["properties"]["read_only"]["default"],
        true
    );
}

#[test]
fn every_key_of_the_schema_is_described() {
    let schema = schema();
    let definitions = schema["definitions"].as_object().unwrap().values().chain([&schema]);
    for definition in definitions {
        for (key, property) in definition["properties"].as_object().into_iter().flatten() {
            assert!(property["description"].is_string(), "{key} has no description");
        }
    }
}
