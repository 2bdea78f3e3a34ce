//! `tidegate inspect`: what a component is, what it imports, and what of it this gateway serves.

use super::offline::Offline;
use super::{Done, Exit, Failed, print, print_json};
use crate::runtime::{Artifact, EngineOptions, Import, Inspection, LoadError};
use serde_json::json;
use std::fmt::Write;
use std::path::PathBuf;

/// Print a component's imports, exports and dialect, and what would be denied
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  tidegate inspect hello.wasm\n  tidegate inspect hello.wasm --json")]
pub(super) struct Inspect {
    /// The component
    #[arg(value_name = "COMPONENT")]
    component: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What becomes of an import when the guest calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    Served,
    /// It links, and every call is denied without a grant.
    Denied,
    Unserved,
}

impl Access {
    fn of(import: &Import, is_served: bool) -> Self {
        let needs_grant = matches!(import.interface(), "wasi:http/outgoing-handler" | "wasi:http/client")
            || matches!(import.package(), "wasi:sockets" | "wasi:filesystem");
        match (is_served, needs_grant) {
            (false, _) => Self::Unserved,
            (true, true) => Self::Denied,
            (true, false) => Self::Served,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::Denied => "denied",
            Self::Unserved => "not served",
        }
    }
}

impl Inspect {
    pub(super) fn run(self) -> Done {
        let failed = |error: &LoadError| {
            let exit = if matches!(error, LoadError::Read { .. }) {
                Exit::NoInput
            } else {
                Exit::Data
            };
            Failed::new(exit, format!("error: {}: {error}", self.component.display()))
        };
        let artifact = Artifact::read(&self.component).map_err(|error| failed(&error))?;
        let data_dir = tempfile::tempdir()
            .map_err(|error| Failed::new(Exit::Io, format!("error: no temporary folder: {error}")))?;
        let offline = Offline::new(data_dir.path(), EngineOptions::default())?;
        let inspection = offline.loader.inspect(&artifact).map_err(|error| failed(&error))?;
        if self.json {
            print_json(&as_json(&inspection))
        } else {
            print(&as_text(&inspection))
        }
    }
}

fn as_text(inspection: &Inspection) -> String {
    let mut text = String::new();
    let handler = inspection
        .handler
        .map_or("none Tidegate can call", |handler| handler.as_str());
    let (memories, bytes) = inspection.memories;
    // Writing to a String cannot fail.
    let _ = writeln!(text, "digest   sha256:{}", inspection.digest);
    let _ = writeln!(text, "dialect  {}", inspection.dialect.as_str());
    let _ = writeln!(text, "handler  {handler}");
    let _ = writeln!(text, "memory   {memories}, starting with {bytes} bytes");
    let _ = writeln!(text, "\nimports");
    for (import, is_served) in &inspection.imports {
        let flavour = if import.is_async { " (async)" } else { "" };
        let _ = writeln!(
            text,
            "  {:<10} {}{flavour}",
            Access::of(import, *is_served).as_str(),
            import.name
        );
    }
    let _ = writeln!(text, "\nexports");
    for export in &inspection.exports {
        let _ = writeln!(text, "  {export}");
    }
    text
}

fn as_json(inspection: &Inspection) -> serde_json::Value {
    let import = |(import, is_served): &(Import, bool)| {
        json!({
            "name": import.name,
            "async": import.is_async,
            "access": Access::of(import, *is_served).as_str(),
        })
    };
    json!({
        "digest": format!("sha256:{}", inspection.digest),
        "dialect": inspection.dialect.as_str(),
        "handler": inspection.handler.map(|handler| handler.as_str()),
        "memories": inspection.memories.0,
        "memory_bytes": inspection.memories.1,
        "imports": inspection.imports.iter().map(import).collect::<Vec<_>>(),
        "exports": inspection.exports,
    })
}
