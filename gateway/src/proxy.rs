//! The reverse proxy: from a request whose target is an upstream to a server's answer.
//!
//! The way of a request: [`Upstream::forward`] (`forward`) makes its head what the next hop may see (`headers`), asks
//! `balance` for a server, sends it on one of the server's connections (`outbound`), and tries another one where that
//! is safe (`retry`). `tunnel` joins connections that leave HTTP. Beside requests, `discover` looks names up, `health`
//! asks servers how they are, and `eject` leaves those out that fail. pingora chooses and keeps health; the data path is
//! hyper's.

mod balance;
mod discover;
mod eject;
mod fault;
mod forward;
mod headers;
mod health;
mod retry;
mod server;
mod streaming;
mod transport;
mod tunnel;
mod upstream;
mod view;

pub(crate) use self::upstream::Servers;
pub use self::upstream::Upstream;
pub(crate) use self::view::{ServerView, UpstreamView};
