//! Hosts: what a route may name, and the index from a request's host to its levels, most specific first.

use std::{
    fmt,
    io::{Cursor, Write},
    net::Ipv6Addr,
};

use crate::{
    error::HostProblem,
    hash::{CASE_FOLDED, Index, find_byte, hash, same},
};

const LABEL_BYTES_MAX: usize = 63;
const NAME_BYTES_MAX: usize = 253;

/// A parsed host, in lower case and without a trailing dot. The order is the order of precedence between
/// patterns that match the same host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum HostPattern {
    Exact(String),
    /// What stands behind `*.`.
    Suffix(String),
    Any,
}

impl HostPattern {
    pub(crate) fn parse(text: &str) -> Result<Self, HostProblem> {
        match text {
            "" => return Err(HostProblem::Empty),
            "*" => return Err(HostProblem::StarAlone),
            _ => {}
        }
        if text.starts_with('[') {
            let address = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
            let address = address
                .and_then(|inner| inner.parse::<Ipv6Addr>().ok())
                .ok_or(HostProblem::Ipv6)?;
            return Ok(Self::Exact(format!("[{address}]")));
        }
        if text.parse::<Ipv6Addr>().is_ok() {
            return Err(HostProblem::Ipv6);
        }
        if text.contains(['/', '@']) {
            return Err(HostProblem::NotAName);
        }
        if text.contains(':') {
            return Err(HostProblem::Port);
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        match name.strip_prefix("*.") {
            Some(suffix) => Ok(Self::Suffix(parse_name(suffix)?)),
            None => Ok(Self::Exact(parse_name(name)?)),
        }
    }

    /// Whether the host of a request (as [`RequestHost`] gives it) is meant.
    pub(crate) fn takes(&self, host: &[u8]) -> bool {
        match self {
            Self::Exact(name) => host.eq_ignore_ascii_case(name.as_bytes()),
            Self::Suffix(suffix) => suffixes(host).any(|candidate| candidate.eq_ignore_ascii_case(suffix.as_bytes())),
            Self::Any => true,
        }
    }

    /// Smaller is more specific: exact, then the longest suffix, then any.
    pub(crate) fn rank(&self) -> (u8, usize) {
        match self {
            Self::Exact(_) => (0, 0),
            Self::Suffix(suffix) => (1, usize::MAX - suffix.len()),
            Self::Any => (2, 0),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Suffix(suffix) => write!(f, "*.{suffix}"),
            Self::Any => f.write_str("*"),
        }
    }
}

fn parse_name(name: &str) -> Result<String, HostProblem> {
    if name.len() > NAME_BYTES_MAX {
        return Err(HostProblem::TooLong);
    }
    for label in name.split('.') {
        if label.is_empty() {
            return Err(HostProblem::EmptyLabel);
        }
        if label.len() > LABEL_BYTES_MAX {
            return Err(HostProblem::TooLong);
        }
        if let Some(bad) = label
            .chars()
            .find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_'))
        {
            return Err(match bad {
                '*' => HostProblem::Star,
                _ if !bad.is_ascii() => HostProblem::NotAscii(bad),
                _ => HostProblem::Character(bad),
            });
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Err(HostProblem::Hyphen);
        }
    }
    Ok(name.to_ascii_lowercase())
}

/// The suffixes of `host` behind one or more whole labels, the longest first.
fn suffixes(host: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = host;
    std::iter::from_fn(move || {
        loop {
            let dot = find_byte(b'.', rest)?;
            let (label, after) = rest.split_at(dot);
            rest = after.get(1..)?;
            // `.example.com` and `a..example.com` have no label where `*` would need one.
            if !label.is_empty() {
                return Some(rest);
            }
        }
    })
}

/// A request's host without port and trailing dot. An IPv6 address is rewritten in its canonical form, for it has
/// many spellings; other hosts are borrowed with the case they came in.
#[derive(Debug)]
pub(crate) struct RequestHost<'q> {
    text: &'q [u8],
    canonical: Option<Ipv6Addr>,
}

impl<'q> RequestHost<'q> {
    #[inline]
    pub(crate) fn new(raw: &'q str) -> Self {
        let bytes = raw.as_bytes();
        if bytes.first() == Some(&b'[') {
            let address = raw
                .get(1..)
                .and_then(|rest| rest.split_once(']'))
                .map(|(inner, _)| inner);
            return Self {
                text: bytes,
                canonical: address.and_then(|inner| inner.parse().ok()),
            };
        }
        let name = match find_byte(b':', bytes) {
            Some(colon) => bytes.split_at(colon).0,
            None => bytes,
        };
        Self {
            text: name.strip_suffix(b".").unwrap_or(name),
            canonical: None,
        }
    }

    /// Hands the host to `look`.
    #[inline]
    pub(crate) fn with<R>(&self, look: impl FnOnce(&[u8]) -> R) -> R {
        let Some(address) = self.canonical else {
            return look(self.text);
        };
        // 39 bytes of address at most (45 when it ends in IPv4), and the brackets.
        let mut buffer = [0u8; 48];
        let mut cursor = Cursor::new(buffer.as_mut_slice());
        let length = match write!(cursor, "[{address}]") {
            Ok(()) => usize::try_from(cursor.position()).unwrap_or_default(),
            Err(_) => 0,
        };
        look(buffer.get(..length).unwrap_or_default())
    }
}

/// From host to level, a level being the number the pattern was given.
#[derive(Debug, Clone)]
pub(crate) struct HostIndex {
    patterns: Box<[HostPattern]>,
    exact: Index,
    suffix: Index,
    /// Which lengths suffixes have: a host with many labels costs no more lookups than there are lengths.
    suffix_lengths: [u64; 4],
    any: Option<u32>,
}

impl HostIndex {
    /// Pattern `n` of `patterns` stands for level `n`; there are no two equal ones.
    pub(crate) fn build(patterns: Vec<HostPattern>) -> Self {
        let (mut exact, mut suffix, mut any) = (Vec::new(), Vec::new(), None);
        let mut suffix_lengths = [0u64; 4];
        for (level, pattern) in (0u32..).zip(&patterns) {
            match pattern {
                HostPattern::Exact(name) => exact.push((hash::<CASE_FOLDED>(0, name.as_bytes()), level)),
                HostPattern::Suffix(name) => {
                    suffix.push((hash::<CASE_FOLDED>(0, name.as_bytes()), level));
                    if let Some(word) = suffix_lengths.get_mut(name.len() / 64) {
                        *word |= 1 << (name.len() % 64);
                    }
                }
                HostPattern::Any => any = Some(level),
            }
        }
        Self {
            patterns: patterns.into_boxed_slice(),
            exact: Index::build(&exact),
            suffix: Index::build(&suffix),
            suffix_lengths,
            any,
        }
    }

    /// Visits the levels that match `host`, the most specific first, until one gives an answer.
    #[inline]
    pub(crate) fn find<R>(&self, host: &[u8], mut visit: impl FnMut(u32) -> Option<R>) -> Option<R> {
        if !self.exact.is_empty()
            && let Some(level) = self.lookup(&self.exact, host)
            && let Some(answer) = visit(level)
        {
            return Some(answer);
        }
        if !self.suffix.is_empty() {
            for suffix in suffixes(host) {
                let word = self.suffix_lengths.get(suffix.len() / 64).copied().unwrap_or_default();
                if word >> (suffix.len() % 64) & 1 == 1
                    && let Some(level) = self.lookup(&self.suffix, suffix)
                    && let Some(answer) = visit(level)
                {
                    return Some(answer);
                }
            }
        }
        self.any.and_then(visit)
    }

    #[inline]
    fn lookup(&self, index: &Index, name: &[u8]) -> Option<u32> {
        index.find(hash::<CASE_FOLDED>(0, name), |level| {
            match self.patterns.get(level as usize) {
                Some(HostPattern::Exact(known) | HostPattern::Suffix(known)) => {
                    // Nearly every client sends lower case, and that is compared faster.
                    same(name, known.as_bytes()) || name.eq_ignore_ascii_case(known.as_bytes())
                }
                _ => false,
            }
        })
    }
}

#[cfg(test)]
mod tests;
