//! A trie over path segments that visits every pattern matching a path, the most specific first.
//!
//! Why not `matchit`: it answers with one pattern. A route may refuse a request for its method, a header or its
//! source, and then the next less specific pattern must be asked, whichever it is; working those chains out
//! beforehand takes a list for every combination of overlapping patterns. Segments as units also give
//! `literal > {param} > *` from left to right by construction, with backtracking over whole segments.
//!
//! The edges of all nodes, of all hosts, lie in one flat index under the hash of (node, segment), so a step costs
//! the same whether a node has one child or ten thousand.

use std::collections::HashMap;

use crate::{
    hash::{CASE_KEPT, Index, find_byte, hash, same},
    pattern::{Pattern, Segment, Tail},
};

const NONE: u32 = u32::MAX;

/// A run of entries in the table's list of candidates. Empty where no pattern ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Leaf {
    pub(crate) start: u32,
    pub(crate) length: u32,
}

/// One node is one cache line, its segment's text included: in a large table a step costs what it misses.
#[derive(Debug, Clone)]
#[repr(align(64))]
struct Node {
    /// The node above, and the segment that leads here from it: what an edge found by hash is compared with.
    parent: u32,
    text_bytes: u32,
    /// The text, when it is no longer than this; otherwise it is in `texts`.
    text_here: [u8; TEXT_HERE_BYTES],
    text_there: u32,
    param: u32,
    /// Patterns that end here.
    exact: Leaf,
    /// Patterns that end here with `*`.
    rest: Leaf,
    literals: Literals,
}

/// The children of a node that are reached by a segment's text.
#[derive(Debug, Clone, Copy, Default)]
enum Literals {
    #[default]
    None,
    /// Compared at once, without the index.
    One(u32),
    Many,
}

const TEXT_HERE_BYTES: usize = 20;

/// The compiled trie. Each host has a root of its own.
#[derive(Debug, Clone)]
pub(crate) struct Trie {
    nodes: Box<[Node]>,
    texts: Box<[u8]>,
    edges: Index,
}

impl Trie {
    /// Visits the leaves of the patterns under `root` that take `path`, the most specific first, until one gives
    /// an answer.
    #[inline]
    pub(crate) fn find<R>(&self, root: u32, path: &str, visit: &mut impl FnMut(Leaf) -> Option<R>) -> Option<R> {
        let relative = path.as_bytes().strip_prefix(b"/")?;
        self.walk(root, Some(relative), visit)
    }

    /// `path` is what follows the slash behind this node's segment; none when the path ends here.
    fn walk<R>(&self, mut at: u32, mut path: Option<&[u8]>, visit: &mut impl FnMut(Leaf) -> Option<R>) -> Option<R> {
        loop {
            let node = self.nodes.get(at as usize)?;
            let Some(rest) = path else {
                return see(node.exact, visit).or_else(|| see(node.rest, visit));
            };
            let (segment, after) = match find_byte(b'/', rest) {
                Some(slash) => (rest.get(..slash).unwrap_or_default(), rest.get(slash + 1..)),
                None => (rest, None),
            };
            let literal = self.literal(at, node, segment);
            let param = (node.param != NONE && !segment.is_empty()).then_some(node.param);
            // Where there is one way on and none back, no call is needed.
            at = match (literal, param) {
                (Some(only), None) | (None, Some(only)) if node.rest.length == 0 => only,
                (None, None) => return see(node.rest, visit),
                _ => {
                    let mut ways = [literal, param].into_iter().flatten();
                    let found = ways.find_map(|child| self.walk(child, after, visit));
                    return found.or_else(|| see(node.rest, visit));
                }
            };
            path = after;
        }
    }

    /// The child of `node` (at `parent`) for this very segment.
    #[inline]
    fn literal(&self, parent: u32, node: &Node, segment: &[u8]) -> Option<u32> {
        let is_it = |child: u32| {
            let child = self.nodes.get(child as usize);
            child
                .is_some_and(|child| child.parent == parent && self.text(child).is_some_and(|text| same(text, segment)))
        };
        match node.literals {
            Literals::None => None,
            Literals::One(child) => is_it(child).then_some(child),
            Literals::Many => self.edges.find(hash::<CASE_KEPT>(u64::from(parent), segment), is_it),
        }
    }

    #[inline]
    fn text<'t>(&'t self, node: &'t Node) -> Option<&'t [u8]> {
        let length = node.text_bytes as usize;
        node.text_here
            .get(..length)
            .or_else(|| self.texts.get(node.text_there as usize..)?.get(..length))
    }
}

#[inline]
fn see<R>(leaf: Leaf, visit: &mut impl FnMut(Leaf) -> Option<R>) -> Option<R> {
    if leaf.length == 0 { None } else { visit(leaf) }
}

/// The trie being put together.
#[derive(Debug, Default)]
pub(crate) struct TrieBuilder {
    nodes: Vec<Draft>,
    edges: HashMap<(u32, String), u32>,
}

#[derive(Debug, Default)]
struct Draft {
    parent: Option<u32>,
    text: String,
    param: Option<u32>,
    exact: Vec<u32>,
    rest: Vec<u32>,
    literals: Literals,
}

impl TrieBuilder {
    /// A new root. None when the trie outgrows its indices, as everywhere here.
    pub(crate) fn root(&mut self) -> Option<u32> {
        self.node(Draft::default())
    }

    /// Puts route number `route` where `pattern` ends.
    pub(crate) fn insert(&mut self, root: u32, pattern: &Pattern, route: u32) -> Option<()> {
        let mut at = root;
        for segment in &pattern.segments {
            at = match segment {
                Segment::Literal(text) => self.literal(at, text)?,
                Segment::Param(_) => self.param(at)?,
            };
        }
        let node = self.nodes.get_mut(at as usize)?;
        match pattern.tail {
            Tail::End => node.exact.push(route),
            Tail::Rest(_) => node.rest.push(route),
        }
        Some(())
    }

    /// Compiles; `leaf` stores the routes of one place, in the order they were inserted, and says where.
    pub(crate) fn build(self, mut leaf: impl FnMut(Vec<u32>) -> Option<Leaf>) -> Option<Trie> {
        let mut nodes = Vec::with_capacity(self.nodes.len());
        let mut texts = Vec::new();
        let mut edges = Vec::new();
        for ((parent, text), child) in &self.edges {
            // An only child is compared at once: leaving it out keeps the index in the cache for longer.
            if self
                .nodes
                .get(*parent as usize)
                .is_some_and(|node| matches!(node.literals, Literals::Many))
            {
                edges.push((hash::<CASE_KEPT>(u64::from(*parent), text.as_bytes()), *child));
            }
        }
        for draft in self.nodes {
            let text = draft.text.as_bytes();
            let text_there = u32::try_from(texts.len()).ok()?;
            let mut text_here = [0; TEXT_HERE_BYTES];
            match text_here.get_mut(..text.len()) {
                Some(here) => here.copy_from_slice(text),
                None => texts.extend_from_slice(text),
            }
            nodes.push(Node {
                parent: draft.parent.unwrap_or(NONE),
                text_bytes: u32::try_from(text.len()).ok()?,
                text_here,
                text_there,
                param: draft.param.unwrap_or(NONE),
                exact: leaf(draft.exact)?,
                rest: leaf(draft.rest)?,
                literals: draft.literals,
            });
        }
        Some(Trie {
            nodes: nodes.into_boxed_slice(),
            texts: texts.into_boxed_slice(),
            edges: Index::build(&edges),
        })
    }

    fn literal(&mut self, parent: u32, text: &str) -> Option<u32> {
        let key = (parent, text.to_owned());
        if let Some(known) = self.edges.get(&key) {
            return Some(*known);
        }
        let child = self.node(Draft {
            parent: Some(parent),
            text: text.to_owned(),
            ..Draft::default()
        })?;
        self.edges.insert(key, child);
        let literals = &mut self.nodes.get_mut(parent as usize)?.literals;
        *literals = match literals {
            Literals::None => Literals::One(child),
            Literals::One(_) | Literals::Many => Literals::Many,
        };
        Some(child)
    }

    fn param(&mut self, parent: u32) -> Option<u32> {
        if let Some(known) = self.nodes.get(parent as usize)?.param {
            return Some(known);
        }
        // Reached from its parent by number, so it has no edge of its own.
        let child = self.node(Draft::default())?;
        self.nodes.get_mut(parent as usize)?.param = Some(child);
        Some(child)
    }

    fn node(&mut self, draft: Draft) -> Option<u32> {
        let id = u32::try_from(self.nodes.len()).ok().filter(|id| *id < NONE)?;
        self.nodes.push(draft);
        Some(id)
    }
}
