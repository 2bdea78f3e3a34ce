//! `tidegate compile`: fills the compiled cache ahead of a start.

use super::offline::Offline;
use super::{ConfigArg, Done, Exit, Failed, load, log_options, print, start_log};
use crate::config::Options;
use crate::runtime::Artifact;

/// Compile every component of a configuration into its data_dir, so that a start need not
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  tidegate compile edge.toml   # then a binary built without the feature `jit` \
    can run it"
)]
pub(super) struct Compile {
    #[command(flatten)]
    config: ConfigArg,
}

impl Compile {
    pub(super) fn run(self) -> Done {
        let _log = start_log(&log_options()?)?;
        let config = load(&self.config.path, Options::default())?;
        let offline = Offline::of(&config.gateway)?;
        for component in config.components.values() {
            let compiled = Artifact::read(&component.source).and_then(|artifact| offline.loader.compile(&artifact));
            compiled
                .map_err(|error| Failed::new(Exit::Data, format!("error: component `{}`: {error}", component.name)))?;
        }
        let cache = config.gateway.data_dir.join("compiled");
        print(&format!(
            "{} component(s) in {}\n",
            config.components.len(),
            cache.display()
        ))
    }
}
