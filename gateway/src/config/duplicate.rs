//! Where a TOML key that comes twice came first: the toml crate's error names the second place only.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Location};
use super::file::Source;
use super::node::{Node, Value};

/// What is defined where in one text, indexed once however many duplicates it has.
#[derive(Debug)]
pub(super) struct Definitions<'a> {
    source: &'a Arc<Source>,
    /// Where the last key of each `[header]` is first written, by the header's path.
    headers: BTreeMap<Vec<String>, Range<usize>>,
    /// Where each key is written, in the order of the text.
    keys: BTreeMap<&'a str, Vec<Range<usize>>>,
}

impl<'a> Definitions<'a> {
    /// Indexes a text and the tree it was parsed to.
    pub(super) fn of(source: &'a Arc<Source>, root: &'a Node) -> Self {
        let mut headers = BTreeMap::new();
        let mut at = 0;
        for line in source.text().split_inclusive('\n') {
            // The crate drops the first header's place from its tree, so the lines themselves are read.
            let header = line
                .find(']')
                .and_then(|end| Some((header_path(line.get(..end)?)?, end)));
            if let Some((path, end)) = header {
                let key = line
                    .get(..end)
                    .and_then(|keys| keys.rfind(['[', '.']))
                    .map_or(0, |before| before + 1);
                headers.entry(path).or_insert(at + key..at + end);
            }
            at += line.len();
        }
        let mut keys = BTreeMap::new();
        collect_keys(root, &mut keys);
        keys.values_mut()
            .for_each(|places: &mut Vec<_>| places.sort_by_key(|place| place.start));
        Self { source, headers, keys }
    }

    /// The error for a key that is defined a second time at `second`.
    pub(super) fn error(&self, second: &Range<usize>) -> ConfigError {
        let text = self.source.text();
        let key = text.get(second.clone()).unwrap_or("");
        let error = |message| {
            let location = Location::new(self.source, Some(second.clone()), "");
            ConfigError::new(location, message)
                .label("defined again here")
                .help("keep one of them")
        };
        let line = text
            .get(..second.start)
            .and_then(|before| before.rfind('\n'))
            .map_or(0, |at| at + 1);
        let first = match text.get(line..second.end).and_then(header_path) {
            Some(path) => self.headers.get(&path).filter(|first| first.start < second.start),
            None => self.nearest(key.trim_matches(['"', '\'']), second.start),
        };
        let Some(first) = first else {
            return error(format!("`{key}` is defined twice"));
        };
        let first = Location::new(self.source, Some(first.clone()), "");
        error(format!("`{key}` is defined twice, first at {first}")).also(first, "first defined here")
    }

    fn nearest(&self, key: &str, before: usize) -> Option<&Range<usize>> {
        let places = self.keys.get(key)?;
        let earlier = places.partition_point(|place| place.start < before);
        places.get(earlier.checked_sub(1)?)
    }
}

/// The path of a `[table.header]` or `[[array.header]]`, given the line up to the end of its last key; `None`
/// for any other line.
fn header_path(line: &str) -> Option<Vec<String>> {
    let keys = line.trim_start().strip_prefix('[')?;
    let keys = keys.strip_prefix('[').unwrap_or(keys);
    let document = format!("{keys} = 0");
    let mut table = DeTable::parse(&document).ok()?.into_inner();
    let mut path = Vec::new();
    loop {
        let (key, value) = table.into_iter().next()?;
        path.push(key.into_inner().into_owned());
        match value.into_inner() {
            DeValue::Table(inner) => table = inner,
            _ => return Some(path),
        }
    }
}

fn collect_keys<'a>(node: &'a Node, keys: &mut BTreeMap<&'a str, Vec<Range<usize>>>) {
    match &node.value {
        Value::Array(items) => items.iter().for_each(|item| collect_keys(item, keys)),
        Value::Table(entries) => {
            for entry in entries {
                keys.entry(&entry.key).or_default().extend(entry.key_span.clone());
                collect_keys(&entry.node, keys);
            }
        }
        _ => {}
    }
}
