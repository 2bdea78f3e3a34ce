//! `tidegate inspect`: what a component is, what it imports, and what becomes of its calls under given grants.

mod access;
mod report;

use super::grants::{GrantArgs, text_of};
use super::offline::Offline;
use super::{Done, Exit, Failed, load, print, print_json};
use crate::config::{ComponentConfig, Config, Options, Source};
use crate::runtime::{Artifact, EngineOptions, LoadError};
use serde_json::json;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Print a component's imports and exports, what is granted, and what would be denied
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  tidegate inspect hello.wasm\n  tidegate inspect hello.wasm --json\n  \
    tidegate inspect proxy.wasm --grant http=https://api.example.com --dir ./data::/data\n  \
    tidegate inspect --config edge.toml --component hello"
)]
pub(super) struct Inspect {
    /// The component; with --component it may be left out, and is then the one that the configuration names
    #[arg(value_name = "COMPONENT", required_unless_present = "name")]
    file: Option<PathBuf>,
    #[command(flatten)]
    grants: GrantArgs,
    /// The configuration whose grants count: a TOML or JSON file, or a folder of TOML files
    #[arg(short, long, value_name = "CONFIG", requires = "name", conflicts_with_all = ["grant", "dir"])]
    config: Option<PathBuf>,
    /// The component of that configuration
    #[arg(long = "component", value_name = "NAME", requires = "config")]
    name: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Inspect {
    pub(super) fn run(self) -> Done {
        match (&self.config, &self.name) {
            (Some(path), Some(name)) => self.of_config(path, name),
            _ => self.of_flags(),
        }
    }

    fn of_config(&self, path: &Path, name: &str) -> Done {
        let config = load(path, Options::default())?;
        let Some(component) = config
            .components
            .values()
            .find(|component| component.name.as_str() == name)
        else {
            let names: Vec<_> = config
                .components
                .values()
                .map(|component| component.name.as_str())
                .collect();
            let message = format!(
                "error: {} has no component `{name}`; it has {}",
                path.display(),
                if names.is_empty() {
                    "none".to_owned()
                } else {
                    names.join(", ")
                }
            );
            return Err(Failed::new(Exit::Config, message));
        };
        let file = self.file.as_ref().unwrap_or(&component.source);
        self.print(file, component, &Offline::of(&config.gateway)?)
    }

    fn of_flags(&self) -> Done {
        // Not reached without one: the arguments require it.
        let Some(file) = &self.file else {
            return Err(Failed::new(Exit::Usage, "error: name a component"));
        };
        if !file.is_file() {
            let message = format!("error: there is no file {}", file.display());
            return Err(Failed::new(Exit::NoInput, message));
        }
        let data_dir = temporary()?;
        let config = self.document(file, data_dir.path())?;
        let Some(component) = config.components.values().next() else {
            return Err(Failed::new(Exit::Usage, "error: name a component"));
        };
        self.print(
            file,
            component,
            &Offline::new(data_dir.path(), EngineOptions::default())?,
        )
    }

    /// The configuration that these arguments stand for: that of `tidegate serve`.
    fn document(&self, file: &Path, data_dir: &Path) -> Result<Config, Failed> {
        let folder = std::env::current_dir()
            .map_err(|error| Failed::new(Exit::Io, format!("error: the current folder cannot be read: {error}")))?;
        let document = json!({
            "gateway": { "data_dir": text_of(data_dir)? },
            "listener": [{ "name": "public", "address": "127.0.0.1:0" }],
            "component": { "main": { "source": text_of(file)?, "grants": self.grants.table() } },
            "route": [{ "component": "main" }],
        });
        let source = Source::json("command line", folder, document.to_string());
        Config::from_sources(vec![source], Options::default()).map_err(|errors| super::report(&errors))
    }

    fn print(&self, file: &Path, component: &ComponentConfig, offline: &Offline) -> Done {
        let failed = |error: &LoadError| {
            let exit = if matches!(error, LoadError::Read { .. }) {
                Exit::NoInput
            } else {
                Exit::Data
            };
            Failed::new(exit, format!("error: {}: {error}", file.display()))
        };
        let artifact = Artifact::read(file).map_err(|error| failed(&error))?;
        let inspection = offline.loader.inspect(&artifact, component);
        let inspection = inspection.map_err(|error| failed(&error))?;
        if self.json {
            print_json(&report::as_json(&inspection, component))
        } else {
            print(&report::as_text(&inspection, component))
        }
    }
}

fn temporary() -> Result<TempDir, Failed> {
    let folder = tempfile::Builder::new().prefix("tidegate-").tempdir();
    folder.map_err(|error| Failed::new(Exit::Io, format!("error: no temporary folder: {error}")))
}
