//! What can go wrong with a request, who is to blame, and the one place that maps it to an HTTP status.

use http::{HeaderValue, StatusCode};
use std::fmt;

/// Who caused a fault: decides the log level and what an operator looks at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The client sent something wrong, too much, or left.
    Client,
    /// The component failed, ran too long, or asked for too much.
    Guest,
    /// A server behind this gateway cannot be reached, is overdue, or answers what is not HTTP.
    Upstream,
    /// This gateway is full, is going down, or failed itself.
    Gateway,
}

/// What went wrong between this gateway and a server of an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamFault {
    /// No connection could be made.
    Connect,
    /// The server's certificate is not the one expected, or the handshake failed.
    Tls,
    /// The connection ended before the answer was complete.
    Closed,
    /// What the server sent is not a valid answer.
    Protocol,
    /// No connection was made in time.
    ConnectTimeout,
    /// The answer did not begin in time.
    FirstByteTimeout,
    /// The server took no more of the request.
    WriteTimeout,
    /// The answer stopped in its middle.
    IdleTimeout,
    /// No server of the upstream is healthy.
    Unavailable,
    /// A limit of the upstream is reached.
    Busy,
}

impl UpstreamFault {
    fn status(self) -> StatusCode {
        match self {
            Self::Connect | Self::Tls | Self::Closed | Self::Protocol => StatusCode::BAD_GATEWAY,
            Self::ConnectTimeout | Self::FirstByteTimeout | Self::WriteTimeout | Self::IdleTimeout => {
                StatusCode::GATEWAY_TIMEOUT
            }
            Self::Unavailable | Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// A short stable word for logs and metrics.
    pub fn code(self) -> &'static str {
        match self {
            Self::Connect => "upstream-connect",
            Self::Tls => "upstream-tls",
            Self::Closed => "upstream-closed",
            Self::Protocol => "upstream-protocol",
            Self::ConnectTimeout => "upstream-connect-timeout",
            Self::FirstByteTimeout => "upstream-first-byte",
            Self::WriteTimeout => "upstream-write",
            Self::IdleTimeout => "upstream-idle",
            Self::Unavailable => "upstream-unavailable",
            Self::Busy => "upstream-busy",
        }
    }
}

/// Why a request did not get the answer it came for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The request is not valid HTTP; the code says how (RFC 9112).
    BadRequest(&'static str),
    /// A refusal by the guard that stands before the HTTP parser: its status and code.
    Refused {
        /// Its status.
        status: u16,
        /// Its code.
        code: &'static str,
    },
    /// No route matches.
    NotFound,
    /// A route matches the path, not the method; what `Allow` says (RFC 9110 §10.2.1).
    MethodNotAllowed {
        /// The methods that are.
        allow: HeaderValue,
    },
    /// The request body is longer than the route allows.
    BodyTooLarge,
    /// The request body stopped coming, or came too slowly.
    BodyTimeout,
    /// The request body was framed wrongly.
    BadBody,
    /// The client left before its answer was complete.
    ClientGone,
    /// The client takes no bytes of its answer.
    WriteTimeout,
    /// The response head did not come in time.
    Deadline,
    /// The guest was still working at its body deadline.
    BodyDeadline,
    /// The guest used up its CPU time.
    Cpu,
    /// The guest failed after more memory was refused to it.
    Memory,
    /// The guest trapped; the text is for the log, never for the client.
    Trap(String),
    /// The guest ended without a response.
    NoResponse,
    /// The guest answered with a wasi:http error code.
    GuestError(String),
    /// No place for another call within the component's queue bounds, or in the pool.
    Saturated,
    /// Instances cannot be cleaned safely at the moment, so none is given out (`pool_reset = "scan"` beside swap).
    PoolClosed,
    /// The upstream gave no answer, or not all of it; the text is for the log, never for the client.
    Upstream {
        /// What went wrong.
        kind: UpstreamFault,
        /// With what, and how.
        why: String,
    },
    /// The route does not let this client's address in.
    Denied,
    /// As many requests of the route as it allows are under way.
    RouteBusy,
    /// The request passed through this gateway too often.
    LoopDetected,
    /// The gateway is going down.
    Shutdown,
    /// Ours: a fault in the gateway itself.
    Internal(String),
}

impl Fault {
    /// The status the client sees, as long as the response head is not out.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) | Self::BadBody | Self::ClientGone => StatusCode::BAD_REQUEST,
            Self::Refused { status, .. } => StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_REQUEST),
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::Deadline | Self::BodyDeadline | Self::Cpu => StatusCode::GATEWAY_TIMEOUT,
            Self::Memory | Self::Trap(_) | Self::NoResponse | Self::GuestError(_) => StatusCode::BAD_GATEWAY,
            Self::Saturated | Self::PoolClosed | Self::RouteBusy | Self::Shutdown => StatusCode::SERVICE_UNAVAILABLE,
            Self::Upstream { kind, .. } => kind.status(),
            Self::Denied => StatusCode::FORBIDDEN,
            Self::LoopDetected => StatusCode::LOOP_DETECTED,
            Self::WriteTimeout | Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// A short stable word for logs, metrics and the `tidegate-error` field of the answer.
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadRequest(code) | Self::Refused { code, .. } => code,
            Self::NotFound => "no-route",
            Self::MethodNotAllowed { .. } => "method",
            Self::BodyTooLarge => "body-too-large",
            Self::BodyTimeout => "body-timeout",
            Self::BadBody => "bad-body",
            Self::ClientGone => "client-gone",
            Self::WriteTimeout => "write-timeout",
            Self::Deadline => "deadline",
            Self::BodyDeadline => "body-deadline",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Trap(_) => "trap",
            Self::NoResponse => "no-response",
            Self::GuestError(_) => "guest-error",
            Self::Saturated => "saturated",
            Self::PoolClosed => "pool-closed",
            Self::Upstream { kind, .. } => kind.code(),
            Self::Denied => "denied",
            Self::RouteBusy => "route-busy",
            Self::LoopDetected => "loop",
            Self::Shutdown => "shutdown",
            Self::Internal(_) => "internal",
        }
    }

    /// Whose fault it is.
    pub fn blame(&self) -> Blame {
        match self {
            Self::BadRequest(_)
            | Self::Refused { .. }
            | Self::NotFound
            | Self::MethodNotAllowed { .. }
            | Self::BodyTooLarge
            | Self::BodyTimeout
            | Self::BadBody
            | Self::ClientGone
            | Self::WriteTimeout
            | Self::Denied
            | Self::LoopDetected => Blame::Client,
            Self::Upstream { .. } => Blame::Upstream,
            Self::Deadline
            | Self::BodyDeadline
            | Self::Cpu
            | Self::Memory
            | Self::Trap(_)
            | Self::NoResponse
            | Self::GuestError(_) => Blame::Guest,
            Self::Saturated | Self::PoolClosed | Self::RouteBusy | Self::Shutdown | Self::Internal(_) => Blame::Gateway,
        }
    }

    /// Whether the connection must not carry another request: its framing can no longer be trusted, or a
    /// body was left unread.
    pub fn closes_connection(&self) -> bool {
        matches!(
            self,
            Self::BadRequest(_)
                | Self::Refused { .. }
                | Self::BodyTooLarge
                | Self::BodyTimeout
                | Self::BadBody
                | Self::ClientGone
                | Self::WriteTimeout
                | Self::Shutdown
        )
    }

    /// Seconds for `Retry-After` (RFC 9110 §10.2.3), where trying again helps.
    pub fn retry_after(&self) -> Option<u32> {
        (self.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(1)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trap(why) => write!(f, "the guest trapped: {why}"),
            Self::GuestError(why) => write!(f, "the guest answered with an error: {why}"),
            Self::Upstream { kind, why } => write!(f, "{}: {why}", kind.code()),
            Self::Internal(why) => write!(f, "internal fault: {why}"),
            other => f.write_str(other.code()),
        }
    }
}

impl std::error::Error for Fault {}
