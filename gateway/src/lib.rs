//! Tidegate: an edge HTTP gateway that runs WebAssembly components as handlers.

#![deny(unsafe_code)]

pub mod cli;
pub mod config;
mod control;
mod door;
pub mod error;
mod hosts;
pub mod http;
pub mod limits;
mod route;
mod runtime;
mod snapshot;
mod telemetry;
