//! The connections of one component: the idle ones by core, and the count of all.
//!
//! A place is held by the socket itself and is free once that is closed. Where none is free, the connection idle
//! longest makes room; where none is idle, requests wait for one to come back.

use super::SendError;
use super::connection::{Connection, H1, H2};
use super::destination::Destination;
use crate::limits;
use crate::per_core::PerCore;
use std::collections::VecDeque;
use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::futures::OwnedNotified;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// One core's connections.
struct Part<B> {
    /// HTTP/1 connections nobody uses; the one used last is at the end, and taken first.
    #[expect(
        clippy::vec_box,
        reason = "a connection stays in its box when a response holds it as a `dyn Lease`"
    )]
    idle: Vec<Box<H1<B>>>,
    /// HTTP/2 connections, in use or not.
    shared: Vec<Arc<H2<B>>>,
    /// TLS destinations being connected to, where it is not known yet whether connections are shared.
    dialing: Vec<(Arc<Destination<'static>>, Arc<Notify>)>,
    /// TLS destinations found to speak HTTP/1.
    unshared: VecDeque<Arc<Destination<'static>>>,
}

/// Connections taken out of their lists, which close when this is dropped.
type Closed<B> = (Vec<Box<H1<B>>>, Vec<Arc<H2<B>>>);

impl<B> Default for Part<B> {
    fn default() -> Self {
        Self {
            idle: Vec::new(),
            shared: Vec::new(),
            dialing: Vec::new(),
            unshared: VecDeque::new(),
        }
    }
}

pub(super) struct Pool<B> {
    parts: PerCore<Part<B>>,
    doors: usize,
    places: Arc<Semaphore>,
    places_count: usize,
    /// Requests that may wait for a place; one more is told at once.
    waiting_max: usize,
    waiting: AtomicUsize,
    /// Interim responses that were not fetched yet.
    pub(super) interims: Arc<AtomicU64>,
    freed: Notify,
}

/// A place for a new connection, or a connection that came back meanwhile.
pub(super) enum Room<B> {
    Place(OwnedSemaphorePermit),
    Connection(Connection<B>),
}

/// Whether to connect to a TLS destination now.
pub(super) enum Turn<B> {
    /// Yes; others wait for the outcome as long as this lives.
    Lead(Lead<B>),
    /// Yes, beside others.
    Beside,
    /// Once another attempt is over, which may yield a connection to share.
    After(OwnedNotified),
}

impl<B> Pool<B> {
    pub(super) fn new(places_count: usize, waiting_max: usize, doors: usize) -> Self {
        let places_count = places_count.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            parts: PerCore::new(doors),
            doors,
            places: Arc::new(Semaphore::new(places_count)),
            places_count,
            waiting_max,
            waiting: AtomicUsize::new(0),
            interims: Arc::default(),
            freed: Notify::new(),
        }
    }

    /// Connections that are open, or being made.
    pub(super) fn connections(&self) -> usize {
        self.places_count.saturating_sub(self.places.available_permits())
    }

    /// This thread's part.
    pub(super) fn here(&self) -> usize {
        self.parts.here()
    }

    /// An open connection to `to` with room for a request: this core's, then another's. Where the request `goes_once`,
    /// the socket itself is asked whether the server has closed it: its driver may not have had its turn since.
    pub(super) async fn take(&self, to: &Destination<'_>, goes_once: bool) -> Option<Connection<B>> {
        if to.may_share()
            && let Some(stream) = self.parts.at(self.here(), |part| part.stream(to)).flatten()
        {
            return Some(Connection::H2(stream));
        }
        loop {
            let mut found = self.parts.find(|part| part.idle(to))?;
            if goes_once && !found.link.is_quiet() {
                continue;
            }
            if found.sender.is_ready() {
                return Some(Connection::H1(found));
            }
            // It was given back a moment ago and its task has not had its turn since; or the server closed it.
            let ready = tokio::time::timeout(limits::OUTGOING_READY_TIME, found.sender.ready());
            if matches!(ready.await, Ok(Ok(()))) {
                return Some(Connection::H1(found));
            }
        }
    }

    /// A connection of HTTP/2 that another core drives: slower than one's own, faster than waiting.
    fn take_anywhere(&self, to: &Destination<'_>) -> Option<Connection<B>> {
        self.parts.find(|part| part.stream(to)).map(Connection::H2)
    }

    /// A place for one more connection, waiting for it until `deadline`; meanwhile a connection to `instead` will do.
    pub(super) async fn room(
        &self,
        instead: Option<&Destination<'_>>,
        deadline: Instant,
    ) -> Result<Room<B>, SendError> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Ok(Room::Place(place));
        }
        let _waiting = Waiting::new(self).ok_or(SendError::LimitReached)?;
        let mut place = pin!(Arc::clone(&self.places).acquire_owned());
        loop {
            let mut freed = pin!(self.freed.notified());
            freed.as_mut().enable();
            if let Some(to) = instead
                && let Some(connection) = self.take(to, true).await.or_else(|| self.take_anywhere(to))
            {
                return Ok(Room::Connection(connection));
            }
            self.make_room();
            tokio::select! {
                biased;
                place = &mut place => return place.map(Room::Place).map_err(|_| SendError::LimitReached),
                () = tokio::time::sleep_until(deadline) => return Err(SendError::LimitReached),
                () = freed => {}
            }
        }
    }

    /// Closes the connection that has been idle longest. Its place is free when its socket is closed.
    fn make_room(&self) {
        let oldest = (0..=self.doors)
            .filter_map(|place| {
                let since = self.parts.at(place, |part| part.idle_longest()).flatten()?;
                Some((since, place))
            })
            .min();
        if let Some((since, place)) = oldest {
            let closed = self.parts.at(place, |part| part.close_idle(since, Some(1)));
            drop(closed);
        }
    }

    /// Takes back a connection whose exchange is complete.
    pub(super) fn give_back(&self, mut connection: Box<H1<B>>) {
        if connection.sender.is_closed() || connection.link.is_spoiled() {
            return;
        }
        connection.idle_since = Instant::now();
        self.parts.at(connection.place, |part| part.idle.push(connection));
        self.came_free();
    }

    /// A new HTTP/2 connection, for others to share from now on.
    pub(super) fn share(&self, connection: &Arc<H2<B>>) {
        self.parts
            .at(self.here(), |part| part.shared.push(Arc::clone(connection)));
        self.came_free();
    }

    /// Tells one of those that wait for a place.
    pub(super) fn came_free(&self) {
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.freed.notify_one();
        }
    }

    /// Closes what nobody used for `older_than`, and forgets what was closed by servers.
    pub(super) fn close_idle(&self, older_than: Duration) {
        let Some(before) = Instant::now().checked_sub(older_than) else {
            return;
        };
        for place in 0..=self.doors {
            let closed = self.parts.at(place, |part| part.close_idle(before, None));
            drop(closed);
        }
    }

    /// Whether to connect to `to`, which nobody here has a connection to. Many requests at once to a server that
    /// speaks HTTP/2 need one connection, not one each.
    pub(super) fn turn(self: &Arc<Self>, to: &Destination<'_>) -> Turn<B> {
        if !to.may_share() {
            return Turn::Beside;
        }
        let place = self.here();
        let turn = self.parts.at(place, |part| {
            if part.unshared.iter().any(|known| **known == *to) {
                return Turn::Beside;
            }
            if let Some((_, over)) = part.dialing.iter().find(|(other, _)| **other == *to) {
                return Turn::After(Arc::clone(over).notified_owned());
            }
            let (to, over) = (Arc::new(to.to_owned()), Arc::new(Notify::new()));
            part.dialing.push((Arc::clone(&to), Arc::clone(&over)));
            Turn::Lead(Lead {
                pool: Arc::clone(self),
                place,
                to,
                over,
            })
        });
        turn.unwrap_or(Turn::Beside)
    }

    /// Remembers that `to` speaks HTTP/1 over TLS.
    pub(super) fn is_unshared(&self, to: &Arc<Destination<'static>>) {
        if !to.is_https {
            return;
        }
        self.parts.at(self.here(), |part| {
            if !part.unshared.contains(to) {
                if part.unshared.len() >= limits::OUTGOING_KNOWN_COUNT {
                    part.unshared.pop_front();
                }
                part.unshared.push_back(Arc::clone(to));
            }
        });
    }
}

impl<B> Part<B> {
    fn stream(&mut self, to: &Destination<'_>) -> Option<super::connection::Stream<B>> {
        self.shared
            .iter()
            .rev()
            .filter(|shared| *shared.to == *to)
            .find_map(H2::stream)
    }

    fn idle(&mut self, to: &Destination<'_>) -> Option<Box<H1<B>>> {
        let at = self.idle.iter().rposition(|idle| *idle.to == *to)?;
        Some(self.idle.remove(at))
    }

    fn idle_longest(&self) -> Option<Instant> {
        let idle = self.idle.iter().map(|idle| idle.idle_since);
        let shared = self.shared.iter().filter_map(|shared| shared.idle_since());
        idle.chain(shared).min()
    }

    /// Takes out what is idle since `before` or earlier, `at_most` so many, and what was closed already. The caller
    /// drops it outside of the lock.
    fn close_idle(&mut self, before: Instant, at_most: Option<usize>) -> Closed<B> {
        let mut left = at_most.unwrap_or(usize::MAX);
        let mut is_old = |since: Instant| {
            let is_old = since <= before && left > 0;
            left -= usize::from(is_old);
            is_old
        };
        let idle = self
            .idle
            .extract_if(.., |idle| idle.sender.is_closed() || is_old(idle.idle_since))
            .collect();
        let shared = self
            .shared
            .extract_if(.., |shared| {
                !shared.is_open() || shared.idle_since().is_some_and(&mut is_old)
            })
            .collect();
        (idle, shared)
    }
}

/// Counted while a request waits for a place.
struct Waiting<'a, B>(&'a Pool<B>);

impl<'a, B> Waiting<'a, B> {
    /// `None` where as many wait as may.
    fn new(pool: &'a Pool<B>) -> Option<Self> {
        let waiting = pool.waiting.fetch_add(1, Ordering::SeqCst);
        // Made in any case, so that it is counted off again.
        let this = Self(pool);
        (waiting < pool.waiting_max).then_some(this)
    }
}

impl<B> Drop for Waiting<'_, B> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
        // It may have been told of a connection and had no use for it.
        self.0.came_free();
    }
}

/// An attempt to connect that others wait for.
pub(super) struct Lead<B> {
    pool: Arc<Pool<B>>,
    place: usize,
    to: Arc<Destination<'static>>,
    over: Arc<Notify>,
}

impl<B> Drop for Lead<B> {
    fn drop(&mut self) {
        self.pool.parts.at(self.place, |part| {
            part.dialing.retain(|(to, _)| !Arc::ptr_eq(to, &self.to))
        });
        self.over.notify_waiters();
    }
}

impl<B> fmt::Debug for Pool<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("places", &self.places_count)
            .finish_non_exhaustive()
    }
}
