//! Certificates made for a test, and the TLS settings of its clients.

use super::raw::Raw;
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, ServerConfig, StreamOwned, SupportedProtocolVersion,
};
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An authority that signs what a test needs.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its key, in memory.
pub(crate) struct Pair {
    pub(crate) cert: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().expect("a key can be made");
        let mut params = CertificateParams::new(Vec::new()).expect("no names are good names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "Tidegate tests");
        let cert = params.self_signed(&key).expect("an authority can sign itself");
        Self {
            pem: cert.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    /// A certificate for these names, for servers and clients alike.
    pub(crate) fn sign(&self, names: &[&str]) -> Pair {
        let key = KeyPair::generate().expect("a key can be made");
        let names = names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let mut params = CertificateParams::new(names).expect("the names are valid");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let cert = params.signed_by(&key, &self.issuer).expect("an authority can sign");
        Pair {
            cert: cert.pem(),
            key: key.serialize_pem(),
        }
    }

    /// Its own certificate as a file.
    pub(crate) fn write(&self, folder: &Path) -> PathBuf {
        let file = folder.join("ca.pem");
        fs::write(&file, &self.pem).expect("a certificate can be written");
        file
    }

    /// A client that trusts this authority, offers `alpn`, and shows `pair` when it is asked to.
    pub(crate) fn client(&self, alpn: &[&str], pair: Option<&Pair>) -> Arc<ClientConfig> {
        self.client_of(rustls::DEFAULT_VERSIONS, alpn, pair)
    }

    /// The same, with nothing but these versions of TLS.
    pub(crate) fn client_of(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        alpn: &[&str],
        pair: Option<&Pair>,
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(self.pem.as_bytes()).expect("the authority is PEM");
        roots.add(root).expect("the authority is one");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider);
        let builder = builder.with_protocol_versions(versions).expect("ring has all versions");
        let builder = builder.with_root_certificates(roots);
        let mut config = match pair {
            Some(pair) => {
                let (certs, key) = pair.der();
                builder
                    .with_client_auth_cert(certs, key)
                    .expect("certificate and key belong together")
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}

impl Pair {
    /// Writes `NAME.pem` and `NAME.key`, and gives both paths.
    pub(crate) fn write(&self, folder: &Path, name: &str) -> (PathBuf, PathBuf) {
        let (cert, key) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
        fs::write(&cert, &self.cert)
            .and_then(|()| fs::write(&key, &self.key))
            .expect("a pair can be written");
        (cert, key)
    }

    /// A server that shows it and speaks one of `alpn`.
    pub(crate) fn server(&self, alpn: &[&str]) -> ServerConfig {
        let builder = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let builder = builder
            .with_safe_default_protocol_versions()
            .expect("ring has all versions");
        let (certs, key) = self.der();
        let mut config = builder
            .with_no_client_auth()
            .with_single_cert(certs, key)
            .expect("certificate and key belong together");
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        config
    }

    fn der(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let certs = CertificateDer::pem_slice_iter(self.cert.as_bytes());
        let certs = certs.collect::<Result<Vec<_>, _>>().expect("the certificate is PEM");
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("the key is PEM");
        (certs, key)
    }
}

/// What a TLS handshake came to.
pub(crate) struct Greeted {
    pub(crate) raw: Raw,
    /// What ALPN agreed on.
    pub(crate) alpn: Option<String>,
    pub(crate) version: Option<ProtocolVersion>,
    /// The server's own certificate.
    pub(crate) leaf: CertificateDer<'static>,
}

/// Connects and finishes the handshake.
pub(crate) fn greet(address: SocketAddr, name: &str, config: &Arc<ClientConfig>) -> std::io::Result<Greeted> {
    greet_over(TcpStream::connect(address)?, name, config)
}

/// Finishes the handshake on a connection that may have carried something else before.
pub(crate) fn greet_over(mut tcp: TcpStream, name: &str, config: &Arc<ClientConfig>) -> std::io::Result<Greeted> {
    tcp.set_read_timeout(Some(super::wait::PATIENCE))?;
    let server = ServerName::try_from(name.to_owned()).expect("the name is valid");
    let mut session = ClientConnection::new(Arc::clone(config), server).map_err(std::io::Error::other)?;
    while session.is_handshaking() {
        session.complete_io(&mut tcp)?;
    }
    let alpn = session
        .alpn_protocol()
        .map(|protocol| String::from_utf8_lossy(protocol).into_owned());
    let version = session.protocol_version();
    let leaf = session
        .peer_certificates()
        .and_then(|chain| chain.first())
        .expect("a server shows one")
        .clone();
    let copy = tcp.try_clone()?;
    Ok(Greeted {
        raw: Raw::over(Box::new(StreamOwned::new(session, tcp)), copy),
        alpn,
        version,
        leaf,
    })
}
