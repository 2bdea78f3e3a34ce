//! The table: lists, folders, and what is no grant.

use super::*;

#[test]
fn every_key_is_read() {
    let read = grants(
        "http = [\"https://api.example.com\", \"*:8080\"]\nsockets = [\"[::1]:53\"]\n\
         dirs = [{ path = \"data\", guest = \"/data\" }, { path = \"/srv/www\", guest = \"www\", read_only = false }]",
    );
    assert_eq!(
        read.http,
        [
            http(Some(HttpScheme::Https), name("api.example.com"), PortGrant::Default),
            http(None, HostGrant::Any, PortGrant::Exact(8080)),
        ]
    );
    assert_eq!(read.sockets, ["[::1]:53".parse().unwrap()]);
    let dir = |path: &str, guest: &str, read_only| DirGrant {
        path: path.into(),
        guest: guest.to_owned(),
        read_only,
    };
    assert_eq!(
        read.dirs,
        [dir("/etc/tidegate/data", "/data", true), dir("/srv/www", "www", false)]
    );
}

#[test]
fn json_says_the_same() {
    let text = r#"{ "listener": [{ "address": "127.0.0.1:1" }], "component": { "x": { "source": "x", "grants": {
        "http": ["*"], "dirs": [{ "path": "d", "guest": ".", "read_only": null }], "sockets": null, "sql": null
    } } } }"#;
    let twin = grants("http = [\"*\"]\ndirs = [{ path = \"d\", guest = \".\" }]");
    assert_eq!(json(text).unwrap().components["x"].grants, twin);
}

#[test]
fn a_folder_without_a_place_is_absolute_nevertheless() {
    let text = format!("{HEAD}dirs = [{{ path = \"data\", guest = \"/data\" }}]\n{LISTENER}");
    let config = Config::from_sources(vec![Source::toml("x", "", text)], TEXT_ONLY).unwrap();
    let path = &config.components["x"].grants.dirs[0].path;
    assert_eq!(*path, std::env::current_dir().unwrap().join("data"));
}

#[test]
fn lists_are_lists_of_text() {
    for (line, column, words) in [
        ("http = \"*\"", 8, &["grants.http` must be a list, not a string"][..]),
        ("http = true", 8, &["must be a list, not a boolean"]),
        ("http = { host = \"x\" }", 8, &["must be a list, not a table"]),
        ("http = [5]", 9, &["grants.http[0]` must be a string"]),
        (
            "http = [\"*\", [\"*\"]]",
            14,
            &["grants.http[1]` must be a string, not a list"],
        ),
        (
            "http = [\"*\", \"https://api.example.com/v1\"]",
            14,
            &[
                "`component.x.grants.http[1]` is not a destination: it has a path",
                "a grant names a destination, not a page: write https://api.example.com",
            ],
        ),
        ("http = [\"\"]", 9, &["is not a destination: it names no host"]),
        ("sockets = \"a:1\"", 11, &["must be a list"]),
        ("sockets = [5432]", 12, &["must be a string, not an integer"]),
        (
            "sockets = [\"db\"]",
            12,
            &["is not a destination: it has no port", "such as db:5432"],
        ),
        ("sockets = [\"*:5432\"]", 12, &["it has a wildcard", "by itself"]),
        ("dirs = \"/data\"", 8, &["must be a list, not a string"]),
        (
            "dirs = [\"/data\"]",
            9,
            &["grants.dirs[0]` must be a table, not a string"],
        ),
    ] {
        assert_bad(&format!("{HEAD}{line}"), &format!("4:{column}"), words);
    }
}

#[test]
fn every_wrong_entry_is_reported() {
    let errors = bad(&format!(
        "{HEAD}http = [\"a/b\", \"ok\", \"127.1\"]\nsockets = [\"x\"]\ndirs = [{{ path = \"\", guest = \"..\" }}]"
    ));
    let places: Vec<_> = errors.iter().filter_map(|error| error.split(' ').next()).collect();
    assert_eq!(places, ["4:9", "4:22", "5:12", "6:18"]);
}

#[test]
fn the_report_shows_the_place() {
    let text = format!("{HEAD}http = [\"https://api.example.com/v1\"]\n{LISTENER}");
    let source = Source::toml("gateway.toml", "", text);
    let errors = Config::from_sources(vec![source], TEXT_ONLY).expect_err("refused");
    let report = errors.render(ReportStyle::Plain);
    for words in [
        "`component.x.grants.http[0]` is not a destination: it has a path",
        "gateway.toml:4:9",
        "4 | http = [\"https://api.example.com/v1\"]",
        "not a destination",
        "help: a grant names a destination, not a page: write https://api.example.com",
    ] {
        assert!(report.contains(words), "{words:?} is not in\n{report}");
    }
}

#[test]
fn lists_have_an_end() {
    let list = |count: usize| format!("[{}]", vec!["\"x:1\""; count].join(", "));
    let longest = limits::GRANTS_COUNT;
    assert_eq!(grants(&format!("http = {}", list(longest))).http.len(), longest);
    assert_eq!(grants(&format!("sockets = {}", list(longest))).sockets.len(), longest);
    for key in ["http", "sockets", "dirs"] {
        let text = format!("{HEAD}{key} = {}", list(longest + 1));
        assert_bad(
            &text,
            &format!("4:{}", key.len() + 4),
            &["has 257 entries", "at most 256"],
        );
    }
}

#[test]
fn other_grants_are_refused() {
    for grant in [
        "keyvalue = [\"default\"]",
        "blobstore = [\"b\"]",
        "secrets = [\"s\"]",
        "websocket = true",
        "messaging = [\"m\"]",
        "sql = 1",
    ] {
        let words = &["is not served by this version of Tidegate yet", "cannot be served"];
        assert_bad(&format!("{HEAD}{grant}"), "4:1", words);
    }
    // Nothing granted is what is served.
    assert_eq!(grants("keyvalue = []\nwebsocket = false"), Grants::default());
}

#[test]
fn misspelt_grants_are_answered_with_the_right_ones() {
    for (key, meant) in [
        ("htpp", "http"),
        ("https", "http"),
        ("allowed_hosts", "http"),
        ("dir", "dirs"),
        ("mounts", "dirs"),
        ("socket", "sockets"),
        ("tcp", "sockets"),
        ("keyvalu", "keyvalue"),
    ] {
        let words = [&*format!("unknown grant `{key}`"), &*format!("did you mean `{meant}`?")];
        assert_bad(&format!("{HEAD}{key} = []"), "4:1", &words);
    }
    let words = &["unknown grant `root`", "not a grant", "grants: http, dirs, sockets"];
    assert_bad(&format!("{HEAD}root = true"), "4:1", words);
}

#[test]
fn folders_have_their_keys() {
    for (entry, column, words) in [
        (
            "{ guest = \"/d\" }",
            9,
            &["grants.dirs[0]` has no `path`", "a folder of this machine"][..],
        ),
        ("{ path = \"d\" }", 9, &["has no `guest`", "guest = \"/data\""]),
        ("{ path = 5, guest = \"/d\" }", 18, &["must be a string"]),
        ("{ path = \"\", guest = \"/d\" }", 18, &["is not a path"]),
        ("{ path = \"d\", guest = 5 }", 31, &["must be a string"]),
        (
            "{ path = \"d\", guest = \"\" }",
            31,
            &["is not a guest path: it is empty", "\"/data\""],
        ),
        ("{ path = \"d\", guest = \"a\\u0000b\" }", 31, &["it holds a NUL"]),
        ("{ path = \"d\", guest = \"..\" }", 31, &["it has a `..`"]),
        ("{ path = \"d\", guest = \"/data/../etc\" }", 31, &["it has a `..`"]),
        (
            "{ path = \"d\", guest = \"/d\", read_only = \"no\" }",
            49,
            &["must be true or false"],
        ),
        (
            "{ path = \"d\", guest = \"/d\", readonly = true }",
            37,
            &["did you mean `read_only`?"],
        ),
        (
            "{ path = \"d\", guest = \"/d\", writable = true }",
            37,
            &["unknown key `writable`", "known keys"],
        ),
    ] {
        assert_bad(&format!("{HEAD}dirs = [{entry}]"), &format!("4:{column}"), words);
    }
    // A name may have dots in it.
    assert_eq!(grants("dirs = [{ path = \"d\", guest = \"..d/...\" }]").dirs.len(), 1);
}

#[test]
fn no_two_folders_have_one_guest_path() {
    for (one, other) in [
        ("/data", "/data"),
        ("/data", "/data/"),
        ("/data", "//data"),
        ("/a/b", "/a/./b"),
        (".", "./"),
        ("d", "./d"),
    ] {
        let dirs = format!("dirs = [{{ path = \"a\", guest = \"{one}\" }},\n{{ path = \"b\", guest = \"{other}\" }}]");
        let words = &["grants.dirs[1]` has the guest path of another folder", "of its own"];
        assert_bad(&format!("{HEAD}{dirs}"), "5:1", words);
    }
    let both = grants(
        "dirs = [{ path = \"a\", guest = \"/d\" }, { path = \"a\", guest = \"d\" }, { path = \"a\", guest = \"/d/e\" }]",
    );
    assert_eq!(both.dirs.len(), 3);
}

#[test]
fn folders_are_there() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("x.wasm"), "").unwrap();
    fs::create_dir(folder.path().join("data")).unwrap();
    std::os::unix::fs::symlink("data", folder.path().join("link")).unwrap();
    std::os::unix::fs::symlink("nowhere", folder.path().join("broken")).unwrap();
    let dir = |path: &str| {
        load(
            folder.path(),
            &format!("dirs = [{{ path = \"{path}\", guest = \"/d\" }}]"),
        )
    };
    assert_eq!(dir("data").unwrap().dirs[0].path, folder.path().join("data"));
    assert_eq!(dir("link").unwrap().dirs.len(), 1);
    for (path, words) in [
        ("missing", "missing cannot be granted: No such file"),
        ("x.wasm", "x.wasm cannot be granted: it is a file"),
        ("broken", "broken cannot be granted: No such file"),
        ("/dev/null", "cannot be granted"),
    ] {
        let errors = dir(path).expect_err(path);
        assert_eq!(errors.count(), 1, "{errors}");
        assert!(errors.to_string().contains(words), "{path}: {errors}");
    }
    // Whoever only asks what a text says need not have them.
    assert_eq!(grants("dirs = [{ path = \"missing\", guest = \"/d\" }]").dirs.len(), 1);
}
