//! Running components: two engines, the compiled cache, linking by dialect, and calls that can be stopped.
//!
//! The path of a call: [`Component`] (one deployed version) takes a place in the [`pool`], makes store data for
//! the request, and [`invoke`] polls the guest where its connection lives until the head of the answer is there.
//! [`instance`] is one guest with its store, [`warm`] those between two calls. [`worker`] is one that works on several
//! requests at a time: [`work`] its guest, [`desk`] what its calls put there, [`sharing`] which of its tasks is whose,
//! [`workers`] those of a component. [`run`] is the guest's future with its CPU account, [`stream`] the answer's body while the guest still works,
//! [`lane`] where guests go that want more than one tick of a connection's thread.

mod artifact;
mod component;
mod desk;
mod engine;
mod inspect;
mod instance;
mod invoke;
mod lane;
mod load_error;
mod loader;
mod pool;
mod run;
mod server;
mod sharing;
mod store;
mod stream;
mod warm;
mod work;
mod worker;
mod workers;

pub use artifact::Artifact;
pub use component::{Component, Deadlines, State};
pub use engine::{EngineError, EngineOptions, Engines};
pub use inspect::{Dialect, Handler, Import, Inspection, Label, Needs, NotAComponent};
pub use invoke::invoke;
pub use lane::Lane;
pub use load_error::LoadError;
pub use loader::Loader;
pub use pool::Pool;
pub use server::Server;
pub use store::StoreCtx;
