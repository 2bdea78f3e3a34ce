//! The PROXY protocol: a header in front of everything else, by which a balancer says whose connection it brings.
//!
//! Both versions are read (HAProxy's proxy-protocol.txt, §2.1 and §2.2), and only from those the listener names. Not a
//! byte behind the header is taken from the socket, so TLS or HTTP begin where it ends.

#[cfg(test)]
mod tests;

use super::DoorShared;
use super::connection::until_killed;
use super::listener::Listener;
use super::shared::Connection;
use crate::http::Client;
use crate::limits;
use crate::tcp::Socket;
use ppp::{v1, v2};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::net::TcpStream;

/// What a header of version 1 begins with, up to its first space.
const V1: &[u8] = b"PROXY ";
/// Shorter than any header: `PROXY UNKNOWN` and its line end are three more.
const SIGNATURE_BYTES: usize = v2::PROTOCOL_PREFIX.len();
/// Of version 2: the signature, version and command, family and protocol, and the length of what follows.
const V2_FIXED_BYTES: usize = SIGNATURE_BYTES + 4;
/// Where version 2 has its command, and the one by which the balancer speaks for itself.
const V2_LOCAL: (usize, u8) = (SIGNATURE_BYTES, 0x20);
/// Bytes taken from the socket at once; headers without extensions are shorter.
const PIECE_BYTES: usize = 256;

/// Why there is no header.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("it ended without a byte")]
    Silent,
    #[error("it ended in its header")]
    Cut,
    #[error("it does not begin with a header")]
    NoHeader,
    #[error("its header is longer than {0} bytes")]
    TooLong(usize),
    #[error("its header is for datagrams")]
    Datagram,
    #[error(transparent)]
    V1(#[from] v1::BinaryParseError),
    #[error(transparent)]
    V2(#[from] v2::ParseError),
}

/// Whose connection it is: the client, and what it connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Named {
    source: SocketAddr,
    destination: SocketAddr,
}

/// Reads the header that `socket` begins with and gives the client it names, or `peer` itself where it names none.
///
/// The door's watch ends it like any connection that does not say what it wants: where TLS follows within the
/// handshake's time, else within that of a head. `None` where the connection is to be closed.
pub(super) async fn receive(
    door: &DoorShared,
    listener: &Arc<Listener>,
    socket: &Socket,
    peer: Client,
) -> Option<Client> {
    // For as long as the header takes; its successor is made when it is known whose it is.
    let clock = Arc::clone(&door.registry.clock);
    let connection = Connection::new(peer, Arc::clone(listener), socket.look(), clock);
    let connection = Arc::new(connection);
    let _registered = door.registry.add(Arc::clone(&connection));
    match until_killed(&connection, read(socket.stream())).await? {
        Ok(Some(named)) => Some(Client {
            address: named.source,
            local: named.destination,
            ..peer
        }),
        Ok(None) => Some(peer),
        // A balancer that only looks whether the port is open.
        Err(Fault::Silent) => None,
        Err(fault) => {
            listener.metrics.refused_proxy_protocol.increment(1);
            tracing::debug!(peer = %peer.address, "PROXY protocol: {fault}");
            None
        }
    }
}

async fn read(socket: &TcpStream) -> Result<Option<Named>, Fault> {
    let mut header = Vec::new();
    let mut piece = [0; PIECE_BYTES];
    while let Some(missing) = missing(&header)? {
        let most = missing.most.min(PIECE_BYTES);
        let seen = match socket.peek(piece.get_mut(..most).unwrap_or_default()).await {
            Ok(0) | Err(_) if header.is_empty() => return Err(Fault::Silent),
            Ok(0) | Err(_) => return Err(Fault::Cut),
            Ok(seen) => piece.get(..seen).unwrap_or_default(),
        };
        let line_end = memchr::memchr(b'\n', seen).filter(|_| missing.is_line);
        let own = line_end.map_or(seen.len(), |at| at + 1);
        match socket.try_read(piece.get_mut(..own).unwrap_or_default()) {
            Ok(read) => header.extend_from_slice(piece.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return Err(Fault::Cut),
        }
    }
    parse(&header)
}

/// What of a header is still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Missing {
    /// At most these bytes, and one at least.
    most: usize,
    /// No further than to the next line end.
    is_line: bool,
}

/// What is missing behind `header`; nothing where it is complete.
fn missing(header: &[u8]) -> Result<Option<Missing>, Fault> {
    let bytes = |count| {
        Ok((count > 0).then_some(Missing {
            most: count,
            is_line: false,
        }))
    };
    if header.starts_with(V1) {
        return match limits::PROXY_V1_BYTES.checked_sub(header.len()) {
            _ if header.ends_with(b"\n") => Ok(None),
            None | Some(0) => Err(Fault::TooLong(limits::PROXY_V1_BYTES)),
            Some(most) => Ok(Some(Missing { most, is_line: true })),
        };
    }
    if let Some(fixed) = header.first_chunk::<V2_FIXED_BYTES>()
        && fixed.starts_with(v2::PROTOCOL_PREFIX)
    {
        let [.., high, low] = *fixed;
        let rest = usize::from(u16::from_be_bytes([high, low]));
        if rest > limits::PROXY_V2_REST_BYTES {
            return Err(Fault::TooLong(V2_FIXED_BYTES + limits::PROXY_V2_REST_BYTES));
        }
        return bytes((V2_FIXED_BYTES + rest).saturating_sub(header.len()));
    }
    if header.starts_with(v2::PROTOCOL_PREFIX) {
        return bytes(V2_FIXED_BYTES - header.len());
    }
    if V1.starts_with(header) || v2::PROTOCOL_PREFIX.starts_with(header) {
        return bytes(SIGNATURE_BYTES - header.len());
    }
    Err(Fault::NoHeader)
}

/// What a complete header says; `None` where the connection is the balancer's own, or of a kind without addresses.
fn parse(header: &[u8]) -> Result<Option<Named>, Fault> {
    if names_nobody(header) {
        return Ok(None);
    }
    if header.starts_with(V1) {
        return Ok(match v1::Header::try_from(header)?.addresses {
            v1::Addresses::Tcp4(ip) => named(
                (ip.source_address, ip.source_port),
                (ip.destination_address, ip.destination_port),
            ),
            v1::Addresses::Tcp6(ip) => named(
                (ip.source_address, ip.source_port),
                (ip.destination_address, ip.destination_port),
            ),
            v1::Addresses::Unknown => None,
        });
    }
    let header = v2::Header::try_from(header)?;
    match (header.protocol, header.addresses) {
        (v2::Protocol::Datagram, _) => Err(Fault::Datagram),
        (v2::Protocol::Stream, v2::Addresses::IPv4(ip)) => Ok(named(
            (ip.source_address, ip.source_port),
            (ip.destination_address, ip.destination_port),
        )),
        (v2::Protocol::Stream, v2::Addresses::IPv6(ip)) => Ok(named(
            (ip.source_address, ip.source_port),
            (ip.destination_address, ip.destination_port),
        )),
        _ => Ok(None),
    }
}

/// UNKNOWN of version 1 and LOCAL of version 2: whatever else the header has is to be ignored, not judged.
fn names_nobody(header: &[u8]) -> bool {
    if let Some(rest) = header.strip_prefix(b"PROXY UNKNOWN") {
        return rest.ends_with(b"\r\n") && (rest.starts_with(b" ") || rest.starts_with(b"\r\n"));
    }
    let (at, local) = V2_LOCAL;
    header.starts_with(v2::PROTOCOL_PREFIX) && header.get(at) == Some(&local)
}

/// IPv4 as IPv4, also where it was written as IPv6: it is one client to limits and conditions.
fn named<A: Into<IpAddr>>(source: (A, u16), destination: (A, u16)) -> Option<Named> {
    let address = |(ip, port): (A, u16)| SocketAddr::new(ip.into().to_canonical(), port);
    Some(Named {
        source: address(source),
        destination: address(destination),
    })
}
