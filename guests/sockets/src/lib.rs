//! `sockets`: speaks TCP and UDP to where it is asked to, with the ordinary std, names included.
//!
//! - `GET /tcp?to=HOST:PORT&send=TEXT`: connects, sends the text, reads until the peer closes or 1 KiB
//!   came, and answers what came
//! - `GET /udp?to=HOST:PORT&send=TEXT`: sends one datagram and answers the first that comes back
//!
//! `wait=MS` (5000) is how long it waits for what comes. An error is 502 with its kind and message.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant};

use support::{Head, Request, Responder};

support::serve!(answer);

const ANSWER_BYTES_MAX: usize = 1024;
const ASK_AGAIN: Duration = Duration::from_millis(5);

fn answer(request: Request, out: Responder) {
    let send = request.query("send").unwrap_or_default();
    let (Some(to), Ok(wait)) = (request.query("to"), request.query_number("wait", 5000)) else {
        return out.text(400, "name to=HOST:PORT, and wait in milliseconds\n");
    };
    // A wait of zero would be refused as a wait that never ends.
    let wait = Duration::from_millis(wait.max(1));
    let came = match request.path().as_str() {
        "/tcp" => tcp(&to, send.as_bytes(), wait),
        "/udp" => udp(&to, send.as_bytes(), wait),
        _ => return out.text(404, "try /tcp or /udp\n"),
    };
    match came {
        Ok(bytes) => out.send(
            Head::new(200).header("content-type", "application/octet-stream"),
            &bytes,
        ),
        Err(error) => out.text(502, &format!("{:?}: {error}\n", error.kind())),
    }
}

fn tcp(to: &str, send: &[u8], wait: Duration) -> io::Result<Vec<u8>> {
    let mut peer = TcpStream::connect(to)?;
    peer.set_read_timeout(Some(wait))?;
    peer.write_all(send)?;
    let mut came = Vec::new();
    peer.take(ANSWER_BYTES_MAX as u64).read_to_end(&mut came)?;
    Ok(came)
}

fn udp(to: &str, send: &[u8], wait: Duration) -> io::Result<Vec<u8>> {
    let peer = to
        .to_socket_addrs()?
        .next()
        .ok_or_else(|| io::Error::new(ErrorKind::NotFound, "the name has no address"))?;
    let any: SocketAddr = match peer {
        SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
        SocketAddr::V6(_) => ([0_u16; 8], 0).into(),
    };
    let socket = UdpSocket::bind(any)?;
    socket.send_to(send, peer)?;
    // The target's libc knows no timeout on UDP, so the socket is asked again and again.
    socket.set_nonblocking(true)?;
    let start = Instant::now();
    let mut came = vec![0; ANSWER_BYTES_MAX];
    loop {
        match socket.recv_from(&mut came) {
            Ok((size, _)) => {
                came.truncate(size);
                return Ok(came);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock && start.elapsed() < wait => {
                support::clock::sleep(ASK_AGAIN);
            }
            Err(error) => return Err(error),
        }
    }
}
