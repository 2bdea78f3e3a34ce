//! Tidegate: an edge HTTP gateway that runs WebAssembly components as handlers.
//!
//! The modules stand in the order of a request's way and of their dependencies; each names only those above it.
//!
//! - [`limits`]: every bound and its default. `per_core`: values each door runtime has for itself. `tcp`: sockets. [`error`]: what can go wrong with a request, and its status.
//! - [`config`]: files to checked, plain structs. `telemetry`: log, access log, metrics.
//! - [`http`]: the vocabulary of a request: body, context, and the call that can be stopped.
//! - `outbound`: connections the gateway makes itself: names, allowed destinations, TLS, pooled HTTP clients.
//! - [`stores`]: what stands behind hosts. [`hosts`]: the interfaces components import, one file each.
//! - `runtime`: engines, the compiled cache, instances, calls and their limits (wasmtime).
//! - `proxy`: upstreams: choosing a server, and the data path to it and back (pingora, hyper's client).
//! - `snapshot`: what a request runs on; `route`: from a request to its route and its answer.
//! - `door`: listeners, TLS, HTTP/1 and HTTP/2 connections, and their orderly end (hyper, rustls).
//! - `control`: building snapshots and putting them into force, the admin API. [`cli`]: the commands.
//!
//! The `tidegate` binary is [`cli::main`]. A program of one's own starts a [`Gateway`] with more [`Host`]s, or with
//! [`External`] routes that it answers itself.

#![deny(unsafe_code)]
#![warn(missing_docs)]

pub mod cli;
pub mod config;
mod control;
mod door;
pub mod error;
pub mod hosts;
pub mod http;
pub mod limits;
mod outbound;
mod per_core;
mod proxy;
mod route;
mod runtime;
mod snapshot;
pub mod stores;
mod tcp;
mod telemetry;

pub use self::config::FromEnv;
pub use self::control::{
    BuildError, DataDirError, External, Gateway, GatewayOptions, ReloadError, Reread, StartError, Status,
};
pub use self::door::{Doors, ListenError, Plan};
pub use self::hosts::Host;
pub use self::runtime::{
    Artifact, Component, Deadlines, Dialect, EngineError, EngineOptions, Engines, Handler, Import, Inspection, Label,
    Lane, LoadError, Loader, Needs, NotAComponent, Pool, Server, State, StoreCtx,
};
pub use self::snapshot::{Answering, Current, DynHandler, Fixed, Route, Snapshot, Target};
pub use self::stores::Backend;
