//! wasi:config: `store@0.2.0-rc.1` and the older `store` and `runtime@0.2.0-draft`, all over the component's `config`
//! table.

use super::{Host, Imports, Linked};
use std::marker::PhantomData;
use wasmtime::component::{HasData, Linker};

mod store_bindings {
    wasmtime::component::bindgen!({ path: "../wit/config", world: "imports" });
}

mod runtime_bindings {
    wasmtime::component::bindgen!({ path: "../wit/config-runtime", world: "imports" });
}

use runtime_bindings::wasi::config::{runtime, store as draft_store};
use store_bindings::wasi::config::store;

const STORE: &str = "wasi:config/store@0.2.0-rc.1";
const DRAFT_STORE: &str = "wasi:config/store@0.2.0-draft";
const RUNTIME: &str = "wasi:config/runtime@0.2.0-draft";
const NAMES: &[&str] = &[STORE, DRAFT_STORE, RUNTIME];

/// Store data that holds configuration values for its guest.
pub trait ConfigView: Send {
    /// The value of `key`.
    fn config_value(&self, key: &str) -> Option<String>;
    /// All pairs, in the order of their keys.
    fn config_values(&self) -> Vec<(String, String)>;
}

/// All versions of the interface.
#[derive(Clone, Copy, Debug, Default)]
pub struct WasiConfig;

impl<T: ConfigView + 'static> Host<T> for WasiConfig {
    fn link(&self, linker: &mut Linker<T>, imports: &Imports) -> wasmtime::Result<Linked> {
        let linked = Linked::those(imports, |import| NAMES.contains(&import.name.as_str()));
        for name in &linked.0 {
            match name.as_str() {
                STORE => store::add_to_linker::<T, HasConfig<T>>(linker, |data| Access(data))?,
                DRAFT_STORE => draft_store::add_to_linker::<T, HasConfig<T>>(linker, |data| Access(data))?,
                _ => runtime::add_to_linker::<T, HasConfig<T>>(linker, |data| Access(data))?,
            }
        }
        Ok(linked)
    }

    fn serves(&self) -> &'static [&'static str] {
        NAMES
    }
}

/// The store data as one of these interfaces sees it.
struct Access<'a, T>(&'a mut T);

struct HasConfig<T>(PhantomData<T>);

impl<T: ConfigView + 'static> HasData for HasConfig<T> {
    type Data<'a> = Access<'a, T>;
}

impl<T: ConfigView> store::Host for Access<'_, T> {
    fn get(&mut self, key: String) -> Result<Option<String>, store::Error> {
        Ok(self.0.config_value(&key))
    }

    fn get_all(&mut self) -> Result<Vec<(String, String)>, store::Error> {
        Ok(self.0.config_values())
    }
}

impl<T: ConfigView> draft_store::Host for Access<'_, T> {
    fn get(&mut self, key: String) -> Result<Option<String>, draft_store::Error> {
        Ok(self.0.config_value(&key))
    }

    fn get_all(&mut self) -> Result<Vec<(String, String)>, draft_store::Error> {
        Ok(self.0.config_values())
    }
}

impl<T: ConfigView> runtime::Host for Access<'_, T> {
    fn get(&mut self, key: String) -> Result<Option<String>, runtime::ConfigError> {
        Ok(self.0.config_value(&key))
    }

    fn get_all(&mut self) -> Result<Vec<(String, String)>, runtime::ConfigError> {
        Ok(self.0.config_values())
    }
}
