//! The matcher as the rules say it: every route looked at, the best one kept. Shares nothing with the table but
//! the specifications; `fuzz/` compares the two as well.

use std::{cmp::Reverse, collections::BTreeSet};

use http::Method;
use regex::bytes::Regex;
use tidegate_routing::{PathSpec, Query, RouteSpec, ValueMatch};

pub(crate) type Params = Vec<(String, String)>;

/// What the naive matcher says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The route and its parameters (of patterns only).
    Found(usize, Params),
    MethodNotAllowed(BTreeSet<String>),
    NotFound,
}

pub(crate) fn find(specs: &[RouteSpec], query: &Query<'_>) -> Answer {
    let mut best = None;
    let mut allowed = BTreeSet::new();
    for (index, spec) in specs.iter().enumerate() {
        let (Some(host), Some((path, params))) = (host_rank(spec, query.host), path_rank(spec, query.path)) else {
            continue;
        };
        if !conditions_hold(spec, query) {
            continue;
        }
        let Some(method) = method_rank(spec, query.method) else {
            allowed.extend(spec.methods.iter().map(ToString::to_string));
            continue;
        };
        let rank = (
            host,
            path,
            method,
            Reverse(spec.headers.len()),
            Reverse(spec.query.len()),
            index,
        );
        if best.as_ref().is_none_or(|(known, _)| rank < *known) {
            best = Some((rank, params));
        }
    }
    if allowed.contains("GET") {
        allowed.insert("HEAD".to_owned());
    }
    match best {
        Some((rank, params)) => Answer::Found(rank.5, params),
        None if allowed.is_empty() => Answer::NotFound,
        None => Answer::MethodNotAllowed(allowed),
    }
}

/// Exact, then the longest suffix, then none.
fn host_rank(spec: &RouteSpec, host: &str) -> Option<(u8, Reverse<usize>)> {
    let host = host.split(':').next().unwrap_or_default().to_ascii_lowercase();
    let host = host.strip_suffix('.').unwrap_or(&host);
    if spec.hosts.is_empty() {
        return Some((2, Reverse(0)));
    }
    let ranks = spec.hosts.iter().filter_map(|pattern| match pattern.strip_prefix('*') {
        // The suffix keeps its dot here.
        Some(suffix) => {
            let labels = host.strip_suffix(suffix)?;
            (!labels.is_empty() && !labels.ends_with('.')).then_some((1, Reverse(suffix.len())))
        }
        None => (pattern == host).then_some((0, Reverse(0))),
    });
    ranks.min()
}

/// Literal 0, `{param}` 1, `*` 2, segment by segment; a regular expression after all of them.
fn path_rank(spec: &RouteSpec, path: &str) -> Option<((u8, Vec<u8>), Params)> {
    let pattern = match &spec.path {
        None => "/*",
        Some(PathSpec::Regex(pattern)) => {
            let whole = Regex::new(&format!("^(?:{pattern})$")).ok()?;
            return whole.is_match(path.as_bytes()).then(|| ((1, Vec::new()), Vec::new()));
        }
        Some(PathSpec::Pattern(pattern)) => pattern,
    };
    let (mut ranks, mut params) = (Vec::new(), Vec::new());
    let mut segments = path.strip_prefix('/')?.split('/');
    for part in pattern.strip_prefix('/')?.split('/') {
        let inner = part.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        if part == "*" || inner.is_some_and(|name| name.starts_with('*')) {
            ranks.push(2);
            if let Some(name) = inner {
                let rest = segments.collect::<Vec<_>>().join("/");
                params.push((name.trim_start_matches('*').to_owned(), rest));
            }
            return Some(((0, ranks), params));
        }
        let segment = segments.next()?;
        match inner {
            Some(_) if segment.is_empty() => return None,
            Some(name) => {
                params.push((name.to_owned(), segment.to_owned()));
                ranks.push(1);
            }
            None if part != segment => return None,
            None => ranks.push(0),
        }
    }
    segments.next().is_none().then_some(((0, ranks), params))
}

/// By name, then HEAD through GET, then any.
fn method_rank(spec: &RouteSpec, method: &Method) -> Option<u8> {
    if spec.methods.is_empty() {
        Some(2)
    } else if spec.methods.contains(method) {
        Some(0)
    } else {
        (method == Method::HEAD && spec.methods.contains(&Method::GET)).then_some(1)
    }
}

fn conditions_hold(spec: &RouteSpec, query: &Query<'_>) -> bool {
    let headers = spec.headers.iter().all(|(name, value)| {
        query
            .headers
            .get_all(name)
            .iter()
            .any(|line| value_holds(value, line.as_bytes()))
    });
    let parameters = spec.query.iter().all(|(name, value)| {
        let pairs = query
            .query
            .unwrap_or_default()
            .split('&')
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let first = pairs.into_iter().find(|(key, _)| key == name);
        first.is_some_and(|(_, found)| value_holds(value, found.as_bytes()))
    });
    let source = spec.source.is_empty()
        || query
            .source
            .is_some_and(|source| spec.source.iter().any(|net| net.contains(&source)));
    headers && parameters && source
}

fn value_holds(value: &ValueMatch, found: &[u8]) -> bool {
    match value {
        ValueMatch::Exact(text) => text.as_bytes() == found,
        ValueMatch::Present => true,
        ValueMatch::Regex(pattern) => Regex::new(&format!("^(?:{pattern})$")).is_ok_and(|regex| regex.is_match(found)),
    }
}
