//! The tree both formats are parsed to: values with the places they are written at. JSON has no places.

use std::cell::LazyCell;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use toml::de::{DeTable, DeValue};

use super::duplicate::Definitions;
use super::error::{ConfigError, Location};
use super::file::{Format, Source};
use crate::limits;

/// One value and where it is written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) span: Option<Range<usize>>,
}

/// A value of either format.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    String(String),
    Integer(i128),
    Float(f64),
    Boolean(bool),
    /// TOML only. No key takes one, so its content is not kept.
    Datetime,
    /// JSON only. As a key's value it means that the key is absent: generators write it for that.
    Null,
    Array(Vec<Node>),
    /// In the order of the text. JSON lets a key come twice; the reader refuses that.
    Table(Vec<Entry>),
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_span: Option<Range<usize>>,
    pub(super) node: Node,
}

impl Value {
    /// What a person calls this type, with its article.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::String(_) => "a string",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a float",
            Self::Boolean(_) => "a boolean",
            Self::Datetime => "a date",
            Self::Null => "null",
            Self::Array(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

/// A parsed text, with what its syntax got wrong.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) root: Node,
    pub(super) errors: Vec<ConfigError>,
    /// The tree says what the text says: reading on finds real errors only.
    pub(super) sound: bool,
}

/// Parses a text as its format says.
pub(super) fn parse(source: &Arc<Source>) -> Parsed {
    match source.format() {
        Format::Toml => parse_toml(source),
        Format::Json => parse_json(source),
    }
}

fn parse_toml(source: &Arc<Source>) -> Parsed {
    let (table, syntax) = DeTable::parse_recoverable(source.text());
    let root = Node {
        value: table_value(table.into_inner()),
        span: Some(0..0),
    };
    // The first of two definitions stays in the tree, so the rest of the text can still be checked.
    let sound = syntax.iter().all(|error| error.message() == DUPLICATE);
    let definitions = LazyCell::new(|| Definitions::of(source, &root));
    let describe = |error: &toml::de::Error| {
        let span = error.span().unwrap_or(0..0);
        if error.message() == DUPLICATE {
            return definitions.error(&span);
        }
        let location = Location::new(source, Some(span), "");
        ConfigError::new(location, format!("not valid TOML: {}", error.message()))
    };
    let errors = syntax.iter().take(limits::CONFIG_ERRORS_COUNT).map(describe).collect();
    Parsed { root, errors, sound }
}

/// What the toml crate says of a key that comes twice.
const DUPLICATE: &str = "duplicate key";

fn table_value(table: DeTable<'_>) -> Value {
    let mut entries: Vec<Entry> = table
        .into_iter()
        .map(|(key, value)| Entry {
            key_span: Some(key.span()),
            key: key.into_inner().into_owned(),
            node: Node {
                span: Some(value.span()),
                value: toml_value(value.into_inner()),
            },
        })
        .collect();
    // The crate sorts tables by key; errors and declaration order follow the text.
    entries.sort_by_key(|entry| entry.key_span.as_ref().map(|span| span.start));
    Value::Table(entries)
}

fn toml_value(value: DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::String(text.into_owned()),
        // TOML integers fit i64, which the parser has not checked yet; i128 holds every one that does, and
        // what does not fit that either is out of every range.
        DeValue::Integer(integer) => {
            Value::Integer(i128::from_str_radix(integer.as_str(), integer.radix()).unwrap_or(i128::MAX))
        }
        DeValue::Float(float) => Value::Float(float.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(boolean) => Value::Boolean(boolean),
        DeValue::Datetime(_) => Value::Datetime,
        DeValue::Array(items) => Value::Array(
            items
                .into_iter()
                .map(|item| Node {
                    span: Some(item.span()),
                    value: toml_value(item.into_inner()),
                })
                .collect(),
        ),
        DeValue::Table(table) => table_value(table),
    }
}

fn parse_json(source: &Arc<Source>) -> Parsed {
    match serde_json::from_str(source.text()) {
        Ok(value) => Parsed {
            root: Node { value, span: None },
            errors: Vec::new(),
            sound: true,
        },
        Err(error) => {
            let at = json_offset(source.text(), error.line(), error.column());
            let location = Location::new(source, Some(at..at), "");
            // The crate ends its message with the place, which the report shows anyway.
            let text = error.to_string();
            let text = text.split(" at line ").next().unwrap_or(&text);
            Parsed {
                root: Node {
                    value: Value::Table(Vec::new()),
                    span: None,
                },
                errors: vec![ConfigError::new(location, format!("not valid JSON: {text}"))],
                sound: false,
            }
        }
    }
}

/// The byte a serde_json line and column mean: the column counts bytes and is that of the last byte read.
fn json_offset(text: &str, line: usize, column: usize) -> usize {
    let mut start = 0;
    for _ in 1..line {
        let rest = text.get(start..).unwrap_or("");
        start += rest.find('\n').map_or(0, |at| at + 1);
    }
    let mut at = (start + column.saturating_sub(1)).min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, boolean: bool) -> Result<Value, E> {
        Ok(Value::Boolean(boolean))
    }

    fn visit_i64<E>(self, integer: i64) -> Result<Value, E> {
        Ok(Value::Integer(integer.into()))
    }

    fn visit_u64<E>(self, integer: u64) -> Result<Value, E> {
        Ok(Value::Integer(integer.into()))
    }

    fn visit_f64<E>(self, float: f64) -> Result<Value, E> {
        Ok(Value::Float(float))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut nodes = Vec::new();
        while let Some(value) = items.next_element()? {
            nodes.push(Node { value, span: None });
        }
        Ok(Value::Array(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, value)) = map.next_entry()? {
            entries.push(Entry {
                key,
                key_span: None,
                node: Node { value, span: None },
            });
        }
        Ok(Value::Table(entries))
    }
}
