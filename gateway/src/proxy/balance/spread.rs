//! The selections pingora does not have, on its trait: turns that are spread evenly, and those that look at load.

use super::member::Member;
use pingora::lb::Backend;
use pingora::lb::selection::{BackendIter, BackendSelection};
use smallvec::SmallVec;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The servers, and a list that has each of them as often as its weight says.
///
/// pingora's list has all turns of a server in a row, so that of two servers of weights 100 and 99 each stands still
/// while the other gets a hundred requests. Here the turns of each are spread over the whole round, each server
/// beginning at another point (multiples of the golden ratio lie far from one another), as nginx does it.
struct Turns {
    backends: Box<[Backend]>,
    members: Box<[Arc<Member>]>,
    list: Box<[u16]>,
    next: AtomicUsize,
}

/// 2^32 divided by the golden ratio.
const GOLDEN: u32 = 0x9e37_79b9;

impl Turns {
    fn build(backends: &BTreeSet<Backend>) -> Self {
        let backends: Box<[Backend]> = backends
            .iter()
            .filter(|backend| Member::of(backend).is_some())
            .take(usize::from(u16::MAX))
            .cloned()
            .collect();
        let divisor = backends
            .iter()
            .fold(0, |divisor, backend| gcd(divisor, backend.weight))
            .max(1);
        let mut turns: Vec<(u64, u16)> = Vec::new();
        for (at, backend) in (0_u16..).zip(&backends) {
            let weight = (backend.weight / divisor).max(1) as u64;
            let begin = u64::from(u32::from(at).wrapping_mul(GOLDEN));
            turns.extend((0..weight).map(|turn| (((turn << 32) + begin) / weight, at)));
        }
        turns.sort_unstable();
        Self {
            members: backends.iter().filter_map(Member::of).map(Arc::clone).collect(),
            list: turns.into_iter().map(|(_, at)| at).collect(),
            // Not every list begins with the same server: it is made anew whenever a name's addresses change.
            next: AtomicUsize::new(rand::random::<u32>() as usize),
            backends,
        }
    }

    /// The place whose turn it is; 0 where there is none.
    fn turn(&self) -> usize {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        self.at(turn.checked_rem(self.list.len()).unwrap_or(0))
    }

    /// Two places at random, by weight, and as far as that is easily had not the same.
    fn two(&self) -> [usize; 2] {
        let draw = || self.at(scaled(rand::random(), self.list.len()));
        let first = draw();
        let second = (0..4).map(|_| draw()).find(|second| *second != first);
        [first, second.unwrap_or(first)]
    }

    fn at(&self, turn: usize) -> usize {
        self.list.get(turn).copied().map_or(0, usize::from)
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// A number below `bound`, all as likely as one another when those of `random` are.
pub(super) fn scaled(random: u64, bound: usize) -> usize {
    ((u128::from(random) * bound as u128) >> u64::BITS) as usize
}

/// One after the other, by weight.
pub(super) struct RoundRobin(Turns);

/// Of two servers at random the one with less load for its weight.
pub(super) struct LeastLoaded(Turns);

/// The server with the least load for its weight. Of several the one whose turn it is, or else any of them by weight.
pub(super) struct LeastConnections(Turns);

pub(super) struct NextTurn(Arc<RoundRobin>);

pub(super) struct LessLoaded(Arc<LeastLoaded>);

/// From the least loaded server to the most loaded one, those not fit left out.
pub(super) struct ByLoad {
    all: Arc<LeastConnections>,
    /// The place whose turn it is.
    turn: usize,
    /// Places given before.
    given: SmallVec<[usize; 4]>,
}

impl BackendSelection for RoundRobin {
    type Iter = NextTurn;
    type Config = ();

    fn build(backends: &BTreeSet<Backend>) -> Self {
        Self(Turns::build(backends))
    }

    fn iter(self: &Arc<Self>, _key: &[u8]) -> NextTurn {
        NextTurn(Arc::clone(self))
    }
}

impl BackendIter for NextTurn {
    fn next(&mut self) -> Option<&Backend> {
        let turns = &self.0.0;
        turns.backends.get(turns.turn())
    }
}

impl BackendSelection for LeastLoaded {
    type Iter = LessLoaded;
    type Config = ();

    fn build(backends: &BTreeSet<Backend>) -> Self {
        Self(Turns::build(backends))
    }

    fn iter(self: &Arc<Self>, _key: &[u8]) -> LessLoaded {
        LessLoaded(Arc::clone(self))
    }
}

impl BackendIter for LessLoaded {
    fn next(&mut self) -> Option<&Backend> {
        let turns = &self.0.0;
        let [first, second] = turns.two();
        // One that is not fit loses against one that is: its load says nothing.
        let standing = |at: usize| {
            turns
                .members
                .get(at)
                .map(|member| (!member.is_fit(), member.load_per_weight()))
        };
        let chosen = if standing(second) < standing(first) {
            second
        } else {
            first
        };
        turns.backends.get(chosen)
    }
}

impl BackendSelection for LeastConnections {
    type Iter = ByLoad;
    type Config = ();

    fn build(backends: &BTreeSet<Backend>) -> Self {
        Self(Turns::build(backends))
    }

    fn iter(self: &Arc<Self>, _key: &[u8]) -> ByLoad {
        ByLoad {
            turn: self.0.turn(),
            all: Arc::clone(self),
            given: SmallVec::new(),
        }
    }
}

impl BackendIter for ByLoad {
    fn next(&mut self) -> Option<&Backend> {
        let turns = &self.all.0;
        let load = |at: usize, member: &Member| {
            let is_left = member.is_fit() && !self.given.contains(&at);
            is_left.then(|| member.load_per_weight())
        };
        let mut least = turns
            .members
            .get(self.turn)
            .and_then(|member| Some((load(self.turn, member)?, self.turn)));
        // What those with the least load weigh together; 0 as long as the one whose turn it is is the least.
        let mut weight = 0;
        for (at, member) in turns.members.iter().enumerate().filter(|(at, _)| *at != self.turn) {
            let Some(load) = load(at, member) else { continue };
            match least {
                Some((other, _)) if other < load => {}
                Some((other, _)) if other == load && weight == 0 => {}
                Some((other, _)) if other == load => {
                    weight += member.weight();
                    if rand::random_range(0..weight) < member.weight() {
                        least = Some((load, at));
                    }
                }
                _ => {
                    weight = member.weight();
                    least = Some((load, at));
                }
            }
        }
        let (_, at) = least?;
        self.given.push(at);
        turns.backends.get(at)
    }
}
