//! TLS towards servers: whom to trust, and the handshake.

use super::SendError;
use crate::limits;
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
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
        Self(OnceCell::from(client_config(roots)))
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
    client_config(trusted(rustls_native_certs::load_native_certs())?)
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

fn client_config(roots: RootCertStore) -> Result<Arc<ClientConfig>, String> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.resumption = Resumption::in_memory_sessions(limits::OUTGOING_TLS_SESSIONS_COUNT);
    Ok(Arc::new(config))
}
