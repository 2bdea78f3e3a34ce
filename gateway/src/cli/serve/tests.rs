use super::*;
use crate::config::{ConfigErrors, Isolation, ReportStyle};
use clap::{Args as _, FromArgMatches as _};
use std::path::Path;

fn parse(args: &[&str]) -> Result<Serve, clap::Error> {
    let command = Serve::augment_args(clap::Command::new("serve"));
    let args = ["serve", "hello.wasm"].iter().chain(args);
    Serve::from_arg_matches(&command.try_get_matches_from(args)?)
}

/// The configuration that arguments stand for, with its files looked at.
fn config(args: &[&str], folder: &Path) -> Result<Config, ConfigErrors> {
    std::fs::write(folder.join("hello.wasm"), "").unwrap();
    let document = parse(args).unwrap().document("hello.wasm", "/tmp/data");
    let source = Source::json("command line", folder, document.to_string());
    Config::from_sources(vec![source], Options::default())
}

#[track_caller]
fn refused(args: &[&str]) -> String {
    parse(args).expect_err("refused").to_string()
}

#[test]
fn nothing_is_granted_by_default() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(&[], folder.path()).unwrap();
    let component = &config.components["main"];
    assert_eq!(component.grants, crate::config::Grants::default());
    assert_eq!(component.isolation, Isolation::Fresh);
    assert_eq!(component.source, folder.path().join("hello.wasm"));
    assert_eq!(config.routes.len(), 1);
}

#[test]
fn flags_are_grants() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("data")).unwrap();
    let config = config(
        &[
            "--grant",
            "http=https://api.example.com",
            "--grant",
            "sockets=db.internal:5432",
            "--grant=http=*.example.org:8443",
            "--dir",
            "data::/data",
            "--dir",
            "data",
            "--isolation",
            "reuse",
        ],
        folder.path(),
    );
    let config = config.unwrap();
    let component = &config.components["main"];
    let shown = |grants: &[crate::config::HttpGrant]| grants.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        shown(&component.grants.http),
        ["https://api.example.com", "*.example.org:8443"]
    );
    assert_eq!(component.grants.sockets[0].to_string(), "db.internal:5432");
    let dirs: Vec<_> = component.grants.dirs.iter().collect();
    assert!(
        dirs.iter()
            .all(|dir| dir.path == folder.path().join("data") && !dir.read_only)
    );
    assert_eq!((dirs[0].guest.as_str(), dirs[1].guest.as_str()), ("/data", "data"));
    assert_eq!(component.isolation, Isolation::Reuse);
}

#[test]
fn wrong_grants_have_their_reason() {
    let folder = tempfile::tempdir().unwrap();
    for (args, words) in [
        (
            ["--grant", "http=https://api.example.com/v1"],
            &["it has a path", "not a page: write https://api.example.com"][..],
        ),
        (["--grant", "http="], &["it names no host"]),
        (["--grant", "sockets=db"], &["it has no port"]),
        (["--grant", "htpp=*"], &["unknown grant `htpp`, did you mean `http`?"]),
        (
            ["--grant", "root=1"],
            &["unknown grant `root`", "grants: http, dirs, sockets"],
        ),
        (
            ["--grant", "keyvalue=default"],
            &["`keyvalue` is not served by this version"],
        ),
        (["--dir", "missing::/x"], &["missing cannot be granted: No such file"]),
        (["--dir", "hello.wasm"], &["hello.wasm cannot be granted: it is a file"]),
    ] {
        let errors = config(&args, folder.path()).expect_err(args[1]);
        let report = errors.render(ReportStyle::Plain).replace("\n  | ", " ");
        for words in words {
            assert!(report.contains(words), "{args:?}: {words:?} is not in\n{report}");
        }
    }
}

#[test]
fn flags_have_their_form() {
    for (args, words) in [
        (
            ["--grant", "http"],
            "write KIND=VALUE, such as http=https://api.example.com",
        ),
        (["--grant", "=x"], "write KIND=VALUE"),
        (["--grant", "dirs=/data"], "folders are granted by --dir PATH::GUEST"),
        (["--grant", "dir=/data"], "folders are granted by --dir PATH::GUEST"),
        (["--grant", "dirs"], "folders are granted by --dir PATH::GUEST"),
        (["--dir", ""], "write PATH or PATH::GUEST"),
        (["--dir", "::/data"], "write PATH or PATH::GUEST"),
        (["--dir", "data::"], "write PATH or PATH::GUEST"),
        (["--dir", "../data"], "write ../data::/ and a name"),
        (["--dir", "data::/a/../b"], "has no `..`"),
        (["--isolation", "shared"], "possible values: fresh, reuse, concurrent"),
        (["--isolation", ""], "possible values: fresh, reuse, concurrent"),
        (["--env", "MODE"], "write NAME=VALUE"),
        (["--addr", "localhost"], "invalid socket address"),
    ] {
        let error = refused(&args);
        assert!(error.contains(words), "{args:?}: {words:?} is not in\n{error}");
    }
}

#[test]
fn a_path_that_is_no_text_is_refused() {
    use std::os::unix::ffi::OsStrExt as _;
    let path = Path::new(std::ffi::OsStr::from_bytes(b"\xff.wasm"));
    let failed = text_of(path).expect_err("refused");
    assert_eq!(failed.exit, Exit::Usage);
    assert!(failed.message.contains("is not UTF-8"), "{}", failed.message);
}
