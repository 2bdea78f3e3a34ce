//! What a component is, before and after it is compiled: its dialect, its handler, its imports and exports.

use super::load_error::LoadError;
pub use crate::hosts::Import;
use crate::hosts::Imports;
use std::fmt;
use wasmparser::{Encoding, Parser, Payload, WasmFeatures};
use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;

/// Which of the two engines runs a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// WASI 0.2: synchronous functions, one call at a time.
    P2,
    /// WASI 0.3: `async func`, streams and futures of the component model.
    P3,
}

impl Dialect {
    /// Both.
    pub const ALL: [Self; 2] = [Self::P2, Self::P3];

    /// A short word for file names and output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::P2 => "p2",
            Self::P3 => "p3",
        }
    }
}

/// What a component can be called for, found in its exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handler {
    /// `wasi:http/incoming-handler@0.2.x`
    IncomingHandler,
    /// `wasi:http/handler@0.3.x`
    Handler,
}

impl Handler {
    fn of(exports: &[String]) -> Option<Self> {
        let has = |interface: &str, series: &str| exports.iter().any(|name| is_handler(name, interface, series));
        if has("wasi:http/handler", "0.3") {
            Some(Self::Handler)
        } else {
            has("wasi:http/incoming-handler", "0.2").then_some(Self::IncomingHandler)
        }
    }

    /// Whether the export `name` is this handler.
    pub fn is(self, name: &str) -> bool {
        match self {
            Self::IncomingHandler => is_handler(name, "wasi:http/incoming-handler", "0.2"),
            Self::Handler => is_handler(name, "wasi:http/handler", "0.3"),
        }
    }

    /// Which requests its component's instances may share.
    pub fn isolations(self) -> &'static [&'static str] {
        match self {
            Self::IncomingHandler => &["fresh", "reuse"],
            Self::Handler => &["fresh", "reuse", "concurrent"],
        }
    }

    /// The interface as people know it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::IncomingHandler => "wasi:http/incoming-handler@0.2",
            Self::Handler => "wasi:http/handler@0.3",
        }
    }
}

fn is_handler(name: &str, interface: &str, series: &str) -> bool {
    let export = Import::named(name);
    export.interface() == interface && export.is_series(series)
}

/// Bytes that are no component.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAComponent {
    /// Not WebAssembly.
    #[error("this is not WebAssembly: it does not start with the bytes \\0asm")]
    NotWasm,
    /// Machine code that another process made.
    #[error(
        "this is a compiled component (.cwasm), which is native code and only ever loaded from Tidegate's own \
         cache: give the .wasm file"
    )]
    Compiled,
    /// A core module.
    #[error(
        "this is a core WebAssembly module, not a component: build it for wasm32-wasip2, or wrap it with \
         `wasm-tools component new`"
    )]
    CoreModule,
    /// WebAssembly, but broken.
    #[error("the component is damaged: {0}")]
    Damaged(String),
}

/// An import under a name of the component's own, for an interface that it may import several times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Its name in the component.
    pub name: String,
    /// The interface behind it.
    pub interface: String,
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.interface)
    }
}

/// The names at a component's surface, read from its bytes without compiling it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Surface {
    /// Without those under labels.
    pub(super) imports: Vec<String>,
    pub(super) labels: Vec<Label>,
    pub(super) exports: Vec<String>,
    pub(super) dialect: Dialect,
}

impl Surface {
    pub(super) fn read(wasm: &[u8]) -> Result<Self, NotAComponent> {
        if Engine::detect_precompiled(wasm).is_some() {
            return Err(NotAComponent::Compiled);
        }
        if !wasm.starts_with(b"\0asm") {
            return Err(NotAComponent::NotWasm);
        }
        let damaged = |error: wasmparser::BinaryReaderError| NotAComponent::Damaged(error.to_string());
        let (mut imports, mut labels, mut exports, mut depth) = (Vec::new(), Vec::new(), Vec::new(), 0usize);
        let mut parser = Parser::new(0);
        // Labels are read, so that they can be told; whether the rest is valid is the compiler's business.
        parser.set_features(WasmFeatures::default() | WasmFeatures::CM_IMPLEMENTS);
        for payload in parser.parse_all(wasm) {
            match payload.map_err(damaged)? {
                Payload::Version {
                    encoding: Encoding::Module,
                    ..
                } if depth == 0 => {
                    return Err(NotAComponent::CoreModule);
                }
                Payload::Version { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(section) if depth == 1 => {
                    for import in section {
                        let name = import.map_err(damaged)?.name;
                        match name.implements {
                            Some(interface) => labels.push(Label {
                                name: name.name.to_owned(),
                                interface: interface.to_owned(),
                            }),
                            None => imports.push(name.name.to_owned()),
                        }
                    }
                }
                Payload::ComponentExportSection(section) if depth == 1 => {
                    for export in section {
                        exports.push(export.map_err(damaged)?.name.name.to_owned());
                    }
                }
                _ => {}
            }
        }
        let is_p3 = |name: &String| Import::named(name).is_series("0.3");
        let dialect = if imports.iter().chain(&exports).any(is_p3) {
            Dialect::P3
        } else {
            Dialect::P2
        };
        Ok(Self {
            imports,
            labels,
            exports,
            dialect,
        })
    }

    /// Standard interfaces in a version that came before its release, which nobody else may stand in for.
    pub(super) fn pre_releases(&self) -> Vec<String> {
        let names = self.imports.iter().chain(&self.exports);
        let is_one = |name: &&String| {
            let import = Import::named(name);
            import.is_standard() && import.version().contains('-')
        };
        names.filter(is_one).cloned().collect()
    }

    pub(super) fn handler(&self) -> Option<Handler> {
        Handler::of(&self.exports)
    }
}

/// Everything `tidegate inspect` prints of a component.
#[derive(Debug)]
pub struct Inspection {
    /// sha256 of the wasm bytes, hex.
    pub digest: String,
    /// Which engine runs it.
    pub dialect: Dialect,
    /// What it can be called for.
    pub handler: Option<Handler>,
    /// Its imports, each with whether this gateway serves it.
    pub imports: Vec<(Import, bool)>,
    /// Its imports under labels.
    pub labels: Vec<Label>,
    /// Its exports.
    pub exports: Vec<String>,
    /// What an instance needs; `None` where the component does not get as far as being compiled.
    pub needs: Option<Needs>,
    /// Why it cannot be served: nothing, where it can.
    pub problems: Vec<LoadError>,
}

/// What one instance takes of the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// Linear memories.
    pub memories: u32,
    /// Bytes that the largest of them starts with.
    pub memory_bytes: u64,
    /// Tables.
    pub tables: u32,
    /// Places in the pool.
    pub places: u32,
}

/// A compiled component's imports, with the dialect of each.
pub(super) fn imports(component: &Component, engine: &Engine) -> Imports {
    let ty = component.component_type();
    let imports = ty.imports(engine).map(|(name, item)| Import {
        name: name.to_owned(),
        is_async: match item.ty {
            ComponentItem::ComponentFunc(func) => func.async_(),
            ComponentItem::ComponentInstance(instance) => instance
                .exports(engine)
                .any(|(_, item)| matches!(item.ty, ComponentItem::ComponentFunc(func) if func.async_())),
            _ => false,
        },
    });
    Imports::new(imports.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_component_says_what_it_is() {
        assert_eq!(Surface::read(b"#!/bin/sh"), Err(NotAComponent::NotWasm));
        assert_eq!(Surface::read(b""), Err(NotAComponent::NotWasm));
        assert_eq!(Surface::read(b"\0asm\x01\0\0\0"), Err(NotAComponent::CoreModule));
        assert!(matches!(
            Surface::read(b"\0asm\x0d\0\x01\0\xff"),
            Err(NotAComponent::Damaged(_))
        ));
        let empty = Surface::read(b"\0asm\x0d\0\x01\0").unwrap();
        assert_eq!((empty.handler(), empty.dialect), (None, Dialect::P2));
    }

    #[test]
    fn pre_releases_of_wasi_are_told_apart() {
        let surface = Surface {
            imports: [
                "wasi:io/poll@0.2.0-rc-2023-11-10",
                "wasi:config/store@0.2.0-rc.1",
                "wasi:io/poll@0.2.99",
            ]
            .map(str::to_owned)
            .to_vec(),
            labels: Vec::new(),
            exports: vec!["wasi:http/handler@0.3.0-rc-2026-02-09".to_owned()],
            dialect: Dialect::P2,
        };
        assert_eq!(
            surface.pre_releases(),
            [
                "wasi:io/poll@0.2.0-rc-2023-11-10",
                "wasi:http/handler@0.3.0-rc-2026-02-09"
            ]
        );
    }

    #[test]
    fn the_newest_handler_wins() {
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            Handler::of(&names(&["wasi:http/incoming-handler@0.2.4"])),
            Some(Handler::IncomingHandler)
        );
        let both = names(&["wasi:http/incoming-handler@0.2.4", "wasi:http/handler@0.3.0"]);
        assert_eq!(Handler::of(&both), Some(Handler::Handler));
        assert_eq!(Handler::of(&names(&["wasi:cli/run@0.2.0"])), None);
    }
}
