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
    hash::{CASE_KEPT, Index, hash},
    pattern::{Pattern, Segment, Tail},
};

const NONE: u32 = u32::MAX;

/// A run of entries in the table's list of candidates. Empty where no pattern ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Leaf {
    pub(crate) start: u32,
    pub(crate) length: u32,
}

#[derive(Debug, Clone)]
struct Node {
    /// The node above and the segment that leads here from it: what an edge found by hash is compared with.
    parent: u32,
    text: u32,
    text_bytes: u32,
    param: u32,
    /// Patterns that end here.
    exact: Leaf,
    /// Patterns that end here with `*`.
    rest: Leaf,
    has_literals: bool,
}

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

    /// `rest` is what follows the slash behind this node's segment; none when the path ends here.
    fn walk<R>(&self, at: u32, rest: Option<&[u8]>, visit: &mut impl FnMut(Leaf) -> Option<R>) -> Option<R> {
        let node = self.nodes.get(at as usize)?;
        match rest {
            None => {
                if let Some(answer) = see(node.exact, visit) {
                    return Some(answer);
                }
            }
            Some(rest) => {
                let (segment, after) = match rest.iter().position(|byte| *byte == b'/') {
                    Some(slash) => (rest.get(..slash).unwrap_or_default(), rest.get(slash + 1..)),
                    None => (rest, None),
                };
                if node.has_literals
                    && let Some(child) = self.edge(at, segment)
                    && let Some(answer) = self.walk(child, after, visit)
                {
                    return Some(answer);
                }
                if node.param != NONE
                    && !segment.is_empty()
                    && let Some(answer) = self.walk(node.param, after, visit)
                {
                    return Some(answer);
                }
            }
        }
        see(node.rest, visit)
    }

    #[inline]
    fn edge(&self, parent: u32, segment: &[u8]) -> Option<u32> {
        self.edges.find(hash::<CASE_KEPT>(u64::from(parent), segment), |child| {
            self.nodes.get(child as usize).is_some_and(|node| {
                let text = self.texts.get(node.text as usize..).and_then(|rest| rest.get(..node.text_bytes as usize));
                node.parent == parent && text == Some(segment)
            })
        })
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
    has_literals: bool,
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
        for (id, draft) in (0u32..).zip(self.nodes) {
            if let Some(parent) = draft.parent {
                edges.push((hash::<CASE_KEPT>(u64::from(parent), draft.text.as_bytes()), id));
            }
            nodes.push(Node {
                parent: draft.parent.unwrap_or(NONE),
                text: u32::try_from(texts.len()).ok()?,
                text_bytes: u32::try_from(draft.text.len()).ok()?,
                param: draft.param.unwrap_or(NONE),
                exact: leaf(draft.exact)?,
                rest: leaf(draft.rest)?,
                has_literals: draft.has_literals,
            });
            texts.extend_from_slice(draft.text.as_bytes());
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
        let child = self.node(Draft { parent: Some(parent), text: text.to_owned(), ..Draft::default() })?;
        self.edges.insert(key, child);
        self.nodes.get_mut(parent as usize)?.has_literals = true;
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
