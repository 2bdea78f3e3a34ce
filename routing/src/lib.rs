//! Which route takes a request.
//!
//! [`RouteTable::build`] compiles route specifications once into an immutable table; [`RouteTable::find`] looks a
//! request up in it without allocating. The order of precedence is that of the Gateway API's HTTPRoute: exact
//! host, then the longest wildcard suffix, then no host, falling through to the less specific one; path segments
//! compare literal > `{param}` > `*` from left to right, a regular expression below them; then a named method,
//! more header matches, more query matches, and the order of declaration.
//!
//! ```
//! use http::{HeaderMap, Method};
//! use tidegate_routing::{Outcome, PathSpec, Query, RouteSpec, RouteTable};
//!
//! let table = RouteTable::build(&[RouteSpec {
//!     name: "user".into(),
//!     hosts: vec!["*.example.com".into()],
//!     path: Some(PathSpec::Pattern("/users/{id}".into())),
//!     ..RouteSpec::default()
//! }])?;
//! let query = Query {
//!     host: "api.example.com:8443",
//!     path: "/users/7",
//!     query: None,
//!     method: &Method::GET,
//!     headers: &HeaderMap::new(),
//!     source: None,
//! };
//! let Outcome::Found(found) = table.find(&query) else { panic!("no route") };
//! assert_eq!(found.route.get(), 0);
//! assert_eq!(found.params().get("id"), Some("7"));
//! # Ok::<(), Vec<tidegate_routing::BuildError>>(())
//! ```
//!
//! The modules, in the order a request meets them:
//! - `normalize`: one spelling for every path, dangerous ones refused.
//! - `spec`, `error`: what goes into a table, and everything that can be wrong with it.
//! - `host`, `pattern`, `trie`, `conditions`: the parts of a match, each with its parser and its compiled form.
//! - `table`: the parts put together, built and looked up; `params`: what a pattern captured.
//! - `explain`: the same answer with its reasons, for people.
//! - `split`: which of several weighted targets a request goes to.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod conditions;
mod error;
mod explain;
mod hash;
mod host;
mod normalize;
mod params;
mod pattern;
mod spec;
mod split;
mod table;
mod trie;

pub use self::{
    error::{BuildError, Field, HostProblem, PatternProblem, ValueProblem},
    explain::{Considered, Decision, Explanation, Mismatch, Verdict},
    normalize::{NormalizeOptions, PathError, normalize_path},
    params::{OwnedParams, Params, ParamsIter},
    spec::{PathSpec, RouteIndex, RouteSpec, ValueMatch},
    split::{Split, SplitError},
    table::{Match, Outcome, Query, RouteTable},
};
