//! What stands behind hosts: connections to external services, opened at start. Storage joins with its issue.

use crate::config::FromEnv;

/// A service that hosts use, such as a database.
pub trait Backend: Sized + Send + Sync + 'static {
    /// Where it is and how to log in.
    type ConnectOptions: FromEnv + Send;
    /// Why it cannot be reached.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Connects, once, before the first request.
    ///
    /// # Errors
    /// When the service cannot be reached; the gateway then does not start.
    fn connect(options: Self::ConnectOptions) -> impl Future<Output = Result<Self, Self::Error>> + Send;
}
