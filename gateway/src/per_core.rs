//! Values that each door runtime has for itself, so that ordinary requests of different cores meet at no lock.

use std::cell::Cell;
use std::sync::{Mutex, MutexGuard, PoisonError};

thread_local! {
    /// The door runtime this thread is; `usize::MAX` on every other thread.
    static DOOR: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Makes this thread door runtime `door`. Doors say so when they start.
pub(crate) fn enter(door: usize) {
    DOOR.set(door);
}

/// One `T` for each door runtime and one for all other threads together. A lock is contended only where a value is
/// taken from another core's part, or given back from the CPU lane.
#[derive(Debug)]
pub(crate) struct PerCore<T>(Box<[Part<T>]>);

/// On cache lines of its own (two: the processor fetches neighbours).
#[derive(Debug, Default)]
#[repr(align(128))]
struct Part<T>(Mutex<T>);

impl<T: Default> PerCore<T> {
    /// For this many door runtimes.
    pub(crate) fn new(doors: usize) -> Self {
        Self((0..=doors).map(|_| Part::default()).collect())
    }
}

impl<T> PerCore<T> {
    /// The place of this thread's part.
    pub(crate) fn here(&self) -> usize {
        DOOR.get().min(self.0.len().saturating_sub(1))
    }

    /// The place of each part.
    pub(crate) fn places(&self) -> std::ops::Range<usize> {
        0..self.0.len()
    }

    /// The part at `place`, or the last one.
    fn part(&self, place: usize) -> Option<&Part<T>> {
        self.0.get(place).or(self.0.last())
    }

    /// Uses the part at `place`, as [`Self::here`] said it; hold it for moments only. `None` never happens: there is
    /// always a part.
    pub(crate) fn at<R>(&self, place: usize, uses: impl FnOnce(&mut T) -> R) -> Option<R> {
        self.part(place).map(|part| uses(&mut lock(&part.0)))
    }

    /// Each part in turn, beginning with this thread's, until one gives something.
    pub(crate) fn find<R>(&self, mut uses: impl FnMut(&mut T) -> Option<R>) -> Option<R> {
        let (before, from) = self.0.split_at_checked(self.here())?;
        from.iter().chain(before).find_map(|part| uses(&mut lock(&part.0)))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thread_has_a_part_and_finds_those_of_others() {
        let values: PerCore<Vec<&str>> = PerCore::new(2);
        values.at(values.here(), |part| part.push("other threads"));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                enter(1);
                assert_eq!(values.here(), 1);
                values.at(1, |part| part.push("door 1"));
                assert_eq!(values.find(Vec::pop), Some("door 1"), "its own first");
                assert_eq!(values.find(Vec::pop), Some("other threads"));
                assert_eq!(values.find(Vec::pop), None);
            });
            // More doors than the values were made for share the last part.
            scope.spawn(|| {
                enter(7);
                assert_eq!(values.here(), 2);
            });
        });
    }
}
