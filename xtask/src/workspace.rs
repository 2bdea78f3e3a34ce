//! Where things are: the repository, cargo's target folder, and the places the contract fixes.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::step;

/// The repository's root. Known when xtask is compiled, so it holds whichever folder it is called from.
pub(crate) fn root() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// The workspace of the guests, which has its own lock file and target.
pub(crate) fn guests() -> PathBuf {
    root().join("guests")
}

/// The fuzz targets, each folder a workspace of its own as cargo-fuzz wants it.
pub(crate) const FUZZ: [&str; 2] = ["routing/fuzz", "gateway/fuzz"];

/// Where the guest components end up. The demo's configuration and the tests name this folder, so it stays
/// here even when `CARGO_TARGET_DIR` sends everything else elsewhere.
pub(crate) fn guests_out() -> PathBuf {
    root().join("target/guests")
}

/// The demo's certificate and data, named by `config/demo/gateway.toml`; fixed for the same reason.
pub(crate) fn demo_out() -> PathBuf {
    root().join("target/demo")
}

/// cargo's target folder for this workspace, wherever the environment or a config file put it.
pub(crate) fn target() -> Result<PathBuf> {
    let metadata = metadata(root())?;
    let target = metadata.get("target_directory").and_then(Value::as_str);
    target
        .map(PathBuf::from)
        .context("cargo metadata names no target directory")
}

/// Where the guests are compiled: beside their sources, or under the target folder when that was moved, so
/// that a cached target folder holds them too.
pub(crate) fn guests_target(target: &Path) -> PathBuf {
    if target == root().join("target") {
        guests().join("target")
    } else {
        target.join("guests-build")
    }
}

/// What `cargo metadata --no-deps` says about the workspace in a folder.
pub(crate) fn metadata(folder: &Path) -> Result<Value> {
    let mut command = cargo(folder);
    command.args(["metadata", "--no-deps", "--format-version", "1"]);
    let text = step::output(&mut command)?;
    serde_json::from_str(&text).context("cargo metadata did not answer with JSON")
}

/// A cargo command in a folder of the repository.
///
/// What `cargo run` set for xtask itself is taken away again: build scripts that watch those variables (ring's
/// does) would otherwise run anew whenever cargo is called in turn by hand and by xtask.
pub(crate) fn cargo(folder: &Path) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(folder);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_of_the_package) {
            command.env_remove(name);
        }
    }
    command
}

fn is_of_the_package(name: &str) -> bool {
    name.starts_with("CARGO_PKG_")
        || matches!(
            name,
            "CARGO_MANIFEST_DIR" | "CARGO_MANIFEST_PATH" | "CARGO_CRATE_NAME" | "CARGO_BIN_NAME"
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_the_workspace() {
        let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
        assert!(manifest.starts_with("[workspace]"), "{manifest}");
    }

    #[test]
    fn guests_compile_beside_their_sources_unless_the_target_was_moved() {
        assert_eq!(guests_target(&root().join("target")), root().join("guests/target"));
        assert_eq!(
            guests_target(Path::new("/cache/target")),
            Path::new("/cache/target/guests-build")
        );
    }

    #[test]
    fn only_what_describes_xtask_is_taken_from_the_environment() {
        for taken in [
            "CARGO_PKG_NAME",
            "CARGO_PKG_VERSION_MAJOR",
            "CARGO_MANIFEST_DIR",
            "CARGO_BIN_NAME",
        ] {
            assert!(is_of_the_package(taken), "{taken}");
        }
        for kept in [
            "CARGO_HOME",
            "CARGO_TARGET_DIR",
            "CARGO_NET_OFFLINE",
            "CARGO",
            "RUSTUP_TOOLCHAIN",
            "PATH",
        ] {
            assert!(!is_of_the_package(kept), "{kept}");
        }
    }
}
