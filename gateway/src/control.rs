//! Running a gateway: building snapshots and putting them into force, the admin API, signals, the orderly end.

mod admin;
mod build;
mod data_dir;
mod gateway;
mod reaper;
mod token;

pub use build::{BuildError, External};
pub use data_dir::DataDirError;
pub use gateway::{Gateway, GatewayOptions, ReloadError, Reread, StartError, Status};
