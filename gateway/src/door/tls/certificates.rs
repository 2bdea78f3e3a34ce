//! A listener's certificates: loaded from PEM, checked, and found by server name.

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::sign::{CertifiedKey, SigningKey};
use rustls::{SignatureAlgorithm, SignatureScheme};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::time::ASN1Time;

use super::{ContentKey, TlsError, TlsWarning, provider, read_file};

/// A configured pair of PEM files. Both may be the same file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct CertPaths {
    /// The chain, the server's own certificate first.
    pub(crate) cert: PathBuf,
    /// Its private key.
    pub(crate) key: PathBuf,
}

/// Certificates ready to serve, immutable.
///
/// A name is answered by the certificate that has it, else by one with a wildcard for it (`*.example.com`
/// stands for exactly one label), else by the first configured: so also for a client that sends no name.
/// nginx does the same with its default server; refusing the handshake would tell the client less than the
/// certificate does. Where several certificates have a name (ECDSA beside RSA), the first whose key the client can
/// verify is used.
#[derive(Debug)]
pub(crate) struct Certificates {
    first: Arc<CertifiedKey>,
    exact: HashMap<Box<str>, Vec<Arc<CertifiedKey>>>,
    /// By what stands after `*.`.
    wildcard: HashMap<Box<str>, Vec<Arc<CertifiedKey>>>,
    warnings: Vec<TlsWarning>,
    content_key: ContentKey,
}

impl Certificates {
    /// Loads every pair, in order; the first is the listener's default.
    pub(crate) fn load(pairs: &[CertPaths]) -> Result<Self, TlsError> {
        Self::from_sources(&read_all(pairs)?, ASN1Time::now())
    }

    /// What [`content_key`](Self::content_key) would be were the pairs loaded now. Reads the files and parses
    /// nothing, so that a reload can tell what it need not touch.
    pub(crate) fn content_key_of(pairs: &[CertPaths]) -> Result<ContentKey, TlsError> {
        Ok(content_key(&read_all(pairs)?))
    }

    /// Equal while the content and the order of the files are.
    pub(crate) const fn content_key(&self) -> ContentKey {
        self.content_key
    }

    /// What deserves a look.
    pub(crate) fn warnings(&self) -> &[TlsWarning] {
        &self.warnings
    }

    /// The certificate for a server name, given in lower case as rustls does.
    pub(super) fn choose(&self, name: Option<&str>, schemes: &[SignatureScheme]) -> Arc<CertifiedKey> {
        let named = name.and_then(|name| {
            self.exact.get(name).or_else(|| {
                let (label, suffix) = name.split_once('.')?;
                self.wildcard.get(suffix).filter(|_| !label.is_empty())
            })
        });
        let usable = named.and_then(|having| {
            let verifiable = having.iter().find(|one| one.key.choose_scheme(schemes).is_some());
            verifiable.or(having.first())
        });
        Arc::clone(usable.unwrap_or(&self.first))
    }

    fn from_sources(sources: &[Source<'_>], now: ASN1Time) -> Result<Self, TlsError> {
        let provider = provider();
        let mut loaded = Vec::with_capacity(sources.len());
        let mut warnings = Vec::new();
        for source in sources {
            loaded.push(source.parse(&provider, now, &mut warnings)?);
        }
        let first = loaded
            .first()
            .map(|one| Arc::clone(&one.certified))
            .ok_or(TlsError::Empty)?;
        let (mut exact, mut wildcard) = (HashMap::new(), HashMap::new());
        let mut owners: HashMap<&str, Vec<&Loaded<'_>>> = HashMap::new();
        for one in &loaded {
            for full in &one.names {
                let owning = owners.entry(full).or_default();
                // A second key of another kind is for clients that cannot verify the first.
                if let Some(used) = owning.iter().find(|other| other.algorithm() == one.algorithm()) {
                    warnings.push(TlsWarning::Shadowed {
                        name: full.to_string(),
                        used: used.path.to_owned(),
                        unused: one.path.to_owned(),
                    });
                    continue;
                }
                owning.push(one);
                let (names, name) = match full.strip_prefix("*.") {
                    Some(suffix) => (&mut wildcard, suffix),
                    None => (&mut exact, &**full),
                };
                let having: &mut Vec<_> = names.entry(Box::from(name)).or_default();
                having.push(Arc::clone(&one.certified));
            }
        }
        let content_key = content_key(sources);
        Ok(Self {
            first,
            exact,
            wildcard,
            warnings,
            content_key,
        })
    }
}

/// The bytes of one pair.
struct Source<'a> {
    paths: &'a CertPaths,
    cert: Vec<u8>,
    key: Vec<u8>,
    /// The key file's permission bits.
    key_mode: u32,
}

/// One pair, checked.
struct Loaded<'a> {
    path: &'a Path,
    certified: Arc<CertifiedKey>,
    /// In lower case, each once; wildcards with their `*.`.
    names: Vec<Box<str>>,
}

impl Loaded<'_> {
    fn algorithm(&self) -> SignatureAlgorithm {
        self.certified.key.algorithm()
    }
}

fn read_all(pairs: &[CertPaths]) -> Result<Vec<Source<'_>>, TlsError> {
    pairs.iter().map(Source::read).collect()
}

fn content_key(sources: &[Source<'_>]) -> ContentKey {
    ContentKey::of(sources.iter().flat_map(|source| [&*source.cert, &*source.key]))
}

impl<'a> Source<'a> {
    fn read(paths: &'a CertPaths) -> Result<Self, TlsError> {
        let key = read_file(&paths.key)?;
        let key_mode = std::fs::metadata(&paths.key).map_or(0, |file| file.permissions().mode());
        Ok(Self {
            paths,
            cert: read_file(&paths.cert)?,
            key,
            key_mode: key_mode & 0o777,
        })
    }

    fn parse(
        &self,
        provider: &CryptoProvider,
        now: ASN1Time,
        warnings: &mut Vec<TlsWarning>,
    ) -> Result<Loaded<'a>, TlsError> {
        let CertPaths {
            cert: cert_path,
            key: key_path,
        } = self.paths;
        let chain = parse_chain(cert_path, &self.cert)?;
        let key = parse_key(key_path, &self.key, provider)?;
        let Some(own) = chain.first().cloned() else {
            return Err(TlsError::NoCertificate {
                path: cert_path.clone(),
            });
        };
        let certified = CertifiedKey::new(chain, key);
        self.check_pair(&certified)?;
        if self.key_mode & 0o004 != 0 {
            let (path, mode) = (key_path.clone(), self.key_mode);
            warnings.push(TlsWarning::KeyReadable { path, mode });
        }
        let names = self.read_names(&own, now, warnings)?;
        Ok(Loaded {
            path: cert_path,
            certified: Arc::new(certified),
            names,
        })
    }

    /// That the key is the first certificate's; where it is another's in the chain, the error says so.
    fn check_pair(&self, certified: &CertifiedKey) -> Result<(), TlsError> {
        let CertPaths { cert, key } = self.paths;
        let unreadable = |reason: rustls::Error| TlsError::Certificate {
            path: cert.clone(),
            index: 1,
            reason: reason.to_string(),
        };
        match certified.keys_match() {
            Ok(()) => return Ok(()),
            Err(rustls::Error::InconsistentKeys(_)) => {}
            Err(error) => return Err(unreadable(error)),
        }
        let of = certified.cert.iter().position(|one| {
            CertifiedKey::new(vec![one.clone()], Arc::clone(&certified.key))
                .keys_match()
                .is_ok()
        });
        let (cert, key) = (cert.clone(), key.clone());
        Err(match of {
            Some(index) => TlsError::ChainOrder {
                cert,
                key,
                index: index + 1,
            },
            None => TlsError::KeyMismatch { cert, key },
        })
    }

    /// The host names of the server's own certificate, and what is wrong with its dates.
    fn read_names(
        &self,
        own: &CertificateDer<'_>,
        now: ASN1Time,
        warnings: &mut Vec<TlsWarning>,
    ) -> Result<Vec<Box<str>>, TlsError> {
        let path = &self.paths.cert;
        let unreadable = |reason: String| TlsError::Certificate {
            path: path.clone(),
            index: 1,
            reason,
        };
        let (_, certificate) = X509Certificate::from_der(own).map_err(|error| unreadable(error.to_string()))?;
        let validity = certificate.validity();
        if validity.not_after < now {
            let expired = validity.not_after.to_string();
            warnings.push(TlsWarning::Expired {
                path: path.clone(),
                expired,
            });
        }
        if validity.not_before > now {
            let from = validity.not_before.to_string();
            warnings.push(TlsWarning::NotYetValid {
                path: path.clone(),
                from,
            });
        }
        let alternative = certificate
            .subject_alternative_name()
            .map_err(|error| unreadable(error.to_string()))?;
        let general = alternative
            .map(|extension| &*extension.value.general_names)
            .unwrap_or_default();
        let mut names: Vec<Box<str>> = general
            .iter()
            .filter_map(|name| match name {
                GeneralName::DNSName(name) => host_name(name),
                _ => None,
            })
            .collect();
        names.sort_unstable();
        names.dedup();
        if names.is_empty() {
            warnings.push(TlsWarning::NoNames { path: path.clone() });
        }
        Ok(names)
    }
}

/// A name as server names come: in lower case. Nothing for a wildcard that stands for more or less than the
/// whole first label, which no client accepts either (RFC 9525 section 6.3).
fn host_name(name: &str) -> Option<Box<str>> {
    let rest = name.strip_prefix("*.").unwrap_or(name);
    (!rest.is_empty() && !rest.contains('*')).then(|| name.to_ascii_lowercase().into())
}

/// Every certificate of a PEM file, in order; other blocks are passed over. May be none.
pub(super) fn parse_chain(path: &Path, bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    CertificateDer::pem_slice_iter(bytes)
        .collect::<Result<_, _>>()
        .map_err(|error| pem_error(path, &error))
}

pub(super) fn parse_key(path: &Path, bytes: &[u8], provider: &CryptoProvider) -> Result<Arc<dyn SigningKey>, TlsError> {
    let key = PrivateKeyDer::from_pem_slice(bytes).map_err(|error| match error {
        pem::Error::NoItemsFound if is_encrypted(bytes) => TlsError::EncryptedKey { path: path.to_owned() },
        pem::Error::NoItemsFound => TlsError::NoKey { path: path.to_owned() },
        error => pem_error(path, &error),
    })?;
    provider
        .key_provider
        .load_private_key(key)
        .map_err(|error| TlsError::Key {
            path: path.to_owned(),
            reason: error.to_string(),
        })
}

fn is_encrypted(bytes: &[u8]) -> bool {
    memchr::memmem::find(bytes, b"-----BEGIN ENCRYPTED PRIVATE KEY-----").is_some()
}

/// Says what kind of fault it is and never what stood there: the line may be a key's.
fn pem_error(path: &Path, error: &pem::Error) -> TlsError {
    let reason = match error {
        pem::Error::MissingSectionEnd { .. } => "a block has no end marker",
        pem::Error::IllegalSectionStart { .. } => "a line that begins a block is malformed",
        pem::Error::Base64Decode(_) => "a block is not base64",
        pem::Error::SectionTooLarge => "a block is too large",
        _ => "it cannot be read",
    };
    TlsError::Pem {
        path: path.to_owned(),
        reason: reason.to_owned(),
    }
}
