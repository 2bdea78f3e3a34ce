//! The whole of it: files and folders, the JSON twin, the report, the schema, and no input that panics.

use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;
use crate::limits;

mod contract;
mod merge;
mod report;

/// Nothing outside the text is looked at; variables are those a test names here.
pub(super) const TEXT_ONLY: Options = Options {
    check_files: false,
    variable: |_| None,
};

/// A listener, which every configuration needs.
pub(super) const LISTENER: &str = "[[listener]]\naddress = \"127.0.0.1:8080\"\n";

pub(super) fn toml(text: &str) -> Result<Config, ConfigErrors> {
    Config::from_sources(vec![Source::toml("gateway.toml", "/etc/tidegate", text)], TEXT_ONLY)
}

pub(super) fn json(text: &str) -> Result<Config, ConfigErrors> {
    Config::from_sources(vec![Source::json("gateway.json", "/etc/tidegate", text)], TEXT_ONLY)
}

/// Reads a text with a listener before it that must be right.
#[track_caller]
pub(super) fn good(text: &str) -> Config {
    match toml(&format!("{LISTENER}{text}")) {
        Ok(config) => config,
        Err(errors) => panic!("{}", errors.render(ReportStyle::Plain)),
    }
}

/// Every error of a text with a listener before it, as `line:column message | label | help`; line 1 is the
/// text's own first.
#[track_caller]
pub(super) fn bad(text: &str) -> Vec<String> {
    let errors = toml(&format!("{text}\n{LISTENER}")).expect_err("the text must be refused");
    errors.iter().map(in_one_line).collect()
}

pub(super) fn in_one_line(error: &ConfigError) -> String {
    let place = error.location().position().map_or_else(
        || error.location().path().to_owned(),
        |position| format!("{}:{}", position.line, position.column),
    );
    let label = error.label_text().unwrap_or("-");
    let help = error.help_text().unwrap_or("-");
    format!("{place} {} | {label} | {help}", error.message())
}

/// One error, at this place, with these words in message, label or help.
#[track_caller]
pub(super) fn assert_bad(text: &str, place: &str, words: &[&str]) {
    let errors = bad(text);
    let [error] = errors.as_slice() else {
        panic!("one error expected for {text:?}, not {errors:#?}");
    };
    assert!(error.starts_with(&format!("{place} ")), "{text:?}: {error}");
    for word in words {
        assert!(error.contains(word), "{text:?}: {word:?} is not in {error}");
    }
}

/// The repository's config folder: this crate's own folder is gateway/.
pub(super) fn config_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../config")
}

#[test]
fn a_listener_is_all_that_is_needed() {
    let config = good("");
    assert_eq!(config.gateway, GatewayConfig::default_in(Path::new("/etc/tidegate")));
    assert_eq!(config.gateway.data_dir, Path::new("/etc/tidegate/var"));
    assert_eq!(config.admin, None);
    assert_eq!(config.listeners.len(), 1);
    assert!(config.components.is_empty() && config.routes.is_empty());
}

#[test]
fn an_empty_text_serves_nothing() {
    let errors = toml("").expect_err("refused");
    let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        errors,
        ["gateway.toml: there is no [[listener]]: nothing would be served"]
    );
    assert!(Config::from_sources(Vec::new(), TEXT_ONLY).is_err());
}

#[test]
fn keys_at_the_root_are_checked() {
    assert_bad(
        "[gatway]",
        "1:2",
        &["unknown key `gatway` in the configuration", "did you mean `gateway`?"],
    );
    assert_bad("[components.x]", "1:2", &["did you mean `component`?"]);
    assert_bad("[[server]]", "1:3", &["did you mean `listener`?"]);
    assert_bad("[upstreams.x]", "1:2", &["did you mean `upstream`?"]);
    assert_bad("[backend.x]", "1:2", &["did you mean `upstream`?"]);
}

#[test]
fn tables_of_later_versions_are_refused_as_such() {
    let words = ["`store` is not served by this version of Tidegate yet", "remove it"];
    assert_bad("[store.default]\nanything = 1", "1:2", &words);
}

#[test]
fn tables_have_their_shape() {
    assert_bad("gateway = 5", "1:11", &["`gateway` must be a table, not an integer"]);
    assert_bad("route = {}", "1:9", &["`route` must be a list, not a table"]);
    assert_bad("[[component]]", "1:1", &["`component` must be a table, not a list"]);
    assert_bad("[[upstream]]", "1:1", &["`upstream` must be a table, not a list"]);
    assert_bad(
        "[upstream]\nx = \"a:1\"",
        "2:5",
        &["`upstream.x` must be a table, not a string"],
    );
}

#[test]
fn syntax_errors_hide_no_others() {
    let broken = Source::toml("a.toml", "", "[component.hello\nsource = ");
    let other = Source::toml(
        "b.toml",
        "",
        "[gateway]\nworkerz = 1\n[[route]]\ncomponent = \"hello\"\n",
    );
    let errors = Config::from_sources(vec![broken, other], TEXT_ONLY).expect_err("refused");
    let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
    let syntax = errors
        .iter()
        .filter(|error| error.starts_with("a.toml:") && error.contains("not valid TOML"));
    assert!(syntax.count() >= 1, "{errors:#?}");
    assert!(
        errors
            .iter()
            .any(|error| error == "b.toml:2:1: unknown key `workerz` in `gateway`"),
        "{errors:#?}"
    );
    // The component, and a listener, may be in the file that could not be read.
    assert!(!errors.iter().any(|error| error.contains("there is no")), "{errors:#?}");
}

#[test]
fn json_says_the_same() {
    let text = r#"
        [gateway]
        workers = 3
        [admin]
        address = "unix:admin.sock"
        [[listener]]
        name = "edge"
        address = "[::1]:443"
        tls = [{ cert = "a.pem", key = "a.key" }]
        limits = { body = "1GiB", connections = 7 }
        [component.hello]
        source = "hello.wasm"
        env = { MODE = "demo", LEVEL = 3, ON = true }
        [[route]]
        host = "*.example.com"
        path = { regex = "/v[0-9]" }
        headers = { x-tenant = { present = true } }
        component = "hello"
        [[route]]
        path = "/old"
        redirect = { to = "/new" }
    "#;
    let twin = r#"{
        "$schema": "./schema.json",
        "gateway": { "workers": 3, "dev": null },
        "admin": { "address": "unix:admin.sock" },
        "listener": [{
            "name": "edge", "address": "[::1]:443", "tls": [{ "cert": "a.pem", "key": "a.key" }],
            "limits": { "body": 1073741824, "connections": 7 }
        }],
        "component": { "hello": { "source": "hello.wasm", "env": { "MODE": "demo", "LEVEL": 3, "ON": true } } },
        "route": [
            {
                "host": ["*.example.com"], "path": { "regex": "/v[0-9]" },
                "headers": { "x-tenant": { "present": true } }, "component": "hello", "respond": null
            },
            { "path": "/old", "redirect": { "to": "/new" } }
        ]
    }"#;
    let (text, twin) = (toml(text).unwrap(), json(twin).unwrap());
    assert_eq!(text.gateway, twin.gateway);
    assert_eq!(text.admin, twin.admin);
    assert_eq!(text.listeners, twin.listeners);
    assert_eq!(text.components, twin.components);
    assert_eq!(text.routes, twin.routes);
    assert_ne!(text.digest, twin.digest);
    assert_ne!(text, twin);
}

#[test]
fn json_errors_have_paths() {
    let errors = json(r#"{ "listener": [{ "address": 5, "adress": 6 }], "route": [{ "path": "/", "path": "/x" }] }"#);
    let errors: Vec<_> = errors.expect_err("refused").iter().map(ToString::to_string).collect();
    assert_eq!(
        errors,
        [
            "gateway.json: listener[0].adress: unknown key `adress` in `listener[0]`",
            "gateway.json: listener[0].address: `listener[0].address` must be a string, not an integer",
            "gateway.json: route[0]: `route[0]` has no target",
            "gateway.json: route[0].path: `route[0].path` is defined twice",
        ]
    );
}

#[test]
fn json_syntax_errors_have_lines() {
    let errors = json("{\n  \"listener\": [,]\n}").expect_err("refused");
    let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(errors, ["gateway.json:2:16: not valid JSON: expected value"]);
    assert!(json("").is_err() && json("[]").is_err() && json("{} {}").is_err());
}

#[test]
fn nesting_has_an_end() {
    let deep = "[".repeat(100_000);
    assert!(json(&deep).is_err());
    assert!(toml(&format!("a = {deep}")).is_err());
    assert!(toml(&format!("a = {}", "{a=".repeat(100_000))).is_err());
    assert!(toml(&format!("{} = 1", ["a"; 100_000].join("."))).is_err());
}

#[test]
fn equality_is_what_is_said_and_not_where() {
    let one = good("[component.a]\nsource = \"a.wasm\"\n[[route]]\ncomponent = \"a\"");
    let moved = good("\n\n# here\n[component.a]\nsource = 'a.wasm'\n\n[[route]]\ncomponent = \"a\"");
    assert_eq!(one.components, moved.components);
    assert_eq!(one.routes, moved.routes);
    assert_ne!(one.digest, moved.digest);
    let other = good("[component.a]\nsource = \"b.wasm\"\n[[route]]\ncomponent = \"a\"");
    assert_ne!(one.components, other.components);
}

#[test]
fn the_digest_is_of_names_and_texts() {
    let digest = |parts: &[(&str, &str)]| {
        let sources: Vec<_> = parts
            .iter()
            .map(|(name, text)| Source::toml(*name, "", *text))
            .collect();
        Digest::of(&sources)
    };
    let one = digest(&[("a", "b"), ("c", "d")]);
    assert_eq!(one, digest(&[("a", "b"), ("c", "d")]));
    for other in [
        &[("a", "b"), ("d", "c")][..],
        &[("ab", ""), ("c", "d")],
        &[("c", "d"), ("a", "b")],
        &[("a", "b")],
    ] {
        assert_ne!(one, digest(other));
    }
    assert_eq!(one.to_string().len(), 64);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// No text panics, as TOML or JSON, nor does drawing what is wrong with it.
    #[test]
    fn no_text_panics(text in "\\PC{0,200}|[\\[\\]{}=\",.a-z0-9 \\n-]{0,200}|(.|\\n|\\r){0,60}") {
        for errors in [toml(&text).err(), json(&text).err()].into_iter().flatten() {
            prop_assert!(!errors.render(ReportStyle::Plain).is_empty());
            prop_assert!(!errors.render(ReportStyle::Fancy).is_empty());
            prop_assert!(serde_json::to_string(&errors).is_ok());
        }
    }

    /// No damage to a whole configuration panics: the parser recovers from it, and reading goes on.
    #[test]
    fn no_damage_panics(cut in 0..100usize, length in 0..60usize, line in 0..200usize, paste in "[\\[\\]{}=\",.a\\n]{0,6}") {
        let text = contract::all_on();
        let at = text.match_indices('\n').nth(line % text.matches('\n').count()).map_or(0, |(at, _)| at);
        let from = text.floor_char_boundary(at + cut);
        let to = text.floor_char_boundary(from + length);
        let damaged = format!("{}{paste}{}", &text[..from], &text[to..]);
        if let Err(errors) = toml(&damaged) {
            prop_assert!(!errors.render(ReportStyle::Plain).is_empty());
        }
    }

    /// No bytes panic when they are read from a file.
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.toml");
        std::fs::write(&file, bytes).unwrap();
        if let Err(errors) = Config::load(&file, TEXT_ONLY) {
            prop_assert!(!errors.render(ReportStyle::Plain).is_empty());
        }
    }

    /// A document made of the contract's own keys with values of any type does not panic either.
    #[test]
    fn no_value_panics(
        table in prop::sample::select(vec!["gateway", "admin", "[listener]", "component.x", "upstream.x", "[route]"]),
        key in prop::sample::select(vec![
            "address", "tls", "limits", "source", "env", "config", "grants", "host", "path", "methods", "headers",
            "query", "respond", "redirect", "component", "workers", "data_dir", "drain", "name", "reuse", "args",
            "isolation", "dns", "servers", "balance", "hash", "health", "ejection", "timeout", "retry", "keepalive",
            "protocol", "resolve", "upstream", "split", "sticky", "rewrite", "request_headers", "response_headers",
            "allow", "deny", "websocket", "proxy_protocol", "trusted_proxies",
        ]),
        value in prop::sample::select(vec![
            "1", "-1", "1.5", "nan", "true", "''", "'x'", "'\u{e9}'", "[]", "[[]]", "[{}]", "{}", "{ a = 1 }",
            "1979-05-27", "'0s'", "'-5s'", "'99999999999999999999s'", "'99999999999 EiB'", "9223372036854775807",
            "'*'", "'unix:'", "{ regex = '(' }", "{ env = '' }", "['GET', 5]", "{ status = 99 }", "{ to = '{' }",
            "'reuse'", "{ http = 5 }", "{ http = ['[', '*:0', '\u{e9}:'] }", "{ dirs = [{}, 1] }", "['[::1]:99999']",
            "{ sockets = [':', ''] }", "{ requests = 0 }", "['[::1', '\u{e9}:1', ':', 'a:1']", "'hash'", "'101%'",
            "{ strip_prefix = '\u{e9}' }", "{ path = '/{' }", "{ path = '/{\u{e9}}}' }", "{ most = '%' }",
            "{ header = '\u{e9}' }", "{ set = { '\u{e9}' = '' } }", "{ remove = ['', 5] }", "{ server_name = '' }",
            "[{ weight = 0 }]", "[{ split = [{}] }]",
        ]),
    ) {
        let text = format!("[{table}]\n{key} = {value}\n");
        if let Err(errors) = toml(&text) {
            prop_assert!(!errors.render(ReportStyle::Plain).is_empty());
        }
    }
}
