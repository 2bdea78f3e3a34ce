//! What a failed exchange with a server is to the client, to the server's record, and to a second attempt.

use crate::error::{Fault, UpstreamFault};
use crate::outbound::SendError;

/// What `error` is called towards clients, in metrics and in the log; `None` where the server is not to blame.
pub(super) fn kind(error: &SendError) -> Option<UpstreamFault> {
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
        SendError::Terminated(_) | SendError::Incomplete(_) => UpstreamFault::Closed,
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
pub(super) fn counts(kind: UpstreamFault) -> bool {
    !matches!(kind, UpstreamFault::Busy | UpstreamFault::Unavailable)
}

/// What the client is told.
pub(super) fn fault(kind: UpstreamFault, server: &str, error: &SendError) -> Fault {
    Fault::Upstream {
        kind,
        why: format!("{server}: {}", error.report()),
    }
}
