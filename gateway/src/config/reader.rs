//! Typed reading of the tree: each reader answers a value or reports why not and goes on, so that one pass
//! finds every error; a table remembers the keys it was asked for and reports all others.

use std::cell::RefCell;
use std::sync::Arc;

use super::Options;
use super::error::{ConfigError, Location};
use super::file::Source;
use super::node::{Entry, Node, Value};
use super::suggest;

/// What every reader of one configuration shares: the options and the errors found so far.
#[derive(Debug)]
pub(super) struct Sink {
    pub(super) options: Options,
    errors: RefCell<Vec<ConfigError>>,
    /// Tests hold the schema and config/gateway.toml against it.
    #[cfg(test)]
    pub(super) trace: RefCell<Trace>,
}

impl Sink {
    pub(super) fn new(options: Options) -> Self {
        Self {
            options,
            errors: RefCell::default(),
            #[cfg(test)]
            trace: RefCell::default(),
        }
    }

    pub(super) fn report(&self, error: ConfigError) {
        self.errors.borrow_mut().push(error);
    }

    /// Errors so far: a reader that finds it unchanged knows that its part is complete.
    pub(super) fn count(&self) -> usize {
        self.errors.borrow().len()
    }

    pub(super) fn into_errors(self) -> Vec<ConfigError> {
        self.errors.into_inner()
    }
}

/// Of every kind of table that was read, the keys it was asked for, and whether they were there.
#[cfg(test)]
pub(super) type Trace = std::collections::BTreeMap<&'static str, std::collections::BTreeMap<&'static str, bool>>;

/// The text being read, and where its errors go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cx<'a> {
    pub(super) source: &'a Arc<Source>,
    pub(super) sink: &'a Sink,
}

/// A value with its place.
#[derive(Debug, Clone)]
pub(super) struct Field<'a> {
    cx: Cx<'a>,
    node: &'a Node,
    path: String,
}

impl<'a> Field<'a> {
    pub(super) fn root(cx: Cx<'a>, node: &'a Node) -> Self {
        Self {
            cx,
            node,
            path: String::new(),
        }
    }

    pub(super) fn cx(&self) -> Cx<'a> {
        self.cx
    }

    /// The path from the root, for messages.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn value(&self) -> &'a Value {
        &self.node.value
    }

    pub(super) fn location(&self) -> Location {
        Location::new(self.cx.source, self.node.span.clone(), self.path.clone())
    }

    /// An error at this value, not yet reported.
    pub(super) fn error(&self, message: impl Into<Box<str>>) -> ConfigError {
        ConfigError::new(self.location(), message)
    }

    /// Reports an error at this value; answers `None` for the reader to pass on.
    pub(super) fn fail<T>(
        &self,
        message: impl Into<Box<str>>,
        label: impl Into<Box<str>>,
        help: impl Into<Box<str>>,
    ) -> Option<T> {
        let error = self.error(message).label(label).help(help);
        self.cx.sink.report(error);
        None
    }

    /// Reports that the value has another type than the one expected.
    pub(super) fn wrong_type<T>(&self, expected: &str, help: &str) -> Option<T> {
        let found = self.value().kind();
        let path = &self.path;
        let message = format!("`{path}` must be {expected}, not {found}");
        let error = self.error(message).label(format!("this is {found}"));
        self.cx
            .sink
            .report(if help.is_empty() { error } else { error.help(help) });
        None
    }

    pub(super) fn string(&self) -> Option<&'a str> {
        match self.value() {
            Value::String(text) => Some(text),
            _ => self.wrong_type("a string", ""),
        }
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        match self.value() {
            Value::Boolean(boolean) => Some(*boolean),
            _ => self.wrong_type("true or false", ""),
        }
    }

    /// The elements of a list.
    pub(super) fn list(&self) -> Option<Vec<Field<'a>>> {
        match self.value() {
            Value::Array(items) => Some(self.elements(items)),
            _ => self.wrong_type("a list", ""),
        }
    }

    /// The elements of a list, or a lone value as a list of one.
    pub(super) fn one_or_list(&self) -> Vec<Field<'a>> {
        match self.value() {
            Value::Array(items) => self.elements(items),
            _ => vec![self.clone()],
        }
    }

    fn elements(&self, items: &'a [Node]) -> Vec<Field<'a>> {
        let element = |(index, node)| Field {
            cx: self.cx,
            node,
            path: format!("{}[{index}]", self.path),
        };
        items.iter().enumerate().map(element).collect()
    }

    /// One of a closed set of words.
    pub(super) fn one_of<T: Copy>(&self, words: &[(&'static str, T)]) -> Option<T> {
        let text = self.string()?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let known = words.iter().map(|(word, _)| *word);
        let label = match suggest::closest(text, known.clone()) {
            Some(word) => format!("did you mean \"{word}\"?"),
            None => "not one of the known words".to_owned(),
        };
        let known: Vec<_> = known.map(|word| format!("\"{word}\"")).collect();
        self.fail(
            format!("`{}` cannot be \"{text}\"", self.path),
            label,
            format!("one of {}", known.join(", ")),
        )
    }

    /// A table with fixed keys. `kind` is the name of its definition in the schema.
    pub(super) fn table(&self, kind: &'static str) -> Option<Table<'a>> {
        match self.value() {
            Value::Table(entries) => Some(Table {
                field: self.clone(),
                kind,
                entries,
                known: Vec::new(),
            }),
            _ => self.wrong_type("a table", ""),
        }
    }

    /// The entries of a table whose keys are names of the writer's choice.
    pub(super) fn named(&self) -> Option<Vec<NamedField<'a>>> {
        let Value::Table(entries) = self.value() else {
            return self.wrong_type("a table", "");
        };
        report_repeated(self, entries);
        let named = |entry: &'a Entry| NamedField {
            name: &entry.key,
            at: key_location(self, entry),
            field: child(self, entry),
        };
        // As a key's value, JSON's null means that the entry is absent.
        let given = entries.iter().filter(|entry| entry.node.value != Value::Null);
        Some(given.map(named).collect())
    }
}

/// An entry of a table whose keys are names.
#[derive(Debug)]
pub(super) struct NamedField<'a> {
    pub(super) name: &'a str,
    /// Where the name is written.
    pub(super) at: Location,
    pub(super) field: Field<'a>,
}

impl NamedField<'_> {
    /// Reports an error at the name.
    pub(super) fn fail_name<T>(
        &self,
        message: impl Into<Box<str>>,
        label: impl Into<Box<str>>,
        help: impl Into<Box<str>>,
    ) -> Option<T> {
        let error = ConfigError::new(self.at.clone(), message);
        self.field.cx.sink.report(error.label(label).help(help));
        None
    }
}

/// A table with fixed keys, while it is being read. Finish it, so that keys it was not asked for are reported.
#[derive(Debug)]
pub(super) struct Table<'a> {
    field: Field<'a>,
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "names the definition that tests hold the reader against")
    )]
    kind: &'static str,
    entries: &'a [Entry],
    known: Vec<&'static str>,
}

impl<'a> Table<'a> {
    /// The value of a key, if it is there.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Field<'a>> {
        self.known.push(key);
        #[cfg(test)]
        self.trace(key);
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        if entry.node.value == Value::Null {
            return None;
        }
        Some(child(&self.field, entry))
    }

    /// The value of a key that must be there.
    pub(super) fn require(&mut self, key: &'static str, help: &str) -> Option<Field<'a>> {
        let value = self.take(key);
        if value.is_none() {
            let error = self.field.error(format!("{} has no `{key}`", self.title()));
            let error = error.label(format!("`{key}` is missing here"));
            self.field.cx.sink.report(error.help(help));
        }
        value
    }

    /// A key of the contract that this version does not serve: its presence is an error of its own, because
    /// ignoring it would serve something else than was asked for. Answers whether it is there.
    pub(super) fn refuse_unserved(&mut self, key: &'static str, help: &str) -> bool {
        let message = format!("`{key}` is not served by this version of Tidegate yet");
        self.refuse(key, &message, "not served yet", help)
    }

    /// A key that says nothing here, though it does elsewhere. Answers whether it is there.
    pub(super) fn refuse(&mut self, key: &'static str, message: &str, label: &'static str, help: &str) -> bool {
        self.known.push(key);
        let present = self.present(&[key]);
        for (_, location) in &present {
            let error = ConfigError::new(location.clone(), message).label(label);
            self.field.cx.sink.report(error.help(help));
        }
        !present.is_empty()
    }

    /// The keys present among these, in the order of the text, with their places.
    pub(super) fn present(&self, keys: &[&str]) -> Vec<(&'a str, Location)> {
        self.entries
            .iter()
            .filter(|entry| keys.contains(&entry.key.as_str()) && entry.node.value != Value::Null)
            .map(|entry| (entry.key.as_str(), key_location(&self.field, entry)))
            .collect()
    }

    /// The whole table as a value, to place errors at.
    pub(super) fn field(&self) -> &Field<'a> {
        &self.field
    }

    fn title(&self) -> String {
        match self.field.path.as_str() {
            "" => "the configuration".to_owned(),
            path => format!("`{path}`"),
        }
    }

    /// Reports every key that was not asked for.
    pub(super) fn finish(self) {
        report_repeated(&self.field, self.entries);
        for entry in self.entries {
            if self.known.contains(&entry.key.as_str()) {
                continue;
            }
            let message = format!("unknown key `{}` in {}", entry.key, self.title());
            let label = match suggest::closest_key(&entry.key, &self.known) {
                Some(key) => format!("did you mean `{key}`?"),
                None => "not a key of this table".to_owned(),
            };
            let mut known = self.known.clone();
            known.sort_unstable();
            known.dedup();
            let help = format!("known keys: {}", known.join(", "));
            let error = ConfigError::new(key_location(&self.field, entry), message);
            self.field.cx.sink.report(error.label(label).help(help));
        }
    }

    #[cfg(test)]
    fn trace(&self, key: &'static str) {
        let mut trace = self.field.cx.sink.trace.borrow_mut();
        let given = trace.entry(self.kind).or_default().entry(key).or_default();
        *given |= self.entries.iter().any(|entry| entry.key == key);
    }
}

/// A key that comes twice in one table. TOML's own parser refuses it; in JSON the last would win unseen.
fn report_repeated(field: &Field<'_>, entries: &[Entry]) {
    let mut seen = std::collections::BTreeSet::new();
    for entry in entries {
        if !seen.insert(entry.key.as_str()) {
            let location = key_location(field, entry);
            let message = format!("`{}` is defined twice", location.path());
            field
                .cx
                .sink
                .report(ConfigError::new(location, message).label("defined again here"));
        }
    }
}

fn child<'a>(field: &Field<'a>, entry: &'a Entry) -> Field<'a> {
    Field {
        cx: field.cx,
        node: &entry.node,
        path: child_path(&field.path, &entry.key),
    }
}

fn key_location(field: &Field<'_>, entry: &Entry) -> Location {
    let path = child_path(&field.path, &entry.key);
    Location::new(field.cx.source, entry.key_span.clone(), path)
}

fn child_path(parent: &str, key: &str) -> String {
    if parent.is_empty() {
        key.to_owned()
    } else {
        format!("{parent}.{key}")
    }
}
