//! The configuration of a gateway under test, built in the terms of the test.

use super::guest;
use std::path::Path;
use toml::{Table, Value};

/// Reads an inline value, such as `{ path = '/x', component = 'hello' }`.
#[track_caller]
pub(crate) fn inline(text: &str) -> Value {
    let table: Table = toml::from_str(&format!("value = {text}")).unwrap_or_else(|error| panic!("{text}: {error}"));
    table.into_iter().next().expect("one value").1
}

/// The table `key` in `table`, made where it is missing.
pub(crate) fn entry<'t>(table: &'t mut Table, key: &str) -> &'t mut Table {
    let value = table.entry(key).or_insert_with(|| Value::Table(Table::new()));
    value.as_table_mut().unwrap_or_else(|| panic!("`{key}` is no table"))
}

/// The list `key` in `table`, made where it is missing.
pub(crate) fn list<'t>(table: &'t mut Table, key: &str) -> &'t mut Vec<Value> {
    let value = table.entry(key).or_insert_with(|| Value::Array(Vec::new()));
    value.as_array_mut().unwrap_or_else(|| panic!("`{key}` is no list"))
}

/// One `[component.name]` table.
#[derive(Clone, Debug)]
pub(crate) struct Component {
    pub(super) name: String,
    table: Table,
    is_routed: bool,
}

impl Component {
    pub(super) fn new(guest_name: &str) -> Self {
        let source = guest(guest_name).display().to_string();
        let table = Table::from_iter([("source".to_owned(), Value::String(source))]);
        Self {
            name: guest_name.to_owned(),
            table,
            is_routed: true,
        }
    }

    /// Another name than its guest's, so that one guest can stand in a gateway twice.
    pub(crate) fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Without the route that every component has by default: all of the host `NAME.test`.
    pub(crate) fn without_route(mut self) -> Self {
        self.is_routed = false;
        self
    }

    /// A number or a text: `limit("concurrency", 1)`, `limit("cpu", "300ms")`.
    pub(crate) fn limit(self, key: &str, value: impl Into<Value>) -> Self {
        self.within("limits", key, value)
    }

    /// Which requests may share an instance: `fresh`, `reuse` or `concurrent`.
    pub(crate) fn isolation(self, isolation: &str) -> Self {
        self.set("isolation", isolation)
    }

    /// How long a shared instance is kept, in TOML: `{ requests = 4, idle = '1s' }`.
    #[track_caller]
    pub(crate) fn reuse(self, reuse: &str) -> Self {
        self.set("reuse", inline(reuse))
    }

    pub(crate) fn config(self, key: &str, value: impl Into<Value>) -> Self {
        self.within("config", key, value)
    }

    pub(crate) fn env(self, key: &str, value: impl Into<Value>) -> Self {
        self.within("env", key, value)
    }

    /// Any other key of its table.
    pub(crate) fn set(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.table.insert(key.to_owned(), value.into());
        self
    }

    fn within(mut self, table: &str, key: &str, value: impl Into<Value>) -> Self {
        entry(&mut self.table, table).insert(key.to_owned(), value.into());
        self
    }

    /// Adds it, and its route, to a whole configuration.
    pub(crate) fn add_to(self, config: &mut Table) {
        if self.is_routed {
            let route = format!("{{ name = '{0}', host = '{0}.test', component = '{0}' }}", self.name);
            list(config, "route").push(inline(&route));
        }
        entry(config, "component").insert(self.name, Value::Table(self.table));
    }
}

/// A gateway's least configuration: one listener and the admin API, each on a port of its own.
pub(super) fn least(data_dir: &Path) -> Table {
    let mut config = Table::new();
    entry(&mut config, "gateway").insert("data_dir".to_owned(), data_dir.display().to_string().into());
    entry(&mut config, "admin").insert("address".to_owned(), "127.0.0.1:0".into());
    list(&mut config, "listener").push(inline("{ name = 'public', address = '127.0.0.1:0' }"));
    config
}
