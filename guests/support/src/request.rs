//! The request: its head, and its body as it arrives.

use wasip2::http::types::{IncomingBody, IncomingRequest, Method, Scheme};
use wasip2::io::streams::{InputStream, StreamError};

use crate::{CHUNK_BYTES, text};

/// One request, with its head read on demand.
#[derive(Debug)]
pub struct Request {
    inner: IncomingRequest,
}

impl Request {
    /// Wraps what the host handed in. [`serve!`](crate::serve) does this.
    pub fn new(inner: IncomingRequest) -> Self {
        Self { inner }
    }

    /// The request as the host handed it in, for what this wrapper does not do.
    pub fn into_inner(self) -> IncomingRequest {
        self.inner
    }

    /// The method in capitals, as on the wire.
    pub fn method(&self) -> String {
        let name = match self.inner.method() {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Delete => "DELETE",
            Method::Connect => "CONNECT",
            Method::Options => "OPTIONS",
            Method::Trace => "TRACE",
            Method::Patch => "PATCH",
            Method::Other(name) => return name,
        };
        name.to_owned()
    }

    /// The path without the query, still percent-encoded; `/` when the target has none.
    pub fn path(&self) -> String {
        let target = self.target();
        target.split('?').next().unwrap_or("/").to_owned()
    }

    /// Path and query as they came.
    pub fn target(&self) -> String {
        self.inner.path_with_query().unwrap_or_else(|| "/".to_owned())
    }

    /// Host and port that the client asked for. wasi:http hands them over apart from the headers.
    pub fn authority(&self) -> Option<String> {
        self.inner.authority()
    }

    /// The first value of a query parameter, decoded.
    pub fn query(&self, name: &str) -> Option<String> {
        let target = self.target();
        let (_, query) = target.split_once('?')?;
        text::query_value(query, name)
    }

    /// A number from the query, or `default` when it is not there; the error is what to answer with
    /// 400.
    pub fn query_number(&self, name: &str, default: u64) -> Result<u64, String> {
        let target = self.target();
        text::query_number(target.split_once('?').map_or("", |(_, query)| query), name, default)
    }

    /// `http` or `https`, as the client spoke it.
    pub fn scheme(&self) -> String {
        match self.inner.scheme() {
            None | Some(Scheme::Http) => "http".to_owned(),
            Some(Scheme::Https) => "https".to_owned(),
            Some(Scheme::Other(name)) => name,
        }
    }

    /// Every header in the order it came.
    pub fn headers(&self) -> Vec<(String, Vec<u8>)> {
        self.inner.headers().entries()
    }

    /// The first value of a header, when there is one and it is UTF-8.
    pub fn header(&self, name: &str) -> Option<String> {
        let first = self.inner.headers().get(name).into_iter().next()?;
        String::from_utf8(first).ok()
    }

    /// Hands over the body.
    pub fn into_body(self) -> RequestBody {
        let body = self.inner.consume().ok();
        let stream = body.as_ref().and_then(|body| body.stream().ok());
        RequestBody {
            stream,
            body,
            _request: self.inner,
        }
    }
}

/// The request's body. Nothing is read before it is asked for, so an unread body pushes back on the
/// client.
#[derive(Debug)]
pub struct RequestBody {
    // Declared in the order in which they have to be dropped: children before their parents.
    stream: Option<InputStream>,
    body: Option<IncomingBody>,
    _request: IncomingRequest,
}

impl RequestBody {
    /// Waits for the next bytes, at most [`CHUNK_BYTES`]. `None` at the end; an error when the body
    /// broke off, with the host's words for it.
    pub fn read(&mut self) -> Result<Option<Vec<u8>>, String> {
        let Some(stream) = &self.stream else { return Ok(None) };
        loop {
            match stream.blocking_read(CHUNK_BYTES as u64) {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => return Ok(Some(bytes)),
                Err(StreamError::Closed) => {
                    self.stream = None;
                    return Ok(None);
                }
                Err(StreamError::LastOperationFailed(error)) => {
                    self.stream = None;
                    return Err(error.to_debug_string());
                }
            }
        }
    }

    /// Reads the rest into memory, up to `bytes_max`; what is beyond that stays unread.
    pub fn collect(&mut self, bytes_max: usize) -> Result<Vec<u8>, String> {
        let mut all = Vec::new();
        while let Some(chunk) = self.read()? {
            let room = bytes_max - all.len();
            all.extend(chunk.into_iter().take(room));
            if all.len() == bytes_max {
                break;
            }
        }
        Ok(all)
    }

    /// Waits for the trailers; empty when there were none. Bytes that are still unread are passed
    /// over by the host.
    pub fn trailers(mut self) -> Result<Vec<(String, Vec<u8>)>, String> {
        self.stream = None;
        let Some(body) = self.body.take() else {
            return Ok(Vec::new());
        };
        let future = IncomingBody::finish(body);
        future.subscribe().block();
        match future.get() {
            Some(Ok(Ok(Some(trailers)))) => Ok(trailers.entries()),
            Some(Ok(Ok(None))) => Ok(Vec::new()),
            Some(Ok(Err(code))) => Err(code.to_string()),
            Some(Err(())) | None => Err("the host had no trailers to give".to_owned()),
        }
    }
}
