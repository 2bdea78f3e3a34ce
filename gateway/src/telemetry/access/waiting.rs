//! The lines of one door that wait for the access log's thread.

use super::format::{self, Clock};
use super::{Query, Record};
use crate::limits;

/// A door that has this much wakes the thread before its time: less costs wake-ups, more leaves the processor's cache.
pub(super) const BATCH_BYTES: usize = 256 * 1024;

/// Whole lines in the order they were written, and what the next one is made with.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    pub(super) lines: Vec<u8>,
    count: u64,
    clock: Clock,
    /// The thread will not come again.
    is_closed: bool,
}

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pushed {
    /// It is the first since the thread was here.
    First,
    /// It stands behind others.
    More,
    /// With it there is a batch; said once between two visits of the thread.
    Batch,
    /// It was not taken: there is too much already, or the log has ended.
    Refused,
}

impl Waiting {
    /// Writes the line of `record`, where there is room for one.
    pub(super) fn push(&mut self, record: &Record<'_>, query: Query) -> Pushed {
        let before = self.lines.len();
        if self.is_closed || before >= limits::ACCESS_LOG_DOOR_BYTES {
            return Pushed::Refused;
        }
        format::line(&mut self.lines, &mut self.clock, record, query);
        self.count += 1;
        if before < BATCH_BYTES && self.lines.len() >= BATCH_BYTES {
            Pushed::Batch
        } else if before == 0 {
            Pushed::First
        } else {
            Pushed::More
        }
    }

    /// Exchanges the lines, where there are any, for an empty buffer to go on with. How many they are.
    pub(super) fn take(&mut self, empty: &mut Vec<u8>) -> u64 {
        // A buffer is not left with an idle door: the busy one goes on in what its processor still has in its cache.
        if self.is_any() {
            std::mem::swap(&mut self.lines, empty);
        }
        std::mem::take(&mut self.count)
    }

    pub(super) const fn is_any(&self) -> bool {
        self.count > 0
    }

    /// Refuses every line from now on.
    pub(super) const fn close(&mut self) {
        self.is_closed = true;
    }
}
