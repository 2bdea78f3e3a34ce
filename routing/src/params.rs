//! What a pattern captured. Nothing is recorded during the lookup: the pattern and the path say it all again, so
//! a match without a use for its parameters pays nothing for them.

use std::{fmt, sync::Arc};

use regex::Regex;

use crate::pattern::{Pattern, Segment, Tail};

/// The captured parts of a path, borrowed from it. They stand as in the normalised path: not decoded.
#[derive(Clone, Copy)]
pub struct Params<'q> {
    source: Source<'q>,
    path: &'q str,
}

#[derive(Clone, Copy)]
enum Source<'q> {
    Pattern(&'q Pattern),
    Regex(&'q Regex),
    None,
}

impl<'q> Params<'q> {
    pub(crate) fn of_pattern(pattern: &'q Pattern, path: &'q str) -> Self {
        Self {
            source: Source::Pattern(pattern),
            path,
        }
    }

    pub(crate) fn of_regex(regex: &'q Regex, path: &'q str) -> Self {
        Self {
            source: Source::Regex(regex),
            path,
        }
    }

    pub(crate) fn none() -> Self {
        Self {
            source: Source::None,
            path: "",
        }
    }

    /// The parameter called `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'q str> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Names and values, in the order of the pattern. Allocates only for a regular expression.
    #[must_use]
    pub fn iter(&self) -> ParamsIter<'q> {
        let walk = match self.source {
            Source::Pattern(pattern) => {
                let rest = self.path.strip_prefix('/');
                Walk::Pattern {
                    segments: pattern.segments.iter(),
                    tail: Some(&pattern.tail),
                    rest,
                }
            }
            Source::Regex(regex) => {
                let mut found = Vec::new();
                if let Some(captures) = regex.captures(self.path) {
                    for name in regex.capture_names().flatten() {
                        if let Some(value) = captures.name(name) {
                            found.push((name, value.as_str()));
                        }
                    }
                }
                Walk::Regex(found.into_iter())
            }
            Source::None => Walk::Regex(Vec::new().into_iter()),
        };
        ParamsIter(walk)
    }

    /// A copy that outlives the request's path and the table.
    #[must_use]
    pub fn to_owned(&self) -> OwnedParams {
        let all: Vec<_> = self.iter().map(|(name, value)| (name.into(), value.into())).collect();
        // Most routes have none, and then nothing is allocated.
        OwnedParams(if all.is_empty() { None } else { Some(all.into()) })
    }
}

impl<'q> IntoIterator for &Params<'q> {
    type Item = (&'q str, &'q str);
    type IntoIter = ParamsIter<'q>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Debug for Params<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// Iterates over [`Params`].
#[derive(Debug)]
pub struct ParamsIter<'q>(Walk<'q>);

#[derive(Debug)]
enum Walk<'q> {
    Pattern {
        segments: std::slice::Iter<'q, Segment>,
        tail: Option<&'q Tail>,
        /// The path behind the segments seen so far; none at its end.
        rest: Option<&'q str>,
    },
    Regex(std::vec::IntoIter<(&'q str, &'q str)>),
}

impl<'q> Iterator for ParamsIter<'q> {
    type Item = (&'q str, &'q str);

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Walk::Regex(found) => found.next(),
            Walk::Pattern { segments, tail, rest } => {
                for segment in segments.by_ref() {
                    let (value, after) = match (*rest)?.split_once('/') {
                        Some((value, after)) => (value, Some(after)),
                        None => ((*rest)?, None),
                    };
                    *rest = after;
                    if let Segment::Param(name) = segment {
                        return Some((name, value));
                    }
                }
                match tail.take()? {
                    Tail::Rest(Some(name)) => Some((name, rest.unwrap_or_default())),
                    Tail::Rest(None) | Tail::End => None,
                }
            }
        }
    }
}

/// [`Params`] by value; a clone is a reference count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnedParams(Option<Arc<[Named]>>);

/// A name and its value.
type Named = (Box<str>, Box<str>);

impl OwnedParams {
    /// The parameter called `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Names and values, in the order of the pattern.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .flat_map(|all| all.iter())
            .map(|(name, value)| (&**name, &**value))
    }

    /// True when the pattern names no parameter.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}
