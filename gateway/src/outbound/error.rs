//! What can go wrong with an outgoing request, as finely as wasi:http's error codes tell it apart.

use super::policy::DeniedReason;
use crate::http::guard::response::BadResponse;
use std::error::Error;
use std::io;

/// Why a request got no response, or not all of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// Policy does not allow this destination.
    #[error("denied: {0}")]
    Denied(DeniedReason),
    /// The request's URI names no destination.
    #[error("the URI cannot be used: {0}")]
    Uri(&'static str),
    /// CONNECT.
    #[error("CONNECT is not supported")]
    Method,
    /// The request's fields would make another message of it than its body.
    #[error("the request's fields cannot be sent: {0}")]
    Fields(&'static str),
    /// The gateway cannot look up names, or trusts no certificate authority.
    #[error("the gateway cannot make this connection: {0}")]
    Configuration(String),
    /// No name server answered in time.
    #[error("looking up the name took too long")]
    DnsTimeout,
    /// The name does not exist, or has no address.
    #[error("the name has no address ({rcode})")]
    NameNotFound {
        /// The answer's code (RFC 1035 §4.1.1).
        rcode: String,
    },
    /// The name servers failed.
    #[error("looking up the name failed: {reason}")]
    Dns {
        /// The answer's code, where there was an answer.
        rcode: Option<String>,
        /// What went wrong.
        reason: String,
    },
    /// All connections are in use, and none came free in time.
    #[error("all connections are in use")]
    LimitReached,
    /// The connection was not made in time.
    #[error("connecting took too long")]
    ConnectTimeout,
    /// Nothing listens there.
    #[error("the connection was refused")]
    Refused,
    /// There is no way there.
    #[error("the address cannot be reached: {0}")]
    Unroutable(#[source] io::Error),
    /// The connection could not be made for another reason.
    #[error("connecting failed: {0}")]
    Connect(#[source] io::Error),
    /// The server's certificate is not valid for its name, or not trusted.
    #[error("the certificate is refused: {0}")]
    TlsCertificate(#[source] rustls::Error),
    /// The server ended the handshake.
    #[error("the server ended the TLS handshake: {message}")]
    TlsAlert {
        /// The alert (RFC 8446 §6).
        id: u8,
        /// Its name.
        message: String,
    },
    /// The handshake failed otherwise.
    #[error("the TLS handshake failed: {0}")]
    Tls(#[source] io::Error),
    /// The server does not speak HTTP/2, which it was configured to.
    #[error("the server did not choose HTTP/2")]
    NoH2,
    /// The head of the response did not come in time.
    #[error("the response did not begin in time")]
    FirstByteTimeout,
    /// The server took no more of the request.
    #[error("the server took no more of the request body")]
    WriteTimeout,
    /// The response body stopped coming.
    #[error("the response body stopped coming")]
    BetweenBytesTimeout,
    /// The body of the request failed; the source is its own error.
    #[error("the request body failed: {0}")]
    RequestBody(#[source] hyper::Error),
    /// The connection ended before the head of the response.
    #[error("the connection ended before a response came: {0}")]
    Terminated(#[source] hyper::Error),
    /// The connection ended within the response.
    #[error("the response is incomplete: {0}")]
    Incomplete(#[source] hyper::Error),
    /// The server let go of the stream within the response, and called it no error.
    #[error("the response is incomplete: its stream was reset")]
    Cut,
    /// The head or the trailers of the response are longer than the gateway takes.
    #[error("the response's head or trailers are too large: {0}")]
    HeadTooLarge(#[source] hyper::Error),
    /// The server switched protocols, which nobody asked for.
    #[error("the server answered 101")]
    Upgrade,
    /// The server broke the rules of HTTP, or reset the request.
    #[error("the server broke the protocol: {0}")]
    Protocol(#[source] hyper::Error),
}

impl SendError {
    /// What hyper says of a request whose response head has not come.
    pub(super) fn of_request(error: hyper::Error) -> Self {
        if error.is_user() {
            Self::RequestBody(error)
        } else if error.is_parse() {
            Self::of_parse(error)
        } else if let Some(refused) = refused(&error) {
            // What the guard on the connection did not let through.
            match refused {
                BadResponse::Upgrade => Self::Upgrade,
                size if size.is_size() => Self::HeadTooLarge(error),
                _ => Self::Protocol(error),
            }
        } else if error.is_incomplete_message() || error.is_canceled() || error.is_closed() || io_kind(&error).is_some()
        {
            Self::Terminated(error)
        } else {
            Self::Protocol(error)
        }
    }

    /// What hyper says of a response body.
    pub(super) fn of_body(error: hyper::Error) -> Self {
        if error.is_user() {
            return Self::RequestBody(error);
        }
        if error.is_parse() {
            return Self::of_parse(error);
        }
        if refused(&error).is_some_and(|refused| refused.is_size()) {
            return Self::HeadTooLarge(error);
        }
        match io_kind(&error) {
            Some(io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other) => {
                Self::Protocol(error)
            }
            Some(_) => Self::Incomplete(error),
            None if error.is_incomplete_message() || error.is_canceled() || error.is_closed() => {
                Self::Incomplete(error)
            }
            None => Self::Protocol(error),
        }
    }

    /// hyper does not say to clients whether a head was too large but in its text.
    fn of_parse(error: hyper::Error) -> Self {
        if error.to_string().contains("too large") {
            Self::HeadTooLarge(error)
        } else {
            Self::Protocol(error)
        }
    }

    /// What a connection attempt came to.
    pub(super) fn of_connect(error: io::Error) -> Self {
        use io::ErrorKind as Kind;
        match error.kind() {
            Kind::ConnectionRefused => Self::Refused,
            Kind::TimedOut => Self::ConnectTimeout,
            Kind::HostUnreachable | Kind::NetworkUnreachable | Kind::AddrNotAvailable | Kind::NetworkDown => {
                Self::Unroutable(error)
            }
            _ => Self::Connect(error),
        }
    }

    /// What a TLS handshake came to.
    pub(super) fn of_handshake(error: io::Error) -> Self {
        let tls = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
        match tls {
            Some(rustls::Error::AlertReceived(alert)) => Self::TlsAlert {
                id: u8::from(*alert),
                message: format!("{alert:?}"),
            },
            Some(certificate @ (rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented)) => {
                Self::TlsCertificate(certificate.clone())
            }
            _ => Self::Tls(error),
        }
    }

    /// The error with everything that led to it, for the log.
    pub(crate) fn report(&self) -> String {
        let mut text = self.to_string();
        let mut source = self.source();
        while let Some(error) = source {
            let cause = error.to_string();
            if !text.ends_with(&cause) {
                text.push_str(": ");
                text.push_str(&cause);
            }
            source = error.source();
        }
        text
    }
}

/// The kind of the first I/O error among the causes.
fn io_kind(error: &hyper::Error) -> Option<io::ErrorKind> {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(error) = cause.downcast_ref::<io::Error>() {
            return Some(error.kind());
        }
        source = cause.source();
    }
    None
}

/// Why the guard refused a response, where it did.
fn refused(error: &hyper::Error) -> Option<BadResponse> {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(error) = cause.downcast_ref::<io::Error>() {
            return error.get_ref()?.downcast_ref::<BadResponse>().copied();
        }
        source = cause.source();
    }
    None
}
