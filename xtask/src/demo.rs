//! `cargo xtask demo`: builds what the demo needs, then becomes the gateway serving `config/demo`.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::certificate::{self, Pair};
use crate::{artifacts, guests, setup, step, workspace};

/// The addresses `config/demo/gateway.toml` names, and what each is for.
const ADDRESSES: [(&str, &str); 3] = [
    ("127.0.0.1:8080", "HTTP"),
    ("127.0.0.1:8443", "HTTPS"),
    ("127.0.0.1:9180", "the admin API"),
];

/// How long the hints wait for the gateway. The first start compiles every component, so it is generous.
const READY_TIME: Duration = Duration::from_secs(300);
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Replaces this process by the gateway, so that signals reach it and its exit code is the command's.
pub(crate) fn serve() -> Result<()> {
    // Asked first, as the build may take minutes.
    for (address, purpose) in ADDRESSES {
        ensure_free(address, purpose)?;
    }
    setup::tools(setup::Purpose::Build)?;
    guests::in_rust()?;
    let gateway = step::step("gateway", build_gateway)?;
    let pair = Pair::in_folder(&workspace::demo_out());
    if certificate::ensure(&pair)? {
        eprintln!("    a new certificate for localhost: {}", pair.cert.display());
    }
    start_hints()?;
    let mut command = Command::new(gateway);
    command.args(["run", "config/demo"]).current_dir(workspace::root());
    eprintln!("\n==> {}", step::shown(&command));
    // exec answers only when it failed.
    Err(command.exec()).with_context(|| format!("cannot start `{}`", step::shown(&command)))
}

/// Waits until every address answers, then prints what to try. Ends quietly when the gateway does.
pub(crate) fn hints(gateway_pid: u32) -> Result<()> {
    let end = Instant::now() + READY_TIME;
    while !ADDRESSES.iter().all(|(address, _)| answers(address)) {
        if Instant::now() > end || !is_alive(gateway_pid) {
            return Ok(());
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "this process does nothing but wait for another one"
        )]
        std::thread::sleep(POLL_INTERVAL);
    }
    println!("{}", what_to_try(&Pair::in_folder(&workspace::demo_out()).cert));
    Ok(())
}

fn ensure_free(address: &str, purpose: &str) -> Result<()> {
    match TcpListener::bind(address) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => bail!(
            "{address} is taken, and the demo needs it for {purpose}. Is another demo running?\n\
             `ss -ltnp` shows who has it; stop that first"
        ),
        Err(error) => Err(error).with_context(|| format!("cannot listen on {address}")),
    }
}

/// The dev profile, as in the tests: whoever ran one has built most of the other.
fn build_gateway() -> Result<PathBuf> {
    let mut command = workspace::cargo(workspace::root());
    let built = artifacts::build(command.args(["build", "--package", "tidegate", "--bin", "tidegate"]))?;
    let program = built
        .iter()
        .filter(|a| a.is("bin") && a.target == "tidegate")
        .find_map(|a| a.file(""));
    program.map(Path::to_owned).context("cargo built no `tidegate`")
}

/// Starts `demo-hints` in the background, by a shell that ends at once: so it is nobody's child afterwards, and
/// the gateway never has to wait for a process it did not start.
fn start_hints() -> Result<()> {
    let xtask = std::env::current_exe().context("cannot find xtask itself")?;
    let pid = std::process::id().to_string();
    let mut shell = Command::new("sh");
    shell.args(["-c", "\"$0\" demo-hints \"$1\" &"]).arg(xtask).arg(pid);
    step::succeed(&mut shell)
}

fn answers(address: &str) -> bool {
    let Ok(address) = address.parse::<SocketAddr>() else {
        return false;
    };
    TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
}

/// A process that ended has no program any more, even while its parent has not asked for its exit code. Where
/// there is no /proc to look at, the time limit alone ends the wait.
fn is_alive(pid: u32) -> bool {
    !Path::new("/proc/self").exists() || std::fs::read_link(format!("/proc/{pid}/exe")).is_ok()
}

fn what_to_try(cert: &Path) -> String {
    let cert = cert.strip_prefix(workspace::root()).unwrap_or(cert).display();
    let tries = [
        (
            "curl -i http://127.0.0.1:8080/".to_owned(),
            "a small site in WebAssembly, over HTTP/1.1",
        ),
        ("curl -i http://127.0.0.1:8080/hello".to_owned(), "wasi:http 0.2"),
        (
            "curl -i --http2-prior-knowledge http://127.0.0.1:8080/hello-p3".to_owned(),
            "wasi:http 0.3, over HTTP/2",
        ),
        (
            format!("curl -i --cacert {cert} https://localhost:8443/hello"),
            "HTTP/2 over TLS",
        ),
        (
            "curl -i --data 'there and back' http://127.0.0.1:8080/echo-stream".to_owned(),
            "a body streamed through a guest",
        ),
        (
            "curl -i http://127.0.0.1:8080/proxy/hello".to_owned(),
            "passed on to a server: the gateway itself",
        ),
        (
            "curl -i http://127.0.0.1:8080/canary".to_owned(),
            "one of two versions; the cookie keeps it",
        ),
        (
            "curl -i --location http://127.0.0.1:8080/old".to_owned(),
            "a redirect, followed",
        ),
        ("curl -i http://127.0.0.1:9180/readyz".to_owned(), "the admin API"),
        (
            "target/debug/tidegate routes config/demo".to_owned(),
            "what goes where; `upstreams`: the servers",
        ),
    ];
    let width = tries.iter().map(|(command, _)| command.len()).max().unwrap_or_default();
    let mut text = String::from("\nThe demo serves. In another terminal, in this folder:\n\n");
    for (command, what) in tries {
        text += &format!("  {command:width$}   # {what}\n");
    }
    text + "\nOr open http://127.0.0.1:8080/ in a browser, and http://127.0.0.1:8080/proxy/ for the same through a proxy.\n\
        Ctrl-C stops the demo.\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_taken_is_named_with_a_way_out() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let error = ensure_free(&address, "HTTP").unwrap_err().to_string();
        assert!(
            error.contains(&format!("{address} is taken")) && error.contains("ss -ltnp"),
            "{error}"
        );
        assert!(answers(&address));
        drop(taken);
        ensure_free(&address, "HTTP").unwrap();
        assert!(!answers(&address));
    }

    #[test]
    fn hints_end_with_the_gateway() {
        let mut ended = Command::new("true").spawn().unwrap();
        let pid = ended.id();
        assert!(is_alive(std::process::id()));
        ended.wait().unwrap();
        assert!(!is_alive(pid));
    }

    #[test]
    fn the_demo_configuration_names_the_addresses_and_files_used_here() {
        let config = std::fs::read_to_string(workspace::root().join("config/demo/gateway.toml")).unwrap();
        for (address, _) in ADDRESSES {
            assert!(
                config.contains(&format!("\"{address}\"")),
                "{address} is not in the demo's configuration"
            );
        }
        for file in ["cert.pem", "key.pem"] {
            assert!(config.contains(&format!("\"../../target/demo/{file}\"")), "{file}");
        }
    }

    #[test]
    fn every_path_worth_trying_is_routed() {
        let config = std::fs::read_to_string(workspace::root().join("config/demo/gateway.toml")).unwrap();
        let text = what_to_try(&workspace::demo_out().join("cert.pem"));
        assert!(
            text.contains("--cacert target/demo/cert.pem https://localhost:8443/hello"),
            "{text}"
        );
        for path in ["/hello", "/hello-p3", "/echo-stream", "/canary", "/old"] {
            assert!(text.contains(&format!("127.0.0.1:8080{path} ")), "{path}");
            assert!(config.contains(&format!("= \"{path}\"")), "{path} has no route");
        }
        assert!(text.contains("127.0.0.1:8080/proxy/hello ") && config.contains("= \"/proxy/*\""));
    }
}
