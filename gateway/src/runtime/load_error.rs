//! Why a component cannot be served, and what to do about it.

use super::inspect::{Handler, Label, NotAComponent};
use crate::config::{ComponentConfig, ConfigError};
use crate::hosts::DirError;
use crate::limits;
use std::io;
use std::path::PathBuf;

/// Why a component cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Longer than a component may be.
    #[error("{path} holds {bytes} bytes, and a component may have at most {max}", max = limits::COMPONENT_BYTES)]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its length.
        bytes: u64,
    },
    /// No component at all.
    #[error(transparent)]
    NotAComponent(#[from] NotAComponent),
    /// The compiler or validator refused it.
    #[error("the component does not compile: {0}")]
    Invalid(String),
    /// It can be called for nothing we know.
    #[error(
        "the component exports no handler Tidegate can call: it needs wasi:http/incoming-handler@0.2 or \
         wasi:http/handler@0.3, and exports {}", list(.exports)
    )]
    NoHandler {
        /// What it does export.
        exports: Vec<String>,
    },
    /// An instance of WASI 0.2 works on one request at a time.
    #[error(
        "`isolation = \"concurrent\"` needs a component that exports wasi:http/handler@0.3, and this one has {}: use \
         \"reuse\"", .handler.as_str()
    )]
    NotConcurrent {
        /// What it has.
        handler: Handler,
    },
    /// It imports what nobody here serves.
    #[error(
        "the component imports {}, which this version of Tidegate does not serve: build it without, or compose \
         it with a component that provides it (`wac plug`)", list(.imports)
    )]
    Unserved {
        /// The imports.
        imports: Vec<String>,
    },
    /// It imports interfaces under labels, and nothing says what stands behind each.
    #[error(
        "the component imports interfaces under labels: {}. This version of Tidegate binds no labels yet: import the \
         interface by its own name (`import {};` in its world), and build it again", list(&texts(.labels)),
        .labels.first().map_or("", |label| &label.interface)
    )]
    Labelled {
        /// Each label with its interface.
        labels: Vec<Label>,
    },
    /// It was built against a WASI that was not released yet.
    #[error(
        "the component was built against a pre-release of WASI, {}: Tidegate serves the releases 0.2 and 0.3; build \
         it again with a toolchain for one of them", list(.interfaces)
    )]
    PreRelease {
        /// The interfaces.
        interfaces: Vec<String>,
    },
    /// The names are served and a type does not fit.
    #[error("the component does not link: {0}")]
    Link(String),
    /// A folder cannot be granted.
    #[error(transparent)]
    Dir(#[from] DirError),
    /// Its memory limit is below what it starts with.
    #[error(
        "the component starts with {needs} bytes of memory and its limit is {max}: raise \
         limits.memory of this component"
    )]
    Memory {
        /// Bytes at its start.
        needs: u64,
        /// The configured limit.
        max: u64,
    },
    /// It needs more places than the whole pool has.
    #[error("the component needs {needs} places in the pool, which has {has}: it has too many memories or tables")]
    Pool {
        /// Memories or tables it needs.
        needs: u32,
        /// Places of the pool.
        has: u32,
    },
    /// It cannot be started even once.
    #[error("the component does not start: {0}")]
    Start(String),
    #[cfg_attr(
        feature = "jit",
        allow(dead_code, reason = "with a compiler nothing is ever not compiled")
    )]
    /// This binary has no compiler, and the cache does not hold the component.
    #[error(
        "the component is not in the compiled cache {cache}, and this binary has no compiler: run `tidegate \
         compile` of a full build on this data_dir first"
    )]
    NotCompiled {
        /// The cache's folder.
        cache: PathBuf,
    },
    /// The compiled cache cannot be used.
    #[error("the compiled cache {path} cannot be used: {source}")]
    Cache {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl LoadError {
    /// The error at the line that names the component's source, as configuration errors are told.
    pub fn at(&self, component: &ComponentConfig) -> ConfigError {
        ConfigError::new(component.location.clone(), self.to_string())
            .label(format!("component `{}` cannot be served", component.name))
    }
}

fn texts(labels: &[Label]) -> Vec<String> {
    labels.iter().map(ToString::to_string).collect()
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        "nothing".to_owned()
    } else {
        names.join(", ")
    }
}
