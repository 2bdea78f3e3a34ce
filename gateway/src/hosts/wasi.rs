//! wasi:cli, clocks, random, io, filesystem and sockets, 0.2 and 0.3, as wasmtime-wasi serves them.
//!
//! These always link: what ordinary std guests import and never call must not keep them from loading. A guest finds
//! no folder and reaches no address that [`WasiGrants`] does not give it, and its stdin is empty. Looking up names is
//! ours: wasmtime's allows all names or none, and a guest that may look up any name can tell secrets to its server.

mod dirs;
mod names;
mod sockets;

pub use dirs::DirError;
pub use names::NamesView;
pub use sockets::SocketNames;

use self::dirs::Dirs;
use self::sockets::Sockets;
use super::{Host, Imports, Linked};
use crate::config::Grants;
use crate::outbound::Outbound;
use std::path::Path;
use std::sync::Arc;
use wasmtime::component::Linker;
use wasmtime_wasi::WasiCtxBuilder;

/// The packages of WASI that a program may import whatever it is called for.
pub(super) const PACKAGES: [&str; 6] = [
    "wasi:cli",
    "wasi:clocks",
    "wasi:random",
    "wasi:io",
    "wasi:filesystem",
    "wasi:sockets",
];

/// The folders and sockets one component is granted, for the WASI context of each of its instances.
#[derive(Debug)]
pub(crate) struct WasiGrants {
    dirs: Dirs,
    sockets: Option<Arc<Sockets>>,
}

impl WasiGrants {
    /// Opens each folder once, to see that it can be.
    ///
    /// # Errors
    /// When a folder cannot be granted; `data_dir`, which is the gateway's own, is never.
    pub(crate) fn new(grants: &Grants, outbound: &Arc<Outbound>, data_dir: &Path) -> Result<Self, DirError> {
        Ok(Self {
            dirs: Dirs::open(&grants.dirs, data_dir)?,
            sockets: Sockets::new(&grants.sockets, outbound),
        })
    }

    /// Puts what is granted, and nothing else, into the context of an instance of the component `component`. What
    /// comes back is for its [`NamesView`].
    pub(crate) fn give(&self, component: &str, builder: &mut WasiCtxBuilder) -> Option<Arc<SocketNames>> {
        self.dirs.give(component, builder);
        // Off, so that the lookup of any name is denied even where ours were not linked.
        builder.allow_ip_name_lookup(false);
        let is_granted = self.sockets.is_some();
        builder.allow_tcp(is_granted).allow_udp(is_granted);
        let names = SocketNames::of(self.sockets.as_ref()?);
        sockets::check(&names, builder);
        Some(names)
    }
}

/// The standard WASI packages.
#[derive(Clone, Copy, Debug, Default)]
pub struct WasiStandard;

impl<T: NamesView + 'static> Host<T> for WasiStandard {
    fn link(&self, linker: &mut Linker<T>, imports: &Imports) -> wasmtime::Result<Linked> {
        let of = |series: &str| Linked::those(imports, |i| PACKAGES.contains(&i.package()) && i.is_series(series));
        let (p2, p3) = (of("0.2"), of("0.3"));
        // wasi:http/types of 0.2 names resources of wasi:io, so it needs them even where they are not imported.
        if !p2.is_empty() || imports.any(|import| import.package() == "wasi:http" && import.is_series("0.2")) {
            wasmtime_wasi::p2::add_to_linker_async(linker)?;
            names::p2::link(linker)?;
        }
        if !p3.is_empty() {
            wasmtime_wasi::p3::add_to_linker(linker)?;
            names::p3::link(linker)?;
        }
        Ok(Linked(p2.0.into_iter().chain(p3.0).collect()))
    }

    fn serves(&self) -> &'static [&'static str] {
        &[
            "wasi:cli/environment@0.2.6",
            "wasi:clocks/monotonic-clock@0.2.6",
            "wasi:random/random@0.2.6",
            "wasi:io/streams@0.2.6",
            "wasi:filesystem/types@0.2.6",
            "wasi:sockets/tcp@0.2.6",
            "wasi:cli/environment@0.3.0",
            "wasi:clocks/monotonic-clock@0.3.0",
            "wasi:random/random@0.3.0",
            "wasi:filesystem/types@0.3.0",
            "wasi:sockets/types@0.3.0",
        ]
    }
}
