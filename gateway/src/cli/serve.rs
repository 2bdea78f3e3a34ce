//! `tidegate serve`: one component on one address, without a configuration.

use super::grants::{GrantArgs, pair, text_of};
use super::{Done, Exit, Failed, complain, log_options, report, start_failed, start_log};
use crate::config::{Config, Options, Source};
use crate::control::{Gateway, GatewayOptions};
use serde_json::{Map, Value, json};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Serve one component, without a configuration
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  tidegate serve hello.wasm\n  tidegate serve hello.wasm --addr 127.0.0.1:0 \
    --env MODE=demo --config greeting=Hello\n  tidegate serve proxy.wasm --grant http=https://api.example.com \
    --grant 'http=*.example.org:8443'\n  tidegate serve app.wasm --grant sockets=127.0.0.1:6379 --dir ./data::/data\n  \
    tidegate serve hello.wasm --isolation reuse\n\nA component reaches nothing it is not granted. \
    The first line on stderr is the address. SIGINT ends it with code 0."
)]
pub(super) struct Serve {
    /// The component
    #[arg(value_name = "COMPONENT")]
    component: PathBuf,
    /// Where to listen; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:8080")]
    addr: SocketAddr,
    /// An environment variable for the component
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    env: Vec<(String, String)>,
    /// A wasi:config value for the component
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    config: Vec<(String, String)>,
    #[command(flatten)]
    grants: GrantArgs,
    /// Which requests share an instance: none, one after another, or several at a time (wasi:http 0.3)
    #[arg(long, value_name = "MODE", value_parser = ["fresh", "reuse", "concurrent"], default_value = "fresh")]
    isolation: String,
    /// Where the admin API listens; nowhere by default
    #[arg(long, value_name = "ADDR")]
    admin: Option<String>,
    /// No access log on stdout
    #[arg(long)]
    quiet: bool,
}

impl Serve {
    pub(super) fn run(self) -> Done {
        let log = log_options()?;
        let data_dir = tempfile::Builder::new().prefix("tidegate-").tempdir();
        let data_dir = data_dir.map_err(|error| Failed::new(Exit::Io, format!("no temporary folder: {error}")))?;
        let folder = std::env::current_dir()
            .map_err(|error| Failed::new(Exit::Io, format!("the current folder cannot be read: {error}")))?;
        if !self.component.is_file() {
            let path = self.component.display();
            return Err(Failed::new(Exit::NoInput, format!("error: there is no file {path}")));
        }
        let text = self.document(text_of(&self.component)?, text_of(data_dir.path())?);
        let source = Source::json("command line", folder, text.to_string());
        let config = Config::from_sources(vec![source], Options::default()).map_err(|errors| report(&errors))?;
        let gateway = Gateway::start(config, GatewayOptions::default()).map_err(|error| start_failed(&error))?;
        for (_, address, _) in gateway.addresses() {
            complain(&format!("serving {} on http://{address}", self.component.display()));
        }
        if let Some(address) = gateway.admin_address() {
            complain(&format!("admin on {address}"));
        }
        // Only now, so that the address is the first line whatever there was to say before.
        let _log = start_log(&log)?;
        gateway
            .run()
            .map_err(|error| Failed::new(Exit::System, format!("error: {error}")))
    }

    /// The configuration that these arguments stand for.
    fn document(&self, component: &str, data_dir: &str) -> Value {
        let mut document = json!({
            "gateway": { "data_dir": data_dir, "dev": true, "access_log": if self.quiet { "off" } else { "stdout" } },
            "listener": [{ "name": "public", "address": self.addr.to_string() }],
            "component": { "main": {
                "source": component,
                "isolation": self.isolation,
                "env": table(&self.env),
                "config": table(&self.config),
                "grants": self.grants.table(),
            } },
            "route": [{ "component": "main" }],
        });
        if let Some(admin) = &self.admin
            && let Some(tables) = document.as_object_mut()
        {
            tables.insert("admin".to_owned(), json!({ "address": admin }));
        }
        document
    }
}

fn table(pairs: &[(String, String)]) -> Value {
    let pairs = pairs
        .iter()
        .map(|(name, value)| (name.clone(), Value::from(value.clone())));
    Value::Object(pairs.collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests;
