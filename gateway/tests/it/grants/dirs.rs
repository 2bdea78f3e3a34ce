//! Granted folders, and that there is no way out of them.

use super::{MODES, ask, granted, kind};
use crate::support::{Gateway, Response};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// `data` with a file, a folder and links, `other` beside it, and `secret` outside of both.
struct Folders(TempDir);

impl Folders {
    fn new() -> Self {
        let folders = Self(tempfile::tempdir().expect("a temporary folder"));
        for folder in ["data/sub", "other", "outside"] {
            fs::create_dir_all(folders.at(folder)).unwrap();
        }
        for (file, text) in [
            ("data/file", "inside"),
            ("data/sub/deep", "deeper"),
            ("other/file", "the other"),
            ("outside/secret", "hunter2"),
        ] {
            fs::write(folders.at(file), text).unwrap();
        }
        let link = |to: PathBuf, at: &str| symlink(to, folders.at(at)).unwrap();
        link(folders.at("outside/secret"), "data/absolute");
        link("../outside/secret".into(), "data/relative");
        link(folders.at("outside"), "data/folder");
        link("../outside".into(), "data/relative-folder");
        link("../../outside/secret".into(), "data/sub/up");
        link("sub/deep".into(), "data/within");
        folders
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    /// `{ path = .., guest = .., .. }` of this folder.
    fn grant(&self, path: &str, guest: &str, read_only: bool) -> String {
        let path = self.at(path);
        format!(
            "{{ path = '{}', guest = '{guest}', read_only = {read_only} }}",
            path.display()
        )
    }

    fn secret_is_safe(&self) {
        let text = fs::read_to_string(self.at("outside/secret")).unwrap();
        assert_eq!(text, "hunter2");
        assert_eq!(names(&self.at("outside")), ["secret"]);
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[track_caller]
fn get(gateway: &Gateway, target: &str) -> Response {
    gateway.get("dirs", target)
}

#[track_caller]
fn put(gateway: &Gateway, path: &str, text: &str) -> Response {
    let request = format!(
        "PUT /write?path={path} HTTP/1.1\r\nhost: {{host}}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
        text.len()
    );
    gateway.send("dirs", &request)
}

#[test]
fn a_writable_folder_is_read_and_written() {
    for mode in MODES {
        let folders = Folders::new();
        let gateway = granted(
            "dirs",
            mode,
            &format!("{{ dirs = [{}] }}", folders.grant("data", "/data", false)),
        );
        let listed = get(&gateway, "/list?dir=/data").is(200).text();
        assert_eq!(
            listed.lines().collect::<Vec<_>>(),
            [
                "absolute",
                "file",
                "folder",
                "relative",
                "relative-folder",
                "sub",
                "within"
            ]
        );
        assert_eq!(get(&gateway, "/read?path=/data/file").is(200).text(), "inside");
        assert_eq!(get(&gateway, "/read?path=/data/within").is(200).text(), "deeper");
        assert_eq!(get(&gateway, "/read?path=/data/sub/../file").is(200).text(), "inside");
        assert_eq!(
            get(&gateway, "/stat?path=/data/file").is(200).text(),
            r#"{"kind":"file","bytes":6}"#
        );
        put(&gateway, "/data/sub/new", "fresh words").is(200);
        assert_eq!(fs::read_to_string(folders.at("data/sub/new")).unwrap(), "fresh words");
        ask(&gateway, "dirs", "POST", "/rename?path=/data/sub/new&to=/data/moved").is(200);
        assert_eq!(get(&gateway, "/read?path=/data/moved").is(200).text(), "fresh words");
        ask(&gateway, "dirs", "DELETE", "/remove?path=/data/moved").is(200);
        assert!(!folders.at("data/moved").exists() && !folders.at("data/sub/new").exists());
        get(&gateway, "/read?path=/data/nothing").is(404);
        get(&gateway, "/read?path=/other/file").is(404);
    }
}

#[test]
fn a_folder_is_read_only_unless_granted_otherwise() {
    for mode in MODES {
        let folders = Folders::new();
        // The default, beside a writable one that must not lend it its right.
        let grants = format!(
            "{{ dirs = [{{ path = '{}', guest = '/data' }}, {}] }}",
            folders.at("data").display(),
            folders.grant("other", "/other", false)
        );
        let gateway = granted("dirs", mode, &grants);
        assert_eq!(get(&gateway, "/read?path=/data/file").is(200).text(), "inside");
        let before = names(&folders.at("data"));
        for refused in [
            put(&gateway, "/data/new", "x"),
            put(&gateway, "/data/file", "x"),
            put(&gateway, "/data/within", "x"),
            ask(&gateway, "dirs", "DELETE", "/remove?path=/data/file"),
            ask(&gateway, "dirs", "POST", "/rename?path=/data/file&to=/data/moved"),
            ask(&gateway, "dirs", "POST", "/rename?path=/data/file&to=/other/moved"),
            ask(&gateway, "dirs", "POST", "/rename?path=/other/file&to=/data/moved"),
            ask(&gateway, "dirs", "POST", "/symlink?path=link&to=file"),
        ] {
            refused.is(403);
            assert_eq!(kind(&refused), "PermissionDenied", "{mode}: {}", refused.text());
        }
        assert_eq!(names(&folders.at("data")), before);
        assert_eq!(fs::read_to_string(folders.at("data/file")).unwrap(), "inside");
        assert_eq!(fs::read_to_string(folders.at("data/sub/deep")).unwrap(), "deeper");
        // The other one is writable, and files move between neither.
        put(&gateway, "/other/new", "x").is(200);
        assert_eq!(names(&folders.at("other")), ["file", "new"]);
    }
}

#[test]
fn nothing_outside_a_folder_is_reached() {
    let folders = Folders::new();
    let grants = format!(
        "{{ dirs = [{}, {}] }}",
        folders.grant("data", "/data", false),
        folders.grant("other", "/other", false)
    );
    for mode in MODES {
        let gateway = granted("dirs", mode, &grants);
        let outside = folders.at("outside/secret").display().to_string();
        let long = format!("/data/{}", "n".repeat(300));
        let deep = format!("/data/{}secret", "../".repeat(100));
        let endless = format!("/data/{}file", "sub/../".repeat(900));
        for path in [
            "/data/../outside/secret",
            "/data/sub/../../outside/secret",
            "../outside/secret",
            "/etc/passwd",
            "//etc/passwd",
            "/data/absolute",
            "/data/relative",
            "/data/folder/secret",
            "/data/relative-folder/secret",
            "/data/sub/up",
            "/data/folder/../outside/secret",
            "/data/relative-folder/../outside/secret",
            "/data//../outside/secret",
            "/data/./.././outside/secret",
            "/data/file/../../outside/secret",
            &outside,
            &long,
            &deep,
            &endless,
        ] {
            for target in ["/escape", "/stat"] {
                let answer = get(&gateway, &format!("{target}?path={path}"));
                assert!(
                    [403, 404, 500].contains(&answer.status) && !answer.text().contains("hunter2"),
                    "{mode} {target} {path}: {} {}",
                    answer.status,
                    answer.text()
                );
            }
            assert_ne!(put(&gateway, path, "mine now").status, 200, "{mode}: write {path}");
        }
        assert_ne!(get(&gateway, "/list?dir=/data/folder").status, 200);
        assert_ne!(get(&gateway, "/list?dir=/data/..").status, 200);
        assert_ne!(get(&gateway, "/list?dir=/").status, 200);
        for target in [
            "/rename?path=/data/file&to=/data/../outside/file",
            "/rename?path=/data/file&to=/data/folder/file",
            "/rename?path=/data/folder/secret&to=/data/mine",
            "/rename?path=/data/../outside/secret&to=/data/mine",
        ] {
            assert_ne!(ask(&gateway, "dirs", "POST", target).status, 200, "{mode}: {target}");
        }
        // A guest may make links, but for absolute ones; where they lead outside they lead nowhere.
        let own = format!("own-{mode}");
        let made = ask(
            &gateway,
            "dirs",
            "POST",
            &format!("/symlink?path=absolute-{mode}&to={outside}"),
        );
        made.is(403);
        for to in ["../outside/secret", "sub/../../outside/secret"] {
            let made = ask(&gateway, "dirs", "POST", &format!("/symlink?path={own}&to={to}"));
            made.is(200);
            get(&gateway, &format!("/read?path=/data/{own}")).is(403);
            put(&gateway, &format!("/data/{own}"), "x").is(403);
            // Moving the link to another folder does not change that.
            let moved = ask(
                &gateway,
                "dirs",
                "POST",
                &format!("/rename?path=/data/{own}&to=/other/{own}"),
            );
            moved.is(200);
            // There is no `sub` there to begin with.
            let status = if to.starts_with("sub") { 404 } else { 403 };
            get(&gateway, &format!("/read?path=/other/{own}")).is(status);
            put(&gateway, &format!("/other/{own}"), "x").is(status);
            ask(&gateway, "dirs", "DELETE", &format!("/remove?path=/other/{own}")).is(200);
        }
        folders.secret_is_safe();
    }
}

#[test]
fn two_folders_are_two_and_one_missing_is_seen_by_nobody() {
    for mode in MODES {
        let folders = Folders::new();
        let grants = format!(
            "{{ dirs = [{}, {}] }}",
            folders.grant("data", "/data", true),
            folders.grant("other", ".", true)
        );
        let gateway = granted("dirs", mode, &grants);
        assert_eq!(get(&gateway, "/read?path=/data/file").is(200).text(), "inside");
        assert_eq!(get(&gateway, "/read?path=file").is(200).text(), "the other");
        fs::rename(folders.at("data"), folders.at("elsewhere")).unwrap();
        if mode == "reuse" {
            // An instance keeps the folders it began with, and which one answers is the pool's choice.
            continue;
        }
        for _ in 0..3 {
            get(&gateway, "/read?path=/data/file").is(404);
            assert_eq!(get(&gateway, "/read?path=file").is(200).text(), "the other");
        }
        let is_told = |line: &serde_json::Value| {
            let message = line["message"].as_str().unwrap_or_default();
            message.contains("cannot be opened any more") && line["component"] == "dirs"
        };
        gateway.wait_log("that the folder is gone", is_told);
        fs::rename(folders.at("elsewhere"), folders.at("data")).unwrap();
        assert_eq!(get(&gateway, "/read?path=/data/file").is(200).text(), "inside");
        gateway.wait_log("that the folder is back", |line| {
            line["message"] == "the granted folder is back"
        });
        assert_eq!(
            gateway.log().iter().filter(|line| is_told(line)).count(),
            1,
            "once, not each time"
        );
    }
}

#[test]
fn without_a_grant_there_is_no_folder() {
    for mode in MODES {
        let gateway = granted("dirs", mode, "{}");
        for target in ["/list?dir=/", "/list?dir=.", "/read?path=/etc/passwd", "/stat?path=/"] {
            assert_ne!(get(&gateway, target).status, 200, "{mode}: {target}");
        }
        assert_ne!(put(&gateway, "/tidegate-guest", "x").status, 200);
        assert!(!Path::new("/tidegate-guest").exists());
    }
}

#[test]
fn a_folder_that_may_not_be_granted_is_refused_at_load() {
    let folders = Folders::new();
    let refused = |grants: &str, reason: &str| {
        let builder = Gateway::with().component_with("dirs", |component| {
            component.set("grants", crate::support::config::inline(grants))
        });
        let ran = builder.run();
        // Long lines are wrapped where the report is drawn.
        let words = ran.exited(78).stderr.replace("\n  | ", " ");
        assert!(words.contains(reason), "{reason:?} is not in\n{}", ran.stderr);
    };
    refused(
        &format!("{{ dirs = [{}] }}", folders.grant("nowhere", "/data", true)),
        "nowhere",
    );
    let nested = format!(
        "{{ dirs = [{}, {}] }}",
        folders.grant("data", "/data", false),
        folders.grant("data/sub", "/sub", true)
    );
    refused(&nested, "which the component may write to");
    // The folder that holds the gateway's own data_dir.
    let builder = Gateway::with();
    let grant = format!(
        "{{ dirs = [{{ path = '{}', guest = '/' }}] }}",
        builder.folder().display()
    );
    let builder = builder.component_with("dirs", |component| {
        component.set("grants", crate::support::config::inline(&grant))
    });
    let ran = builder.run();
    let words = ran.exited(78).stderr.replace("\n  | ", " ");
    assert!(words.contains("data_dir"), "{}", ran.stderr);
}
