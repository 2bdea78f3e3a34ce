//! The one integration-test binary: the real `tidegate` over real sockets, with the guests of `guests/`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests stop at the first surprise, and clippy.toml knows only what stands inside a #[test]"
)]

mod golden {
    pub(crate) mod bodies;
    pub(crate) mod malformed;
    pub(crate) mod responses;
    pub(crate) mod unusual;
}
mod admin;
mod cli;
mod conformance;
mod detached;
mod disconnect;
mod drain;
mod floods;
mod grants;
mod handlers;
mod inspect;
mod isolation;
mod limits;
mod malformed;
mod order;
mod outgoing;
mod peers;
mod proxy;
mod proxy_protocol;
mod storm;
mod support;
mod tls;
mod upstreams_api;
