//! TLS towards servers: whom to trust, and the handshake.

use super::SendError;
use crate::limits;
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};
use rustls_native_certs::CertificateResult;
use std::sync::Arc;
use tokio::sync::OnceCell;
use tracing::{info, warn};

/// The configuration of every outgoing TLS connection, made when the first one is.
#[derive(Debug, Default)]
pub(super) struct Tls(OnceCell<Result<Arc<ClientConfig>, String>>);

impl Tls {
    /// Trusts `roots` instead of the system's.
    #[cfg(test)]
    pub(super) fn trusting(roots: RootCertStore) -> Self {
        Self(OnceCell::from(trusting_roots(roots)))
    }

    /// The configuration, with the system's roots (or those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name).
    pub(super) async fn config(&self) -> Result<Arc<ClientConfig>, SendError> {
        let config = self.0.get_or_init(|| async {
            // Reading a bundle of certificates takes milliseconds in which a door would serve nobody.
            match tokio::task::spawn_blocking(system_config).await {
                Ok(config) => config,
                Err(error) => Err(format!("certificates could not be read: {error}")),
            }
        });
        config.await.clone().map_err(SendError::Configuration)
    }
}

fn system_config() -> Result<Arc<ClientConfig>, String> {
    trusting_roots(trusted(rustls_native_certs::load_native_certs())?)
}

/// The certificates found, if there is one at least that can be used.
pub(super) fn trusted(found: CertificateResult) -> Result<RootCertStore, String> {
    for error in &found.errors {
        warn!(%error, "some of the system's certificates could not be read");
    }
    let mut roots = RootCertStore::empty();
    let (trusted, ignored) = roots.add_parsable_certificates(found.certs);
    if trusted == 0 {
        return Err(
            "no certificate authority is trusted; install the package ca-certificates, or name a PEM file in SSL_CERT_FILE"
                .to_owned(),
        );
    }
    info!(
        trusted,
        ignored, "certificate authorities for outgoing connections loaded"
    );
    Ok(roots)
}

/// Whom a server of an upstream is trusted by.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trust<'a> {
    /// The system's certificate authorities.
    System,
    /// These, in PEM.
    Authorities(&'a [u8]),
}

/// Who the gateway is to a server that asks: a certificate chain and its key, both in PEM.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity<'a> {
    pub(crate) chain: &'a [u8],
    pub(crate) key: &'a [u8],
}

/// The TLS configuration of an upstream. Certificates are always verified.
///
/// # Errors
/// What cannot be used of what was given, for a person.
pub(crate) fn client_config(
    trust: Trust<'_>,
    identity: Option<Identity<'_>>,
    protocols: &[&[u8]],
) -> Result<Arc<ClientConfig>, String> {
    let roots = match trust {
        Trust::System => trusted(rustls_native_certs::load_native_certs())?,
        Trust::Authorities(pem) => authorities(pem)?,
    };
    let builder = builder()?.with_root_certificates(roots);
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let chain = CertificateDer::pem_slice_iter(identity.chain)
                .collect::<Result<Vec<_>, _>>()
                .map_err(|error| format!("the client certificate cannot be read: {error}"))?;
            let key = PrivateKeyDer::from_pem_slice(identity.key)
                .map_err(|error| format!("the client certificate's key cannot be read: {error}"))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| format!("the client certificate cannot be used: {error}"))?
        }
    };
    Ok(finished(config, protocols))
}

fn authorities(pem: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| format!("a certificate authority cannot be read: {error}"))?;
        roots
            .add(certificate)
            .map_err(|error| format!("a certificate authority cannot be used: {error}"))?;
    }
    if roots.is_empty() {
        return Err("there is no certificate in it; it has to be PEM, with BEGIN CERTIFICATE".to_owned());
    }
    Ok(roots)
}

fn trusting_roots(roots: RootCertStore) -> Result<Arc<ClientConfig>, String> {
    let config = builder()?.with_root_certificates(roots).with_no_client_auth();
    Ok(finished(config, &[b"h2", b"http/1.1"]))
}

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, String> {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))
}

fn finished(mut config: ClientConfig, protocols: &[&[u8]]) -> Arc<ClientConfig> {
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    config.resumption = Resumption::in_memory_sessions(limits::OUTGOING_TLS_SESSIONS_COUNT);
    Arc::new(config)
}
