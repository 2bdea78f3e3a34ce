//! What the gateway says about itself: its own log, the access log, and its metrics.
//!
//! Nothing here waits on the request path: a counter is an atomic whose handle was resolved when the
//! snapshot was built, and an access-log line is a move into a bounded queue.

pub(crate) mod access;
pub(crate) mod log;
pub(crate) mod metrics;
