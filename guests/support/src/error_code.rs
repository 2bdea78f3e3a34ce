//! The errors of wasi:http in the words of its WIT. 0.2 and 0.3 name them alike, so `support-p3`
//! takes this file too.

use crate::types::ErrorCode;

/// The name as WIT writes it, then a space and what came with it, when something did:
/// `DNS-error NXDOMAIN`, `HTTP-request-denied`.
pub fn text(code: &ErrorCode) -> String {
    let details: Vec<String> = details(code).into_iter().filter(|detail| !detail.is_empty()).collect();
    let mut text = name(code).to_owned();
    for detail in details {
        text.push(' ');
        text.push_str(&detail);
    }
    text
}

fn name(code: &ErrorCode) -> &'static str {
    match code {
        ErrorCode::DnsTimeout => "DNS-timeout",
        ErrorCode::DnsError(_) => "DNS-error",
        ErrorCode::DestinationNotFound => "destination-not-found",
        ErrorCode::DestinationUnavailable => "destination-unavailable",
        ErrorCode::DestinationIpProhibited => "destination-IP-prohibited",
        ErrorCode::DestinationIpUnroutable => "destination-IP-unroutable",
        ErrorCode::ConnectionRefused => "connection-refused",
        ErrorCode::ConnectionTerminated => "connection-terminated",
        ErrorCode::ConnectionTimeout => "connection-timeout",
        ErrorCode::ConnectionReadTimeout => "connection-read-timeout",
        ErrorCode::ConnectionWriteTimeout => "connection-write-timeout",
        ErrorCode::ConnectionLimitReached => "connection-limit-reached",
        ErrorCode::TlsProtocolError => "TLS-protocol-error",
        ErrorCode::TlsCertificateError => "TLS-certificate-error",
        ErrorCode::TlsAlertReceived(_) => "TLS-alert-received",
        ErrorCode::HttpRequestDenied => "HTTP-request-denied",
        ErrorCode::HttpRequestLengthRequired => "HTTP-request-length-required",
        ErrorCode::HttpRequestBodySize(_) => "HTTP-request-body-size",
        ErrorCode::HttpRequestMethodInvalid => "HTTP-request-method-invalid",
        ErrorCode::HttpRequestUriInvalid => "HTTP-request-URI-invalid",
        ErrorCode::HttpRequestUriTooLong => "HTTP-request-URI-too-long",
        ErrorCode::HttpRequestHeaderSectionSize(_) => "HTTP-request-header-section-size",
        ErrorCode::HttpRequestHeaderSize(_) => "HTTP-request-header-size",
        ErrorCode::HttpRequestTrailerSectionSize(_) => "HTTP-request-trailer-section-size",
        ErrorCode::HttpRequestTrailerSize(_) => "HTTP-request-trailer-size",
        ErrorCode::HttpResponseIncomplete => "HTTP-response-incomplete",
        ErrorCode::HttpResponseHeaderSectionSize(_) => "HTTP-response-header-section-size",
        ErrorCode::HttpResponseHeaderSize(_) => "HTTP-response-header-size",
        ErrorCode::HttpResponseBodySize(_) => "HTTP-response-body-size",
        ErrorCode::HttpResponseTrailerSectionSize(_) => "HTTP-response-trailer-section-size",
        ErrorCode::HttpResponseTrailerSize(_) => "HTTP-response-trailer-size",
        ErrorCode::HttpResponseTransferCoding(_) => "HTTP-response-transfer-coding",
        ErrorCode::HttpResponseContentCoding(_) => "HTTP-response-content-coding",
        ErrorCode::HttpResponseTimeout => "HTTP-response-timeout",
        ErrorCode::HttpUpgradeFailed => "HTTP-upgrade-failed",
        ErrorCode::HttpProtocolError => "HTTP-protocol-error",
        ErrorCode::LoopDetected => "loop-detected",
        ErrorCode::ConfigurationError => "configuration-error",
        ErrorCode::InternalError(_) => "internal-error",
    }
}

fn details(code: &ErrorCode) -> [String; 2] {
    match code {
        ErrorCode::DnsError(dns) => [shown(&dns.rcode), shown(&dns.info_code)],
        ErrorCode::TlsAlertReceived(alert) => [shown(&alert.alert_id), shown(&alert.alert_message)],
        ErrorCode::HttpRequestBodySize(bytes) | ErrorCode::HttpResponseBodySize(bytes) => [shown(bytes), String::new()],
        ErrorCode::HttpRequestHeaderSectionSize(bytes)
        | ErrorCode::HttpRequestTrailerSectionSize(bytes)
        | ErrorCode::HttpResponseHeaderSectionSize(bytes)
        | ErrorCode::HttpResponseTrailerSectionSize(bytes) => [shown(bytes), String::new()],
        ErrorCode::HttpRequestHeaderSize(Some(field))
        | ErrorCode::HttpRequestTrailerSize(field)
        | ErrorCode::HttpResponseHeaderSize(field)
        | ErrorCode::HttpResponseTrailerSize(field) => [shown(&field.field_name), shown(&field.field_size)],
        ErrorCode::HttpResponseTransferCoding(text)
        | ErrorCode::HttpResponseContentCoding(text)
        | ErrorCode::InternalError(text) => [shown(text), String::new()],
        _ => [String::new(), String::new()],
    }
}

fn shown(value: &Option<impl ToString>) -> String {
    value.as_ref().map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speaks_the_words_of_wit_and_adds_what_came_along() {
        assert_eq!(text(&ErrorCode::DestinationIpProhibited), "destination-IP-prohibited");
        assert_eq!(
            text(&ErrorCode::InternalError(Some("why".to_owned()))),
            "internal-error why"
        );
        assert_eq!(text(&ErrorCode::InternalError(None)), "internal-error");
        assert_eq!(
            text(&ErrorCode::HttpRequestBodySize(Some(7))),
            "HTTP-request-body-size 7"
        );
    }
}
