//! How each peer is started.

use super::config::Config;
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

/// Somebody who answers the same request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    Tidegate {
        pool_reset: Option<&'static str>,
    },
    /// `wasmtime serve` with these arguments before the component.
    Wasmtime {
        name: &'static str,
        args: &'static [&'static str],
    },
    /// hyper, and no component.
    Native,
}

impl Peer {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Tidegate { .. } => "tidegate",
            Self::Wasmtime { name, .. } => name,
            Self::Native => "native hyper",
        }
    }

    /// Its process, bound to the server's core. `body` is what the native peer has to answer: the guest's own answer.
    pub(super) fn spec(
        self,
        setup: &Setup,
        guest_name: &str,
        address: SocketAddr,
        dir: &Path,
        body: Option<&[u8]>,
    ) -> Result<Spec, Error> {
        let (program, args) = match self {
            Self::Tidegate { pool_reset } => {
                let config = Config::new(address, &dir.join("data")).pool_reset(pool_reset);
                let config = config.serve("guest", &guest(setup, guest_name)?, "/");
                (tidegate(setup)?, run_arguments(&config, dir)?)
            }
            Self::Wasmtime { args, .. } => {
                let program = setup.wasmtime.clone().ok_or_else(no_wasmtime)?;
                (program, serve_arguments(args, address, &guest(setup, guest_name)?))
            }
            Self::Native => {
                let body = body.ok_or_else(|| Error::Usage("the native peer needs an answer to give".to_owned()))?;
                let body = String::from_utf8_lossy(body).into_owned();
                let this = std::env::current_exe().context(|| "finding this program".to_owned())?;
                let args = ["native", "--address", &address.to_string(), "--body", &body].map(OsString::from);
                (this, args.to_vec())
            }
        };
        Ok(spec(self.name(), program, args, address, dir, Some(setup.server_cpu)))
    }
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
