//! What the checks need on the machine: found, installed where that is ours to do, or named with its package.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::{guests, step, workspace};

/// A program the build or the tests call.
struct Tool {
    program: &'static str,
    /// The Debian and Ubuntu package that brings it.
    package: &'static str,
    /// Completes "it is needed ..".
    why: &'static str,
    /// What shows whether it is there: `--version`, where no part of it comes by itself.
    asked: &'static [&'static str],
    /// A word the answer must show, for programs that come with and without the part we need.
    shows: Option<&'static str>,
    caller: Caller,
}

enum Caller {
    /// Every build, to link.
    Build,
    /// The build of this crate; without it in the lock file nothing calls the tool.
    Crate(&'static str),
    /// The build of the guests in other languages.
    Languages,
    Tests,
    TestsAndBenches,
}

/// What somebody is about to do.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Purpose {
    Build,
    /// To build every guest.
    Languages,
    Test,
    Bench,
}

const VERSION: &[&str] = &["--version"];
/// Where Debian puts servers. Only root has this folder in the PATH there, and anyone may run what is in it.
const SBIN: &str = "/usr/sbin";

const TOOLS: [Tool; 10] = [
    Tool {
        program: "cc",
        package: "build-essential",
        why: "to link programs and to compile ring",
        asked: VERSION,
        shows: None,
        caller: Caller::Build,
    },
    Tool {
        program: "c++",
        package: "build-essential",
        why: "to compile libFuzzer, so that the fuzz targets can be checked",
        asked: VERSION,
        shows: None,
        caller: Caller::Tests,
    },
    Tool {
        program: "curl",
        package: "curl",
        why: "by tests that ask the gateway over HTTP/1.1, HTTP/2 and TLS as a user would",
        asked: VERSION,
        shows: Some("HTTP2"),
        caller: Caller::Tests,
    },
    Tool {
        program: "cmake",
        package: "cmake",
        why: "to compile zlib-ng for pingora",
        asked: VERSION,
        shows: None,
        caller: Caller::Crate("cmake"),
    },
    Tool {
        program: "python3",
        package: "python3-venv",
        why: "to install componentize-py, which makes components of Python",
        // Debian's python3 comes without the pip that a virtual environment starts with.
        asked: &["-m", "ensurepip", "--version"],
        shows: Some("pip"),
        caller: Caller::Languages,
    },
    Tool {
        program: "node",
        package: "nodejs",
        why: "to run componentize-js, which makes components of JavaScript",
        asked: VERSION,
        shows: None,
        caller: Caller::Languages,
    },
    Tool {
        program: "npm",
        package: "npm",
        why: "to install componentize-js",
        asked: VERSION,
        shows: None,
        caller: Caller::Languages,
    },
    Tool {
        program: "nginx",
        package: "nginx-light",
        why: "by tests that put it behind the gateway, and by benches beside it",
        // The answer goes to stderr; that there is one is enough.
        asked: &["-v"],
        shows: None,
        caller: Caller::TestsAndBenches,
    },
    // The system's own Python, whatever comes first in the PATH: apt installs modules for that one.
    Tool {
        program: "/usr/bin/python3",
        package: "python3-grpcio",
        why: "by tests that call a gRPC server through the gateway",
        asked: &["-c", "import grpc; print('grpc')"],
        shows: Some("grpc"),
        caller: Caller::Tests,
    },
    Tool {
        program: "/usr/bin/python3",
        package: "python3-websockets",
        why: "by tests that talk to a WebSocket server through the gateway",
        asked: &["-c", "import websockets; print('websockets')"],
        shows: Some("websockets"),
        caller: Caller::Tests,
    },
];

/// The cargo-deny that deny.toml was written for.
const CARGO_DENY_VERSION: &str = "0.20.2";

/// Sees to the system's programs: as root on Debian it installs what is missing, elsewhere it names it.
pub(crate) fn tools(purpose: Purpose) -> Result<()> {
    let lock = std::fs::read_to_string(workspace::root().join("Cargo.lock")).unwrap_or_default();
    let needed: Vec<&Tool> = TOOLS.iter().filter(|tool| is_needed(tool, purpose, &lock)).collect();
    let mut missing = missing_of(&needed);
    if !missing.is_empty() && may_install() {
        apt_get_install(&missing)?;
        missing = missing_of(&needed);
    }
    if missing.is_empty() {
        Ok(())
    } else {
        bail!("{}", complaint(&missing))
    }
}

/// rustfmt and clippy, which a minimal toolchain comes without.
pub(crate) fn rust_components() -> Result<()> {
    for (component, program) in [("rustfmt", "cargo-fmt"), ("clippy", "cargo-clippy")] {
        if step::probe(program, &["--version"]).is_none() {
            rustup(&["component", "add", component])?;
        }
    }
    Ok(())
}

/// The standard library of the guests' target. rust-toolchain.toml names it, but rustup adds what that file
/// names only when it installs the toolchain, and not at all with `RUSTUP_AUTO_INSTALL=0`.
pub(crate) fn wasm_target() -> Result<()> {
    let mut command = Command::new("rustc");
    command
        .current_dir(workspace::root())
        .args(["--print", "target-libdir", "--target", guests::TARGET]);
    if Path::new(step::output(&mut command)?.trim()).is_dir() {
        return Ok(());
    }
    rustup(&["target", "add", guests::TARGET])
}

/// The path of a cargo-deny of the right version: the user's own, else one under the target folder, where it is
/// installed once.
pub(crate) fn cargo_deny() -> Result<PathBuf> {
    let wanted = format!("cargo-deny {CARGO_DENY_VERSION}");
    let is_wanted = |path: &Path| step::probe(path, &["--version"]).is_some_and(|v| v.trim() == wanted);
    let own = PathBuf::from("cargo-deny");
    if is_wanted(&own) {
        return Ok(own);
    }
    let tools = workspace::target()?.join("tools");
    let installed = tools.join("bin/cargo-deny");
    if !is_wanted(&installed) {
        let build = tools.join("build");
        let mut command = workspace::cargo(workspace::root());
        // Without optimisation: it compiles in a fraction of the time and runs once.
        command.args([
            "install",
            "cargo-deny",
            "--version",
            CARGO_DENY_VERSION,
            "--locked",
            "--debug",
            "--force",
        ]);
        command.arg("--root").arg(&tools).arg("--target-dir").arg(&build);
        command.env("CARGO_PROFILE_DEV_DEBUG", "false");
        step::run("installing cargo-deny, once", &mut command)?;
        // Half a gigabyte that nothing uses again; where it cannot go, it does no harm.
        std::fs::remove_dir_all(&build).unwrap_or_default();
    }
    Ok(installed)
}

fn rustup(args: &[&str]) -> Result<()> {
    if step::probe("rustup", &["--version"]).is_none() {
        bail!(
            "rustup is not installed, so add it by your own means: what `rustup {}` would do",
            args.join(" ")
        );
    }
    let mut command = Command::new("rustup");
    // In the repository, where rust-toolchain.toml says which toolchain is meant.
    step::succeed(command.args(args).current_dir(workspace::root()))
}

fn is_needed(tool: &Tool, purpose: Purpose, lock: &str) -> bool {
    match tool.caller {
        Caller::Build => true,
        Caller::Crate(name) => lock.lines().any(|line| line == format!("name = \"{name}\"")),
        Caller::Languages => matches!(purpose, Purpose::Languages | Purpose::Test),
        Caller::Tests => purpose == Purpose::Test,
        Caller::TestsAndBenches => matches!(purpose, Purpose::Test | Purpose::Bench),
    }
}

fn missing_of<'t>(tools: &[&'t Tool]) -> Vec<&'t Tool> {
    let answer = |tool: &Tool| answer(tool.program, tool.asked, Path::new(SBIN));
    tools
        .iter()
        .copied()
        .filter(|tool| !suffices(tool, answer(tool).as_deref()))
        .collect()
}

/// Of the first such program in the PATH, else of the one in `sbin`.
fn answer(program: &str, asked: &[&str], sbin: &Path) -> Option<String> {
    step::probe(program, asked).or_else(|| step::probe(sbin.join(program), asked))
}

fn suffices(tool: &Tool, answer: Option<&str>) -> bool {
    answer.is_some_and(|text| tool.shows.is_none_or(|word| text.split_whitespace().any(|w| w == word)))
}

fn may_install() -> bool {
    let root = step::probe("id", &["-u"]).is_some_and(|id| id.trim() == "0");
    root && step::probe("apt-get", &["--version"]).is_some()
}

fn apt_get_install(missing: &[&Tool]) -> Result<()> {
    let apt_get = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    // A fresh image has no package lists.
    step::run("apt-get update", apt_get().args(["--quiet", "update"]))?;
    let install = ["--quiet", "--yes", "--no-install-recommends", "install"];
    step::run(
        "apt-get install",
        apt_get().args(install).args(missing.iter().map(|tool| tool.package)),
    )
}

/// Each package once.
fn packages(missing: &[&Tool]) -> Vec<&'static str> {
    let names: BTreeSet<_> = missing.iter().map(|tool| tool.package).collect();
    names.into_iter().collect()
}

fn complaint(missing: &[&Tool]) -> String {
    let mut text = String::from("the machine lacks what the build or the tests call:\n");
    for tool in missing {
        let part = tool.shows.map(|word| format!(" with {word}")).unwrap_or_default();
        text += &format!("  {}{part}: it is needed {}\n", tool.program, tool.why);
    }
    text + &format!("On Debian and Ubuntu: apt-get install {}", packages(missing).join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(program: &str) -> &'static Tool {
        TOOLS.iter().find(|tool| tool.program == program).unwrap()
    }

    #[test]
    fn cmake_is_needed_only_with_the_crate_that_calls_it() {
        let with = "[[package]]\nname = \"cmake\"\nversion = \"0.1.54\"\n";
        assert!(is_needed(tool("cmake"), Purpose::Build, with));
        assert!(!is_needed(
            tool("cmake"),
            Purpose::Test,
            "[[package]]\nname = \"cmake-like\"\n"
        ));
    }

    #[test]
    fn curl_is_needed_only_by_tests_and_a_linker_always() {
        assert!(is_needed(tool("curl"), Purpose::Test, ""));
        assert!(!is_needed(tool("curl"), Purpose::Build, ""));
        assert!(!is_needed(tool("curl"), Purpose::Bench, ""));
        assert!(is_needed(tool("cc"), Purpose::Build, ""));
    }

    #[test]
    fn python_and_node_are_needed_only_where_every_guest_is_built() {
        for program in ["python3", "node", "npm"] {
            assert!(is_needed(tool(program), Purpose::Languages, ""), "{program}");
            assert!(is_needed(tool(program), Purpose::Test, ""), "{program}");
            assert!(!is_needed(tool(program), Purpose::Build, ""), "{program}");
            assert!(!is_needed(tool(program), Purpose::Bench, ""), "{program}");
        }
        assert!(!is_needed(tool("curl"), Purpose::Languages, ""));
    }

    #[test]
    fn nginx_is_needed_by_tests_and_benches_and_python_modules_by_tests() {
        for (purpose, nginx, modules) in [
            (Purpose::Build, false, false),
            (Purpose::Languages, false, false),
            (Purpose::Bench, true, false),
            (Purpose::Test, true, true),
        ] {
            assert_eq!(is_needed(tool("nginx"), purpose, ""), nginx);
            let of_python = TOOLS.iter().filter(|tool| tool.program == "/usr/bin/python3");
            let needed: Vec<bool> = of_python.map(|tool| is_needed(tool, purpose, "")).collect();
            assert_eq!(needed, [modules; 2]);
        }
    }

    #[test]
    fn what_answers_nothing_on_stdout_is_there_all_the_same() {
        assert!(suffices(tool("nginx"), Some("")));
        assert!(!suffices(tool("nginx"), None));
        let module = TOOLS.iter().find(|tool| tool.package == "python3-grpcio").unwrap();
        assert!(suffices(module, Some("grpc\n")) && !suffices(module, Some("")));
    }

    #[test]
    fn a_program_outside_the_path_is_found_among_the_systems_own() {
        let sbin = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/bin/echo", sbin.path().join("no-such-daemon")).unwrap();
        let ask = |program| answer(program, &["-v"], sbin.path());
        assert_eq!(ask("no-such-daemon").as_deref(), Some("-v\n"));
        assert_eq!(ask("no-such-program"), None);
    }

    #[test]
    fn a_curl_without_http2_does_not_suffice() {
        let with = "curl 7.88.1 nghttp2/1.52\nFeatures: alt-svc HTTP2 HTTPS-proxy";
        assert!(suffices(tool("curl"), Some(with)));
        assert!(!suffices(
            tool("curl"),
            Some("curl 7.88.1\nFeatures: alt-svc HTTPS-proxy")
        ));
        assert!(!suffices(tool("curl"), None));
        assert!(suffices(tool("cc"), Some("cc 12.2.0")));
    }

    #[test]
    fn what_is_missing_is_named_with_its_package() {
        let text = complaint(&[tool("curl"), tool("cmake"), tool("c++"), tool("cc")]);
        assert!(text.contains("curl with HTTP2: it is needed by tests"), "{text}");
        assert!(text.ends_with("apt-get install build-essential cmake curl"), "{text}");
        let text = complaint(&[tool("python3"), tool("npm")]);
        assert!(text.contains("python3 with pip: it is needed to install"), "{text}");
        assert!(text.ends_with("apt-get install npm python3-venv"), "{text}");
        let modules: Vec<_> = TOOLS.iter().filter(|tool| tool.program == "/usr/bin/python3").collect();
        let text = complaint(&modules);
        assert!(
            text.contains("/usr/bin/python3 with websockets: it is needed by"),
            "{text}"
        );
        assert!(
            text.ends_with("apt-get install python3-grpcio python3-websockets"),
            "{text}"
        );
    }
}
