//! The report as people and programs read it.

use super::*;

const TEXT: &str = r#"[gateway]
workers = "four"
data-dir = "var"

[[listener]]
name = "public"
address = "127.0.0.1:8080"
limits = { boddy = "16MiB", header_timeout = "0s" }

[component.hello]
source = "hello.wasm"
grants = { http = ["https://api.example.com/v1"] }

[[route]]
path = "/hello/{name"
component = "helo"

[[listener]]
address = "0.0.0.0:8080"
"#;

/// Regenerated with TIDEGATE_BLESS=1: it is what a person reads, so look at the difference.
const REPORT: &str = include_str!("report.txt");

#[test]
fn the_report_is_the_golden_one() {
    let report = toml(TEXT).expect_err("refused").render(ReportStyle::Plain);
    if std::env::var_os("TIDEGATE_BLESS").is_some() {
        std::fs::write(
            concat!(env!("CARGO_MANIFEST_DIR"), "/src/config/tests/report.txt"),
            &report,
        )
        .unwrap();
    }
    assert_eq!(report, REPORT, "\n{report}");
}

#[test]
fn a_terminal_gets_colours_and_others_do_not() {
    let errors = toml(TEXT).expect_err("refused");
    assert!(errors.render(ReportStyle::Fancy).contains("\u{1b}["));
    let plain = errors.render(ReportStyle::Plain);
    assert!(plain.is_ascii() && !plain.contains('\u{1b}'));
}

#[test]
fn what_has_no_place_in_a_text_is_said_in_words() {
    let text = r#"{ "listener": [{ "address": "127.0.0.1:1" }],
        "component": { "x": { "source": "x", "grants": { "htpp": ["*"], "http": ["x/y"] } } } }"#;
    let report = json(text).expect_err("refused").render(ReportStyle::Plain);
    for words in [
        "gateway.json: component.x.grants.htpp: unknown grant `htpp`, did you mean `http`?",
        "help: grants: http, dirs, sockets",
        "`component.x.grants.http[0]` is not a destination: it has a path\n",
        "help: a grant names a destination, not a page: write x\n",
    ] {
        assert!(unwrapped(&report).contains(words), "{words:?} is not in\n{report}");
    }
}

/// A drawn report without the breaks that its width made.
fn unwrapped(report: &str) -> String {
    report.replace("\n  | ", " ").replace("\n        ", " ")
}

#[test]
fn programs_get_objects() {
    let errors = toml("[gateway]\nworkerz = 1").expect_err("refused");
    let value = serde_json::to_value(&errors).unwrap();
    assert_eq!(
        value,
        serde_json::json!([
            {
                "file": "gateway.toml", "line": null, "column": null, "path": "",
                "message": "there is no [[listener]]: nothing would be served",
                "label": null, "help": "add [[listener]] with address = \"127.0.0.1:8080\"",
            },
            {
                "file": "gateway.toml", "line": 2, "column": 1, "path": "gateway.workerz",
                "message": "unknown key `workerz` in `gateway`", "label": "did you mean `workers`?",
                "help": "known keys: access_log, data_dir, dev, dns, drain, pool_reset, workers",
            },
        ])
    );
}

#[test]
fn columns_count_characters() {
    assert_bad(
        "[component]\n\"ab\" = { args = [\"\u{e9}\"], source = \"a\", b = 1 }",
        "2:38",
        &["unknown key `b`"],
    );
    let errors = bad("[[route]]\nrespond = { body = \"\u{1f600}\u{e9}\", xyz = 1 }");
    assert!(errors[0].starts_with("2:26 unknown key `xyz`"), "{errors:?}");
    let errors = toml("[[route]]\nrespond = { body = \"\u{1f600}\u{e9}\", xyz = 1 }").expect_err("refused");
    let report = errors.render(ReportStyle::Plain);
    assert!(report.contains("[gateway.toml:2:26]"), "{report}");
}

#[test]
fn an_error_at_the_very_end_is_drawn() {
    for text in [
        "x",
        "x =",
        "[",
        "x = \"",
        "\u{e9}",
        "x = \"\u{e9}",
        "\n\n[a",
        "a.b",
        "\u{feff}",
        "\r\n[\r\n",
    ] {
        let errors = toml(text).expect_err(text);
        for style in [ReportStyle::Plain, ReportStyle::Fancy] {
            assert!(errors.render(style).contains("the configuration has"), "{text:?}");
        }
    }
}

#[test]
fn a_report_has_an_end() {
    let text = "[[route]]\nrespond = 1\n".repeat(limits::CONFIG_ERRORS_COUNT);
    let errors = toml(&text).expect_err("refused");
    assert_eq!(errors.iter().count(), limits::CONFIG_ERRORS_COUNT);
    assert_eq!(errors.count(), limits::CONFIG_ERRORS_COUNT * 2);
    let report = errors.render(ReportStyle::Plain);
    assert!(report.contains("... and 1000 more\nthe configuration has 2000 errors\n"));
}

#[test]
fn later_errors_are_drawn_at_their_place() {
    let config = good("[component.a]\nsource = \"a.wasm\"");
    let location = config.components["a"].location.clone();
    let error =
        ConfigError::new(location, "this is a core module, not a component").help("run `wasm-tools component new`");
    let report = ConfigErrors::from_errors(vec![error])
        .unwrap()
        .render(ReportStyle::Plain);
    assert!(report.contains("gateway.toml:4:10"), "{report}");
    assert!(report.contains("source = \"a.wasm\""), "{report}");
    assert!(ConfigErrors::from_errors(Vec::new()).is_none());
}
