//! The command line: what each command prints, and the code it ends with.

use crate::support::certs::Authority;
use crate::support::command::{Running, run, tidegate};
use crate::support::{Gateway, Raw, guest, workspace};
use rustix::process::Signal;
use serde_json::json;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// A configuration file with this text, and its data_dir beside it.
fn file(folder: &Path, text: &str) -> PathBuf {
    let file = folder.join("edge.toml");
    fs::write(&file, text).expect("the configuration can be written");
    file
}

/// One listener, and one component from this file behind every path.
fn with_component(source: &Path) -> String {
    format!(
        "[[listener]]\nname = 'public'\naddress = '127.0.0.1:0'\n\n[component.one]\nsource = '{}'\n\n\
         [[route]]\ncomponent = 'one'\n",
        source.display()
    )
}

#[test]
fn serve_says_its_address_first_and_ends_well_on_sigint() {
    let hello = guest("env-and-config");
    let mut running = Running::spawn(tidegate().arg("serve").arg(&hello).args([
        "--addr",
        "127.0.0.1:0",
        "--env",
        "MODE=cli",
        "--config",
        "greeting=Hi",
    ]));
    let first = running.stderr.wait("a line on stderr", |line| Some(line.to_owned()));
    let (_, address) = first.split_once("http://").expect("the first line holds the address");
    let address = address.parse().expect("the line ends with the address");
    for (target, expected) in [("/env/MODE", "cli"), ("/config/greeting", "Hi")] {
        let mut raw = Raw::connect(address);
        raw.write(format!(
            "GET {target} HTTP/1.1\r\nhost: any\r\nconnection: close\r\n\r\n"
        ));
        assert_eq!(raw.response().is(200).text(), expected);
    }
    running.signal(Signal::INT);
    assert_eq!(running.wait().code(), Some(0));
    assert_eq!(running.stderr.all().first(), Some(&first));
    assert_eq!(running.stdout.all().len(), 2, "one access-log line a request");
}

/// A component as people deploy them elsewhere, with configuration and outgoing HTTP, needs no more than a grant.
#[test]
fn serve_grants_what_it_is_told_to_and_no_more() {
    let origin = Gateway::with()
        .route("{ path = '/there', respond = { status = 204 } }")
        .start();
    let component = guest("configured-fetch");
    let serve = |arguments: &[String]| {
        let running = Running::spawn(
            tidegate()
                .arg("serve")
                .arg(&component)
                .args(["--addr", "127.0.0.1:0"])
                .args(arguments),
        );
        let first = running.stderr.wait("a line on stderr", |line| Some(line.to_owned()));
        let (_, address) = first.split_once("http://").expect("the first line holds the address");
        (running, address.parse().expect("the line ends with the address"))
    };
    let ask = |address: SocketAddr, target: &str| {
        let mut raw = Raw::connect(address);
        raw.write(format!(
            "GET {target} HTTP/1.1\r\nhost: any\r\nconnection: close\r\n\r\n"
        ));
        raw.response()
    };
    let there = format!("http://{}/there", origin.address());
    let grant = format!("http=http://{}", origin.address());

    let (_running, address) = serve(&["--grant".to_owned(), grant.clone()]);
    let answer = ask(address, &format!("/?url={there}"));
    assert_eq!(answer.is(200).text(), r#"{"greeting":null,"status":204}"#);
    let answer = ask(address, "/?url=http://127.0.0.2/");
    assert_eq!(answer.is(502).text().trim(), "HTTP-request-denied");

    let configured = [
        "--grant",
        &grant,
        "--config",
        "greeting=Hi",
        "--config",
        &format!("url={there}"),
    ];
    let (_running, address) = serve(&configured.map(str::to_owned));
    assert_eq!(ask(address, "/").is(200).text(), r#"{"greeting":"Hi","status":204}"#);

    let (_running, address) = serve(&[]);
    let answer = ask(address, &format!("/?url={there}"));
    assert_eq!(answer.is(502).text().trim(), "HTTP-request-denied");
}

#[test]
fn serve_refuses_what_it_cannot_serve() {
    let serve = |file: &Path| {
        run([
            "serve".as_ref(),
            file.as_os_str(),
            "--addr".as_ref(),
            "127.0.0.1:0".as_ref(),
        ])
    };
    serve(&guest("not-http")).exited(78).complained("exports no handler");
    serve(Path::new("/nowhere.wasm"))
        .exited(66)
        .complained("there is no file /nowhere.wasm");
}

#[test]
fn every_error_of_a_bad_configuration_is_listed_before_a_port_opens() {
    let folder = folder();
    let text = "[gateway]\nworkerz = 3\n\n[[listener]]\nname = 'public'\naddress = '127.0.0.1:99999'\n\n\
                [component.hello]\nsource = 'nowhere.wasm'\n\n[[route]]\npath = 'x'\ncomponent = 'helo'\n";
    let file = file(folder.path(), text);
    for command in ["run", "check"] {
        let ran = run([command.as_ref(), file.as_os_str()]);
        ran.exited(78);
        for (line, error) in [
            (2, "unknown key `workerz`"),
            (2, "did you mean `workers`?"),
            (6, "is not an address"),
            (9, "nowhere.wasm cannot be read"),
            (12, "path"),
            (13, "there is no component `helo`"),
        ] {
            ran.complained(error).complained(&format!("edge.toml:{line}:"));
        }
        ran.complained("the configuration has 5 errors");
        assert!(!ran.stderr.contains("listening") && ran.stdout.is_empty(), "{ran:?}");
    }
    let ran = run(["check".as_ref(), file.as_os_str(), "--json".as_ref()]);
    let said = ran.exited(78).json();
    let lines = said["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["line"].as_u64().unwrap());
    assert_eq!(lines.collect::<Vec<_>>(), [2, 6, 9, 12, 13]);
    assert_eq!(said["ok"], false);
}

#[test]
fn what_is_no_component_of_ours_is_refused_at_load() {
    let folder = folder();
    let text = folder.path().join("text.wasm");
    fs::write(&text, "not wasm at all").unwrap();
    let broken = folder.path().join("broken.wasm");
    let hello = fs::read(guest("hello")).unwrap();
    fs::write(&broken, &hello[..hello.len() / 2]).unwrap();
    for (source, reason) in [
        (text, "not WebAssembly"),
        (broken, "component"),
        (guest("core-module"), "a core WebAssembly module, not a component"),
        (guest("not-http"), "exports no handler"),
        (guest("imports-unknown"), "example:nowhere/thing@1.0.0"),
    ] {
        let file = file(folder.path(), &with_component(&source));
        for command in ["run", "check"] {
            let ran = run([command.as_ref(), file.as_os_str()]);
            // Long lines are wrapped where the report is drawn.
            let words = ran.exited(78).stderr.replace("\n  | ", " ");
            assert!(
                words.contains(reason) && words.contains("edge.toml:6:"),
                "{reason:?} is not in\n{}",
                ran.stderr
            );
            assert!(!ran.stderr.contains("listening"), "{ran:?}");
        }
    }
}

#[test]
fn a_component_that_needs_more_memory_than_its_limit_is_refused_at_load() {
    let folder = folder();
    let limits = "\n[component.one.limits]\nmemory = '64KiB'\n";
    let file = file(folder.path(), &(with_component(&guest("hello")) + limits));
    run(["check".as_ref(), file.as_os_str()])
        .exited(78)
        .complained("limits.memory");
}

#[test]
fn explain_says_which_route_wins_and_why() {
    let folder = folder();
    let routes =
        "\n[[route]]\nname = 'exact'\nhost = 'a.example'\npath = '/x'\nmethods = ['POST']\ncomponent = 'one'\n";
    let file = file(folder.path(), &(with_component(&guest("hello")) + routes));
    let explain = |more: &[&str]| {
        let args = ["explain", "-c", file.to_str().unwrap()]
            .into_iter()
            .chain(more.iter().copied());
        run(args.collect::<Vec<_>>())
    };
    let ran = explain(&["POST", "http://a.example/x"]);
    assert!(ran.exited(0).stdout.contains("-> route `exact`"), "{}", ran.stdout);
    let ran = explain(&["GET", "http://a.example/x"]);
    let text = &ran.exited(0).stdout;
    assert!(
        text.contains("-> route `route-1`") && text.contains("exact") && text.contains("method"),
        "{text}"
    );
    let said = explain(&["GET", "http://a.example/x", "--json"]).exited(0).json();
    assert_eq!(
        (&said["decision"]["name"], &said["considered"][0]["name"]),
        (&json!("route-1"), &json!("exact"))
    );
    assert_ne!(said["considered"][0]["verdict"]["kind"], "wins");
    explain(&["GET", "http://a.example/a%2Fb"]).exited(65).complained("400");
    explain(&["GET", "/x"]).exited(64).complained("whole URL");
}

#[test]
fn schema_is_the_one_in_the_repository() {
    let ran = run(["schema"]);
    let kept = fs::read_to_string(workspace().join("config/schema.json")).unwrap();
    assert!(
        ran.exited(0).stdout == kept,
        "run `tidegate schema > config/schema.json`"
    );
}

#[test]
fn compile_fills_the_cache_that_run_uses() {
    let folder = folder();
    let text = format!(
        "[gateway]\ndata_dir = 'var'\n\n[admin]\naddress = '127.0.0.1:0'\n\n{}",
        with_component(&guest("hello-min"))
    );
    let file = file(folder.path(), &text);
    let ran = run(["compile".as_ref(), file.as_os_str()]);
    assert!(ran.exited(0).stdout.contains("1 component(s) in "), "{ran:?}");
    ran.complained("compiled");
    let cache = folder.path().join("var/compiled");
    assert_eq!(fs::read_dir(&cache).unwrap().count(), 1);
    assert_eq!(fs::metadata(&cache).unwrap().permissions().mode() & 0o777, 0o700);
    // Again, and nothing is left to compile.
    assert!(
        !run(["compile".as_ref(), file.as_os_str()])
            .exited(0)
            .stderr
            .contains("compiled")
    );
    let running = Running::spawn(tidegate().arg("run").arg(&file));
    running.stderr.wait("the end of its start", |line| {
        line.starts_with("admin on ").then_some(())
    });
    let lines = running.stderr.all();
    assert!(!lines.iter().any(|line| line.contains("compiled")), "{lines:?}");
}

#[test]
fn a_damaged_compiled_component_is_compiled_again() {
    let folder = folder();
    let file = file(
        folder.path(),
        &format!("[gateway]\ndata_dir = 'var'\n\n{}", with_component(&guest("hello-min"))),
    );
    run(["compile".as_ref(), file.as_os_str()]).exited(0);
    let compiled = fs::read_dir(folder.path().join("var/compiled"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    fs::write(&compiled, b"\x7fELF and nothing more").unwrap();
    run(["check".as_ref(), file.as_os_str()]).exited(0);
    assert!(
        fs::metadata(&compiled).unwrap().len() > 1000,
        "it is still the damaged one"
    );
}

/// The repository's configurations, in a folder where running them leaves nothing behind in the repository.
fn copied_config() -> TempDir {
    let folder = folder();
    let at = |path: &str| folder.path().join(path);
    fs::create_dir_all(at("config/demo")).unwrap();
    fs::create_dir_all(at("target/demo")).unwrap();
    guest("hello");
    symlink(workspace().join("target/guests"), at("target/guests")).unwrap();
    for file in ["config/gateway.toml", "config/demo/gateway.toml"] {
        fs::copy(workspace().join(file), at(file)).unwrap();
    }
    let pair = Authority::new().sign(&["localhost"]);
    fs::write(at("target/demo/cert.pem"), pair.cert).unwrap();
    fs::write(at("target/demo/key.pem"), pair.key).unwrap();
    folder
}

#[test]
fn the_configurations_of_the_repository_are_good() {
    let folder = copied_config();
    let check = |path: &str| {
        run([
            "check".as_ref(),
            folder.path().join(path).as_os_str(),
            "--json".as_ref(),
        ])
    };
    let said = check("config/gateway.toml").exited(0).json();
    assert_eq!((&said["ok"], &said["components"]), (&json!(true), &json!(1)), "{said}");
    let said = check("config/demo").exited(0).json();
    assert_eq!((&said["ok"], &said["listeners"]), (&json!(true), &json!(2)), "{said}");
}

#[test]
fn wrong_usage_is_64_and_help_is_0() {
    run(["run", "--nope"]).exited(64).complained("--nope");
    run(["frobnicate"]).exited(64);
    run::<&str>([]).exited(64).complained("Usage");
    for command in ["serve", "run", "check", "explain", "schema", "inspect", "compile"] {
        let ran = run([command, "--help"]);
        assert!(
            ran.exited(0).stdout.contains("Example"),
            "{command} --help has no example"
        );
    }
    assert!(run(["--version"]).exited(0).stdout.starts_with("tidegate "));
}

#[test]
fn a_data_dir_has_one_gateway_and_a_known_format() {
    let gateway = Gateway::with().component("hello-min").start();
    let file = gateway.folder().join("gateway.toml");
    run(["run".as_ref(), file.as_os_str()])
        .exited(69)
        .complained("in use by another Tidegate");
    gateway.get("hello-min", "/").is(200);
    // Looking at it is no use of it.
    run(["check".as_ref(), file.as_os_str()]).exited(0);

    let folder = folder();
    let text = format!("[gateway]\ndata_dir = 'var'\n\n{}", with_component(&guest("hello-min")));
    let file = self::file(folder.path(), &text);
    fs::create_dir(folder.path().join("var")).unwrap();
    fs::write(folder.path().join("var/FORMAT"), "99\n").unwrap();
    run(["run".as_ref(), file.as_os_str()])
        .exited(69)
        .complained("format 99");
}

#[test]
fn a_port_in_use_is_refused_with_the_reason() {
    let gateway = Gateway::with().component("hello-min").start();
    let folder = folder();
    let text = with_component(&guest("hello-min")).replace("127.0.0.1:0", &gateway.address().to_string());
    let file = file(folder.path(), &format!("[gateway]\ndata_dir = 'var'\n\n{text}"));
    let ran = run(["run".as_ref(), file.as_os_str()]);
    ran.exited(69)
        .complained("another process listens there")
        .complained(&gateway.address().to_string());
    let text = format!("[admin]\naddress = '{}'\n\n{text}", gateway.admin_address())
        .replace(&gateway.address().to_string(), "127.0.0.1:0");
    let file = self::file(folder.path(), &format!("[gateway]\ndata_dir = 'var'\n\n{text}"));
    run(["run".as_ref(), file.as_os_str()])
        .exited(69)
        .complained(&gateway.admin_address().to_string());
}
