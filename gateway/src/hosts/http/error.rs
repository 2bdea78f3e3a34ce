//! What a guest is told of a request that failed.

use crate::outbound::SendError;
use wasmtime_wasi_http::Error;

/// The wasi:http error code of a failure.
pub(super) fn code(error: SendError) -> Error {
    match error {
        SendError::Denied(_) => Error::HttpRequestDenied,
        SendError::Uri(_) => Error::HttpRequestUriInvalid,
        SendError::Method => Error::HttpRequestMethodInvalid,
        SendError::Fields(_) => Error::HttpRequestBodySize(None),
        SendError::RequestBody(_) => Error::HttpProtocolError,
        SendError::Configuration(_) => Error::ConfigurationError,
        SendError::DnsTimeout => Error::DnsTimeout,
        SendError::NameNotFound { .. } => Error::DestinationNotFound,
        SendError::Dns { rcode, .. } => Error::DnsError { rcode, info_code: None },
        SendError::LimitReached => Error::ConnectionLimitReached,
        SendError::ConnectTimeout => Error::ConnectionTimeout,
        SendError::Refused => Error::ConnectionRefused,
        SendError::Unroutable(_) => Error::DestinationIpUnroutable,
        SendError::Connect(_) => Error::DestinationUnavailable,
        SendError::TlsCertificate(_) => Error::TlsCertificateError,
        SendError::TlsAlert { id, message } => Error::TlsAlertReceived {
            alert_id: Some(id),
            alert_message: Some(message),
        },
        SendError::Tls(_) | SendError::NoH2 => Error::TlsProtocolError,
        SendError::FirstByteTimeout => Error::HttpResponseTimeout,
        SendError::WriteTimeout => Error::ConnectionWriteTimeout,
        SendError::BetweenBytesTimeout => Error::ConnectionReadTimeout,
        SendError::Terminated(_) => Error::ConnectionTerminated,
        SendError::Incomplete(_) | SendError::Cut => Error::HttpResponseIncomplete,
        SendError::HeadTooLarge(_) => Error::HttpResponseHeaderSectionSize(None),
        SendError::Upgrade => Error::HttpUpgradeFailed,
        SendError::Protocol(_) => Error::HttpProtocolError,
    }
}
