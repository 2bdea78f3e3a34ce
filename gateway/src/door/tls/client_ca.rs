//! The certificates that may issue a listener's client certificates.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

use super::certificates::parse_chain;
use super::{ContentKey, TlsError, read_file};

/// A loaded bundle. One that holds no certificate is refused: it would either let nobody in or, in a server
/// that takes "none" for "no check", everybody.
#[derive(Clone, Debug)]
pub(crate) struct ClientCa {
    path: PathBuf,
    roots: Arc<RootCertStore>,
    content_key: ContentKey,
}

impl ClientCa {
    /// Reads a PEM bundle. Every certificate in it must be usable: one that is silently left out would lock
    /// its clients out.
    pub(crate) fn load(path: &Path) -> Result<Self, TlsError> {
        let bytes = read_file(path)?;
        let mut roots = RootCertStore::empty();
        for (index, certificate) in parse_chain(path, &bytes)?.into_iter().enumerate() {
            roots.add(certificate).map_err(|error| TlsError::Certificate {
                path: path.to_owned(),
                index: index + 1,
                reason: error.to_string(),
            })?;
        }
        if roots.is_empty() {
            return Err(TlsError::NoClientCa { path: path.to_owned() });
        }
        Ok(Self {
            path: path.to_owned(),
            roots: Arc::new(roots),
            content_key: ContentKey::of([&*bytes]),
        })
    }

    /// Equal while the file's content is.
    pub(crate) const fn content_key(&self) -> ContentKey {
        self.content_key
    }

    /// A verifier that refuses a client without a certificate.
    pub(super) fn verifier(&self, provider: Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
        WebPkiClientVerifier::builder_with_provider(Arc::clone(&self.roots), provider)
            .build()
            .map_err(|error| TlsError::Setup(format!("client CA {}: {error}", self.path.display())))
    }
}
