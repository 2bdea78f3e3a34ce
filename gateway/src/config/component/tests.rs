use std::ffi::OsString;
use std::fs;
use std::path::Path;

use super::super::tests::{LISTENER, TEXT_ONLY, assert_bad, bad, good};
use super::super::{Config, ConfigErrors, Options, Secret, Source};
use super::*;

const HEAD: &str = "[component.x]\nsource = \"x.wasm\"\n";

fn component(text: &str) -> ComponentConfig {
    good(&format!("{HEAD}{text}")).components["x"].clone()
}

/// Reads a component's text with files and variables looked at.
fn load(folder: &Path, text: &str) -> Result<Config, ConfigErrors> {
    let variable: fn(&str) -> Option<OsString> = |name| (name == "KNOWN").then(|| "from the environment".into());
    let source = Source::toml("gateway.toml", folder, format!("{text}\n{LISTENER}"));
    Config::from_sources(
        vec![source],
        Options {
            check_files: true,
            variable,
        },
    )
}

#[track_caller]
fn one_error(result: Result<Config, ConfigErrors>) -> String {
    let errors = result.expect_err("refused");
    assert_eq!(errors.count(), 1, "{errors}");
    errors.to_string()
}

#[test]
fn every_key_is_read() {
    let component = component(
        "isolation = \"fresh\"\nargs = [\"--flag\", \"\"]\n\
         limits = { memory = \"1MiB\", deadline = \"1s\", body_deadline = \"2s\", cpu = \"3s\", concurrency = 4, queue = 5, queue_time = \"6s\", connections = 7 }\n\
         config = { greeting = \"Hello\", \"any key.\" = 5 }\nenv = { MODE = \"demo\", _x1 = true }\ngrants = {}",
    );
    let seconds = Duration::from_secs;
    let expected = ComponentLimits {
        memory: 1 << 20,
        deadline: Some(seconds(1)),
        body_deadline: Some(seconds(2)),
        cpu: Some(seconds(3)),
        concurrency: 4,
        queue: 5,
        queue_time: seconds(6),
        connections: 7,
    };
    assert_eq!(component.limits, expected);
    assert_eq!(component.source, Path::new("/etc/tidegate/x.wasm"));
    assert_eq!(component.args, ["--flag", ""]);
    let plain = |pairs: &[(&str, &str)]| -> BTreeMap<String, Setting> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), Setting::Plain((*value).to_owned())))
            .collect()
    };
    assert_eq!(component.config, plain(&[("any key.", "5"), ("greeting", "Hello")]));
    assert_eq!(component.env, plain(&[("MODE", "demo"), ("_x1", "true")]));
}

#[test]
fn zero_is_no_limit_where_it_says_so() {
    let limits = component(
        "limits = { deadline = \"0s\", body_deadline = \"0s\", cpu = \"0s\", queue = 0, queue_time = \"0s\" }",
    )
    .limits;
    assert_eq!((limits.deadline, limits.body_deadline, limits.cpu), (None, None, None));
    assert_eq!((limits.queue, limits.queue_time), (0, Duration::ZERO));
    assert_eq!(ComponentLimits::default().body_deadline, None);
    assert_eq!(ComponentLimits::default().deadline, Some(limits::DEADLINE));
}

#[test]
fn limits_are_bounded() {
    for (line, column, words) in [
        ("memory = 65535", 10, &["out of range", "from 64KiB to 4GiB"][..]),
        ("memory = \"4097MiB\"", 10, &["out of range"]),
        ("memory = 0", 10, &["out of range"]),
        ("memory = \"64 megs\"", 10, &["is not a size"]),
        ("deadline = 5", 12, &["write \"5s\""]),
        ("cpu = \"1 cpu\"", 7, &["is not a duration"]),
        ("concurrency = 0", 15, &["cannot be 0", "from 1 to 1000"]),
        ("concurrency = 1001", 15, &["cannot be 1001"]),
        ("queue = -1", 9, &["cannot be -1"]),
        ("queue = 1000001", 9, &["cannot be 1000001"]),
        ("connections = 0", 15, &["cannot be 0", "from 1 to 4096"]),
        ("connections = 4097", 15, &["cannot be 4097"]),
        ("connections = \"many\"", 15, &["must be a whole number, not a string"]),
        ("max_connections = 5", 1, &["did you mean `connections`?"]),
        ("queue_time = \"soon\"", 14, &["is not a duration"]),
        ("timeout = \"5s\"", 1, &["did you mean `deadline`?"]),
        ("max_memory = \"5MiB\"", 1, &["did you mean `memory`?"]),
        ("body = \"5MiB\"", 1, &["not a key of this table", "body_deadline"]),
    ] {
        assert_bad(
            &format!("{HEAD}[component.x.limits]\n{line}"),
            &format!("4:{column}"),
            words,
        );
    }
}

#[test]
fn a_source_must_be_given() {
    assert_bad(
        "[component.x]",
        "1:1",
        &["`component.x` has no `source`", "source = \"hello.wasm\""],
    );
    let errors = bad("[component.x]\nmodule = \"x.wasm\"");
    assert!(
        errors.len() == 2 && errors[1].contains("did you mean `source`?"),
        "{errors:#?}"
    );
    assert_bad(
        "[component]\nx = \"x.wasm\"",
        "2:5",
        &["`component.x` must be a table, not a string"],
    );
}

#[test]
fn sources_of_later_versions_are_refused_as_such() {
    for source in ["https://example.com/x.wasm", "oci://registry/x:1", "file:///x.wasm"] {
        let words = &["are not served by this version of Tidegate yet"];
        assert_bad(&format!("[component.x]\nsource = \"{source}\""), "2:10", words);
    }
}

#[test]
fn native_code_is_never_loaded() {
    for source in ["x.cwasm", "/data/compiled/x.CWASM"] {
        let words = &[".cwasm) is never loaded", "without any sandbox"];
        assert_bad(&format!("[component.x]\nsource = \"{source}\""), "2:10", words);
    }
}

#[test]
fn a_source_must_be_a_readable_file() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("folder.wasm")).unwrap();
    fs::write(folder.path().join("there.wasm"), "x").unwrap();
    let source = |name: &str| load(folder.path(), &format!("[component.x]\nsource = \"{name}\""));
    assert!(source("there.wasm").is_ok());
    assert!(source(folder.path().join("there.wasm").to_str().unwrap()).is_ok());
    assert!(one_error(source("missing.wasm")).contains("gateway.toml:2:10: "));
    assert!(one_error(source("missing.wasm")).contains("missing.wasm cannot be read: No such file"));
    assert!(one_error(source("folder.wasm")).contains("it is not a file"));
    let long = fs::File::create(folder.path().join("long.wasm")).unwrap();
    long.set_len(limits::COMPONENT_BYTES + 1).unwrap();
    assert!(one_error(source("long.wasm")).contains("268435457 bytes long"));
}

#[test]
fn names_have_a_form() {
    for (name, place) in [
        ("\"\"", "1:12"),
        ("Hello", "1:12"),
        ("\"a b\"", "1:12"),
        ("\"..\"", "1:12"),
        ("-x", "1:12"),
    ] {
        assert_bad(
            &format!("[component.{name}]\nsource = \"x\""),
            place,
            &["cannot be the name of a component"],
        );
    }
}

#[test]
fn settings_are_text() {
    for value in ["1.5", "[]", "1979-05-27", "[\"a\"]"] {
        let words = &["must be a string, an integer, a boolean", "in quotes"];
        assert_bad(&format!("{HEAD}config = {{ k = {value} }}"), "3:16", words);
    }
    assert_bad(
        &format!("{HEAD}env = {{ K = \"a\\u0000b\" }}"),
        "3:13",
        &["holds a NUL"],
    );
    assert_bad(
        &format!("{HEAD}env = [\"K=V\"]"),
        "3:7",
        &["must be a table, not a list"],
    );
    for name in ["\"\"", "1A", "\"A B\"", "\"A=B\"", "a-b", "\"\u{e9}\""] {
        let words = &[
            "is not the name of an environment variable",
            "letters, digits and underscores",
        ];
        assert_bad(&format!("{HEAD}env = {{ {name} = \"v\" }}"), "3:9", words);
    }
    for key in ["\"\"", "\"a\\nb\""] {
        assert_bad(
            &format!("{HEAD}config = {{ {key} = \"v\" }}"),
            "3:12",
            &["cannot be a wasi:config key"],
        );
    }
}

#[test]
fn arguments_are_text() {
    assert_bad(
        &format!("{HEAD}args = [\"a\", 1]"),
        "3:14",
        &["`component.x.args[1]` must be a string"],
    );
    assert_bad(&format!("{HEAD}args = \"a\""), "3:8", &["must be a list"]);
    assert_bad(&format!("{HEAD}args = [\"a\\u0000\"]"), "3:9", &["holds a NUL"]);
}

#[test]
fn secrets_come_from_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("key"), "from a file\n").unwrap();
    fs::write(folder.path().join("x.wasm"), "").unwrap();
    let text = format!("{HEAD}env = {{ A = {{ env = \"KNOWN\" }}, B = {{ file = \"key\" }} }}");
    let component = load(folder.path(), &text).unwrap().components["x"].clone();
    assert_eq!(component.env["A"], Setting::Secret(Secret::new("from the environment")));
    assert_eq!(component.env["B"].expose(), "from a file");
    // What is looked at but not served needs neither.
    let source = Source::toml("gateway.toml", "/nowhere", format!("{text}\n{LISTENER}"));
    let component = Config::from_sources(vec![source], TEXT_ONLY).unwrap().components["x"].clone();
    assert_eq!((component.env["A"].expose(), component.env["B"].expose()), ("", ""));
}

#[test]
fn secrets_are_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("x.wasm"), "").unwrap();
    let text = format!("{HEAD}config = {{ k = {{ env = \"KNOWN\" }}, plain = \"shown\" }}");
    let config = load(folder.path(), &text).unwrap();
    let shown = format!(
        "{config:?} {}",
        serde_json::to_string(&config.components["x"].config).unwrap()
    );
    assert!(shown.contains("***") && shown.contains("shown"), "{shown}");
    assert!(!shown.contains("from the environment"), "{shown}");
}

#[test]
fn secrets_that_cannot_be_had_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("x.wasm"), "").unwrap();
    fs::write(folder.path().join("bytes"), b"\xff").unwrap();
    fs::write(
        folder.path().join("long"),
        vec![b'x'; usize::try_from(limits::SECRET_BYTES).unwrap() + 1],
    )
    .unwrap();
    let secret = |value: &str| one_error(load(folder.path(), &format!("{HEAD}env = {{ A = {value} }}")));
    for (value, words) in [
        (
            "{ env = \"UNKNOWN\" }",
            "gateway.toml:3:21: the environment variable UNKNOWN is not set",
        ),
        ("{ env = \"A=B\" }", "is not the name of an environment variable"),
        ("{ env = 5 }", "must be a string"),
        ("{ file = \"missing\" }", "missing cannot be read: No such file"),
        ("{ file = \"bytes\" }", "it is not UTF-8"),
        ("{ file = \"long\" }", "it is longer than 65536 bytes"),
        ("{ file = \".\" }", "it is a directory"),
        ("{ file = \"\" }", "is not a path"),
        ("{}", "names no one place"),
        ("{ env = \"KNOWN\", file = \"bytes\" }", "names no one place"),
    ] {
        let error = secret(value);
        assert!(error.contains(words), "{value}: {error}");
    }
    let errors = load(folder.path(), &format!("{HEAD}env = {{ A = {{ vault = \"x\" }} }}")).expect_err("refused");
    assert!(errors.to_string().contains("unknown key `vault`"), "{errors}");
}
