//! `tidegate inspect`, and what is refused at load for what its imports are called.

use crate::support::command::{Ran, run};
use crate::support::{Gateway, guest};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn inspect(file: &Path, more: &[&str]) -> Ran {
    let args = ["inspect", file.to_str().unwrap()]
        .into_iter()
        .chain(more.iter().copied());
    run(args.collect::<Vec<_>>())
}

#[track_caller]
fn inspected(name: &str, more: &[&str]) -> Value {
    let more: Vec<_> = more.iter().copied().chain(["--json"]).collect();
    inspect(&guest(name), &more).exited(0).json()
}

/// The import whose name begins so.
#[track_caller]
fn import<'s>(said: &'s Value, name: &str) -> &'s Value {
    let imports = said["imports"].as_array().unwrap();
    let import = imports
        .iter()
        .find(|import| import["name"].as_str().unwrap().starts_with(name));
    import.unwrap_or_else(|| panic!("{name} is not in {said}"))
}

#[track_caller]
fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

#[test]
fn it_prints_what_a_component_is() {
    let ran = inspect(&guest("hello"), &[]);
    let text = &ran.exited(0).stdout;
    says(
        text,
        &[
            "sha256:",
            "dialect    p2",
            "handler    wasi:http/incoming-handler@0.2",
            "isolation  fresh, reuse\n",
            "memory     1, starting with 1114112 bytes of 67108864\n",
            "\nimports, served\n",
            "\n  wasi:io/poll@0.2",
            "\nexports\n  wasi:http/incoming-handler@0.2",
        ],
    );
    assert!(
        !text.contains("cannot be served") && !text.contains("not called"),
        "{text}"
    );
    let said = inspected("hello-p3", &[]);
    assert_eq!(said["handler"], "wasi:http/handler@0.3");
    assert_eq!(said["isolation"], json!(["fresh", "reuse", "concurrent"]));
    assert_eq!((&said["can_be_served"], &said["problems"]), (&json!(true), &json!([])));
    assert!(said["memories"].as_u64().unwrap() >= 1 && said["tables"].as_u64().unwrap() >= 1);
    let called = said["exports_called"].as_array().unwrap();
    assert!(
        called.len() == 1 && called[0].as_str().unwrap().starts_with("wasi:http/handler@0.3"),
        "{said}"
    );
    inspect(&guest("core-module"), &[])
        .exited(65)
        .complained("not a component");
    run(["inspect", "/nowhere.wasm"]).exited(66).complained("/nowhere.wasm");
    run(["inspect"]).exited(64);
}

#[test]
fn it_says_what_is_denied_and_the_line_that_grants_it() {
    let said = inspected("fs-and-sockets", &[]);
    let denied = import(&said, "wasi:sockets/tcp@");
    assert_eq!(
        (&denied["access"], &denied["grant"]),
        (&json!("denied"), &json!("sockets"))
    );
    assert_eq!(denied["line"], r#"grants = { sockets = ["HOST:PORT"] }"#);
    assert_eq!(import(&said, "wasi:filesystem/preopens@")["access"], "denied");
    assert_eq!(import(&said, "wasi:clocks/")["access"], "served");
    let ran = inspect(&guest("outbound-proxy"), &[]);
    let text = &ran.exited(0).stdout;
    says(
        text,
        &[
            "\nimports, denied when called without a grant for `http`\n  wasi:http/outgoing-handler@0.2",
            "\n    to grant it: grants = { http = [\"https://HOST\"] }\n",
            "\n    on the command line: --grant http=https://HOST\n",
        ],
    );
    // Types alone need no grant.
    let served = text.split("\nimports, denied").next().unwrap();
    says(served, &["wasi:http/types@0.2"]);
}

#[test]
fn it_says_what_is_granted_by_flags_and_by_a_configuration() {
    let folder = TempDir::new().unwrap();
    let dir = format!("{}::/data", folder.path().display());
    let flags = ["--grant", "sockets=127.0.0.1:6379", "--dir", &dir];
    let said = inspected("fs-and-sockets", &flags);
    let granted = import(&said, "wasi:sockets/tcp@");
    assert_eq!(
        (&granted["access"], &granted["reaches"]),
        (&json!("granted"), &json!(["127.0.0.1:6379"]))
    );
    let reached = import(&said, "wasi:filesystem/types@")["reaches"][0].as_str().unwrap();
    says(reached, &[folder.path().to_str().unwrap(), "/data", "writable"]);
    let ran = inspect(&guest("fs-and-sockets"), &flags);
    says(
        &ran.exited(0).stdout,
        &[
            "\nimports, granted by `sockets`\n",
            "\n    -> 127.0.0.1:6379\n",
            "\nimports, granted by `dirs`\n",
        ],
    );
    inspect(&guest("hello"), &["--grant", "sockets=nowhere"])
        .exited(78)
        .complained("port");

    let file = folder.path().join("edge.toml");
    let text = format!(
        "[gateway]\ndata_dir = 'var'\n\n[[listener]]\nname = 'public'\naddress = '127.0.0.1:0'\n\n[component.out]\n\
         source = '{}'\ngrants = {{ http = ['https://api.example.com', '*.internal:8443'] }}\n\n[[route]]\n\
         component = 'out'\n",
        guest("outbound-proxy").display()
    );
    fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let ran = run(["inspect", "--config", file, "--component", "out", "--json"]);
    let said = ran.exited(0).json();
    let granted = import(&said, "wasi:http/outgoing-handler@");
    assert_eq!(
        granted["reaches"],
        json!(["https://api.example.com", "*.internal:8443"]),
        "{said}"
    );
    run(["inspect", "--config", file, "--component", "in"])
        .exited(78)
        .complained("no component `in`; it has out");
    run(["inspect", "--config", file]).exited(64);
    run(["inspect", "--config", file, "--component", "out", "--grant", "http=*"]).exited(64);
}

#[test]
fn it_says_what_keeps_a_component_from_being_served() {
    let said = inspected("imports-unknown", &[]);
    let unserved = import(&said, "example:nowhere/thing");
    assert_eq!(unserved["access"], "not served");
    says(unserved["help"].as_str().unwrap(), &["wac plug"]);
    assert_eq!(said["can_be_served"], false);
    let ran = inspect(&guest("imports-unknown"), &[]);
    says(
        &ran.exited(0).stdout,
        &[
            "\nimports, not served\n  example:nowhere/thing@1.0.0\n",
            "\ncannot be served\n  the component imports example:",
        ],
    );
    let said = inspected("not-http", &[]);
    assert_eq!((&said["handler"], &said["isolation"]), (&Value::Null, &json!([])));
    says(said["problems"][0].as_str().unwrap(), &["exports no handler"]);
    assert_eq!(said["exports_called"], json!([]));
}

#[test]
fn labels_are_named_with_their_interfaces_and_refused() {
    let ran = inspect(&guest("imports-labelled"), &[]);
    says(
        &ran.exited(0).stdout,
        &[
            "\nimports under labels, not bound\n  first (wasi:config/store@0.2.0-rc.1)\n  second (wasi:config/",
            "import the interface by its own name",
            "\ncannot be served\n",
        ],
    );
    let said = inspected("imports-labelled", &[]);
    assert_eq!(said["labels"][1]["name"], "second");
    assert_eq!(said["labels"][1]["interface"], "wasi:config/store@0.2.0-rc.1");
    assert_eq!(said["handler"], "wasi:http/incoming-handler@0.2");
    assert_eq!(said["memories"], Value::Null);
    let ran = Gateway::with().component("imports-labelled").run();
    let words = ran.exited(78).stderr.replace("\n  | ", " ");
    for part in [
        "first (wasi:config/store@0.2.0-rc.1)",
        "second (wasi:config/store@0.2.0-rc.1)",
        "binds no labels",
    ] {
        assert!(words.contains(part), "{part:?} is not in\n{}", ran.stderr);
    }
}

/// A copy of a guest with another version in every name of one of these packages. Lengths stand before names, so both
/// versions have the same.
#[track_caller]
fn rewritten(folder: &TempDir, guest_name: &str, package: &str, from: &str, to: &str) -> PathBuf {
    assert_eq!(from.len(), to.len());
    let mut bytes = fs::read(guest(guest_name)).unwrap();
    let mut is_changed = false;
    for at in 0..bytes.len() {
        let rest = &bytes[at..];
        let name = &rest[..rest.len().min(100)];
        let Some(version) = name
            .starts_with(package.as_bytes())
            .then(|| name.iter().position(|b| *b == b'@'))
        else {
            continue;
        };
        let Some(version) = version.map(|before| at + before + 1) else {
            continue;
        };
        if bytes[version..].starts_with(from.as_bytes()) {
            bytes[version..version + to.len()].copy_from_slice(to.as_bytes());
            is_changed = true;
        }
    }
    assert!(is_changed, "{guest_name} has no {package} {from}");
    let file = folder.path().join(format!("{guest_name}-{to}.wasm"));
    fs::write(&file, bytes).unwrap();
    file
}

#[test]
fn every_release_of_a_series_is_served() {
    let folder = TempDir::new().unwrap();
    // What the linker has may be newer and older than what the component was built for.
    for version in ["0.2.10", "0.2.11", "0.2.99"] {
        let file = rewritten(&folder, "hello-min", "wasi:", "0.2.12", version);
        let gateway = Gateway::with()
            .component_with("hello-min", |guest| guest.set("source", file.to_str().unwrap()))
            .start();
        assert_eq!(
            gateway.get("hello-min", "/").is(200).text(),
            "Hello, world!\n",
            "{version}"
        );
    }
    for version in ["0.2.0", "0.2.3", "0.2.9"] {
        let file = rewritten(&folder, "built-for-0-2-0", "wasi:http/", "0.2.0", version);
        let gateway = Gateway::with()
            .component_with("built-for-0-2-0", |guest| guest.set("source", file.to_str().unwrap()))
            .start();
        gateway.get("built-for-0-2-0", "/").is_fault(502, "trap");
    }
    // One component may mix them.
    for version in ["0.2.0", "0.2.9"] {
        let file = rewritten(&folder, "hello-p3", "wasi:io/", "0.2.6", version);
        let said = inspect(&file, &["--json"]).exited(0).json();
        assert_eq!(said["can_be_served"], true, "{said}");
    }
    let file = rewritten(&folder, "hello-p3", "wasi:http/", "0.3.0", "0.3.1");
    let gateway = Gateway::with()
        .component_with("hello-p3", |guest| guest.set("source", file.to_str().unwrap()))
        .start();
    gateway.get("hello-p3", "/").is(200);
}

#[test]
fn what_is_of_no_served_series_is_refused() {
    let folder = TempDir::new().unwrap();
    let refused = |file: &Path, reason: &str| {
        let builder = Gateway::with().component_with("hello", |guest| guest.set("source", file.to_str().unwrap()));
        let ran = builder.run();
        let words = ran.exited(78).stderr.replace("\n  | ", " ");
        assert!(words.contains(reason), "{reason:?} is not in\n{}", ran.stderr);
    };
    refused(
        &guest("pre-release"),
        "a pre-release of WASI, wasi:http/handler@0.3.0-rc-2026-02-09",
    );
    let said = inspected("pre-release", &[]);
    says(said["problems"][0].as_str().unwrap(), &["a pre-release of WASI"]);
    // A pre-release that is served is so under its own name only.
    let file = rewritten(&folder, "env-and-config", "wasi:config/", "0.2.0-rc.1", "0.2.0-rc.2");
    refused(&file, "wasi:config/store@0.2.0-rc.2");
    let file = rewritten(&folder, "hello-min", "wasi:http/", "0.2.12", "0.4.12");
    refused(&file, "wasi:http/incoming-handler@0.4.12");
}
