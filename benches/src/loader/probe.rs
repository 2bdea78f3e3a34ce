//! Single requests, each waited for: is the peer up, and what does it answer?

use super::request_bytes;
use super::response::{Event, Reader};
use crate::error::{Context, Error};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(30);

/// A whole response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// Asks on a connection of its own.
pub(crate) fn probe(address: SocketAddr, authority: &str, path: &str) -> Result<Answer, Error> {
    exchange(&mut connect(address)?, address, authority, path)
}

/// A connection on which neither side may keep the other waiting for long.
pub(crate) fn connect(address: SocketAddr) -> Result<TcpStream, Error> {
    let what = || format!("connecting to {address}");
    let stream = TcpStream::connect_timeout(&address, TIMEOUT).context(what)?;
    stream.set_nodelay(true).context(what)?;
    stream.set_read_timeout(Some(TIMEOUT)).context(what)?;
    stream.set_write_timeout(Some(TIMEOUT)).context(what)?;
    Ok(stream)
}

/// One request and its whole answer on an open connection, encrypted or not.
pub(crate) fn exchange(
    stream: &mut (impl Read + Write),
    address: SocketAddr,
    authority: &str,
    path: &str,
) -> Result<Answer, Error> {
    let what = || format!("asking {path} of {address}");
    stream.write_all(&request_bytes(authority, path)).context(what)?;
    stream.flush().context(what)?;

    let mut answer = Answer {
        status: 0,
        body: Vec::new(),
    };
    let mut reader = Reader::new();
    let mut held = Vec::new();
    let mut piece = [0; 16 * 1024];
    loop {
        let count = stream.read(&mut piece).context(what)?;
        let complete = if count == 0 {
            reader.end_of_input().map(|complete| complete.then_some(true))
        } else {
            held.extend_from_slice(piece.get(..count).unwrap_or_default());
            let progress = reader.advance(&held, |event| match event {
                Event::Head { status } => answer.status = status,
                Event::Body(bytes) => answer.body.extend_from_slice(bytes),
            });
            progress.map(|progress| {
                held.drain(..progress.consumed);
                Some(progress.complete)
            })
        };
        match complete {
            Ok(Some(true)) => return Ok(answer),
            Ok(Some(false)) => {}
            Ok(None) => return Err(premise(address, "closed without an answer".to_owned())),
            Err(error) => return Err(premise(address, format!("not a response: {error}"))),
        }
    }
}

fn premise(address: SocketAddr, detail: String) -> Error {
    Error::Premise {
        name: format!("http://{address}"),
        detail,
    }
}
