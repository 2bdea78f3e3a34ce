//! A large body through a guest that sends it back as it comes: how far does the gateway's resident memory grow?

use super::config::Config;
use super::peers::{run_arguments, spec};
use super::{Bound, Outcome, Setup, Verdict, guest, scratch, tidegate};
use crate::affinity::on_cpu;
use crate::error::{Context, Error};
use crate::loader::response::{Event, Reader};
use crate::server::{Server, free_address};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// The same behaviour in both dialects.
pub(super) const GUESTS: [&str; 2] = ["echo-stream", "echo-stream-p3"];
const GROWTH_MIB_MAX: f64 = 32.0;
/// Neither side may stand still for longer than this.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
const PIECE_BYTES: usize = 64 * 1024;
/// The body repeats after a prime number of bytes, so that a piece lost, doubled or moved by any buffer size shows.
const PERIOD_BYTES: usize = 65_521;

pub(super) fn run(guest_name: &str, setup: &Setup) -> Result<Outcome, Error> {
    let dir = scratch()?;
    // The first start compiles, and what the compiler frees would be there for the stream to use unseen. So the
    // measured process is the second, which finds the component in the compiled cache.
    start(guest_name, setup, dir.path())?.0.stop()?;
    let (server, address) = start(guest_name, setup, dir.path())?;

    let before = server.rss_bytes()?;
    server.reset_peak()?;
    eprintln!(
        "memory {guest_name}: {} MiB through the guest",
        setup.stream_bytes >> 20
    );
    let seconds = on_cpu(setup.loader_cpu, || echo(guest_name, address, setup.stream_bytes))??.as_secs_f64();
    let peak = server.rss_peak_bytes()?;
    server.stop()?;

    let growth_mib = peak.saturating_sub(before) as f64 / f64::from(1 << 20);
    let what = format!("memory {guest_name}: growth of resident memory in MiB");
    Ok(Outcome::Memory {
        scenario: "memory".to_owned(),
        guest: guest_name.to_owned(),
        bytes: setup.stream_bytes,
        seconds,
        rss_before_bytes: before,
        rss_peak_bytes: peak,
        verdict: Verdict::new(&what, growth_mib, Bound::AtMost(GROWTH_MIB_MAX), None),
    })
}

fn start(guest_name: &str, setup: &Setup, dir: &Path) -> Result<(Server, SocketAddr), Error> {
    let address = free_address()?;
    let config = Config::new(address, &dir.join("data"));
    let config = config
        .serve("guest", &guest(setup, guest_name)?, "/")
        .allow_body(setup.stream_bytes);
    let args = run_arguments(&config, dir)?;
    let spec = spec("tidegate", tidegate(setup)?, args, address, dir, Some(setup.server_cpu));
    Ok((Server::start(&spec)?, address))
}

/// Sends `bytes` and reads them back at the same time, comparing each one.
pub(super) fn echo(name: &str, address: SocketAddr, bytes: u64) -> Result<Duration, Error> {
    let what = || format!("streaming through {name}");
    let begin = Instant::now();
    let stream = TcpStream::connect(address).context(what)?;
    stream.set_nodelay(true).context(what)?;
    stream.set_read_timeout(Some(IDLE_TIMEOUT)).context(what)?;
    stream.set_write_timeout(Some(IDLE_TIMEOUT)).context(what)?;
    let pattern = pattern();
    let (read, written) = thread::scope(|scope| {
        let writer = scope.spawn(|| send(&stream, address, &pattern, bytes));
        let read = receive(name, &stream, &pattern, bytes);
        if read.is_err() {
            // The writer may be waiting for a server that has stopped reading.
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
        (
            read,
            writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
        )
    });
    // What the server answered explains why it stopped reading, so it goes first.
    read?;
    written.context(what)?;
    Ok(begin.elapsed())
}

fn send(mut stream: &TcpStream, address: SocketAddr, pattern: &[u8], bytes: u64) -> std::io::Result<()> {
    let head = format!(
        "POST / HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/octet-stream\r\ncontent-length: {bytes}\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    let mut sent = 0;
    while sent < bytes {
        let length = usize::try_from(bytes - sent)
            .unwrap_or(PIECE_BYTES)
            .min(PIECE_BYTES)
            .min(PERIOD_BYTES);
        stream.write_all(pattern_at(pattern, sent, length))?;
        sent += length as u64;
    }
    Ok(())
}

fn receive(name: &str, mut stream: &TcpStream, pattern: &[u8], bytes: u64) -> Result<(), Error> {
    let premise = |detail: String| Error::Premise {
        name: name.to_owned(),
        detail,
    };
    let mut reader = Reader::new();
    let mut buffer = vec![0; 4 * PIECE_BYTES];
    let (mut filled, mut status, mut seen, mut same) = (0, 0, 0_u64, true);
    loop {
        let room = buffer.get_mut(filled..).unwrap_or_default();
        let count = stream
            .read(room)
            .context(|| format!("reading the answer of {name} after {seen} bytes"))?;
        filled += count;
        let progress = reader.advance(buffer.get(..filled).unwrap_or_default(), |event| match event {
            Event::Head { status: code } => status = code,
            Event::Body(body) => {
                for piece in body.chunks(PERIOD_BYTES) {
                    same &= piece == pattern_at(pattern, seen, piece.len());
                    seen += piece.len() as u64;
                }
            }
        });
        let progress = progress.map_err(|error| premise(format!("not a response after {seen} bytes: {error}")))?;
        buffer.copy_within(progress.consumed..filled, 0);
        filled -= progress.consumed;
        if status != 200 && status != 0 {
            return Err(premise(format!("status {status} instead of 200")));
        }
        if !same {
            return Err(premise(format!("the body differs within the first {seen} bytes")));
        }
        let complete = progress.complete
            || count == 0
                && reader
                    .end_of_input()
                    .map_err(|error| premise(format!("{error} after {seen} bytes")))?;
        match complete {
            true if seen == bytes => return Ok(()),
            true => return Err(premise(format!("{seen} bytes came back instead of {bytes}"))),
            false if count == 0 => return Err(premise("closed without an answer".to_owned())),
            false => {}
        }
    }
}

/// Two periods, so that a whole period can be taken from any offset.
fn pattern() -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let period: Vec<u8> = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    })
    .take(PERIOD_BYTES)
    .collect();
    period.repeat(2)
}

/// The bytes of the body at `offset`. `length` is at most one period.
fn pattern_at(pattern: &[u8], offset: u64, length: usize) -> &[u8] {
    let from = usize::try_from(offset % PERIOD_BYTES as u64).unwrap_or_default();
    pattern.get(from..from + length).unwrap_or_default()
}
