//! A gateway under test: configured in a few words, started as a process, asked and watched from outside.

use super::command::{Ran, Running, run, tidegate};
use super::config::{Component, entry, inline, least, list};
use super::raw::{Raw, Response};
use super::turn::{self, Alone, Beside};
use super::{guest, wait};
use rustix::process::Signal;
use serde_json::Value as Json;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::OnceLock;
use tempfile::TempDir;
use toml::{Table, Value};

/// A gateway that is not started yet.
pub(crate) struct Builder {
    folder: TempDir,
    config: Table,
    env: Vec<(String, String)>,
}

/// A gateway that serves; killed when dropped.
pub(crate) struct Gateway {
    folder: TempDir,
    config: Table,
    running: Running,
    /// Given back after the process was killed: fields are dropped in their order.
    _beside: Option<Beside>,
    /// The whole machine, where it was taken for this gateway.
    alone: Option<Alone>,
}

impl Gateway {
    /// One listener `public`, the admin API, and nothing behind them yet.
    pub(crate) fn with() -> Builder {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = least(&folder.path().join("var"));
        Builder {
            folder,
            config,
            env: Vec::new(),
        }
    }
}

impl Builder {
    /// A guest as a component of the same name, on all of the host `NAME.test`.
    pub(crate) fn component(self, name: &str) -> Self {
        self.component_with(name, |component| component)
    }

    pub(crate) fn component_with(mut self, name: &str, change: impl FnOnce(Component) -> Component) -> Self {
        change(Component::new(name)).add_to(&mut self.config);
        self
    }

    /// An upstream in TOML: `upstream("api", "{ servers = ['127.0.0.1:9001'] }")`.
    #[track_caller]
    pub(crate) fn upstream(mut self, name: &str, upstream: &str) -> Self {
        entry(&mut self.config, "upstream").insert(name.to_owned(), inline(upstream));
        self
    }

    /// A route in TOML: `{ path = '/x', component = 'hello' }`.
    #[track_caller]
    pub(crate) fn route(mut self, route: &str) -> Self {
        list(&mut self.config, "route").push(inline(route));
        self
    }

    /// Limits of the listener `public` in TOML: `{ header_timeout = '300ms' }`.
    #[track_caller]
    pub(crate) fn listener_limits(mut self, limits: &str) -> Self {
        self.public().insert("limits".to_owned(), inline(limits));
        self
    }

    /// Another listener in TOML; port 0 takes a free one.
    #[track_caller]
    pub(crate) fn listener(mut self, listener: &str) -> Self {
        list(&mut self.config, "listener").push(inline(listener));
        self
    }

    /// TLS on the listener `public`, with these certificate and key files.
    pub(crate) fn tls(mut self, pairs: &[(PathBuf, PathBuf)]) -> Self {
        let pairs = pairs
            .iter()
            .map(|(cert, key)| inline(&format!("{{ cert = '{}', key = '{}' }}", cert.display(), key.display())));
        let pairs = Value::Array(pairs.collect());
        self.public().insert("tls".to_owned(), pairs);
        self
    }

    /// Client certificates are asked for, and must be signed by an authority of this file.
    pub(crate) fn client_ca(mut self, file: &Path) -> Self {
        self.public()
            .insert("client_ca".to_owned(), file.display().to_string().into());
        self
    }

    /// A key of the `[gateway]` table.
    pub(crate) fn set(mut self, key: &str, value: impl Into<Value>) -> Self {
        entry(&mut self.config, "gateway").insert(key.to_owned(), value.into());
        self
    }

    /// The admin API's address.
    pub(crate) fn admin(mut self, address: &str) -> Self {
        entry(&mut self.config, "admin").insert("address".to_owned(), address.into());
        self
    }

    /// A variable in the environment of the gateway's process.
    pub(crate) fn process_env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Its folder: the configuration is in `gateway.toml`, and `var` becomes its data_dir.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs it where it must not start: what it said, and how it ended.
    pub(crate) fn run(self) -> Ran {
        share_compiled(&self.folder.path().join("var"));
        run([
            "run".as_ref(),
            write_config(self.folder.path(), &self.config).as_os_str(),
        ])
    }

    fn public(&mut self) -> &mut Table {
        list(&mut self.config, "listener")[0]
            .as_table_mut()
            .expect("a listener is a table")
    }

    /// Starts it, and waits until it says where it listens.
    #[track_caller]
    pub(crate) fn start(self) -> Gateway {
        let beside = turn::beside();
        share_compiled(&self.folder.path().join("var"));
        let mut command = tidegate();
        command.arg("run").arg(write_config(self.folder.path(), &self.config));
        command.env("TIDEGATE_LOG_FORMAT", "json").envs(self.env);
        let running = Running::spawn(&mut command);
        let mut gateway = Gateway {
            folder: self.folder,
            config: self.config,
            running,
            _beside: beside,
            alone: None,
        };
        wait::until("the gateway to listen", || {
            assert!(gateway.running.ended().is_none(), "the gateway ended at its start");
            // The admin address is the last line of a start.
            gateway
                .running
                .stderr
                .all()
                .iter()
                .any(|line| line.starts_with("admin on "))
                .then_some(())
        });
        gateway
    }
}

fn write_config(folder: &Path, config: &Table) -> PathBuf {
    let file = folder.join("gateway.toml");
    fs::write(&file, toml::to_string(config).expect("a table is TOML")).expect("the configuration can be written");
    file
}

/// Compiling the guests takes longer than most tests: it is done once, and each data_dir gets links to the result.
fn share_compiled(data_dir: &Path) {
    static SHARED: OnceLock<PathBuf> = OnceLock::new();
    let shared = SHARED.get_or_init(compile_guests);
    let mut private = fs::DirBuilder::new();
    private.recursive(true).mode(0o700);
    let compiled = data_dir.join("compiled");
    private
        .create(data_dir)
        .and_then(|()| private.create(&compiled))
        .expect("the data_dir can be made");
    for file in fs::read_dir(shared).expect("the compiled guests are there") {
        let file = file.expect("a folder can be read");
        let to = compiled.join(file.file_name());
        // Another file system, where TMPDIR is one, takes no links.
        if !to.exists() && fs::hard_link(file.path(), &to).is_err() {
            fs::copy(file.path(), &to).expect("a compiled guest can be copied");
        }
    }
}

/// Compiles every guest that can be served into a folder of cargo's, which later runs find again.
fn compile_guests() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("it");
    fs::create_dir_all(&folder).expect("cargo's temporary folder can be written");
    let mut config = least(&folder.join("var"));
    for name in SERVED {
        Component::new(name).add_to(&mut config);
    }
    run(["compile".as_ref(), write_config(&folder, &config).as_os_str()]).exited(0);
    folder.join("var/compiled")
}

/// The guests that can be served.
pub(crate) const SERVED: [&str; 33] = [
    "allocate-forever",
    "big-response",
    "chunked-trailers",
    "configured-fetch",
    "demo",
    "dirs",
    "echo-stream",
    "echo-stream-p3",
    "env-and-config",
    "env-and-config-draft",
    "fs-and-sockets",
    "handle-hoarder",
    "hello",
    "hello-js",
    "hello-min",
    "hello-p3",
    "hello-py",
    "leak-handles",
    "many-small-writes",
    "outbound-proxy",
    "outbound-proxy-p3",
    "post-return-work",
    "post-return-work-p2",
    "remember",
    "remember-p3",
    "silent-stream",
    "sleep-forever",
    "slow-stream",
    "sockets",
    "spin-forever",
    "surroundings-p3",
    "trap",
    "trap-after-head",
];

impl Gateway {
    /// Keeps the machine for itself until it is dropped.
    pub(crate) fn keep(&mut self, alone: Option<Alone>) {
        self.alone = alone;
    }

    /// Where the listener `public` listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address_of("public")
    }

    /// Where a listener listens, as it said at the start.
    #[track_caller]
    pub(crate) fn address_of(&self, listener: &str) -> SocketAddr {
        let end = format!(" ({listener})");
        self.running.stderr.wait(listener, |line| {
            let rest = line.strip_prefix("listening on ")?.strip_suffix(&end)?;
            let (_, address) = rest.split_once("://")?;
            address.parse().ok()
        })
    }

    /// Where the admin API listens.
    #[track_caller]
    pub(crate) fn admin_address(&self) -> SocketAddr {
        let text = self.running.stderr.wait("the admin address", |line| {
            line.strip_prefix("admin on ").map(str::to_owned)
        });
        text.parse().unwrap_or_else(|_| panic!("{text} is no TCP address"))
    }

    /// Its folder: `gateway.toml` and `var`.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.running.pid()
    }

    /// A new connection to `public`.
    #[track_caller]
    pub(crate) fn connect(&self) -> Raw {
        Raw::connect(self.address())
    }

    /// GET on a connection of its own, from the host of a component: its name, as [`Builder::component`] routes it.
    #[track_caller]
    pub(crate) fn get(&self, component: &str, target: &str) -> Response {
        self.send(
            component,
            &format!("GET {target} HTTP/1.1\r\nhost: {{host}}\r\nconnection: close\r\n\r\n"),
        )
    }

    /// Sends `request`, in which `{host}` stands for the component's host, on a connection of its own.
    #[track_caller]
    pub(crate) fn send(&self, component: &str, request: &str) -> Response {
        let mut raw = self.connect();
        raw.write(request.replace("{host}", &format!("{component}.test")));
        raw.response()
    }

    /// A request to the admin API: `admin("GET", "/healthz", &[])`.
    #[track_caller]
    pub(crate) fn admin(&self, method: &str, target: &str, fields: &[(&str, &str)]) -> Response {
        let fields = fields
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect::<String>();
        let host = if fields.to_ascii_lowercase().contains("host:") {
            ""
        } else {
            "host: localhost\r\n"
        };
        let mut raw = Raw::connect(self.admin_address());
        raw.write(format!(
            "{method} {target} HTTP/1.1\r\n{host}{fields}connection: close\r\n\r\n"
        ));
        raw.response_to(method)
    }

    /// A read of the admin API as JSON.
    #[track_caller]
    pub(crate) fn admin_json(&self, target: &str) -> Json {
        let response = self.admin("GET", target, &[]);
        assert_eq!(response.status, 200, "{response:?}");
        serde_json::from_slice(&response.body).expect("the admin API speaks JSON")
    }

    /// The value of the `Authorization` field that writes need.
    pub(crate) fn bearer(&self) -> String {
        let token = fs::read_to_string(self.folder().join("var/admin.token")).expect("the token is there");
        format!("Bearer {}", token.trim())
    }

    /// The sum of all series of `name` that carry these labels; 0 where there is none.
    #[track_caller]
    pub(crate) fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let response = self.admin("GET", "/metrics", &[]);
        assert_eq!(response.status, 200);
        sum(&response.text(), name, labels)
    }

    /// Waits until a metric has this value.
    #[track_caller]
    pub(crate) fn wait_metric(&self, name: &str, labels: &[(&str, &str)], value: f64) {
        let mut last = f64::NAN;
        let is_reached = wait::try_until(|| {
            last = self.metric(name, labels);
            ((last - value).abs() < 1e-9).then_some(())
        });
        assert!(
            is_reached.is_some(),
            "{name} {labels:?} is {last} and does not become {value}"
        );
    }

    /// Every line of the log so far that is an event, with its fields.
    pub(crate) fn log(&self) -> Vec<Json> {
        let lines = self.running.stderr.all();
        lines
            .iter()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// Waits for an event in the log.
    #[track_caller]
    pub(crate) fn wait_log(&self, what: &str, is_it: impl Fn(&Json) -> bool) -> Json {
        self.running
            .stderr
            .wait(what, |line| serde_json::from_str(line).ok().filter(&is_it))
    }

    /// Waits for a line of the access log.
    #[track_caller]
    pub(crate) fn wait_access(&self, what: &str, is_it: impl Fn(&Json) -> bool) -> Json {
        self.running
            .stdout
            .wait(what, |line| serde_json::from_str(line).ok().filter(&is_it))
    }

    /// Every line of the access log so far.
    pub(crate) fn access(&self) -> Vec<Json> {
        self.running
            .stdout
            .all()
            .iter()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// Changes the configuration file; nothing is in force before [`Gateway::reload`].
    pub(crate) fn edit(&mut self, change: impl FnOnce(&mut Table)) {
        change(&mut self.config);
        write_config(self.folder.path(), &self.config);
    }

    /// Puts another text in the place of the configuration file.
    pub(crate) fn overwrite_config(&self, text: &str) {
        fs::write(self.folder.path().join("gateway.toml"), text).expect("the configuration can be written");
    }

    /// `POST /api/reload`.
    #[track_caller]
    pub(crate) fn reload(&self) -> Response {
        self.admin("POST", "/api/reload", &[("authorization", &self.bearer())])
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.running.signal(signal);
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.running.wait()
    }
}

/// Adds up the series of one metric in the Prometheus text format.
pub(crate) fn sum(text: &str, name: &str, labels: &[(&str, &str)]) -> f64 {
    let has = |line: &str, (label, value): &(&str, &str)| line.contains(&format!("{label}=\"{value}\""));
    let series = text.lines().filter(|line| {
        let rest = line.strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with(['{', ' '])) && labels.iter().all(|label| has(line, label))
    });
    series
        .map(|line| {
            let (_, value) = line.rsplit_once(' ').expect("a series has a value");
            value.parse::<f64>().expect("a value is a number")
        })
        .sum()
}

/// A copy of a guest under another path.
pub(crate) fn copy_guest(name: &str, to: &Path) {
    fs::copy(guest(name), to).expect("a guest can be copied");
}
