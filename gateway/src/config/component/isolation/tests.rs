use super::super::super::tests::{assert_bad, bad, good, json};
use super::*;

const HEAD: &str = "[component.x]\nsource = \"x.wasm\"\n";

fn read(text: &str) -> (Isolation, ReuseConfig) {
    let component = &good(&format!("{HEAD}{text}")).components["x"];
    (component.isolation, component.reuse.clone())
}

#[test]
fn every_mode_is_read() {
    let defaults = ReuseConfig::default();
    assert_eq!(read(""), (Isolation::Fresh, defaults.clone()));
    assert_eq!(read("isolation = \"fresh\""), (Isolation::Fresh, defaults.clone()));
    assert_eq!(read("isolation = \"reuse\""), (Isolation::Reuse, defaults.clone()));
    assert_eq!(
        read("isolation = \"concurrent\""),
        (Isolation::Concurrent, defaults.clone())
    );
    assert_eq!(
        (defaults.requests, defaults.idle, defaults.concurrent),
        (128, Duration::from_secs(10), 16)
    );
}

#[test]
fn every_key_is_read() {
    let (isolation, reuse) =
        read("isolation = \"concurrent\"\nreuse = { requests = 5, idle = \"1m\", concurrent = 3 }");
    let expected = ReuseConfig {
        requests: 5,
        idle: Duration::from_secs(60),
        concurrent: 3,
    };
    assert_eq!((isolation, reuse), (Isolation::Concurrent, expected));
    // The order of the keys says nothing, and each has its default.
    let (isolation, reuse) = read("reuse = { requests = 1000000 }\nisolation = \"reuse\"");
    assert_eq!((isolation, reuse.requests), (Isolation::Reuse, 1_000_000));
    assert_eq!(
        (reuse.idle, reuse.concurrent),
        (limits::REUSE_IDLE, limits::REUSE_CONCURRENT_COUNT)
    );
    assert_eq!(read("isolation = \"reuse\"\nreuse = {}").1, ReuseConfig::default());
}

#[test]
fn modes_are_words() {
    for (word, words) in [
        ("\"shared\"", &["one of \"fresh\", \"reuse\", \"concurrent\""][..]),
        ("\"fres\"", &["did you mean \"fresh\"?"]),
        ("\"Reuse\"", &["did you mean \"reuse\"?"]),
        ("\"\"", &["one of"]),
        ("true", &["must be a string, not a boolean"]),
        ("[\"reuse\"]", &["must be a string, not a list"]),
    ] {
        assert_bad(&format!("{HEAD}isolation = {word}"), "3:13", words);
    }
}

#[test]
fn fresh_instances_are_not_reused() {
    let words = &[
        "`component.x.reuse` is given, but isolation is \"fresh\"",
        "no instance is reused",
        "add isolation = \"reuse\" or \"concurrent\", or remove `reuse`",
    ];
    assert_bad(&format!("{HEAD}reuse = {{ requests = 128 }}"), "3:9", words);
    assert_bad(&format!("{HEAD}reuse = {{}}"), "3:9", words);
    assert_bad(
        &format!("{HEAD}isolation = \"fresh\"\nreuse = {{ idle = \"1s\" }}"),
        "4:9",
        words,
    );
    // With what else is wrong in it.
    let errors = bad(&format!("{HEAD}reuse = {{ requests = 0 }}"));
    assert_eq!(errors.len(), 2, "{errors:#?}");
    // A mode that could not be read is one error, not two.
    assert_bad(
        &format!("{HEAD}isolation = \"x\"\nreuse = {{ concurrent = 2 }}"),
        "3:13",
        &["one of"],
    );
}

#[test]
fn one_after_another_is_not_several_at_a_time() {
    let words = &[
        "`component.x.reuse.concurrent` is given, but isolation is \"reuse\"",
        "one request at a time",
        "write isolation = \"concurrent\", or remove `concurrent`",
    ];
    assert_bad(
        &format!("{HEAD}isolation = \"reuse\"\nreuse = {{ concurrent = 1 }}"),
        "4:24",
        words,
    );
    assert_bad(
        &format!("{HEAD}reuse.concurrent = 16\nisolation = \"reuse\""),
        "3:20",
        words,
    );
}

#[test]
fn bounds_are_kept() {
    for (line, column, words) in [
        ("requests = 0", 12, &["cannot be 0", "from 1 to 1000000"][..]),
        ("requests = -1", 12, &["cannot be -1"]),
        ("requests = 1000001", 12, &["cannot be 1000001"]),
        ("requests = 4294967297", 12, &["cannot be 4294967297"]),
        ("requests = \"128\"", 12, &["must be a whole number, not a string"]),
        ("idle = \"0s\"", 8, &["cannot be zero", "leave the key out"]),
        ("idle = 10", 8, &["write \"10s\""]),
        ("idle = \"10\"", 8, &["is not a duration"]),
        ("idle = \"367days\"", 8, &["is too long"]),
        ("concurrent = 0", 14, &["cannot be 0", "from 1 to 1024"]),
        ("concurrent = 1025", 14, &["cannot be 1025"]),
        ("concurrent = true", 14, &["must be a whole number"]),
        ("request = 5", 1, &["did you mean `requests`?"]),
        ("max_requests = 5", 1, &["did you mean `requests`?"]),
        ("idle_timeout = \"5s\"", 1, &["did you mean `idle`?"]),
        (
            "memory = 5",
            1,
            &["not a key of this table", "known keys: concurrent, idle, requests"],
        ),
    ] {
        let text = format!("{HEAD}isolation = \"concurrent\"\n[component.x.reuse]\n{line}");
        assert_bad(&text, &format!("5:{column}"), words);
    }
    for value in ["5", "true", "\"128\"", "[]"] {
        let text = format!("{HEAD}isolation = \"reuse\"\nreuse = {value}");
        assert_bad(&text, "4:9", &["`component.x.reuse` must be a table"]);
    }
}

#[test]
fn null_is_absent() {
    let text = r#"{ "listener": [{ "address": "127.0.0.1:1" }],
        "component": { "x": { "source": "x", "isolation": null, "reuse": null } } }"#;
    assert_eq!(json(text).unwrap().components["x"].isolation, Isolation::Fresh);
}
