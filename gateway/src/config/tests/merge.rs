//! Files and folders: which are read, in which order, and what two of them may not both say.

use std::fs;

use super::*;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

/// The errors of a folder, with the folder's own path taken out.
fn errors_of(folder: &Path) -> Vec<String> {
    let errors = Config::load(folder, TEXT_ONLY).expect_err("refused");
    let prefix = format!("{}/", folder.display());
    errors
        .iter()
        .map(|error| {
            error
                .to_string()
                .replace(&prefix, "")
                .replace(prefix.trim_end_matches('/'), ".")
        })
        .collect()
}

#[test]
fn files_merge_in_name_order() {
    let folder = folder(&[
        (
            "20-b.toml",
            "[[route]]\npath = \"/b\"\ncomponent = \"hello\"\n[[route]]\npath = \"/c\"\nrespond = {}",
        ),
        ("10-a.toml", "[[route]]\npath = \"/a\"\ncomponent = \"hello\""),
        (
            "30-c.toml",
            &format!("{LISTENER}[component.hello]\nsource = \"hello.wasm\""),
        ),
        ("notes.txt", "not read"),
        (".hidden.toml", "not read"),
        ("twin.json", "not read"),
    ]);
    fs::create_dir(folder.path().join("folder.toml")).unwrap();
    fs::create_dir(folder.path().join("sub")).unwrap();
    fs::write(folder.path().join("sub/x.toml"), "not read").unwrap();
    let config = Config::load(folder.path(), TEXT_ONLY).unwrap();
    let routes: Vec<_> = config
        .routes
        .iter()
        .map(|route| (route.name.as_str(), route.spec.path.clone()))
        .collect();
    let path = |path: &str| Some(tidegate_routing::PathSpec::Pattern(path.to_owned()));
    assert_eq!(
        routes,
        [
            ("route-1", path("/a")),
            ("route-2", path("/b")),
            ("route-3", path("/c"))
        ]
    );
    assert_eq!(config.components["hello"].source, folder.path().join("hello.wasm"));
    assert_eq!(config.gateway.data_dir, folder.path().join("var"));
    assert_eq!(config.sources().len(), 3);
}

#[test]
fn a_file_is_read_by_its_name() {
    let folder = folder(&[
        ("one.json", r#"{ "listener": [{ "address": "127.0.0.1:0" }] }"#),
        ("one.conf", LISTENER),
        ("bad.json", LISTENER),
    ]);
    for name in ["one.json", "one.conf"] {
        assert!(Config::load(&folder.path().join(name), TEXT_ONLY).is_ok(), "{name}");
    }
    assert!(Config::load(&folder.path().join("bad.json"), TEXT_ONLY).is_err());
}

#[test]
fn a_name_twice_is_an_error_that_names_both_places() {
    let folder = folder(&[
        (
            "a.toml",
            "[gateway]\n[admin]\naddress = \"127.0.0.1:1\"\n[component.hello]\nsource = \"a.wasm\"\n\
             [[listener]]\nname = \"l\"\naddress = \"127.0.0.1:80\"\n[[route]]\nname = \"r\"\npath = \"/a\"\nrespond = {}\n\
             [upstream.u]\nservers = [\"a:1\"]\n",
        ),
        (
            "b.toml",
            "[gateway]\nworkers = 1\n[admin]\naddress = \"127.0.0.1:1\"\n[component.hello]\nsource = \"b.wasm\"\n\
             [[listener]]\nname = \"l\"\naddress = \"127.0.0.1:81\"\n[[route]]\nname = \"r\"\npath = \"/b\"\nrespond = {}\n\
             [upstream.u]\nservers = [\"b:1\"]\n",
        ),
    ]);
    assert_eq!(
        errors_of(folder.path()),
        [
            "b.toml:1:1: `gateway` is defined twice, first at a.toml:1:1",
            "b.toml:3:1: `admin` is defined twice, first at a.toml:2:1",
            "b.toml:5:12: component `hello` is defined twice, first at a.toml:4:12",
            "b.toml:8:8: listener `l` is defined twice, first at a.toml:7:8",
            "b.toml:11:8: route `r` is defined twice, first at a.toml:10:8",
            "b.toml:14:11: upstream `u` is defined twice, first at a.toml:13:11",
        ]
    );
}

#[test]
fn a_name_twice_in_one_file_too() {
    let text =
        "[component.a]\nsource = \"1\"\n[component.b]\nconfig = { a = 1 }\nsource = \"2\"\n[component.a]\nargs = []\n";
    let errors = bad(text);
    assert_eq!(
        errors,
        ["6:12 `a` is defined twice, first at gateway.toml:1:12 | defined again here | keep one of them"]
    );
    let errors = bad("[gateway]\nworkers = 1\n  workers = 2\n");
    assert_eq!(
        errors,
        ["3:3 `workers` is defined twice, first at gateway.toml:2:1 | defined again here | keep one of them"]
    );
    let errors = bad("[[listener]]\naddress = \"127.0.0.1:1\"\n[listener.limits]\n[listener.limits]\n");
    assert_eq!(
        errors,
        ["4:11 `limits` is defined twice, first at gateway.toml:3:11 | defined again here | keep one of them"]
    );
}

#[test]
fn errors_come_in_the_order_of_files_and_lines() {
    let folder = folder(&[
        ("b.toml", "[gateway]\nworkers = -1\nx = 1"),
        (
            "a.toml",
            "[[route]]\ncomponent = \"b\"\n[component.a]\nsource = 1\n[[listener]]\naddress = 1",
        ),
    ]);
    let places: Vec<_> = errors_of(folder.path())
        .iter()
        .map(|error| error.split(": ").next().unwrap().to_owned())
        .collect();
    assert_eq!(
        places,
        ["a.toml:2:13", "a.toml:4:10", "a.toml:6:11", "b.toml:2:11", "b.toml:3:1"]
    );
}

#[test]
fn what_cannot_be_read_is_said() {
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(errors_of(empty.path()), [".: this directory holds no *.toml file"]);
    let missing = empty.path().join("missing.toml");
    let errors = Config::load(&missing, TEXT_ONLY).expect_err("refused");
    assert_eq!(errors.count(), 1);
    assert!(errors.to_string().contains("cannot be read: No such file"), "{errors}");
    let linked = folder(&[("a.toml", LISTENER)]);
    std::os::unix::fs::symlink("nowhere", linked.path().join("b.toml")).unwrap();
    let errors = errors_of(linked.path());
    assert!(
        errors.len() == 1 && errors[0].starts_with("b.toml: cannot be read: No such file"),
        "{errors:?}"
    );
}

#[test]
fn every_unreadable_file_is_said() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.toml"), b"# caf\xc3\xa9\nx = \"\xff\"\n").unwrap();
    fs::write(folder.path().join("b.toml"), b"\xff").unwrap();
    let long = vec![b'#'; usize::try_from(limits::CONFIG_FILE_BYTES).unwrap() + 1];
    fs::write(folder.path().join("c.toml"), long).unwrap();
    assert_eq!(
        errors_of(folder.path()),
        [
            "a.toml:2:6: this file is not UTF-8 text",
            "b.toml:1:1: this file is not UTF-8 text",
            &format!(
                "c.toml: cannot be read: it is longer than {} bytes",
                limits::CONFIG_FILE_BYTES
            ),
        ]
    );
}

#[test]
fn generated_names_step_aside() {
    let config = good(
        "[[route]]\npath = \"/1\"\nrespond = {}\n[[route]]\nname = \"route-1\"\npath = \"/2\"\nrespond = {}\n\
         [[route]]\nname = \"route-1-2\"\npath = \"/3\"\nrespond = {}\n[[route]]\npath = \"/4\"\nrespond = {}\n",
    );
    let names: Vec<_> = config.routes.iter().map(|route| route.name.as_str()).collect();
    assert_eq!(names, ["route-1-3", "route-1", "route-1-2", "route-4"]);
    assert_eq!(config.routes[3].spec.name, "route-4");
}
