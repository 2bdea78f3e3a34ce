//! Path patterns: parsing, and what is wrong with those that do not parse.

use std::cmp::Ordering;

use regex::{Regex, RegexBuilder};

use crate::{error::PatternProblem, normalize::write_segment};

/// As long as the longest request target a listener takes.
const PATTERN_BYTES_MAX: usize = 8 * 1024;
/// The trie is walked one call a segment, so this bounds the stack.
const PATTERN_SEGMENTS_MAX: usize = 128;
/// Compiled size of one regular expression: a counted repetition in a counted repetition can take gigabytes.
const REGEX_BYTES_MAX: usize = 1024 * 1024;

/// A parsed path pattern. Literals are normalised, as the paths they are compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    pub(crate) segments: Vec<Segment>,
    pub(crate) tail: Tail,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Segment {
    Literal(String),
    Param(String),
}

/// What a path may hold behind the segments of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tail {
    /// Nothing.
    End,
    /// Anything, with a name in the case of `{*rest}`.
    Rest(Option<String>),
}

impl Pattern {
    /// The pattern of a route that names no path.
    pub(crate) fn every_path() -> Self {
        Self {
            segments: Vec::new(),
            tail: Tail::Rest(None),
        }
    }

    pub(crate) fn parse(text: &str) -> Result<Self, PatternProblem> {
        if text.is_empty() {
            return Err(PatternProblem::Empty);
        }
        if text.len() > PATTERN_BYTES_MAX {
            return Err(PatternProblem::TooLong { max: PATTERN_BYTES_MAX });
        }
        let Some(relative) = text.strip_prefix('/') else {
            return Err(PatternProblem::NotAbsolute);
        };
        if text.contains(['?', '#']) {
            return Err(PatternProblem::NotAPath);
        }
        let mut pattern = Self {
            segments: Vec::new(),
            tail: Tail::End,
        };
        let mut names: Vec<String> = Vec::new();
        let mut parts = relative.split('/').peekable();
        let mut at = 1;
        while let Some(part) = parts.next() {
            let is_last = parts.peek().is_none();
            match Part::parse(part, at)? {
                Part::Literal(literal) if literal.is_empty() && !is_last => return Err(PatternProblem::EmptySegment),
                Part::Literal(literal) => pattern.segments.push(Segment::Literal(literal)),
                Part::Param(name) => {
                    claim(&mut names, &name)?;
                    pattern.segments.push(Segment::Param(name));
                }
                Part::Rest(_) if !is_last => return Err(PatternProblem::StarNotLast),
                Part::Rest(name) => {
                    if let Some(name) = &name {
                        claim(&mut names, name)?;
                    }
                    pattern.tail = Tail::Rest(name);
                }
            }
            if pattern.segments.len() > PATTERN_SEGMENTS_MAX {
                return Err(PatternProblem::TooManySegments {
                    max: PATTERN_SEGMENTS_MAX,
                });
            }
            at += part.len() + 1;
        }
        Ok(pattern)
    }

    /// Whether `path` is meant: the plain statement of what the trie does for all patterns at once.
    pub(crate) fn takes(&self, path: &str) -> bool {
        let Some(relative) = path.strip_prefix('/') else {
            return false;
        };
        let mut parts = relative.split('/');
        for segment in &self.segments {
            let fits = match (segment, parts.next()) {
                (Segment::Literal(literal), Some(part)) => literal == part,
                (Segment::Param(_), Some(part)) => !part.is_empty(),
                (_, None) => false,
            };
            if !fits {
                return false;
            }
        }
        match self.tail {
            Tail::End => parts.next().is_none(),
            Tail::Rest(_) => true,
        }
    }

    /// The order of precedence, total over all patterns: between two that take the same path the smaller one is
    /// the more specific.
    pub(crate) fn compare(&self, other: &Self) -> Ordering {
        let ours = self.segments.iter().map(Some).chain(std::iter::once(None));
        let theirs = other.segments.iter().map(Some).chain(std::iter::once(None));
        ours.zip(theirs)
            .map(|(a, b)| self.step(a).cmp(&other.step(b)))
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    }

    /// A segment, or what follows the last one, as a sortable value.
    fn step<'a>(&'a self, segment: Option<&'a Segment>) -> (u8, &'a str) {
        match (segment, &self.tail) {
            (Some(Segment::Literal(literal)), _) => (0, literal),
            (Some(Segment::Param(_)), _) => (1, ""),
            (None, Tail::End) => (2, ""),
            (None, Tail::Rest(_)) => (3, ""),
        }
    }
}

fn claim(names: &mut Vec<String>, name: &str) -> Result<(), PatternProblem> {
    if names.iter().any(|known| known == name) {
        return Err(PatternProblem::ParameterRepeated(name.to_owned()));
    }
    names.push(name.to_owned());
    Ok(())
}

enum Part {
    Literal(String),
    Param(String),
    Rest(Option<String>),
}

impl Part {
    fn parse(part: &str, at: usize) -> Result<Self, PatternProblem> {
        if part == "*" {
            return Ok(Self::Rest(None));
        }
        if let Some(inner) = part.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            if inner.contains(['{', '}']) {
                return Err(PatternProblem::Brace);
            }
            return match inner.strip_prefix('*') {
                Some(name) => Ok(Self::Rest(Some(parameter_name(name)?))),
                None => Ok(Self::Param(parameter_name(inner)?)),
            };
        }
        if part.contains(['{', '}']) {
            return Err(PatternProblem::Brace);
        }
        if part.contains('*') {
            return Err(PatternProblem::StarInSegment);
        }
        if let Some(name) = part.strip_prefix(':')
            && parameter_name(name).is_ok()
        {
            return Err(PatternProblem::Colon(name.to_owned()));
        }
        let mut literal = String::with_capacity(part.len());
        write_segment(part, at, &mut literal).map_err(PatternProblem::Literal)?;
        match literal.as_str() {
            "." | ".." => Err(PatternProblem::DotSegment),
            _ => Ok(Self::Literal(literal)),
        }
    }
}

fn parameter_name(name: &str) -> Result<String, PatternProblem> {
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if begins && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        Ok(name.to_owned())
    } else {
        Err(PatternProblem::ParameterName(name.to_owned()))
    }
}

/// Compiles a regular expression that must match the whole path.
pub(crate) fn path_regex(pattern: &str) -> Result<Regex, String> {
    anchor(pattern, |text| {
        RegexBuilder::new(text).size_limit(REGEX_BYTES_MAX).build()
    })
}

/// Compiles a regular expression that must match a whole header or query value, which may be any bytes.
pub(crate) fn value_regex(pattern: &str) -> Result<regex::bytes::Regex, String> {
    anchor(pattern, |text| {
        regex::bytes::RegexBuilder::new(text)
            .size_limit(REGEX_BYTES_MAX)
            .build()
    })
}

fn anchor<R>(pattern: &str, compile: impl Fn(&str) -> Result<R, regex::Error>) -> Result<R, String> {
    // By itself first: `a)|(b` is no expression, though it would become one between the anchors' brackets.
    compile(pattern).map_err(|error| error.to_string())?;
    compile(&format!(r"\A(?:{pattern})\z"))
        // Under `(?x)` a comment at the end would swallow the bracket; there a line break means nothing else.
        .or_else(|_| compile(&format!("\\A(?:{pattern}\n)\\z")))
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
