mod files;

use std::os::unix::fs::PermissionsExt;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConnection, Resumption};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::{
    ClientConfig, DigitallySignedStruct, HandshakeKind, RootCertStore, ServerConnection, SignatureScheme,
    SupportedProtocolVersion, version,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tempfile::TempDir;

use super::*;

/// Takes any certificate, and checks the handshake's signatures: what a test asks is which one was presented.
#[derive(Debug)]
struct AnyCertificate {
    algorithms: WebPkiSupportedAlgorithms,
    schemes: Vec<SignatureScheme>,
}

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// A client that takes any certificate, with no ALPN and no certificate of its own unless given.
fn client(
    versions: &[&'static SupportedProtocolVersion],
    schemes: Option<Vec<SignatureScheme>>,
    identity: Option<Identity>,
) -> ClientConfig {
    let algorithms = provider().signature_verification_algorithms;
    let schemes = schemes.unwrap_or_else(|| algorithms.supported_schemes());
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .expect("versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate { algorithms, schemes }));
    match identity {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).expect("an identity"),
        None => builder.with_no_client_auth(),
    }
}

fn plain_client() -> Arc<ClientConfig> {
    Arc::new(client(&[&version::TLS13, &version::TLS12], None, None))
}

/// What a handshake came to, seen from both ends.
struct Shaken {
    certificate: CertificateDer<'static>,
    alpn: Option<Vec<u8>>,
    kind: Option<HandshakeKind>,
    version: Option<rustls::ProtocolVersion>,
    client_certificates: usize,
}

/// A handshake in memory, with one byte of data each way so that tickets and alerts arrive.
fn shake(server: &Arc<ServerConfig>, client: &Arc<ClientConfig>, name: &str) -> Result<Shaken, rustls::Error> {
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let mut client = ClientConnection::new(Arc::clone(client), name).expect("a client");
    let mut server = ServerConnection::new(Arc::clone(server)).expect("a server");
    for _ in 0..10 {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).expect("memory");
        }
        let mut input = &*wire;
        while !input.is_empty() {
            server.read_tls(&mut input).expect("memory");
            server.process_new_packets()?;
        }
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).expect("memory");
        }
        let mut input = &*wire;
        while !input.is_empty() {
            client.read_tls(&mut input).expect("memory");
            client.process_new_packets()?;
        }
        if !client.is_handshaking() && !server.is_handshaking() && !client.wants_write() {
            break;
        }
    }
    assert!(
        !client.is_handshaking() && !server.is_handshaking(),
        "the handshake never ends"
    );
    assert_eq!(client.alpn_protocol(), server.alpn_protocol());
    Ok(Shaken {
        certificate: client.peer_certificates().expect("a certificate")[0]
            .clone()
            .into_owned(),
        alpn: client.alpn_protocol().map(<[u8]>::to_vec),
        kind: server.handshake_kind(),
        version: server.protocol_version(),
        client_certificates: server.peer_certificates().map_or(0, <[_]>::len),
    })
}

/// A folder of PEM files.
struct Folder(TempDir);

/// One made pair: its files and its certificate.
struct Pair {
    paths: CertPaths,
    certificate: CertificateDer<'static>,
}

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).expect("written");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("private");
        path
    }

    fn pair(&self, file: &str, names: &[&str]) -> Pair {
        self.pair_with(file, names, &rcgen::PKCS_ECDSA_P256_SHA256, |_| {})
    }

    fn pair_with(
        &self,
        file: &str,
        names: &[&str],
        algorithm: &'static rcgen::SignatureAlgorithm,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Pair {
        let key = KeyPair::generate_for(algorithm).expect("a key");
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        change(&mut params);
        let certificate = params.self_signed(&key).expect("a certificate");
        let paths = CertPaths {
            cert: self.write(&format!("{file}.pem"), &certificate.pem()),
            key: self.write(&format!("{file}.key"), &key.serialize_pem()),
        };
        Pair {
            paths,
            certificate: certificate.der().clone(),
        }
    }
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).expect("params");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
}

fn identity(issuer: &CertifiedIssuer<'static, KeyPair>) -> Identity {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["client.example".to_owned()]).expect("names");
    let certificate = params.signed_by(&key, issuer).expect("a certificate");
    (
        vec![certificate.der().clone()],
        PrivateKeyDer::try_from(key.serialize_der()).expect("a key"),
    )
}

fn load(pairs: &[&Pair]) -> Result<Certificates, TlsError> {
    let paths: Vec<CertPaths> = pairs.iter().map(|pair| pair.paths.clone()).collect();
    Certificates::load(&paths)
}

fn serving(pairs: &[&Pair]) -> Arc<ServerConfig> {
    let certificates = Arc::new(ArcSwap::from_pointee(load(pairs).expect("certificates")));
    server_config(certificates, None).expect("a configuration")
}

#[test]
fn a_name_gets_the_certificate_that_has_it() {
    let folder = Folder::new();
    let first = folder.pair("first", &["first.example", "other.first.example"]);
    let wild = folder.pair("wild", &["*.Example.com", "example.com"]);
    let exact = folder.pair("exact", &["www.example.com"]);
    let server = serving(&[&first, &wild, &exact]);
    for (name, expected, why) in [
        ("first.example", &first, "exact"),
        ("other.first.example", &first, "its second name"),
        ("www.example.com", &exact, "exact before wildcard"),
        ("WWW.EXAMPLE.COM", &exact, "names have no case"),
        ("api.example.com", &wild, "wildcard"),
        ("example.com", &wild, "exact beside a wildcard"),
        ("a.b.example.com", &first, "a wildcard is one label"),
        ("unknown.test", &first, "unknown: the first"),
        ("127.0.0.1", &first, "an address is sent as no name: the first"),
    ] {
        let shaken = shake(&server, &plain_client(), name).expect("a handshake");
        assert_eq!(shaken.certificate, expected.certificate, "{name}: {why}");
    }
}

#[test]
fn a_verifying_client_accepts_what_it_is_given() {
    let folder = Folder::new();
    let issuer = authority("Test CA");
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["*.example.com".to_owned()]).expect("names");
    let certificate = params.signed_by(&key, &issuer).expect("a certificate");
    let paths = CertPaths {
        cert: folder.write("chain.pem", &(certificate.pem() + &issuer.as_ref().pem())),
        key: folder.write("key.pem", &key.serialize_pem()),
    };
    let certificates = Certificates::load(&[paths]).expect("certificates");
    assert_eq!(certificates.warnings(), []);
    let server = server_config(Arc::new(ArcSwap::from_pointee(certificates)), None).expect("a configuration");
    let mut roots = RootCertStore::empty();
    roots.add(issuer.as_ref().der().clone()).expect("a root");
    let client = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = Arc::new(client);
    shake(&server, &client, "api.example.com").expect("verified");
    assert!(shake(&server, &client, "api.example.org").is_err());
}

#[test]
fn a_client_gets_the_key_it_can_verify() {
    let folder = Folder::new();
    let ecdsa = folder.pair("ecdsa", &["www.example.com"]);
    let ed25519 = folder.pair_with("ed25519", &["www.example.com"], &rcgen::PKCS_ED25519, |_| {});
    let server = serving(&[&ecdsa, &ed25519]);
    let only = |scheme| Arc::new(client(&[&version::TLS13], Some(vec![scheme]), None));
    for (scheme, expected) in [
        (SignatureScheme::ED25519, &ed25519),
        (SignatureScheme::ECDSA_NISTP256_SHA256, &ecdsa),
    ] {
        let shaken = shake(&server, &only(scheme), "www.example.com").expect("a handshake");
        assert_eq!(shaken.certificate, expected.certificate, "{scheme:?}");
    }
    let shaken = shake(&server, &plain_client(), "www.example.com").expect("a handshake");
    assert_eq!(shaken.certificate, ecdsa.certificate, "the first of what it can verify");
}

#[test]
fn a_name_in_two_certificates_of_one_kind_is_the_first_ones() {
    let folder = Folder::new();
    let (one, two) = (
        folder.pair("one", &["a.example"]),
        folder.pair("two", &["a.example", "b.example"]),
    );
    let certificates = load(&[&one, &two]).expect("certificates");
    let shadowed = TlsWarning::Shadowed {
        name: "a.example".into(),
        used: one.paths.cert.clone(),
        unused: two.paths.cert.clone(),
    };
    assert_eq!(certificates.warnings(), [shadowed]);
    let server = serving(&[&one, &two]);
    let presented = |name| shake(&server, &plain_client(), name).expect("a handshake").certificate;
    assert_eq!(presented("a.example"), one.certificate);
    assert_eq!(presented("b.example"), two.certificate);
}

#[test]
fn swapped_certificates_are_in_the_next_handshake() {
    let folder = Folder::new();
    let (old, new) = (folder.pair("old", &["a.example"]), folder.pair("new", &["a.example"]));
    let certificates = Arc::new(ArcSwap::from_pointee(load(&[&old]).expect("certificates")));
    let server = server_config(Arc::clone(&certificates), None).expect("a configuration");
    let presented = || {
        shake(&server, &plain_client(), "a.example")
            .expect("a handshake")
            .certificate
    };
    assert_eq!(presented(), old.certificate);
    certificates.store(Arc::new(load(&[&new]).expect("certificates")));
    assert_eq!(presented(), new.certificate);
}

#[test]
fn protocols_are_negotiated() {
    let folder = Folder::new();
    let server = serving(&[&folder.pair("a", &["a.example"])]);
    for (offered, expected) in [
        (&["h2", "http/1.1"][..], Some(&b"h2"[..])),
        (&["http/1.1", "h2"], Some(b"h2")),
        (&["http/1.1"], Some(b"http/1.1")),
        (&[], None),
    ] {
        let mut config = client(&[&version::TLS13], None, None);
        config.alpn_protocols = offered.iter().map(|name| name.as_bytes().to_vec()).collect();
        let shaken = shake(&server, &Arc::new(config), "a.example").expect("a handshake");
        assert_eq!(shaken.alpn.as_deref(), expected, "{offered:?}");
    }
    let mut config = client(&[&version::TLS13], None, None);
    config.alpn_protocols = vec![b"smtp".to_vec()];
    assert!(
        shake(&server, &Arc::new(config), "a.example").is_err(),
        "nothing in common is refused"
    );
}

#[test]
fn both_versions_shake_and_resume() {
    let folder = Folder::new();
    let server = serving(&[&folder.pair("a", &["a.example"])]);
    let mut without_tickets = client(&[&version::TLS12], None, None);
    without_tickets.resumption =
        Resumption::in_memory_sessions(8).tls12_resumption(rustls::client::Tls12Resumption::SessionIdOnly);
    for (config, expected) in [
        (client(&[&version::TLS13], None, None), rustls::ProtocolVersion::TLSv1_3),
        (client(&[&version::TLS12], None, None), rustls::ProtocolVersion::TLSv1_2),
        (without_tickets, rustls::ProtocolVersion::TLSv1_2),
    ] {
        let config = Arc::new(config);
        let kinds = [(); 2].map(|()| {
            let shaken = shake(&server, &config, "a.example").expect("a handshake");
            assert_eq!(shaken.version, Some(expected));
            shaken.kind
        });
        assert_eq!(
            kinds,
            [Some(HandshakeKind::Full), Some(HandshakeKind::Resumed)],
            "{expected:?}"
        );
    }
}

#[test]
fn sessions_are_kept_by_clients_and_early_data_is_off() {
    let folder = Folder::new();
    let server = serving(&[&folder.pair("a", &["a.example"])]);
    assert!(server.ticketer.enabled());
    assert!(server.session_storage.can_cache());
    assert_eq!(server.max_early_data_size, 0);
}

#[test]
fn a_client_certificate_is_required_and_verified() {
    let folder = Folder::new();
    let pair = folder.pair("a", &["a.example"]);
    let (trusted, stranger) = (authority("Trusted"), authority("Stranger"));
    let bundle = ClientCa::load(&folder.write("clients.pem", &trusted.as_ref().pem())).expect("a bundle");
    let certificates = Arc::new(ArcSwap::from_pointee(load(&[&pair]).expect("certificates")));
    let server = server_config(certificates, Some(&bundle)).expect("a configuration");
    for versions in [[&version::TLS13], [&version::TLS12]] {
        let with = |identity| Arc::new(client(&versions, None, identity));
        let accepted = with(Some(identity(&trusted)));
        let shaken = shake(&server, &accepted, "a.example").expect("accepted");
        assert_eq!(shaken.client_certificates, 1);
        let resumed = shake(&server, &accepted, "a.example").expect("accepted");
        assert_eq!(
            (resumed.kind, resumed.client_certificates),
            (Some(HandshakeKind::Resumed), 1)
        );
        let none = shake(&server, &with(None), "a.example").err();
        assert_eq!(none, Some(rustls::Error::NoCertificatesPresented));
        let strange = shake(&server, &with(Some(identity(&stranger))), "a.example").err();
        assert!(
            matches!(strange, Some(rustls::Error::InvalidCertificate(_))),
            "{strange:?}"
        );
    }
}

#[test]
fn a_session_does_not_outlive_the_bundle_that_let_it_in() {
    let folder = Folder::new();
    let pair = folder.pair("a", &["a.example"]);
    let (old, new) = (authority("Old"), authority("New"));
    let certificates = Arc::new(ArcSwap::from_pointee(load(&[&pair]).expect("certificates")));
    let serve = |issuer: &CertifiedIssuer<'static, KeyPair>| {
        let bundle = folder.write("clients.pem", &issuer.as_ref().pem());
        let bundle = ClientCa::load(&bundle).expect("a bundle");
        server_config(Arc::clone(&certificates), Some(&bundle)).expect("a configuration")
    };
    let config = Arc::new(client(&[&version::TLS13], None, Some(identity(&old))));
    shake(&serve(&old), &config, "a.example").expect("accepted");
    assert!(shake(&serve(&new), &config, "a.example").is_err());
}
