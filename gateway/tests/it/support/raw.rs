//! A client without opinions: it writes the bytes it is given, and tells how an answer ended.

use socket2::{Domain, Socket, Type};
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long a read may take before the test fails.
const READ_TIMEOUT: Duration = Duration::from_secs(20);

/// What a connection runs over.
pub(crate) trait Stream: Read + Write + Send {}
impl<S: Read + Write + Send> Stream for S {}

/// One connection.
pub(crate) struct Raw {
    stream: Box<dyn Stream>,
    tcp: Option<TcpStream>,
    /// Read, and not yet part of an answer.
    held: Vec<u8>,
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// As its framing says: the length is complete, the last chunk came, or it has no body.
    Complete,
    /// The connection closed, which is what its framing says.
    Closed,
    /// The connection closed before its framing said so.
    Cut,
}

/// One HTTP/1 answer.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Where it was chunked: each chunk.
    pub(crate) chunks: Vec<Vec<u8>>,
    pub(crate) trailers: Vec<(String, String)>,
    pub(crate) end: End,
}

impl Response {
    /// A field's value; of several the first.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        find(&self.fields, name)
    }

    pub(crate) fn trailer(&self, name: &str) -> Option<&str> {
        find(&self.trailers, name)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Asserts a fault of the gateway's own: its status, and its code in the field and on the page.
    #[track_caller]
    pub(crate) fn is_fault(&self, status: u16, code: &str) -> &Self {
        assert_eq!(
            (self.status, self.field("tidegate-error")),
            (status, Some(code)),
            "{self:?}"
        );
        assert!(self.text().contains(&format!("code: {code}\n")), "{self:?}");
        self
    }

    #[track_caller]
    pub(crate) fn is(&self, status: u16) -> &Self {
        assert_eq!(self.status, status, "{self:?} {}", self.text());
        self
    }
}

fn find<'f>(fields: &'f [(String, String)], name: &str) -> Option<&'f str> {
    fields
        .iter()
        .find(|(known, _)| known == name)
        .map(|(_, value)| value.as_str())
}

impl Raw {
    #[track_caller]
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let tcp = TcpStream::connect(address).unwrap_or_else(|error| panic!("{address}: {error}"));
        tcp.set_nodelay(true).expect("a TCP option");
        Self::over_tcp(tcp)
    }

    /// From another of this machine's own addresses.
    #[track_caller]
    pub(crate) fn connect_from(from: &str, address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a socket");
        let from: SocketAddr = format!("{from}:0").parse().expect("an address");
        socket.bind(&from.into()).expect("an address of this machine");
        socket
            .connect(&address.into())
            .unwrap_or_else(|error| panic!("{address}: {error}"));
        socket.set_tcp_nodelay(true).expect("a TCP option");
        Self::over_tcp(TcpStream::from(socket))
    }

    pub(crate) fn over_tcp(tcp: TcpStream) -> Self {
        tcp.set_read_timeout(Some(READ_TIMEOUT)).expect("a TCP option");
        let stream = Box::new(tcp.try_clone().expect("a socket can be cloned"));
        Self {
            stream,
            tcp: Some(tcp),
            held: Vec::new(),
        }
    }

    #[track_caller]
    pub(crate) fn connect_unix(path: &Path) -> Self {
        let stream = UnixStream::connect(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        stream.set_read_timeout(Some(READ_TIMEOUT)).expect("a socket option");
        Self {
            stream: Box::new(stream),
            tcp: None,
            held: Vec::new(),
        }
    }

    /// Over something else, such as TLS on `tcp`.
    pub(crate) fn over(stream: Box<dyn Stream>, tcp: TcpStream) -> Self {
        tcp.set_read_timeout(Some(READ_TIMEOUT)).expect("a TCP option");
        Self {
            stream,
            tcp: Some(tcp),
            held: Vec::new(),
        }
    }

    /// Writes all of it. A connection that was closed from the other side is no failure here: what counts is what
    /// can be read.
    pub(crate) fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.try_write(bytes);
    }

    pub(crate) fn try_write(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref()).and_then(|()| self.stream.flush())
    }

    /// Says that nothing more comes, and still reads.
    pub(crate) fn finish_writing(&mut self) {
        let tcp = self.tcp.as_ref().expect("a TCP connection");
        // Closed from the other side already is as good.
        let _ = tcp.shutdown(Shutdown::Write);
    }

    /// What it runs over, for a client that reads in its own way. Nothing may have been read.
    pub(crate) fn into_stream(self) -> Box<dyn Stream> {
        assert!(self.held.is_empty(), "what was read would be lost");
        self.stream
    }

    /// The socket, for its options.
    pub(crate) fn tcp(&self) -> &TcpStream {
        self.tcp.as_ref().expect("a TCP connection")
    }

    /// More bytes into `held`; false at the end of the connection, a reset included.
    #[track_caller]
    fn more(&mut self) -> bool {
        let mut bytes = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => return false,
                Ok(read) => {
                    self.held.extend_from_slice(&bytes[..read]);
                    return true;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    panic!(
                        "nothing to read for {READ_TIMEOUT:?}; held: {:?}",
                        String::from_utf8_lossy(&self.held)
                    );
                }
                // ECONNRESET, or TLS that ended without its close_notify.
                Err(_) => return false,
            }
        }
    }

    /// Exactly `count` bytes, or what came before the end.
    #[track_caller]
    pub(crate) fn take(&mut self, count: usize) -> Vec<u8> {
        while self.held.len() < count {
            if !self.more() {
                return std::mem::take(&mut self.held);
            }
        }
        let rest = self.held.split_off(count);
        std::mem::replace(&mut self.held, rest)
    }

    /// Everything up to and with `end`; `None` where the connection ends first.
    #[track_caller]
    pub(crate) fn take_until(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = memchr::memmem::find(&self.held, end) {
                return Some(self.take(at + end.len()));
            }
            if !self.more() {
                return None;
            }
        }
    }

    /// Everything to the end of the connection.
    #[track_caller]
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        while self.more() {}
        std::mem::take(&mut self.held)
    }

    /// Asserts that the connection ends here, with nothing more to read.
    #[track_caller]
    pub(crate) fn is_closed(&mut self) {
        let rest = self.rest();
        assert!(
            rest.is_empty(),
            "expected the end, got {:?}",
            String::from_utf8_lossy(&rest)
        );
    }

    /// The next answer, to anything but HEAD.
    #[track_caller]
    pub(crate) fn response(&mut self) -> Response {
        self.response_to("GET")
    }

    /// The next answer, where there is one before the connection ends.
    #[track_caller]
    pub(crate) fn try_response(&mut self) -> Option<Response> {
        let mut response = self.head()?;
        self.body(&mut response, "GET");
        Some(response)
    }

    /// The next answer to a request with this method.
    #[track_caller]
    pub(crate) fn response_to(&mut self, method: &str) -> Response {
        let mut response = self.head().expect("the connection ended before an answer");
        self.body(&mut response, method);
        response
    }

    /// The next answer's head; its body is still to be read.
    #[track_caller]
    pub(crate) fn head(&mut self) -> Option<Response> {
        let bytes = self.take_until(b"\r\n\r\n")?;
        let mut space = [httparse::EMPTY_HEADER; 128];
        let mut parsed = httparse::Response::new(&mut space);
        let status = parsed.parse(&bytes);
        assert!(
            matches!(status, Ok(httparse::Status::Complete(_))),
            "{:?}",
            String::from_utf8_lossy(&bytes)
        );
        Some(Response {
            status: parsed.code.expect("a complete head has a status"),
            fields: fields(parsed.headers),
            body: Vec::new(),
            chunks: Vec::new(),
            trailers: Vec::new(),
            end: End::Complete,
        })
    }

    /// The body that belongs to `response` (RFC 9112 §6.3).
    #[track_caller]
    pub(crate) fn body(&mut self, response: &mut Response, method: &str) {
        if method == "HEAD" || response.status < 200 || matches!(response.status, 204 | 304) {
            return;
        }
        if response.field("transfer-encoding").is_some() {
            while self.chunk(response) {}
        } else if let Some(length) = response.field("content-length") {
            let length = length.parse().expect("a content-length is a number");
            response.body = self.take(length);
            if response.body.len() < length {
                response.end = End::Cut;
            }
        } else {
            response.body = self.rest();
            response.end = End::Closed;
        }
    }

    /// One chunk of a chunked body; false after the last, which brings the trailers.
    #[track_caller]
    pub(crate) fn chunk(&mut self, response: &mut Response) -> bool {
        let Some(line) = self.take_until(b"\r\n") else {
            response.end = End::Cut;
            return false;
        };
        let line = String::from_utf8(line).expect("a chunk size is text");
        let size = usize::from_str_radix(line.trim_end(), 16).unwrap_or_else(|_| panic!("{line:?} is no chunk size"));
        if size == 0 {
            self.trailers(response);
            return false;
        }
        let mut chunk = self.take(size + 2);
        if chunk.len() < size + 2 {
            response.body.append(&mut chunk);
            response.end = End::Cut;
            return false;
        }
        assert_eq!(chunk.split_off(size), b"\r\n");
        response.body.extend_from_slice(&chunk);
        response.chunks.push(chunk);
        true
    }

    fn trailers(&mut self, response: &mut Response) {
        while let Some(line) = self.take_until(b"\r\n") {
            if line == b"\r\n" {
                return;
            }
            let line = String::from_utf8(line).expect("a trailer is text");
            let (name, value) = line.split_once(':').expect("a trailer has a name");
            response
                .trailers
                .push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        response.end = End::Cut;
    }
}

fn fields(headers: &[httparse::Header<'_>]) -> Vec<(String, String)> {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    headers
        .iter()
        .map(|field| (field.name.to_ascii_lowercase(), text(field.value)))
        .collect()
}
