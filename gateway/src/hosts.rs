//! What components may import: one file per interface, named as the interface.
//!
//! A [`Host`] links one interface in the flavour a component asks for. Standard interfaces always link, because
//! ordinary guests import much that they never call; what is not granted is denied when it is called.

mod config;
mod http;
mod logging;
mod stdio;
mod wasi;

pub use config::{ConfigView, WasiConfig};
pub(crate) use http::{Destinations, Outgoing};
pub use http::{OutgoingDenied, WasiHttp};
pub use logging::{LogScope, LogView, WasiLogging};
pub use stdio::{GuestLog, LogOwner};
pub(crate) use wasi::WasiGrants;
pub use wasi::{DirError, NamesView, SocketNames, WasiStandard};

use smallvec::SmallVec;
use wasmtime::StoreContextMut;
use wasmtime::component::{GuestTaskId, Linker};

/// One import of a component: a WIT interface, the version it was built against, and whether any of its
/// functions is an `async func` (WASI 0.3), which makes it another dialect of the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// The whole name as in the component: `wasi:http/types@0.2.3`.
    pub name: String,
    /// Whether the component calls one of its functions asynchronously.
    pub is_async: bool,
}

impl Import {
    /// The import of this whole name, of synchronous functions.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            is_async: false,
        }
    }

    /// `namespace:package/interface` without the version.
    pub fn interface(&self) -> &str {
        self.name
            .split_once('@')
            .map_or(self.name.as_str(), |(interface, _)| interface)
    }

    /// `namespace:package`.
    pub fn package(&self) -> &str {
        self.interface()
            .split_once('/')
            .map_or(self.interface(), |(package, _)| package)
    }

    /// The version as written, empty when there is none.
    pub fn version(&self) -> &str {
        self.name.split_once('@').map_or("", |(_, version)| version)
    }

    /// Whether it is of WASI itself, whose packages are released together.
    pub(crate) fn is_standard(&self) -> bool {
        self.package() == "wasi:http" || wasi::PACKAGES.contains(&self.package())
    }

    /// Whether the version is a release of the `major.minor` series; a pre-release never is.
    pub fn is_series(&self, series: &str) -> bool {
        let version = self.version();
        !version.contains('-')
            && version
                .strip_prefix(series)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

/// Everything a component imports.
#[derive(Clone, Debug, Default)]
pub struct Imports(Vec<Import>);

impl Imports {
    /// The imports in the component's order.
    pub fn new(imports: Vec<Import>) -> Self {
        Self(imports)
    }

    /// Each import.
    pub fn iter(&self) -> impl Iterator<Item = &Import> {
        self.0.iter()
    }

    /// Whether any import satisfies `test`.
    pub fn any(&self, test: impl FnMut(&Import) -> bool) -> bool {
        self.0.iter().any(test)
    }
}

/// Which imports a host answers for: their whole names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Linked(pub Vec<String>);

impl Linked {
    /// The imports among `imports` that satisfy `test`.
    pub fn those(imports: &Imports, mut test: impl FnMut(&Import) -> bool) -> Self {
        Self(
            imports
                .iter()
                .filter(|import| test(import))
                .map(|import| import.name.clone())
                .collect(),
        )
    }

    /// Whether nothing was linked.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Store data whose instance may work on several requests at a time.
pub trait Tasks {
    /// Whether it does: only then is anybody asked which.
    fn works_on_several(&self) -> bool {
        false
    }

    /// From now until the guest calls its next host function, it works on the request that the first of these tasks
    /// belongs to; on none that is known, where none does. They are those of the call under way, youngest first.
    fn look_at(&mut self, stack: &[GuestTaskId]) {
        let _ = stack;
    }
}

/// Tells store data which request the guest works on that calls the host now.
pub(crate) fn look_at_request<T: Tasks + 'static>(mut store: StoreContextMut<'_, T>) -> wasmtime::Result<()> {
    if store.data().works_on_several() {
        let stack: SmallVec<[GuestTaskId; 4]> = store.async_call_stack()?.collect();
        store.data_mut().look_at(&stack);
    }
    Ok(())
}

/// Links one WASI interface (or one family that belongs together) for store data `T`.
pub trait Host<T: 'static>: Send + Sync {
    /// Adds what `imports` ask for, in the dialect they ask for, and says which imports it answers for.
    ///
    /// # Errors
    /// wasmtime's, when a definition clashes with one that is there already.
    fn link(&self, linker: &mut Linker<T>, imports: &Imports) -> wasmtime::Result<Linked>;

    /// Every interface this host can serve, as `package/interface@version` or `package@series`.
    fn serves(&self) -> &'static [&'static str];

    /// Adds all of [`Self::serves`] in its ordinary dialect, for people who build their own host.
    ///
    /// # Errors
    /// As [`Self::link`].
    fn add_to_linker(&self, linker: &mut Linker<T>) -> wasmtime::Result<()> {
        let imports = self
            .serves()
            .iter()
            .map(|name| Import {
                name: (*name).to_owned(),
                is_async: false,
            })
            .collect();
        self.link(linker, &Imports::new(imports)).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn import(name: &str) -> Import {
        Import {
            name: name.to_owned(),
            is_async: false,
        }
    }

    #[test]
    fn names_come_apart() {
        let types = import("wasi:http/types@0.2.3");
        assert_eq!(
            (types.package(), types.interface(), types.version()),
            ("wasi:http", "wasi:http/types", "0.2.3")
        );
        assert!(types.is_series("0.2"));
        assert!(!types.is_series("0.3"));
        assert!(!import("wasi:http/types@0.20.0").is_series("0.2"));
        assert!(!import("wasi:config/store@0.2.0-rc.1").is_series("0.2"));
        assert_eq!(import("plain").package(), "plain");
    }
}
