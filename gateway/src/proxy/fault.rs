//! What a failed exchange with a server is to the client, to the server's record, and to a second attempt.

use super::server::Server;
use super::upstream::Upstream;
use crate::error::{Fault, UpstreamFault};
use crate::http::Call;
use crate::outbound::SendError;

/// What `error` is called towards clients, in metrics and in the log; `None` where the server is not to blame.
fn kind(error: &SendError) -> Option<UpstreamFault> {
    Some(match error {
        SendError::RequestBody(_) => return None,
        SendError::LimitReached => UpstreamFault::Busy,
        SendError::ConnectTimeout | SendError::DnsTimeout => UpstreamFault::ConnectTimeout,
        SendError::Refused
        | SendError::Unroutable(_)
        | SendError::Connect(_)
        | SendError::NameNotFound { .. }
        | SendError::Dns { .. }
        | SendError::Configuration(_) => UpstreamFault::Connect,
        SendError::TlsCertificate(_) | SendError::TlsAlert { .. } | SendError::Tls(_) | SendError::NoH2 => {
            UpstreamFault::Tls
        }
        SendError::FirstByteTimeout => UpstreamFault::FirstByteTimeout,
        SendError::WriteTimeout => UpstreamFault::WriteTimeout,
        SendError::BetweenBytesTimeout => UpstreamFault::IdleTimeout,
        SendError::Terminated(_) | SendError::Incomplete(_) | SendError::Cut => UpstreamFault::Closed,
        SendError::HeadTooLarge(_)
        | SendError::Upgrade
        | SendError::Protocol(_)
        | SendError::Denied(_)
        | SendError::Uri(_)
        | SendError::Method
        | SendError::Fields(_) => UpstreamFault::Protocol,
    })
}

/// Whether it says something about the server's health. That all places are taken does not.
fn counts(kind: UpstreamFault) -> bool {
    !matches!(kind, UpstreamFault::Busy | UpstreamFault::Unavailable)
}

impl Upstream {
    /// Puts a failed exchange down on its server's record, and says what the client is told of it.
    pub(super) fn failed(&self, server: &Server, error: &SendError, call: &Call) -> Fault {
        let Some(kind) = kind(error) else {
            // The request's own body failed, and its call knows why.
            return call.cause().map_or(Fault::ClientGone, |cause| cause.fault());
        };
        server.metrics.failed(kind);
        if counts(kind) {
            self.balancer.failed(server);
        }
        let why = error.report();
        if let Some(unsaid) = server.failures.say() {
            tracing::warn!(
                upstream = %self.name(),
                server = %server.name,
                address = %server.address,
                code = kind.code(),
                unsaid,
                "a request to a server failed: {why}"
            );
        }
        Fault::Upstream {
            kind,
            why: format!("{}: {why}", server.name),
        }
    }
}
