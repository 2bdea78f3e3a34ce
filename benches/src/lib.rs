//! The side-by-side harness: Tidegate beside `wasmtime serve`, nginx and a native hyper handler, in the same run.
//!
//! - `cli`: the commands of `tidegate-bench`, and what they print.
//! - `scenarios`: what is measured against what, and the figure each one is to reach.
//! - `rounds`: interleaving, medians, ratios and their table. Pure.
//! - `server`: a peer as a process pinned to one core, its CPU time and its memory.
//! - `loader`: the HTTP/1.1 client that asks and checks every answer.
//! - `native`: the third peer, a hyper handler without any component.
//! - `nginx`: finds the machine's.
//! - `install`: brings `wasmtime` into the target folder where it is missing.
//! - `affinity`: which core does what.
//! - `open_files`: lets one process hold thousands of connections.
#![forbid(unsafe_code)]

mod affinity;
mod cli;
mod error;
mod install;
mod loader;
mod native;
mod nginx;
mod open_files;
mod rounds;
mod scenarios;
mod server;

pub use cli::{Cli, run};
pub use error::Error;
