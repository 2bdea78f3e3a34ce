//! What every test stands on: the real binary on ports of its own, and clients that see what a socket sees.

pub(crate) mod background;
pub(crate) mod certs;
pub(crate) mod client;
pub(crate) mod command;
pub(crate) mod config;
pub(crate) mod frames;
pub(crate) mod gateway;
pub(crate) mod hpack;
pub(crate) mod loader;
pub(crate) mod names;
pub(crate) mod origin;
pub(crate) mod raw;
pub(crate) mod streams;
pub(crate) mod turn;
pub(crate) mod wait;

pub(crate) use client::{Client, Protocol};
pub(crate) use gateway::Gateway;
pub(crate) use raw::{End, Raw, Response};

use std::path::{Path, PathBuf};

/// The repository.
pub(crate) fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the gateway's folder stands in the workspace")
}

/// A guest's file, by its name.
pub(crate) fn guest(name: &str) -> PathBuf {
    let path = workspace().join("target/guests").join(format!("{name}.wasm"));
    assert!(
        path.is_file(),
        "there is no {}: run `cargo xtask guests`",
        path.display()
    );
    path
}
