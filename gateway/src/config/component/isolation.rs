//! `isolation` and `reuse`: which requests may share an instance, and for how long.

use std::time::Duration;

use crate::config::reader::{Field, Table};
use crate::config::scalar::Zero;
use crate::limits;

/// Which requests may share an instance. What they share with it is in docs/security.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Isolation {
    /// None: every request has an instance of its own.
    #[default]
    Fresh,
    /// One after another.
    Reuse,
    /// Several at a time, as components of wasi:http 0.3 can.
    Concurrent,
}

/// How long a shared instance is kept; the `REUSE_` constants of [`limits`] are the defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReuseConfig {
    /// Requests it answers; then it is retired.
    pub requests: u32,
    /// It is retired when no request needs it for this long.
    pub idle: Duration,
    /// Requests in it at a time, under [`Isolation::Concurrent`].
    pub concurrent: usize,
}

impl Default for ReuseConfig {
    fn default() -> Self {
        Self {
            requests: limits::REUSE_REQUESTS_COUNT,
            idle: limits::REUSE_IDLE,
            concurrent: limits::REUSE_CONCURRENT_COUNT,
        }
    }
}

/// Takes both keys of a component's table, which only make sense together.
pub(super) fn take(table: &mut Table<'_>) -> (Isolation, ReuseConfig) {
    let isolation = table.take("isolation");
    let reuse = table.take("reuse");
    let words = [
        ("fresh", Isolation::Fresh),
        ("reuse", Isolation::Reuse),
        ("concurrent", Isolation::Concurrent),
    ];
    // A word that could not be read has been reported, and says nothing about `reuse`.
    let isolation = match isolation {
        Some(field) => field.one_of(&words),
        None => Some(Isolation::default()),
    };
    if let (Some(field), Some(Isolation::Fresh)) = (&reuse, isolation) {
        field.fail::<()>(
            format!("`{}` is given, but isolation is \"fresh\"", field.path()),
            "no instance is reused",
            "add isolation = \"reuse\" or \"concurrent\", or remove `reuse`: every request then has a fresh instance",
        );
    }
    let reuse = reuse.and_then(|field| read(&field, isolation)).unwrap_or_default();
    (isolation.unwrap_or_default(), reuse)
}

fn read(field: &Field<'_>, isolation: Option<Isolation>) -> Option<ReuseConfig> {
    let mut resolved = ReuseConfig::default();
    let mut table = field.table("Reuse")?;
    let requests = 1..=limits::REUSE_REQUESTS_COUNT_MAX;
    if let Some(count) = table.take("requests").and_then(|field| field.count(requests)) {
        resolved.requests = count;
    }
    if let Some(idle) = table.take("idle").and_then(|field| field.duration(Zero::Refused)) {
        resolved.idle = idle;
    }
    if let Some(field) = table.take("concurrent") {
        let count = field.integer(1..=limits::REUSE_CONCURRENT_COUNT_MAX);
        resolved.concurrent = count.unwrap_or(resolved.concurrent);
        if isolation == Some(Isolation::Reuse) {
            field.fail::<()>(
                format!("`{}` is given, but isolation is \"reuse\"", field.path()),
                "one request at a time",
                "write isolation = \"concurrent\", or remove `concurrent`: requests then follow one another",
            );
        }
    }
    table.finish();
    Some(resolved)
}

#[cfg(test)]
mod tests;
