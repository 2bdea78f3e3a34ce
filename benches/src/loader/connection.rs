//! One keep-alive connection of the loader: at most one request in flight, its answer checked as it arrives.

use super::Expected;
use super::response::{Event, Reader};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// Room for what the reader could not consume yet (part of a head or of a chunk line) and the next read.
const BUFFER_BYTES: usize = 64 * 1024;
/// A connection that the server does not take within this time is an error of the run.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What a readable socket turned out to hold.
#[derive(Debug)]
pub(super) enum Received {
    /// More is to come.
    Pending,
    /// The expected answer, complete. The flag: the connection may be used again.
    Right { keep_alive: bool },
    /// An answer that differs, or none.
    Wrong(String),
    /// The server closed a connection that carried no request, as it may.
    ClosedIdle,
}

#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    reader: Reader,
    buffer: Box<[u8]>,
    filled: usize,
    /// Bytes of the request already written; the rest waits for the socket.
    sent: usize,
    /// When the request in flight was to be sent. None: nothing in flight.
    since: Option<Instant>,
    status: u16,
    /// Body bytes that agreed so far.
    matched: usize,
    differs: bool,
}

impl Connection {
    pub(super) fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, CONNECT_TIMEOUT)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            reader: Reader::new(),
            buffer: vec![0; BUFFER_BYTES].into_boxed_slice(),
            filled: 0,
            sent: 0,
            since: None,
            status: 0,
            matched: 0,
            differs: false,
        })
    }

    pub(super) fn in_flight(&self) -> bool {
        self.since.is_some()
    }

    /// The intended send time of the request in flight, which is then no longer in flight.
    pub(super) fn take_since(&mut self) -> Option<Instant> {
        self.since.take()
    }

    /// Begins a request. True: it is written whole; false: [`Connection::flush`] when the socket can take more.
    pub(super) fn send(&mut self, request: &[u8], intended: Instant) -> io::Result<bool> {
        self.since = Some(intended);
        self.sent = 0;
        self.status = 0;
        self.matched = 0;
        self.differs = false;
        self.flush(request)
    }

    pub(super) fn flush(&mut self, request: &[u8]) -> io::Result<bool> {
        while let Some(rest) = request.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match self.stream.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => self.sent += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// One read, and what it completes. The poller is level-triggered: what stays in the socket is announced again.
    pub(super) fn receive(&mut self, expected: &Expected) -> Received {
        let room = self.buffer.get_mut(self.filled..).unwrap_or_default();
        if room.is_empty() {
            return Received::Wrong(format!("a head or line of more than {BUFFER_BYTES} bytes"));
        }
        match self.stream.read(room) {
            Ok(0) => self.ended(expected),
            Ok(count) => {
                self.filled += count;
                self.parse(expected)
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Received::Pending,
            Err(_) if !self.in_flight() => Received::ClosedIdle,
            Err(error) => Received::Wrong(format!("the connection broke: {error}")),
        }
    }

    fn parse(&mut self, expected: &Expected) -> Received {
        if !self.in_flight() {
            return Received::Wrong("bytes that no request asked for".to_owned());
        }
        let Self {
            reader,
            buffer,
            filled,
            status,
            matched,
            differs,
            ..
        } = self;
        let held = buffer.get(..*filled).unwrap_or_default();
        let progress = reader.advance(held, |event| match event {
            Event::Head { status: seen } => *status = seen,
            Event::Body(piece) => match expected.body.get(*matched..).and_then(|rest| rest.get(..piece.len())) {
                Some(same) if same == piece => *matched += piece.len(),
                _ => *differs = true,
            },
        });
        match progress {
            Ok(progress) => {
                buffer.copy_within(progress.consumed..*filled, 0);
                *filled -= progress.consumed;
                if progress.complete {
                    self.judge(expected)
                } else {
                    Received::Pending
                }
            }
            Err(error) => Received::Wrong(format!("not a response: {error}")),
        }
    }

    fn ended(&mut self, expected: &Expected) -> Received {
        if !self.in_flight() {
            return Received::ClosedIdle;
        }
        match self.reader.end_of_input() {
            Ok(true) => self.judge(expected),
            Ok(false) => Received::Wrong("closed without an answer".to_owned()),
            Err(error) => Received::Wrong(error.to_string()),
        }
    }

    fn judge(&self, expected: &Expected) -> Received {
        if self.status != expected.status {
            return Received::Wrong(format!("status {} instead of {}", self.status, expected.status));
        }
        if self.differs || self.matched != expected.body.len() {
            return Received::Wrong(format!(
                "a body that differs from the expected {} bytes after {}",
                expected.body.len(),
                self.matched
            ));
        }
        if self.filled > 0 {
            return Received::Wrong(format!("{} bytes behind the end of the answer", self.filled));
        }
        Received::Right {
            keep_alive: self.reader.keep_alive(),
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
