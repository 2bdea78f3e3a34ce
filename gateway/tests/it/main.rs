//! The one integration-test binary: the real `tidegate` over real sockets, with the guests of `guests/`.

mod golden {
    pub(crate) mod bodies;
    pub(crate) mod malformed;
    pub(crate) mod unusual;
}
mod admin;
mod cli;
mod detached;
mod disconnect;
mod drain;
mod handlers;
mod limits;
mod malformed;
mod order;
mod storm;
mod support;
mod tls;
