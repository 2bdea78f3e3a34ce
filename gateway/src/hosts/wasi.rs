//! wasi:cli, clocks, random, io, filesystem and sockets, 0.2 and 0.3, as wasmtime-wasi serves them.
//!
//! Filesystem has no preopens and sockets are denied by the context (see `runtime::store`), so these always
//! link: what ordinary std guests import and never call must not keep them from loading.

use super::{Host, Imports, Linked};
use wasmtime::component::Linker;
use wasmtime_wasi::WasiView;

const PACKAGES: [&str; 6] = [
    "wasi:cli",
    "wasi:clocks",
    "wasi:random",
    "wasi:io",
    "wasi:filesystem",
    "wasi:sockets",
];

/// The standard WASI packages.
#[derive(Clone, Copy, Debug, Default)]
pub struct WasiStandard;

impl<T: WasiView + 'static> Host<T> for WasiStandard {
    fn link(&self, linker: &mut Linker<T>, imports: &Imports) -> wasmtime::Result<Linked> {
        let of = |series: &str| Linked::those(imports, |i| PACKAGES.contains(&i.package()) && i.is_series(series));
        let (p2, p3) = (of("0.2"), of("0.3"));
        // wasi:http/types of 0.2 names resources of wasi:io, so it needs them even where they are not imported.
        if !p2.is_empty() || imports.any(|import| import.package() == "wasi:http" && import.is_series("0.2")) {
            wasmtime_wasi::p2::add_to_linker_async(linker)?;
        }
        if !p3.is_empty() {
            wasmtime_wasi::p3::add_to_linker(linker)?;
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
