//! How each peer is started that works without a guest.

use super::nginx_config;
use crate::error::Error;
use crate::scenarios::config::Config;
use crate::scenarios::peers::{native, run_arguments, spec};
use crate::scenarios::{Setup, tidegate, write};
use crate::server::Spec;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;

/// Who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    Tidegate,
    Nginx(Log),
    /// hyper, which answers by itself and passes nothing on.
    Native,
}

/// How nginx writes its access log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Log {
    /// A write for each line: its default.
    Written,
    /// 64 KiB at a time, or what there is after a second: near to what Tidegate does.
    Buffered,
}

/// What a peer is to do in one turn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Duty<'a> {
    pub(super) address: SocketAddr,
    /// For its config, logs and data.
    pub(super) dir: &'a Path,
    /// What to answer where there is no upstream.
    pub(super) body: &'static str,
    pub(super) upstream: Option<SocketAddr>,
}

impl Peer {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Tidegate => "tidegate",
            Self::Nginx(Log::Written) => "nginx",
            Self::Nginx(Log::Buffered) => "nginx, buffered log",
            Self::Native => "native hyper",
        }
    }

    /// The file in its folder that gets a line for each request.
    pub(super) fn access_log(self) -> Option<&'static str> {
        match self {
            Self::Tidegate => Some("stdout.log"),
            Self::Nginx(_) => Some(nginx_config::ACCESS_LOG),
            Self::Native => None,
        }
    }

    /// Its process, bound to the server's core.
    pub(super) fn spec(self, setup: &Setup, duty: Duty<'_>) -> Result<Spec, Error> {
        let Duty { address, dir, body, .. } = duty;
        let (program, args) = match self {
            Self::Native => return native(setup, address, dir, Some(body.as_bytes())),
            Self::Tidegate => {
                let config = Config::new(address, &dir.join("data"));
                let config = match duty.upstream {
                    Some(upstream) => config.pass_on("origin", upstream),
                    None => config.respond(body),
                };
                (tidegate(setup)?, run_arguments(&config, dir)?)
            }
            Self::Nginx(log) => {
                let program = setup.nginx.clone().map_or_else(crate::nginx::find, Ok)?;
                (program, nginx_arguments(log, duty, setup.connections)?)
            }
        };
        Ok(spec(self.name(), program, args, address, dir, Some(setup.server_cpu)))
    }
}

/// `nginx` with a folder of its own: every relative path of its config starts there. What it says goes to stderr.
fn nginx_arguments(log: Log, duty: Duty<'_>, connections: usize) -> Result<Vec<OsString>, Error> {
    write(
        &duty.dir.join(nginx_config::FILE),
        nginx_config::text(log, duty, connections),
    )?;
    // It appends to a log that is there.
    write(&duty.dir.join(nginx_config::ACCESS_LOG), "")?;
    let mut prefix = duty.dir.as_os_str().to_owned();
    prefix.push("/");
    Ok(vec![
        "-p".into(),
        prefix,
        "-c".into(),
        nginx_config::FILE.into(),
        "-e".into(),
        "stderr".into(),
    ])
}
