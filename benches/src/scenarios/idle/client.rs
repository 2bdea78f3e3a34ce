//! One connection that is asked now and then, and the certificate by which encrypted ones know the gateway.

use super::super::config::Certificate;
use super::super::write;
use crate::error::Error;
use crate::loader::{Answer, connect, exchange};
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::fmt::Display;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

const SERVER_NAME: &str = "localhost";

/// A self-signed certificate, and a client that trusts it and nobody else.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) certificate: Certificate,
    client: Arc<ClientConfig>,
}

impl Identity {
    /// Makes one, its PEM files in `dir`.
    pub(super) fn write(dir: &Path) -> Result<Self, Error> {
        let made = rcgen::generate_simple_self_signed([SERVER_NAME.to_owned()]).map_err(failed)?;
        let certificate = Certificate {
            cert: dir.join("edge.pem"),
            key: dir.join("edge.key"),
        };
        write(&certificate.cert, made.cert.pem())?;
        write(&certificate.key, made.signing_key.serialize_pem())?;
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).map_err(failed)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().map_err(failed)?;
        let mut client = builder.with_root_certificates(roots).with_no_client_auth();
        // Each connection stands for another client, and those have no session in common.
        client.resumption = Resumption::disabled();
        Ok(Self {
            certificate,
            client: Arc::new(client),
        })
    }
}

/// An open HTTP/1.1 connection.
#[derive(Debug)]
pub(super) struct Client {
    address: SocketAddr,
    transport: Transport,
}

#[derive(Debug)]
enum Transport {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Client {
    pub(super) fn connect(address: SocketAddr, tls: Option<&Identity>) -> Result<Self, Error> {
        let stream = connect(address)?;
        let transport = match tls {
            None => Transport::Plain(stream),
            Some(identity) => {
                let name = ServerName::try_from(SERVER_NAME).map_err(failed)?;
                let session = ClientConnection::new(Arc::clone(&identity.client), name).map_err(failed)?;
                Transport::Tls(Box::new(StreamOwned::new(session, stream)))
            }
        };
        Ok(Self { address, transport })
    }

    /// One request, and its whole answer. The first one on an encrypted connection shakes hands.
    pub(super) fn ask(&mut self) -> Result<Answer, Error> {
        match &mut self.transport {
            Transport::Plain(stream) => exchange(stream, self.address, &self.address.to_string(), "/"),
            Transport::Tls(stream) => {
                let authority = format!("{SERVER_NAME}:{}", self.address.port());
                exchange(stream.as_mut(), self.address, &authority, "/")
            }
        }
    }
}

fn failed(error: impl Display) -> Error {
    Error::Premise {
        name: "TLS".to_owned(),
        detail: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use rustls::{ServerConfig, ServerConnection};
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread::{self, JoinHandle};

    /// Answers one request after another on one connection until it ends; returns how many.
    fn server(certificate: &Certificate) -> (SocketAddr, JoinHandle<usize>) {
        let chain = vec![CertificateDer::from_pem_file(&certificate.cert).unwrap()];
        let key = PrivateKeyDer::from_pem_file(&certificate.key).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let config = builder.with_no_client_auth().with_single_cert(chain, key).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let thread = thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let session = ServerConnection::new(Arc::new(config)).unwrap();
            let mut stream = StreamOwned::new(session, stream);
            let (mut held, mut piece, mut answered) = (Vec::new(), [0; 1024], 0);
            // A client that leaves without a word ends it too.
            while let Ok(count @ 1..) = stream.read(&mut piece) {
                held.extend_from_slice(&piece[..count]);
                if held.ends_with(b"\r\n\r\n") {
                    held.clear();
                    answered += 1;
                    stream
                        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nHello")
                        .unwrap();
                }
            }
            answered
        });
        (address, thread)
    }

    #[test]
    fn an_encrypted_connection_is_asked_again_and_again() {
        let dir = tempfile::tempdir().unwrap();
        let identity = Identity::write(dir.path()).unwrap();
        let (address, thread) = server(&identity.certificate);
        let mut client = Client::connect(address, Some(&identity)).unwrap();
        for _ in 0..3 {
            let answer = client.ask().unwrap();
            assert_eq!((answer.status, &answer.body[..]), (200, &b"Hello"[..]));
        }
        drop(client);
        assert_eq!(thread.join().unwrap(), 3);
    }

    #[test]
    fn another_certificate_is_not_trusted() {
        let (own, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let identity = Identity::write(own.path()).unwrap();
        let (address, thread) = server(&Identity::write(other.path()).unwrap().certificate);
        let error = Client::connect(address, Some(&identity)).unwrap().ask().unwrap_err();
        assert!(error.to_string().contains("certificate"), "{error}");
        assert_eq!(thread.join().unwrap(), 0);
    }
}
