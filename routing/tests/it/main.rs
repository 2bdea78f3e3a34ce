//! The crate from outside: tables of cases, the table against a naive matcher, and what a lookup allocates.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod allocation;
mod explain;
mod lookup;
mod naive;
mod property;
mod refusals;
mod support;
