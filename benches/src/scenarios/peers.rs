//! How each peer is started.

use super::config::{Config, Isolation};
use super::{Setup, guest, tidegate, write};
use crate::error::{Context, Error};
use crate::install;
use crate::server::Spec;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Compiling a guest on one core is part of a start.
const START_TIMEOUT: Duration = Duration::from_secs(120);
const NATIVE: &str = "native hyper";

/// Somebody who answers the same request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    Tidegate {
        name: &'static str,
        pool_reset: Option<&'static str>,
        isolation: Isolation,
    },
    /// `wasmtime serve` with these arguments before the component.
    Wasmtime {
        name: &'static str,
        args: &'static [&'static str],
    },
    /// hyper, and no component.
    Native,
}

/// What a peer is to serve in one turn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Duty<'a> {
    pub(super) guest: &'a str,
    pub(super) address: SocketAddr,
    /// For its config, logs and data.
    pub(super) dir: &'a Path,
    /// What the native peer has to answer: the guest's own answer.
    pub(super) body: Option<&'a [u8]>,
    /// Where the guest calls to, if it calls anyone.
    pub(super) upstream: Option<SocketAddr>,
}

impl Peer {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Tidegate { name, .. } | Self::Wasmtime { name, .. } => name,
            Self::Native => NATIVE,
        }
    }

    /// Its process, bound to the server's core.
    pub(super) fn spec(self, setup: &Setup, duty: Duty<'_>) -> Result<Spec, Error> {
        let Duty { address, dir, .. } = duty;
        let (program, args) = match self {
            Self::Native => return native(setup, address, dir, duty.body),
            Self::Wasmtime { args, .. } => {
                let program = setup.wasmtime.clone().ok_or_else(no_wasmtime)?;
                (program, serve_arguments(args, address, &guest(setup, duty.guest)?))
            }
            Self::Tidegate {
                pool_reset, isolation, ..
            } => {
                let config = Config::new(address, &dir.join("data")).pool_reset(pool_reset);
                let config = config.serve("guest", &guest(setup, duty.guest)?, "/");
                let mut config = config.isolation(isolation);
                if let Some(upstream) = duty.upstream {
                    config = config.grant_http(upstream);
                }
                (tidegate(setup)?, run_arguments(&config, dir)?)
            }
        };
        Ok(spec(self.name(), program, args, address, dir, Some(setup.server_cpu)))
    }
}

/// The native peer, which answers `body`.
pub(super) fn native(setup: &Setup, address: SocketAddr, dir: &Path, body: Option<&[u8]>) -> Result<Spec, Error> {
    let body = body.ok_or_else(|| Error::Usage("the native peer needs an answer to give".to_owned()))?;
    let body = String::from_utf8_lossy(body).into_owned();
    let this = std::env::current_exe().context(|| "finding this program".to_owned())?;
    let args = ["native", "--address", &address.to_string(), "--body", &body].map(OsString::from);
    Ok(spec(NATIVE, this, args.to_vec(), address, dir, Some(setup.server_cpu)))
}

pub(super) fn spec(
    name: &str,
    program: PathBuf,
    args: Vec<OsString>,
    address: SocketAddr,
    dir: &Path,
    cpu: Option<usize>,
) -> Spec {
    Spec {
        name: name.to_owned(),
        program,
        args,
        address,
        cpu,
        timeout: START_TIMEOUT,
        logs: dir.to_owned(),
    }
}

/// `tidegate run CONFIG`, the config written to `dir`.
pub(super) fn run_arguments(config: &Config, dir: &Path) -> Result<Vec<OsString>, Error> {
    let text = config
        .to_toml()
        .map_err(|error| Error::Usage(format!("the generated config: {error}")))?;
    let path = dir.join("gateway.toml");
    write(&path, text)?;
    Ok(vec!["run".into(), path.into()])
}

fn serve_arguments(args: &[&str], address: SocketAddr, component: &Path) -> Vec<OsString> {
    let mut all: Vec<OsString> = vec!["serve".into(), "--addr".into(), address.to_string().into()];
    all.extend(args.iter().map(OsString::from));
    all.push(component.into());
    all
}

fn no_wasmtime() -> Error {
    Error::Premise {
        name: "wasmtime".to_owned(),
        detail: format!("{} is not installed", install::WASMTIME_VERSION),
    }
}
