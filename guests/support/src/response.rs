//! The response: its head, then its body with backpressure, then its trailers.

use wasip2::http::types::{ErrorCode, Fields, OutgoingBody, OutgoingResponse, ResponseOutparam};
use wasip2::io::poll::Pollable;
use wasip2::io::streams::OutputStream;

/// Nobody takes the response any more: the client left or the call was given up. A guest answers it
/// by returning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone;

/// Status and headers of a response.
#[derive(Debug, Clone)]
pub struct Head {
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
}

impl Head {
    /// A head without headers.
    pub fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
        }
    }

    /// A head of a plain text.
    pub fn text(status: u16) -> Self {
        Self::new(status).header("content-type", "text/plain; charset=utf-8")
    }

    /// Adds a header. One that the host forbids or that is not well formed is left out when the head
    /// is sent.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }
}

/// The one chance to answer a request.
#[derive(Debug)]
pub struct Responder {
    out: ResponseOutparam,
}

impl Responder {
    /// Wraps what the host handed in. [`serve!`](crate::serve) does this.
    pub fn new(out: ResponseOutparam) -> Self {
        Self { out }
    }

    /// The outparam as the host handed it in, for what this wrapper does not do.
    pub fn into_inner(self) -> ResponseOutparam {
        self.out
    }

    /// Sends the head at once and returns the body to write.
    pub fn start(self, head: Head) -> ResponseBody {
        let response = OutgoingResponse::new(fields(&head.headers));
        if response.set_status_code(head.status).is_err() {
            self.fail("the guest chose a status that is not one");
            return ResponseBody::closed();
        }
        let body = response.body().ok();
        let stream = body.as_ref().and_then(|body| body.write().ok());
        ResponseOutparam::set(self.out, Ok(response));
        ResponseBody {
            ready: None,
            stream,
            body,
        }
    }

    /// Answers with a whole body.
    pub fn send(self, head: Head, content: &[u8]) {
        let mut body = self.start(head.header("content-length", content.len().to_string()));
        if body.write(content).is_ok() {
            body.finish(&[]);
        }
    }

    /// Answers with a plain text.
    pub fn text(self, status: u16, content: &str) {
        self.send(Head::text(status), content.as_bytes());
    }

    /// Answers with JSON that is already written out.
    pub fn json(self, status: u16, content: &str) {
        self.send(
            Head::new(status).header("content-type", "application/json"),
            content.as_bytes(),
        );
    }

    /// Answers with an error of wasi:http instead of a response.
    pub fn fail(self, why: &str) {
        ResponseOutparam::set(self.out, Err(ErrorCode::InternalError(Some(why.to_owned()))));
    }
}

/// A response's body. Dropping it without [`finish`](Self::finish) tells the host that the body is
/// broken.
#[derive(Debug)]
pub struct ResponseBody {
    // Declared in the order in which they have to be dropped: children before their parents.
    ready: Option<Pollable>,
    stream: Option<OutputStream>,
    body: Option<OutgoingBody>,
}

impl ResponseBody {
    fn closed() -> Self {
        Self {
            ready: None,
            stream: None,
            body: None,
        }
    }

    /// Writes all the bytes, waiting whenever the host takes no more.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Gone> {
        let stream = self.stream.as_ref().ok_or(Gone)?;
        let mut rest = bytes;
        while !rest.is_empty() {
            let permit = stream.check_write().map_err(|_| Gone)?;
            if permit == 0 {
                self.ready.get_or_insert_with(|| stream.subscribe()).block();
                continue;
            }
            let size = usize::try_from(permit).unwrap_or(usize::MAX).min(rest.len());
            let (now, later) = rest.split_at(size);
            stream.write(now).map_err(|_| Gone)?;
            rest = later;
        }
        Ok(())
    }

    /// Waits until everything written so far has left the guest.
    pub fn flush(&mut self) -> Result<(), Gone> {
        self.stream.as_ref().ok_or(Gone)?.blocking_flush().map_err(|_| Gone)
    }

    /// Writes the bytes and flushes them, so that they are a chunk of their own on the wire.
    pub fn chunk(&mut self, bytes: &[u8]) -> Result<(), Gone> {
        self.write(bytes)?;
        self.flush()
    }

    /// Ends the body, with trailers when there are any.
    pub fn finish(mut self, trailers: &[(String, Vec<u8>)]) {
        self.ready = None;
        self.stream = None;
        if let Some(body) = self.body.take() {
            let trailers = (!trailers.is_empty()).then(|| fields(trailers));
            // An error here means that the host already gave the body up; nobody is left to tell.
            let _ = OutgoingBody::finish(body, trailers);
        }
    }
}

fn fields(entries: &[(String, Vec<u8>)]) -> Fields {
    let fields = Fields::new();
    for (name, value) in entries {
        // Hop-by-hop fields are refused; the response is still good without them.
        let _ = fields.append(name, value);
    }
    fields
}
