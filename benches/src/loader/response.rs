//! Reads HTTP/1.1 responses out of whatever pieces the socket brings, without allocating.

use std::ops::ControlFlow;

/// Fields of one response head.
const HEADER_COUNT: usize = 64;
/// A chunk-size line or a trailer line.
const LINE_BYTES: usize = 4096;

/// What a response brought.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event<'a> {
    /// The final head (1xx heads are passed over).
    Head { status: u16 },
    /// A piece of the body.
    Body(&'a [u8]),
}

/// How far [`Reader::advance`] came.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(crate) struct Progress {
    /// Input bytes that need not be shown again.
    pub(crate) consumed: usize,
    /// The response is complete; the next byte begins another.
    pub(crate) complete: bool,
}

/// A response that cannot be understood.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum ResponseError {
    #[error("head: {0}")]
    Head(#[from] httparse::Error),
    #[error("Content-Length {0:?}")]
    ContentLength(String),
    #[error("Content-Length beside Transfer-Encoding")]
    BothFramings,
    #[error("Transfer-Encoding {0:?}")]
    TransferEncoding(String),
    #[error("chunk size {0:?}")]
    ChunkSize(String),
    #[error("a chunk without its line end")]
    ChunkEnd,
    #[error("a line of more than {LINE_BYTES} bytes")]
    LongLine,
    #[error("the connection ended inside a response")]
    Truncated,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Head,
    Sized { left: u64 },
    ChunkSize,
    ChunkData { left: u64 },
    ChunkEnd,
    Trailers,
    ToEnd,
}

/// The state between two pieces of input.
#[derive(Debug)]
pub(crate) struct Reader {
    state: State,
    keep_alive: bool,
}

/// `Continue(n)`: n bytes were used, go on. `Break(complete)`: stop here.
type Step = ControlFlow<bool, usize>;

impl Reader {
    pub(crate) fn new() -> Self {
        Self {
            state: State::Head,
            keep_alive: true,
        }
    }

    /// Whether the connection may carry another request after the response just read.
    pub(crate) fn keep_alive(&self) -> bool {
        self.keep_alive
    }

    /// Reads as much of `input` as it can. What was not consumed must be shown again with more behind it.
    pub(crate) fn advance(&mut self, input: &[u8], mut on: impl FnMut(Event<'_>)) -> Result<Progress, ResponseError> {
        let mut consumed = 0;
        loop {
            let rest = input.get(consumed..).unwrap_or_default();
            match self.step(rest, &mut on)? {
                ControlFlow::Continue(used) => consumed += used,
                ControlFlow::Break(complete) => return Ok(Progress { consumed, complete }),
            }
            if self.state == State::Head {
                return Ok(Progress {
                    consumed,
                    complete: true,
                });
            }
        }
    }

    /// The peer closed. True: that is how this response ends. False: it closed between two responses.
    pub(crate) fn end_of_input(&mut self) -> Result<bool, ResponseError> {
        match self.state {
            State::ToEnd => {
                self.state = State::Head;
                self.keep_alive = false;
                Ok(true)
            }
            State::Head => Ok(false),
            _ => Err(ResponseError::Truncated),
        }
    }

    fn step(&mut self, rest: &[u8], on: &mut impl FnMut(Event<'_>)) -> Result<Step, ResponseError> {
        match self.state {
            State::Head => self.head(rest, on),
            State::Sized { left } => Ok(self.data(rest, left, on)),
            State::ChunkSize => self.chunk_size(rest),
            State::ChunkData { left } => Ok(self.data(rest, left, on)),
            State::ChunkEnd => self.chunk_end(rest),
            State::Trailers => self.trailer(rest),
            State::ToEnd => {
                if rest.is_empty() {
                    return Ok(ControlFlow::Break(false));
                }
                on(Event::Body(rest));
                Ok(ControlFlow::Continue(rest.len()))
            }
        }
    }

    /// One head. After a 1xx or a response without a body the state stays `Head`: the first is skipped by looping
    /// here, the second is what `advance` takes for complete.
    fn head(&mut self, rest: &[u8], on: &mut impl FnMut(Event<'_>)) -> Result<Step, ResponseError> {
        let mut used = 0;
        loop {
            let mut fields = [httparse::EMPTY_HEADER; HEADER_COUNT];
            let mut head = httparse::Response::new(&mut fields);
            let httparse::Status::Complete(length) = head.parse(rest.get(used..).unwrap_or_default())? else {
                // A 1xx head before a partial one is read again with it: rare, and it keeps one way out.
                return Ok(ControlFlow::Break(false));
            };
            used += length;
            let status = head.code.unwrap_or_default();
            if (100..200).contains(&status) {
                continue;
            }
            let framing = framing(status, &head)?;
            self.keep_alive = head.version == Some(1) && !closes(&head) && framing != State::ToEnd;
            self.state = framing;
            on(Event::Head { status });
            return Ok(ControlFlow::Continue(used));
        }
    }

    /// Body bytes of a known number, of a whole body or of one chunk.
    fn data(&mut self, rest: &[u8], left: u64, on: &mut impl FnMut(Event<'_>)) -> Step {
        let take = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
        let piece = rest.get(..take).unwrap_or_default();
        if piece.is_empty() {
            return ControlFlow::Break(false);
        }
        on(Event::Body(piece));
        let left = left - piece.len() as u64;
        self.state = match self.state {
            State::ChunkData { .. } if left == 0 => State::ChunkEnd,
            State::ChunkData { .. } => State::ChunkData { left },
            _ if left == 0 => State::Head,
            _ => State::Sized { left },
        };
        ControlFlow::Continue(take)
    }

    fn chunk_size(&mut self, rest: &[u8]) -> Result<Step, ResponseError> {
        let Some((line, used)) = line(rest)? else {
            return Ok(ControlFlow::Break(false));
        };
        let digits = line.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
        let size = std::str::from_utf8(digits)
            .ok()
            // from_str_radix would take a sign.
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|digits| u64::from_str_radix(digits, 16).ok())
            .ok_or_else(|| ResponseError::ChunkSize(String::from_utf8_lossy(line).into_owned()))?;
        self.state = if size == 0 {
            State::Trailers
        } else {
            State::ChunkData { left: size }
        };
        Ok(ControlFlow::Continue(used))
    }

    fn chunk_end(&mut self, rest: &[u8]) -> Result<Step, ResponseError> {
        match rest {
            [b'\r', b'\n', ..] => {
                self.state = State::ChunkSize;
                Ok(ControlFlow::Continue(2))
            }
            [] | [b'\r'] => Ok(ControlFlow::Break(false)),
            _ => Err(ResponseError::ChunkEnd),
        }
    }

    fn trailer(&mut self, rest: &[u8]) -> Result<Step, ResponseError> {
        let Some((line, used)) = line(rest)? else {
            return Ok(ControlFlow::Break(false));
        };
        if line.is_empty() {
            self.state = State::Head;
        }
        Ok(ControlFlow::Continue(used))
    }
}

/// A line without its CRLF and the bytes it took with it.
fn line(rest: &[u8]) -> Result<Option<(&[u8], usize)>, ResponseError> {
    let Some(at) = rest.iter().take(LINE_BYTES).position(|&byte| byte == b'\n') else {
        return if rest.len() < LINE_BYTES {
            Ok(None)
        } else {
            Err(ResponseError::LongLine)
        };
    };
    let line = rest.get(..at).unwrap_or_default();
    Ok(Some((line.strip_suffix(b"\r").unwrap_or(line), at + 1)))
}

/// How the body of this response ends (RFC 9112 §6.3). `State::Head` stands for a response without one.
fn framing(status: u16, head: &httparse::Response<'_, '_>) -> Result<State, ResponseError> {
    if status == 204 || status == 304 {
        return Ok(State::Head);
    }
    let length = fields(head, "content-length").next();
    let encoding = fields(head, "transfer-encoding").next();
    match (length, encoding) {
        (Some(_), Some(_)) => Err(ResponseError::BothFramings),
        (None, Some(value)) if value.eq_ignore_ascii_case(b"chunked") => Ok(State::ChunkSize),
        (None, Some(value)) => Err(ResponseError::TransferEncoding(text(value))),
        (Some(value), None) => {
            let left = std::str::from_utf8(value).ok().and_then(|value| value.parse().ok());
            match left.ok_or_else(|| ResponseError::ContentLength(text(value)))? {
                0 => Ok(State::Head),
                left => Ok(State::Sized { left }),
            }
        }
        (None, None) => Ok(State::ToEnd),
    }
}

fn closes(head: &httparse::Response<'_, '_>) -> bool {
    fields(head, "connection")
        .flat_map(|value| value.split(|&byte| byte == b','))
        .any(|token| token.trim_ascii().eq_ignore_ascii_case(b"close"))
}

fn fields<'h>(head: &'h httparse::Response<'_, '_>, name: &'static str) -> impl Iterator<Item = &'h [u8]> {
    head.headers
        .iter()
        .filter(move |field| field.name.eq_ignore_ascii_case(name))
        .map(|field| field.value)
}

fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}

#[cfg(test)]
mod tests;
