//! The harness from its command line to its JSON, with stand-ins for the two heavy peers: scripts that understand the
//! same arguments and answer through `tidegate-bench native`, or through nginx where a proxy is asked for. What is measured is nobody's performance; what is tested
//! is that processes are started, asked, judged, compared and ended.
#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests stop at the first surprise, as the tests do"
)]

use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const BENCH: &str = env!("CARGO_BIN_EXE_tidegate-bench");

/// A folder with both stand-ins and the guests' files, and the cores of this machine.
struct Stage {
    dir: tempfile::TempDir,
    cores: Vec<String>,
}

impl Stage {
    fn new(tidegate_says: &str, wasmtime_says: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // `tidegate run CONFIG`: the listener's address is the one whose port is not 0.
        let address = r#"$(sed -n 's/^address = "\(127\.0\.0\.1:[1-9][0-9]*\)"$/\1/p' "$2")"#;
        script(
            &dir.path().join("tidegate"),
            &format!("exec {BENCH} native --address {address} --body '{tidegate_says}'"),
        );
        // `wasmtime --version`, `wasmtime serve --addr ADDRESS ... COMPONENT`.
        let version = r#"[ "$1" = --version ] && { echo wasmtime 48.0.8; exit; }"#;
        let serve = format!(r#"exec {BENCH} native --address "$3" --body '{wasmtime_says}'"#);
        script(&dir.path().join("wasmtime"), &format!("{version}\n{serve}"));
        for guest in ["hello", "hello-min"] {
            fs::write(dir.path().join(format!("{guest}.wasm")), b"").unwrap();
        }
        // As in Linux: the cores this process may use, `0-1` or `0,2-3`.
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let list = status
            .lines()
            .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
            .unwrap()
            .trim();
        let cores = list.split(',').flat_map(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            first.parse::<usize>().unwrap()..=last.parse().unwrap()
        });
        let cores = cores.map(|core| core.to_string()).collect();
        Self { dir, cores }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Beside the real nginx, with nginx in Tidegate's place: it does the work and writes its lines where Tidegate would.
    fn beside_nginx(access_log: &str) -> Self {
        let stage = Self::new("", "");
        let listener = r#"s/^address = "\(127\.0\.0\.1:[1-9][0-9]*\)"$/\1/p"#;
        let server = r#"s/^servers = \["\(.*\)"\]$/\1/p"#;
        let headers = ["For", "Host", "Proto"].map(|name| format!("proxy_set_header X-Forwarded-{name} x;"));
        let headers = headers.concat();
        script(
            &stage.path("tidegate"),
            &format!(
                r#"PATH="$PATH:/usr/sbin"
dir="$(dirname "$2")/stand-in"
mkdir -p "$dir"
listener="$(sed -n '{listener}' "$2")"
server="$(sed -n '{server}' "$2")"
answer='return 200 "ok\n";'
if [ "$server" ]; then
    upstream="upstream origin {{ server $server; keepalive 64; keepalive_requests 1000000000; }}"
    answer='proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection ""; {headers}'
fi
cat > "$dir/nginx.conf" <<END
daemon off; master_process off; pid nginx.pid;
events {{ }}
http {{
    access_log {access_log}; keepalive_requests 1000000000;
    client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
    $upstream
    server {{ listen $listener; location / {{ $answer }} }}
}}
END
exec nginx -p "$dir/" -c nginx.conf -e stderr"#
            ),
        );
        stage
    }

    fn compare(&self, more: &[&str]) -> Output {
        let core = |index: usize| self.cores.get(index).map_or("0", String::as_str);
        Command::new(BENCH)
            .args(["compare", "--rounds", "2", "--seconds", "0.2", "--warm-up", "0.1"])
            .args(["--connections", "4", "--server-cpu", core(0), "--loader-cpu", core(1)])
            .arg("--tidegate")
            .arg(self.path("tidegate"))
            .arg("--wasmtime")
            .arg(self.path("wasmtime"))
            .arg("--guests")
            .arg(self.dir.path())
            .args(more)
            .output()
            .unwrap()
    }
}

fn script(path: &Path, body: &str) {
    fs::write(path, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn three_peers_are_measured_and_compared() {
    let stage = Stage::new("Hello there", "Hello there");
    let output = stage.compare(&["fresh-default", "--json"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    if stage.cores.len() < 2 {
        assert!(stderr.contains("a core each"), "{stderr}");
        return;
    }
    assert!(output.status.success(), "{stderr}");
    let results: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(results["wasmtime"], "wasmtime 48.0.8");
    let outcomes = results["outcomes"].as_array().unwrap();
    let guests: Vec<_> = outcomes
        .iter()
        .map(|outcome| outcome["guest"].as_str().unwrap())
        .collect();
    assert_eq!(guests, ["hello", "hello-min"]);
    for outcome in outcomes {
        assert_eq!(outcome["baseline"], "wasmtime serve");
        let rows = outcome["rows"].as_array().unwrap();
        let peers: Vec<_> = rows.iter().map(|row| row["peer"].as_str().unwrap()).collect();
        assert_eq!(peers, ["tidegate", "wasmtime serve", "native hyper"]);
        for row in rows {
            let median = |figure: &str| row[figure]["median"].as_f64().unwrap();
            assert_eq!(row["samples"].as_array().unwrap().len(), 2);
            // The three are one program here: if CPU time were another process' or nobody's, this could not hold.
            assert!(median("cpu_us_per_request") > 1.0, "{row}");
            assert!((0.1..10.0).contains(&median("cpu_ratio")), "{row}");
            assert!(median("requests_per_second") > 100.0, "{row}");
            assert!(median("server_busy") <= 1.1, "one core: {row}");
        }
        assert_eq!(rows[1]["cpu_ratio"]["median"], 1.0);
        assert_eq!(outcome["verdicts"][0]["reach"]["at-most"], 0.75);
    }
}

#[test]
fn peers_that_answer_differently_are_not_compared() {
    let stage = Stage::new("Hello there", "Hello where");
    let output = stage.compare(&["fresh-default"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    let expected = if stage.cores.len() < 2 {
        "a core each"
    } else {
        "the peers answer differently; wasmtime serve: 200 \"Hello where\""
    };
    assert!(stderr.contains(expected), "{stderr}");
}

#[test]
fn another_release_of_wasmtime_is_refused() {
    let stage = Stage::new("Hello there", "Hello there");
    script(&stage.path("wasmtime"), "echo wasmtime 47.0.0");
    let output = stage.compare(&["fresh-default"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    let expected = if stage.cores.len() < 2 {
        "a core each"
    } else {
        "wasmtime 47.0.0"
    };
    assert!(stderr.contains(expected), "{stderr}");
}

#[test]
fn the_same_server_beside_itself_is_neither_better_nor_worse() {
    let stage = Stage::beside_nginx("/dev/stdout");
    let output = stage.compare(&["local", "proxy-h1", "proxy-p99", "--json"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    if stage.cores.len() < 2 {
        assert!(stderr.contains("a core each"), "{stderr}");
        return;
    }
    assert!(output.status.success(), "{stderr}");
    let results: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(results["nginx"].as_str().unwrap().starts_with("nginx/"), "{results}");
    let outcomes = results["outcomes"].as_array().unwrap();
    let most: Vec<_> = outcomes
        .iter()
        .map(|outcome| outcome["verdicts"][0]["reach"]["at-most"].as_f64().unwrap())
        .collect();
    assert_eq!(most, [1.2, 1.25, 1.5]);
    for outcome in outcomes {
        assert_eq!(outcome["baseline"], "nginx");
        let rows = outcome["rows"].as_array().unwrap();
        assert_eq!(
            (&rows[0]["peer"], &rows[1]["peer"]),
            (&"tidegate".into(), &"nginx".into())
        );
        assert_eq!(rows[0]["samples"].as_array().unwrap().len(), 2);
        let ratio = rows[0]["cpu_ratio"]["median"].as_f64().unwrap();
        assert!((0.2..5.0).contains(&ratio), "{outcome}");
    }
    let paced = &outcomes[2]["paced"];
    assert_eq!(paced["share"], 0.6);
    let median = |of: &Value| of["median"].as_f64().unwrap();
    let rate = median(&outcomes[2]["rows"][0]["requests_per_second"]);
    assert!(rate < median(&paced["closed_rps"][1]), "{}", outcomes[2]);
}

#[test]
fn a_server_that_leaves_its_log_out_is_not_compared() {
    let stage = Stage::beside_nginx("off");
    let output = stage.compare(&["local"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    let expected = if stage.cores.len() < 2 {
        "a core each"
    } else {
        "tidegate: 0 lines in the access log"
    };
    assert!(stderr.contains(expected), "{stderr}");
}

#[test]
fn a_missing_nginx_is_named_with_its_package() {
    let stage = Stage::new("", "");
    let output = stage.compare(&["local", "--nginx", "/no/nginx"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    let expected = if stage.cores.len() < 2 {
        "a core each"
    } else {
        "/no/nginx is missing: install nginx (Debian and Ubuntu: apt-get install nginx-light)"
    };
    assert!(stderr.contains(expected), "{stderr}");
}
