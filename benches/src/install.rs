//! Brings `wasmtime` into the target folder: the same version that Tidegate is built on, compiled by the same rustc.

use crate::error::{Context, Error};
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The release beside which Tidegate is measured; it follows `wasmtime` in the workspace's Cargo.toml.
pub(crate) const WASMTIME_VERSION: &str = "48.0.8";

/// `serve` and what a request meets on its way: nothing here makes the peer slower than the released binary. Left out
/// are the other commands, and the hooks for profilers, debuggers and logs, which the released binary carries.
const FEATURES: &str =
    "run,serve,cranelift,parallel-compilation,pooling-allocator,component-model,component-model-async,gc,gc-drc";

/// Where `cargo install` puts the binary, below the target folder.
pub(crate) fn binary(target: &Path) -> PathBuf {
    root(target).join("bin/wasmtime")
}

/// The installed binary, compiled now if it is absent or of another version.
pub(crate) fn ensure(target: &Path) -> Result<PathBuf, Error> {
    let binary = binary(target);
    if version(&binary).is_ok_and(|version| is_wanted(&version)) {
        return Ok(binary);
    }
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command.args(arguments(target)).stdin(Stdio::null());
    eprintln!(
        "installing wasmtime {WASMTIME_VERSION} into {}: this takes some minutes, once",
        root(target).display()
    );
    let status = command.status().context(|| "starting cargo install".to_owned())?;
    if !status.success() {
        return Err(Error::Install {
            command: format!("{command:?}"),
            status,
        });
    }
    require_wanted(&binary)?;
    Ok(binary)
}

/// Fails unless this binary is the release we compare with.
pub(crate) fn require_wanted(binary: &Path) -> Result<String, Error> {
    if !binary.exists() {
        return Err(Error::Missing {
            path: binary.to_owned(),
            remedy: "run `tidegate-bench install`",
        });
    }
    let version = version(binary)?;
    if is_wanted(&version) {
        return Ok(version);
    }
    let detail = format!("it says {version:?}, the comparison is with wasmtime {WASMTIME_VERSION}");
    Err(Error::Premise {
        name: binary.display().to_string(),
        detail,
    })
}

fn arguments(target: &Path) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = [
        "install",
        "wasmtime-cli",
        "--version",
        WASMTIME_VERSION,
        "--locked",
        "--force",
    ]
    .into_iter()
    .chain(["--no-default-features", "--features", FEATURES, "--root"])
    .map(OsString::from)
    .collect();
    arguments.push(root(target).into());
    arguments.push("--target-dir".into());
    arguments.push(root(target).join("build").into());
    arguments
}

fn root(target: &Path) -> PathBuf {
    target.join("bench-tools")
}

/// What `wasmtime --version` prints: `wasmtime 48.0.8`, with a commit and date behind it when built from git.
fn version(binary: &Path) -> Result<String, Error> {
    let output = Command::new(binary)
        .arg("--version")
        .output()
        .context(|| format!("running {}", binary.display()))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn is_wanted(version: &str) -> bool {
    let mut words = version.split_ascii_whitespace();
    let number = words.next().filter(|&name| name == "wasmtime").and(words.next());
    // The patch release may move on; the major one is what the figures are about.
    let major = |version: &str| version.split('.').next().map(ToOwned::to_owned);
    number.and_then(major) == major(WASMTIME_VERSION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_major_release_is_the_peer() {
        assert!(is_wanted("wasmtime 48.0.8"));
        assert!(is_wanted("wasmtime 48.1.0 (abcdef 2026-11-01)"));
        assert!(!is_wanted("wasmtime 47.0.8"));
        assert!(!is_wanted("wasmtime-cli 48.0.8"));
        assert!(!is_wanted("480.0.0"));
        assert!(!is_wanted(""));
    }

    #[test]
    fn the_peer_is_the_version_tidegate_is_built_on() {
        let manifest = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml")).unwrap();
        let manifest: toml::Table = manifest.parse().unwrap();
        let ours = manifest["workspace"]["dependencies"]["wasmtime"]["version"]
            .as_str()
            .unwrap();
        assert_eq!(ours, WASMTIME_VERSION);
    }

    #[test]
    fn everything_stays_below_the_target_folder() {
        let target = Path::new("/t");
        assert_eq!(binary(target), Path::new("/t/bench-tools/bin/wasmtime"));
        let arguments = arguments(target);
        let after = |flag: &str| {
            arguments
                .iter()
                .skip_while(|argument| *argument != flag)
                .nth(1)
                .cloned()
        };
        assert_eq!(after("--root"), Some("/t/bench-tools".into()));
        assert_eq!(after("--target-dir"), Some("/t/bench-tools/build".into()));
        assert_eq!(after("--version"), Some(WASMTIME_VERSION.into()));
    }

    #[test]
    fn another_binary_in_its_place_is_refused() {
        assert!(matches!(
            require_wanted(Path::new("/no/wasmtime")),
            Err(Error::Missing { .. })
        ));
        let error = require_wanted(Path::new("/bin/true")).unwrap_err().to_string();
        assert!(error.contains("48.0.8"), "{error}");
    }
}
