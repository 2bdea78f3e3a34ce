//! What the gateway says about itself: its own log, the access log, and its metrics.
//!
//! Nothing here waits on the request path: a counter is an atomic whose handle was resolved when the
//! snapshot was built, and an access-log line is text in a bounded buffer.

pub(crate) mod access;
pub(crate) mod log;
pub(crate) mod metrics;
mod seldom;

pub(crate) use self::seldom::Seldom;
