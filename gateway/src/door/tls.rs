//! TLS for a listener: which certificate answers which name, and the rustls configuration around it.
//!
//! The configuration outlives certificates: they are read from an `ArcSwap` at each handshake, so a renewed
//! certificate neither rebuilds the listener nor throws its sessions away. Everything names ring's provider
//! explicitly; nothing depends on a process-wide default.

mod certificates;
mod client_ca;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::{ClientHello, ResolvesServerCert, ServerSessionMemoryCache};
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256};

pub(crate) use self::certificates::{CertPaths, Certificates};
pub(crate) use self::client_ca::ClientCa;

/// Sessions a listener remembers for TLS 1.2 clients that take no tickets. Others cost the listener nothing.
const SESSIONS_COUNT: usize = 1024;
/// One PEM file. A bundle of every public root is a quarter of this.
const PEM_FILE_BYTES: u64 = 1024 * 1024;

/// Why TLS cannot be set up as configured. Each says which file, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("cannot read {path}: {reason}; check the path, and that the gateway's user may read the file")]
    Read { path: PathBuf, reason: String },
    #[error("{path} is larger than {PEM_FILE_BYTES} bytes; name a PEM file with just what this listener needs")]
    TooLarge { path: PathBuf },
    #[error("{path} is not well-formed PEM: {reason}; export the file again")]
    Pem { path: PathBuf, reason: String },
    #[error("{path} has no certificate; it must hold the PEM chain, the server's own certificate first")]
    NoCertificate { path: PathBuf },
    #[error("{path} has no private key; it must hold a PEM block of PKCS#8, PKCS#1 or SEC1")]
    NoKey { path: PathBuf },
    #[error("the private key in {path} is encrypted; store it decrypted: openssl pkey -in KEY -out NEW_KEY")]
    EncryptedKey { path: PathBuf },
    #[error(
        "the private key in {path} cannot be used: {reason}; use ECDSA P-256 or P-384, Ed25519, or RSA of 2048 to 8192 bits"
    )]
    Key { path: PathBuf, reason: String },
    #[error("certificate {index} in {path} cannot be read: {reason}")]
    Certificate {
        path: PathBuf,
        index: usize,
        reason: String,
    },
    #[error(
        "the private key in {key} is not that of the first certificate in {cert}; name the pair that was issued together, and reload once both files are in place"
    )]
    KeyMismatch { cert: PathBuf, key: PathBuf },
    #[error(
        "the private key in {key} is that of certificate {index} in {cert}; put that certificate first, then the ones that issued it"
    )]
    ChainOrder { cert: PathBuf, key: PathBuf, index: usize },
    #[error("a TLS listener needs at least one certificate and key")]
    Empty,
    #[error(
        "the client CA bundle {path} has no certificate; with client_ca every client must present a certificate issued by one in this file"
    )]
    NoClientCa { path: PathBuf },
    #[error("TLS cannot be set up: {0}")]
    Setup(String),
}

/// Something that works and deserves a look, for the log and for `tidegate check`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TlsWarning {
    #[error("the certificate in {path} expired on {expired}; clients will refuse it")]
    Expired { path: PathBuf, expired: String },
    #[error("the certificate in {path} is valid only from {from}; clients will refuse it until then")]
    NotYetValid { path: PathBuf, from: String },
    #[error(
        "the certificate in {path} names no host (no DNS name among its alternative names); it answers only names that no other certificate has"
    )]
    NoNames { path: PathBuf },
    #[error("{name} is named by {used} and by {unused}; the first is used")]
    Shadowed {
        name: String,
        used: PathBuf,
        unused: PathBuf,
    },
    #[error("the private key {path} may be read by every user of this machine (mode {mode:03o}); chmod o-r it")]
    KeyReadable { path: PathBuf, mode: u32 },
}

/// A digest of the files something was loaded from: equal keys mean that nothing changed.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ContentKey([u8; 32]);

impl ContentKey {
    /// Each part's length goes in before it, so that bytes cannot move from one file to the next unseen.
    fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut digest = Sha256::new();
        for part in parts {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        Self(digest.finalize().into())
    }
}

impl fmt::Debug for ContentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Enough to tell two apart in a log. A private key is among what was digested.
        let [a, b, c, d, ..] = self.0;
        write!(f, "ContentKey({a:02x}{b:02x}{c:02x}{d:02x})")
    }
}

/// The configuration of a listener. `certificates` is read at each handshake; with `client_ca` a client must
/// present a certificate that it issued.
///
/// Tickets and remembered sessions belong to this configuration. A new `client_ca` makes a new one, and so a
/// client that the old bundle let in cannot resume past the new.
pub(crate) fn server_config(
    certificates: Arc<ArcSwap<Certificates>>,
    client_ca: Option<&ClientCa>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = provider();
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Setup(error.to_string()))?;
    let builder = match client_ca {
        Some(bundle) => builder.with_client_cert_verifier(bundle.verifier(provider)?),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::new(Resolver { certificates }));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ticketer = ring::Ticketer::new().map_err(|error| TlsError::Setup(error.to_string()))?;
    config.session_storage = ServerSessionMemoryCache::new(SESSIONS_COUNT);
    // A request in early data can be replayed by whoever recorded it.
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Chooses the certificate of each handshake from those in force at that moment.
#[derive(Debug)]
struct Resolver {
    certificates: Arc<ArcSwap<Certificates>>,
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let certificates = self.certificates.load();
        Some(certificates.choose(hello.server_name(), hello.signature_schemes()))
    }
}

/// A whole PEM file, bounded.
fn read_file(path: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |error: io::Error| TlsError::Read {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(PEM_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > PEM_FILE_BYTES {
        return Err(TlsError::TooLarge { path: path.to_owned() });
    }
    Ok(bytes)
}
