//! `tidegate serve`: one component on one address, without a configuration.

use super::{Done, Exit, Failed, complain, log_options, report, start_failed, start_log};
use crate::config::{Config, Options, Source};
use crate::control::{Gateway, GatewayOptions};
use serde_json::{Map, Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

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
    /// What the component may reach: `http=https://api.example.com` or `sockets=db.internal:5432`
    #[arg(long, value_name = "KIND=VALUE", value_parser = grant)]
    grant: Vec<(String, String)>,
    /// A folder the component may open and write to; it calls it GUEST, or PATH too if that is left out
    #[arg(long, value_name = "PATH[::GUEST]", value_parser = folder)]
    dir: Vec<Folder>,
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

/// A folder of this machine, and what the component calls it.
#[derive(Clone, Debug)]
struct Folder {
    path: String,
    guest: String,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

fn grant(text: &str) -> Result<(String, String), String> {
    if text == "dirs" || text.starts_with("dir=") || text.starts_with("dirs=") {
        return Err("folders are granted by --dir PATH::GUEST".to_owned());
    }
    pair(text).map_err(|_| "write KIND=VALUE, such as http=https://api.example.com".to_owned())
}

fn folder(text: &str) -> Result<Folder, String> {
    // As `wasmtime serve --dir` is written.
    let (path, guest) = text.split_once("::").unwrap_or((text, text));
    if path.is_empty() || guest.is_empty() {
        return Err("write PATH or PATH::GUEST, such as ./data::/data".to_owned());
    }
    if guest.split('/').any(|part| part == "..") {
        return Err(format!(
            "what the component calls it has no `..`: write {path}::/ and a name"
        ));
    }
    Ok(Folder {
        path: path.to_owned(),
        guest: guest.to_owned(),
    })
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
                "grants": self.grants(),
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

    /// What was granted, by kind. Whether there is such a kind is for the configuration to say.
    fn grants(&self) -> Value {
        let mut grants = Map::new();
        for (kind, value) in &self.grant {
            if let Value::Array(values) = grants.entry(kind.clone()).or_insert_with(|| json!([])) {
                values.push(Value::from(value.clone()));
            }
        }
        let dir = |folder: &Folder| json!({ "path": folder.path, "guest": folder.guest, "read_only": false });
        grants.insert("dirs".to_owned(), self.dir.iter().map(dir).collect());
        Value::Object(grants)
    }
}

/// A path in a document, which is text.
fn text_of(path: &Path) -> Result<&str, Failed> {
    let message = || {
        format!(
            "error: the path {} is not UTF-8: rename it, or link to it",
            path.display()
        )
    };
    path.to_str().ok_or_else(|| Failed::new(Exit::Usage, message()))
}

fn table(pairs: &[(String, String)]) -> Value {
    let pairs = pairs
        .iter()
        .map(|(name, value)| (name.clone(), Value::from(value.clone())));
    Value::Object(pairs.collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests;
