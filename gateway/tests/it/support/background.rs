//! Runtimes on which tests' own servers and clients live, beside the test's thread.

use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

/// A runtime of one thread. What runs on it ends when it is dropped.
pub(crate) fn runtime() -> Runtime {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.expect("a runtime can be made")
}

/// The same with a listener on this address, and the address with its port.
#[track_caller]
pub(crate) fn listening(address: SocketAddr) -> (Runtime, TcpListener, SocketAddr) {
    let runtime = runtime();
    let listener = runtime.block_on(TcpListener::bind(address));
    let listener = listener.unwrap_or_else(|error| panic!("{address}: {error}"));
    let address = listener.local_addr().expect("it has an address");
    (runtime, listener, address)
}

/// The same on a free port of 127.0.0.1.
#[track_caller]
pub(crate) fn listening_anywhere() -> (Runtime, TcpListener, SocketAddr) {
    listening(SocketAddr::from(([127, 0, 0, 1], 0)))
}
