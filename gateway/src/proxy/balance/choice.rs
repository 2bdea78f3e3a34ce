//! What a request chooses from: the servers known at one time, and the selection over them.

use super::super::server::Server;
use super::member::Member;
use super::spread::{LeastConnections, LeastLoaded, RoundRobin};
use crate::config::Balance;
use crate::limits;
use pingora::lb::Backend;
use pingora::lb::selection::{BackendIter, BackendSelection, Consistent, Random};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// Made anew when a server comes or goes. Health and load are looked at with each request.
pub(super) struct Choice {
    members: Box<[Arc<Member>]>,
    selection: Selection,
}

enum Selection {
    RoundRobin(Arc<RoundRobin>),
    LeastLoaded(Arc<LeastLoaded>),
    LeastConnections(Arc<LeastConnections>),
    Random(Arc<Random>),
    /// By the ring; a request without a key goes to any.
    Hash(Arc<Consistent>, Arc<Random>),
}

impl Choice {
    pub(super) fn new(backends: &BTreeSet<Backend>, balance: Balance) -> Self {
        fn built<S: BackendSelection>(backends: &BTreeSet<Backend>) -> Arc<S> {
            Arc::new(S::build(backends))
        }
        Self {
            members: backends.iter().filter_map(Member::of).map(Arc::clone).collect(),
            selection: match balance {
                Balance::RoundRobin => Selection::RoundRobin(built(backends)),
                Balance::LeastLoaded => Selection::LeastLoaded(built(backends)),
                Balance::LeastConnections => Selection::LeastConnections(built(backends)),
                Balance::Random => Selection::Random(built(backends)),
                Balance::Hash => Selection::Hash(built(&on_ring(backends)), built(backends)),
            },
        }
    }

    pub(super) fn members(&self) -> &[Arc<Member>] {
        &self.members
    }

    /// The server for a request that was at `tried` before; `None` where none is healthy.
    pub(super) fn pick(&self, key: &[u8], tried: &[Arc<Server>]) -> Option<Arc<Server>> {
        // Where another server is passed over for its load it may be one of those: each costs one more look.
        let looks = tried.len().saturating_add(1);
        let first = match &self.selection {
            Selection::RoundRobin(turns) => first(turns, key, 1, tried),
            Selection::LeastLoaded(two) => first(two, key, looks, tried),
            Selection::LeastConnections(all) => first(all, key, looks, tried),
            Selection::Random(any) => first(any, key, 1, tried),
            Selection::Hash(_, any) if key.is_empty() => first(any, key, 1, tried),
            Selection::Hash(ring, _) => first(ring, key, limits::UPSTREAM_RING_STEPS_COUNT, tried),
        };
        first.or_else(|| self.next_best(key, tried))
    }

    /// Where the selection's own choice is not to be had: any of those that are best off, by weight. Unhealthy servers
    /// are never among them; those left out for their failures come after all that are not, and those the request was
    /// at before after all others.
    ///
    /// pingora's selections would go on with any server, whatever its weight: the requests of a large one that is gone
    /// would come down on the smallest.
    fn next_best(&self, key: &[u8], tried: &[Arc<Server>]) -> Option<Arc<Server>> {
        let mut dice = dice(&self.selection, key);
        let mut best: Option<((bool, bool), u64, &Arc<Member>)> = None;
        for member in self.members.iter().filter(|member| member.is_healthy()) {
            let standing = (is_among(tried, member), member.server.ejection.is_out_now());
            let weight = u64::from(member.weight());
            best = match best {
                Some((other, total, chosen)) if other == standing => {
                    let total = total.saturating_add(weight);
                    let is_chosen = dice.random_range(0..total) < weight;
                    Some((standing, total, if is_chosen { member } else { chosen }))
                }
                Some(better) if better.0 < standing => Some(better),
                _ => Some((standing, weight, member)),
            };
        }
        best.map(|(_, _, member)| Arc::clone(&member.server))
    }
}

/// The first that will do among `looks` servers that `selection` proposes for `key`.
fn first<S>(selection: &Arc<S>, key: &[u8], looks: usize, tried: &[Arc<Server>]) -> Option<Arc<Server>>
where
    S: BackendSelection<Iter: BackendIter>,
{
    let mut proposed = selection.iter(key);
    for _ in 0..looks {
        let member = Member::of(proposed.next()?)?;
        if member.is_fit() && !is_among(tried, member) {
            return Some(Arc::clone(&member.server));
        }
    }
    None
}

fn is_among(tried: &[Arc<Server>], member: &Member) -> bool {
    tried.iter().any(|server| Arc::ptr_eq(server, &member.server))
}

/// The servers with weights a ring has room for: it keeps 160 points of eight bytes for each unit of weight. Halved
/// as often as needed, so that one server more or less rarely changes the points of all others.
fn on_ring(backends: &BTreeSet<Backend>) -> BTreeSet<Backend> {
    let total: usize = backends.iter().map(|backend| backend.weight).sum();
    let halvings = (0..usize::BITS)
        .find(|halvings| total >> halvings <= limits::UPSTREAM_RING_WEIGHT)
        .unwrap_or_default();
    let scaled = |backend: &Backend| Backend {
        weight: (backend.weight >> halvings).max(1),
        ..backend.clone()
    };
    backends.iter().map(scaled).collect()
}

/// What decides where any will do: the same numbers for the same key where keys decide, so that the requests of one key
/// stay together.
fn dice(selection: &Selection, key: &[u8]) -> SmallRng {
    match selection {
        Selection::Hash(..) if !key.is_empty() => {
            let mut hasher = DefaultHasher::new();
            key.hash(&mut hasher);
            SmallRng::seed_from_u64(hasher.finish())
        }
        _ => SmallRng::from_rng(&mut rand::rng()),
    }
}
