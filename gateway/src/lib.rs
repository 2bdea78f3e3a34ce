//! Tidegate: an edge HTTP gateway that runs WebAssembly components as handlers.

#![deny(unsafe_code)]

pub mod config;
pub mod error;
mod hosts;
pub mod http;
pub mod limits;
mod runtime;
mod telemetry;
