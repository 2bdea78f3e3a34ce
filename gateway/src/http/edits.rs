//! What a route changes about header fields.

use crate::config::HeaderEdits;
use http::{HeaderMap, HeaderName, HeaderValue};

/// A route's changes to the fields of a head: some are removed, then some set, then some added.
///
/// They come behind what the gateway itself does to a head, so that they can change that too, and so that nothing a
/// client names in Connection takes out what a route sets.
#[derive(Clone, Debug, Default)]
pub(crate) struct Edits {
    remove: Box<[HeaderName]>,
    set: Box<[(HeaderName, HeaderValue)]>,
    add: Box<[(HeaderName, HeaderValue)]>,
}

impl From<&HeaderEdits> for Edits {
    fn from(config: &HeaderEdits) -> Self {
        Self {
            remove: config.remove.as_slice().into(),
            set: config.set.as_slice().into(),
            add: config.add.as_slice().into(),
        }
    }
}

impl Edits {
    /// Whether they change nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty() && self.add.is_empty()
    }

    /// Changes `headers`. Names and values are shared, not copied.
    pub(crate) fn apply(&self, headers: &mut HeaderMap) {
        for name in &self.remove {
            headers.remove(name);
        }
        for (name, value) in &self.set {
            headers.insert(name.clone(), value.clone());
        }
        for (name, value) in &self.add {
            headers.append(name.clone(), value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(fields: &[(&'static str, &'static str)]) -> Vec<(HeaderName, HeaderValue)> {
        let field = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        fields.iter().map(field).collect()
    }

    fn edited(config: HeaderEdits, before: &[(&'static str, &'static str)]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields(before) {
            headers.append(name, value);
        }
        Edits::from(&config).apply(&mut headers);
        let line = |(name, value): (&HeaderName, &HeaderValue)| format!("{name}: {}", value.to_str().unwrap());
        let mut lines: Vec<String> = headers.iter().map(line).collect();
        lines.sort_by(|a, b| a.split(':').next().cmp(&b.split(':').next()));
        lines
    }

    #[test]
    fn every_line_of_a_name_goes_or_is_replaced_and_added_ones_come_behind() {
        let config = HeaderEdits {
            remove: vec![
                HeaderName::from_static("b-gone"),
                HeaderName::from_static("z-not-there"),
            ],
            set: fields(&[("c-set", "new"), ("e-new", "made")]),
            add: fields(&[("d-more", "2"), ("d-more", "3")]),
        };
        let before = [
            ("a-kept", "1"),
            ("b-gone", "1"),
            ("b-gone", "2"),
            ("c-set", "1"),
            ("c-set", "2"),
            ("d-more", "1"),
        ];
        let expected = [
            "a-kept: 1",
            "c-set: new",
            "d-more: 1",
            "d-more: 2",
            "d-more: 3",
            "e-new: made",
        ];
        assert_eq!(edited(config, &before), expected);
    }

    /// The configuration keeps names apart; should it ever not, removing does not undo what is set.
    #[test]
    fn removing_comes_first_and_adding_last() {
        let config = HeaderEdits {
            remove: vec![HeaderName::from_static("x-a")],
            set: fields(&[("x-a", "set")]),
            add: fields(&[("x-a", "added")]),
        };
        assert_eq!(edited(config, &[("x-a", "client")]), ["x-a: set", "x-a: added"]);
    }

    #[test]
    fn no_edits_change_nothing() {
        assert!(Edits::default().is_empty());
        assert!(Edits::from(&HeaderEdits::default()).is_empty());
        for config in [
            HeaderEdits {
                remove: vec![HeaderName::from_static("x-a")],
                ..HeaderEdits::default()
            },
            HeaderEdits {
                set: fields(&[("x-a", "1")]),
                ..HeaderEdits::default()
            },
            HeaderEdits {
                add: fields(&[("x-a", "1")]),
                ..HeaderEdits::default()
            },
        ] {
            assert!(!Edits::from(&config).is_empty(), "{config:?}");
        }
        assert_eq!(edited(HeaderEdits::default(), &[("x-a", "1")]), ["x-a: 1"]);
    }
}
