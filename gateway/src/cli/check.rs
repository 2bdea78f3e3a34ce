//! `tidegate check`: everything a start would check, and no port opened.

use super::offline::Offline;
use super::{ConfigArg, Done, Exit, Failed, print, print_json};
use crate::config::{Config, ConfigError, ConfigErrors, Options};
use crate::runtime::Artifact;
use serde_json::json;

/// Check a configuration and load its components, without serving
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  tidegate check\n  tidegate check edge.toml --json\n\n\
    Exits with 78 when something is wrong, after printing all of it.")]
pub(super) struct Check {
    #[command(flatten)]
    config: ConfigArg,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Check {
    pub(super) fn run(self) -> Done {
        let config = match Config::load(&self.config.path, Options::default()) {
            Ok(config) => config,
            Err(errors) => return self.wrong(&errors),
        };
        match components(&config)? {
            Some(errors) => self.wrong(&errors),
            None => self.right(&config),
        }
    }

    fn right(&self, config: &Config) -> Done {
        let (listeners, components, routes) = (config.listeners.len(), config.components.len(), config.routes.len());
        if self.json {
            return print_json(&json!({
                "ok": true,
                "digest": config.digest.to_string(),
                "listeners": listeners,
                "components": components,
                "routes": routes,
            }));
        }
        print(&format!(
            "ok: {listeners} listener(s), {components} component(s), {routes} route(s)\n"
        ))
    }

    fn wrong(&self, errors: &ConfigErrors) -> Done {
        if self.json {
            print_json(&json!({ "ok": false, "errors": errors }))?;
            return Err(Failed::new(Exit::Config, format!("error: {errors}")));
        }
        Err(super::report(errors))
    }
}

/// Everything that is wrong with certificates and components.
fn components(config: &Config) -> Result<Option<ConfigErrors>, Failed> {
    let offline = Offline::of(&config.gateway)?;
    let listeners = config.listeners.iter().filter_map(|listener| {
        let error = crate::door::check_tls(listener).err()?;
        let label = format!("listener `{}` cannot be opened", listener.name);
        Some(ConfigError::new(listener.location.clone(), error.to_string()).label(label))
    });
    let errors = config.components.values().filter_map(|component| {
        let loaded = Artifact::read(&component.source).and_then(|artifact| offline.loader.load(&artifact, component));
        Some(loaded.err()?.at(component))
    });
    Ok(ConfigErrors::from_errors(listeners.chain(errors).collect()))
}
