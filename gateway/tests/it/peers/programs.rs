//! The programs that stand around the gateway: found on the machine, run for one test, and ended with it.

use crate::support::command::Running;
use crate::support::{wait, workspace};
use rustix::process::Signal;
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use tempfile::TempDir;

/// Where Debian puts servers; only root has this folder in the PATH there.
const SBIN: &str = "/usr/sbin";

/// The first such program in the PATH or among the system's own; without it the test fails and names its package.
#[track_caller]
pub(super) fn program(name: &str, package: &str) -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain([PathBuf::from(SBIN)]);
    let found = folders
        .map(|folder| folder.join(name))
        .find(|program| program.is_file());
    found.unwrap_or_else(|| panic!("{name} is missing: apt-get install {package}"))
}

/// A script of this folder, run by the system's own Python: the packages bring modules for that one.
#[track_caller]
pub(super) fn python(script: &str, module: &str, package: &str) -> Command {
    const PYTHON: &str = "/usr/bin/python3";
    let import = Command::new(PYTHON).args(["-c", &format!("import {module}")]).output();
    let is_there = import.is_ok_and(|output| output.status.success());
    assert!(is_there, "{PYTHON} has no {module}: apt-get install {package}");
    let mut command = Command::new(PYTHON);
    let script = workspace().join("gateway/tests/it/peers").join(script);
    // Unbuffered, so that its lines come when they are written.
    command.arg("-u").arg(script).stdin(Stdio::null());
    command
}

/// The port that a server says on the first line of its standard output.
#[track_caller]
pub(super) fn port(running: &Running) -> SocketAddr {
    let port = running.stdout.wait("the server's port", |line| {
        line.strip_prefix("port ")?.parse::<u16>().ok()
    });
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// Runs a command that ends by itself; what it wrote, if it ended well.
#[track_caller]
pub(super) fn output(command: &mut Command) -> Vec<u8> {
    let output = command.output().expect("the program can be started");
    let errors = String::from_utf8_lossy(&output.stderr);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{command:?}: {}\n{errors}\n{said}",
        output.status
    );
    output.stdout
}

/// nginx with one server block.
pub(super) struct Nginx {
    pub(super) address: SocketAddr,
    running: Running,
    folder: TempDir,
}

impl Nginx {
    #[track_caller]
    pub(super) fn start(server: &str) -> Self {
        Self::start_with("", server, &[])
    }

    /// `listen` is further parameters of that directive, such as `ssl`. `{folder}` in the server block stands for a
    /// folder with these `files`.
    #[track_caller]
    pub(super) fn start_with(listen: &str, server: &str, files: &[(&str, &[u8])]) -> Self {
        let program = program("nginx", "nginx-light");
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (name, content) in files {
            fs::write(folder.path().join(name), content).expect("a file can be written");
        }
        // nginx does not tell which port it got, so it is given one that was free a moment ago.
        for _ in 0..5 {
            let free = TcpListener::bind("127.0.0.1:0").expect("a port is free");
            let address = free.local_addr().expect("it has an address");
            drop(free);
            let config = config(folder.path(), address, listen, server);
            fs::write(folder.path().join("nginx.conf"), config).expect("the configuration can be written");
            let mut command = Command::new(&program);
            command
                .arg("-p")
                .arg(folder.path())
                .args(["-c", "nginx.conf", "-e", "stderr"]);
            let mut running = Running::spawn(command.stdin(Stdio::null()));
            let is_up = wait::until("nginx to listen or to end", || {
                if running.ended().is_some() {
                    return Some(false);
                }
                TcpStream::connect(address).is_ok().then_some(true)
            });
            if is_up {
                return Self {
                    address,
                    running,
                    folder,
                };
            }
            let said = running.stderr.all().join("\n");
            assert!(said.contains("Address already in use"), "nginx ended: {said}");
        }
        panic!("no port stays free long enough");
    }

    /// The folder of its files.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Ends it, and every connection with it, at once.
    pub(super) fn kill(mut self) -> SocketAddr {
        self.running.signal(Signal::KILL);
        self.running.wait();
        self.address
    }
}

/// One process, so that whoever runs the tests is who reads the files, and a kill is the end of all of it.
fn config(folder: &Path, address: SocketAddr, listen: &str, server: &str) -> String {
    let folder = folder.display().to_string();
    let server = server.replace("{folder}", &folder);
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|what| format!("{what}_temp_path {folder}/{what};"))
        .join(" ");
    format!(
        "daemon off; master_process off; pid {folder}/nginx.pid;
        events {{ worker_connections 512; }}
        http {{
            access_log off; {temporary} default_type text/plain;
            server {{ listen {address} {listen}; {server} }}
        }}"
    )
}

/// What curl got.
#[derive(Debug)]
pub(super) struct Reply {
    /// As in `HTTP/1.1` and `HTTP/2`.
    pub(super) version: String,
    pub(super) status: u16,
    /// Names in lower case.
    pub(super) fields: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Reply {
    /// A field's value; of several the first.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        let field = self.fields.iter().find(|(known, _)| known == name);
        field.map(|(_, value)| value.as_str())
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The final answer of all those that curl shows.
    fn parse(mut rest: &[u8]) -> Self {
        loop {
            let at = memchr::memmem::find(rest, b"\r\n\r\n").expect("a head has an end");
            let head = String::from_utf8_lossy(&rest[..at]).into_owned();
            rest = &rest[at + 4..];
            let mut lines = head.split("\r\n");
            let mut status = lines.next().expect("a status line").split(' ');
            let version = status.next().expect("a version").to_owned();
            let status = status.next().and_then(|status| status.parse().ok()).expect("a status");
            let field = |line: &str| {
                let (name, value) = line.split_once(':').expect("a field has a name");
                (name.to_ascii_lowercase(), value.trim().to_owned())
            };
            if status >= 200 {
                return Self {
                    version,
                    status,
                    fields: lines.map(field).collect(),
                    body: rest.to_vec(),
                };
            }
        }
    }
}

/// curl, which tells nobody of the machine's own proxies and settings.
#[track_caller]
pub(super) fn curl<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Command {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let program = PROGRAM.get_or_init(|| program("curl", "curl"));
    let mut command = Command::new(program);
    command.env_clear().stdin(Stdio::null());
    command.args(["-q", "--silent", "--show-error", "--max-time", "60"]);
    command.args(args);
    command
}

/// Runs curl and reads what it got.
#[track_caller]
pub(super) fn ask<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Reply {
    let mut command = curl(["--include"]);
    Reply::parse(&output(command.args(args)))
}
