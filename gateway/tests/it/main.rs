//! The one integration-test binary: the real `tidegate` over real sockets, with the guests of `guests/`.

mod golden {
    pub(crate) mod bodies;
    pub(crate) mod malformed;
    pub(crate) mod unusual;
}
mod handlers;
mod support;
