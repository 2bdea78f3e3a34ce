//! What a component is, before and after it is compiled: its dialect, its handler, its imports and exports.

pub use crate::hosts::Import;
use crate::hosts::Imports;
use wasmparser::{Encoding, Parser, Payload};
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
        let has = |interface: &str, series: &str| {
            exports.iter().any(|name| {
                let export = Import {
                    name: name.clone(),
                    is_async: false,
                };
                export.interface() == interface && export.is_series(series)
            })
        };
        if has("wasi:http/handler", "0.3") {
            Some(Self::Handler)
        } else {
            has("wasi:http/incoming-handler", "0.2").then_some(Self::IncomingHandler)
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

/// The names at a component's surface, read from its bytes without compiling it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Surface {
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
        let (mut imports, mut exports, mut depth) = (Vec::new(), Vec::new(), 0usize);
        for payload in Parser::new(0).parse_all(wasm) {
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
                        imports.push(import.map_err(damaged)?.name.name.to_owned());
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
        let is_p3 = |name: &String| {
            Import {
                name: name.clone(),
                is_async: false,
            }
            .is_series("0.3")
        };
        let dialect = if imports.iter().chain(&exports).any(is_p3) {
            Dialect::P3
        } else {
            Dialect::P2
        };
        Ok(Self { exports, dialect })
    }

    pub(super) fn handler(&self) -> Option<Handler> {
        Handler::of(&self.exports)
    }
}

/// Everything `tidegate inspect` prints of a component.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// sha256 of the wasm bytes, hex.
    pub digest: String,
    /// Which engine runs it.
    pub dialect: Dialect,
    /// What it can be called for.
    pub handler: Option<Handler>,
    /// Its imports, each with whether this gateway serves it.
    pub imports: Vec<(Import, bool)>,
    /// Its exports.
    pub exports: Vec<String>,
    /// Linear memories, and the bytes the largest starts with.
    pub memories: (u32, u64),
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
