//! Settings that come from environment variables instead of a file.

use std::env::VarError;

/// Options read from the environment.
pub trait FromEnv: Sized {
    /// A variable that is set and cannot be used.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Reads the variables through `lookup`; what is not set takes its default.
    ///
    /// # Errors
    /// The first variable that cannot be used.
    fn from_lookup(lookup: &dyn Fn(&str) -> Result<String, VarError>) -> Result<Self, Self::Error>;

    /// Reads the variables of this process.
    ///
    /// # Errors
    /// As [`Self::from_lookup`].
    fn from_env() -> Result<Self, Self::Error> {
        Self::from_lookup(&|name| std::env::var(name))
    }
}
