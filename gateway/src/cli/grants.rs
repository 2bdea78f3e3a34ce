//! What a component is granted on the command line, and paths of it.

use super::{Exit, Failed};
use serde_json::{Map, Value, json};
use std::path::Path;

/// What a component is granted. It reaches nothing else.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct GrantArgs {
    /// What the component may reach: `http=https://api.example.com` or `sockets=db.internal:5432`
    #[arg(long, value_name = "KIND=VALUE", value_parser = grant)]
    grant: Vec<(String, String)>,
    /// A folder the component may open and write to; it calls it GUEST, or PATH too if that is left out
    #[arg(long, value_name = "PATH[::GUEST]", value_parser = folder)]
    dir: Vec<Folder>,
}

/// A folder of this machine, and what the component calls it.
#[derive(Clone, Debug)]
struct Folder {
    path: String,
    guest: String,
}

pub(super) fn pair(text: &str) -> Result<(String, String), String> {
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

impl GrantArgs {
    /// What was granted, by kind. Whether there is such a kind is for the configuration to say.
    pub(super) fn table(&self) -> Value {
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
pub(super) fn text_of(path: &Path) -> Result<&str, Failed> {
    let message = || {
        format!(
            "error: the path {} is not UTF-8: rename it, or link to it",
            path.display()
        )
    };
    path.to_str().ok_or_else(|| Failed::new(Exit::Usage, message()))
}
