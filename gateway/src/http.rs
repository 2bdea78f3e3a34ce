//! The vocabulary of a request on its way: its body, its context, and the call that can be stopped.

mod body;
mod call;
mod caller;
mod cx;
mod timing;

pub use body::{Body, BodyError, ClientBody};
pub use call::{Call, Cause, Patience};
pub use caller::{Caller, Loop};
pub use cx::{Client, RequestCx, RequestId};
pub use timing::Timing;
