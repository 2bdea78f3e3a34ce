//! The vocabulary of a request on its way: its body, its context, and the call that can be stopped.

mod body;
mod call;
mod caller;
mod cookie;
mod cx;
mod edits;
mod forwarded;
pub(crate) mod guard;
pub(crate) mod hop;
mod nodes;
mod rewrite;
mod timing;
mod trusted;
mod upgrade;

pub(crate) use body::is_padded;
pub use body::{Body, BodyError, ClientBody};
pub use call::{Call, Cause, Patience};
pub(crate) use caller::pass_on;
pub use caller::{Caller, Loop};
pub(crate) use cookie::cookie;
pub use cx::{Client, Peer, RequestCx, RequestId};
pub(crate) use edits::Edits;
pub(crate) use forwarded::{AskedHost, ForwardedFor, is_claim, is_disguised_claim};
pub(crate) use rewrite::{Rewrite, to_origin_form, with_path};
pub use timing::Timing;
pub(crate) use trusted::Provenance;
pub use upgrade::{AfterUpgrade, Carried, Upgrade};
