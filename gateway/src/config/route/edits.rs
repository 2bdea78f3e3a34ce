//! `request_headers` and `response_headers`: fields that a route sets, adds or removes.

use http::{HeaderName, HeaderValue};

use crate::config::header::{self, Message};
use crate::config::reader::Field;
use crate::limits;

/// Changes to the fields of a head. No name is in two of the lists.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeaderEdits {
    /// These replace every line of their names.
    pub set: Vec<(HeaderName, HeaderValue)>,
    /// These come after the lines of their names.
    pub add: Vec<(HeaderName, HeaderValue)>,
    /// Every line of these names goes.
    pub remove: Vec<HeaderName>,
}

pub(super) fn read(field: &Field<'_>, message: Message) -> Option<HeaderEdits> {
    let mut table = field.table("HeaderEdits")?;
    let set = table.take("set").and_then(|field| field.named()).unwrap_or_default();
    let add = table.take("add").and_then(|field| field.named()).unwrap_or_default();
    let remove = table.take("remove").and_then(|field| field.list()).unwrap_or_default();
    table.finish();
    let (count, count_max) = (set.len() + add.len() + remove.len(), limits::HEADER_EDITS_COUNT);
    if count > count_max {
        let text = format!("`{}` edits {count} fields", field.path());
        return field.fail(text, "too many", format!("at most {count_max}"));
    }
    let edits = HeaderEdits {
        set: header::read_fields(&set, message),
        add: header::read_fields(&add, message),
        remove: header::read_names(&remove, message),
    };
    let is_set = |name: &HeaderName| edits.set.iter().any(|(known, _)| known == name);
    let is_added = |name: &HeaderName| edits.add.iter().any(|(known, _)| known == name);
    let twice = edits.add.iter().map(|(name, _)| name).filter(|name| is_set(name));
    let twice = twice.chain(edits.remove.iter().filter(|name| is_set(name) || is_added(name)));
    for name in twice {
        field.fail::<()>(
            format!("`{}` has `{name}` in two lists", field.path()),
            "which of them comes first?",
            "`set` replaces what is there, `add` keeps it, `remove` takes it away: choose one",
        );
    }
    Some(edits)
}

#[cfg(test)]
mod tests;
