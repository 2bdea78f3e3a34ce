//! What a route's own path says of the paths it takes: the names it captures, and what they begin with.
//!
//! Only paths that the route table accepts matter here; what is wrong with the others is its to say.

use tidegate_routing::{NormalizeOptions, PathSpec, normalize_path};

/// One segment of a pattern.
enum Segment<'a> {
    Literal(&'a str),
    Parameter(&'a str),
    /// `*` or `{*rest}`: all that follows, which may be nothing.
    Rest(Option<&'a str>),
}

fn segments(pattern: &str) -> impl Iterator<Item = Segment<'_>> {
    let segment = |part| match part {
        "*" => Segment::Rest(None),
        _ => match str::strip_prefix(part, '{').and_then(|inner| inner.strip_suffix('}')) {
            None => Segment::Literal(part),
            Some(inner) => inner
                .strip_prefix('*')
                .map_or(Segment::Parameter(inner), |name| Segment::Rest(Some(name))),
        },
    };
    pattern.strip_prefix('/').unwrap_or(pattern).split('/').map(segment)
}

/// The names that a path captures.
pub(super) fn names(path: &PathSpec) -> Vec<&str> {
    match path {
        PathSpec::Pattern(pattern) => segments(pattern)
            .filter_map(|segment| match segment {
                Segment::Parameter(name) | Segment::Rest(Some(name)) => Some(name),
                Segment::Literal(_) | Segment::Rest(None) => None,
            })
            .collect(),
        PathSpec::Regex(regex) => group_names(regex),
    }
}

/// The named groups of a regular expression that compiles.
fn group_names(regex: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut rest = regex;
    // Brackets nest, and a `]` right behind the first one, or behind its `^`, is a character of the class.
    let mut depth = 0_usize;
    while let Some(first) = rest.chars().next() {
        let after = rest.strip_prefix(first).unwrap_or_default();
        rest = match first {
            '\\' => after
                .get(after.chars().next().map_or(0, char::len_utf8)..)
                .unwrap_or_default(),
            '[' => {
                depth += 1;
                let inner = after.strip_prefix('^').unwrap_or(after);
                inner.strip_prefix(']').unwrap_or(inner)
            }
            ']' => {
                depth = depth.saturating_sub(1);
                after
            }
            '(' if depth == 0 => {
                let named = after.strip_prefix("?P<").or_else(|| after.strip_prefix("?<"));
                names.extend(named.and_then(|named| named.split_once('>')).map(|(name, _)| name));
                after
            }
            _ => after,
        };
    }
    names
}

/// Whether some path that the pattern takes begins with these whole segments, which are normalised.
pub(super) fn can_begin_with(pattern: &str, prefix: &str) -> bool {
    let mut segments = segments(pattern);
    for wanted in prefix.strip_prefix('/').unwrap_or(prefix).split('/') {
        let fits = match segments.next() {
            Some(Segment::Literal(literal)) => is_same(literal, wanted),
            Some(Segment::Parameter(_)) => !wanted.is_empty(),
            Some(Segment::Rest(_)) => return true,
            None => false,
        };
        if !fits {
            return false;
        }
    }
    true
}

/// Whether a literal segment stands for this one in a normalised path.
fn is_same(literal: &str, wanted: &str) -> bool {
    let literal = format!("/{literal}");
    // One that cannot be normalised has been reported with the route's path.
    normalize_path(&literal, NormalizeOptions::default()).is_ok_and(|literal| literal.strip_prefix('/') == Some(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_a_pattern_are_those_it_captures() {
        for (pattern, expected) in [
            ("/", &[][..]),
            ("/a/*", &[]),
            ("/{a}/b/{c}/{*rest}", &["a", "c", "rest"]),
        ] {
            assert_eq!(names(&PathSpec::Pattern(pattern.to_owned())), expected);
        }
    }

    #[test]
    fn the_names_of_an_expression_are_its_named_groups() {
        for (regex, expected) in [
            ("/a", &[][..]),
            ("/(a)(?:b)", &[]),
            ("/(?P<a>x)(?<b>y(?P<c>z))", &["a", "b", "c"]),
            (r"/\(?<no>", &[]),
            (r"/\\(?<yes>x)", &["yes"]),
            ("/[(?<no>]", &[]),
            ("/[](?<no>]", &[]),
            ("/[^](?<no>](?<yes>x)", &["yes"]),
            ("/[[:alpha:](?<no>](?<yes>x)", &["yes"]),
            (r"/[\](?<no>](?<yes>x)", &["yes"]),
            ("/\u{e9}(?<yes>x)\\", &["yes"]),
        ] {
            assert_eq!(names(&PathSpec::Regex(regex.to_owned())), expected, "{regex}");
        }
    }
}
