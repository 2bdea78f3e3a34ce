//! `tidegate run`: serves a configuration.

use super::{ConfigArg, Done, Exit, Failed, complain, load, log_options, start_failed, start_log};
use crate::config::{Config, Options};
use crate::control::{Gateway, GatewayOptions};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Serve a configuration until SIGTERM or SIGINT; SIGHUP reloads it
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  tidegate run                    # ./config\n  tidegate run edge.toml\n  \
    kill -HUP $(pidof tidegate)     # reload"
)]
pub(super) struct Run {
    #[command(flatten)]
    config: ConfigArg,
}

impl Run {
    pub(super) fn run(self) -> Done {
        let _log = start_log(&log_options()?)?;
        let path = self.config.path;
        let config = load(&path, Options::default())?;
        allow_descriptors();
        let reread = Box::new(move || Config::load(&path, Options::default()));
        let options = GatewayOptions {
            reread: Some(reread),
            ..GatewayOptions::default()
        };
        serve(config, options)
    }
}

/// Takes as many descriptors as the system lets this process have: each connection needs one, and the soft limit of
/// a login shell is a tenth of what one listener may hold.
fn allow_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if limit.current < limit.maximum
        && let Err(error) = setrlimit(Resource::Nofile, wanted)
    {
        tracing::warn!("the limit of open files stays at {:?}: {error}", limit.current);
    }
}

/// Starts a gateway, says where it listens, and serves until a signal.
fn serve(config: Config, options: GatewayOptions) -> Done {
    let gateway = Gateway::start(config, options).map_err(|error| start_failed(&error))?;
    for (name, address, tls) in gateway.addresses() {
        let scheme = if tls { "https" } else { "http" };
        complain(&format!("listening on {scheme}://{address} ({name})"));
    }
    if let Some(address) = gateway.admin_address() {
        complain(&format!("admin on {address}"));
    }
    gateway
        .run()
        .map_err(|error| Failed::new(Exit::System, format!("error: {error}")))
}
