//! What a caller learns of a stream, and what httparse and hyper make of the bytes that passed.
//!
//! The fuzz targets in `gateway/fuzz` share this file.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::service::service_fn;
use hyper::{Request, Response, Uri, Version};

use crate::http::guard::{Guard, HeadLimits, Verdict, Where};

const FIELDS: usize = crate::limits::HEADER_COUNT;

/// All that a caller learns of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) passed: usize,
    pub(crate) verdict: Verdict,
    pub(crate) heads: u64,
    pub(crate) state: Where,
}

/// Feeds `bytes` as a caller does, a read ending at each of `ends` and at the end. No request leaves HTTP.
pub(crate) fn outcome(limits: HeadLimits, bytes: &[u8], ends: impl IntoIterator<Item = usize>) -> Outcome {
    let mut guard = Guard::new(limits);
    let mut passed = 0;
    let mut verdict = Verdict::Ok;
    for end in ends.into_iter().chain([bytes.len()]) {
        loop {
            let input = &bytes[passed..end.max(passed)];
            let scan = guard.scan(input);
            assert!(scan.pass <= input.len());
            match scan.verdict {
                Verdict::Ok => assert_eq!(scan.pass, input.len()),
                Verdict::NeedMore => assert!(scan.pass < input.len()),
                Verdict::Reject(_) => assert_eq!(guard.state(), Where::Rejected),
            }
            passed += scan.pass;
            verdict = scan.verdict;
            if guard.state() != Where::MayUpgrade {
                break;
            }
            guard.resume();
        }
        if matches!(verdict, Verdict::Reject(_)) {
            break;
        }
    }
    Outcome {
        passed,
        verdict,
        heads: guard.heads(),
        state: guard.state(),
    }
}

/// The same for a stream that comes in one read.
pub(crate) fn whole(bytes: &[u8]) -> Outcome {
    outcome(HeadLimits::default(), bytes, [])
}

/// One request as a parser saw it.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    method: String,
    target: String,
    minor: u8,
    /// Names in lower case, each name's values in their order.
    fields: Vec<(String, Vec<u8>)>,
    /// `None` for a body that is not complete.
    body: Option<Vec<u8>>,
}

/// Asserts that httparse finds the same heads in `passed`, and between them nothing but their bodies.
pub(crate) fn agrees_with_httparse(passed: &[u8], heads: u64) {
    assert_eq!(with_httparse(passed).len() as u64, heads);
}

/// Asserts that hyper serves the requests that httparse sees, and refuses none of them.
pub(crate) fn agrees_with_hyper(passed: &[u8], heads: u64) {
    let mut expected = with_httparse(passed);
    assert_eq!(expected.len() as u64, heads);
    // Behind a request that closes the connection hyper reads no other.
    if let Some(last) = expected.iter().position(closes) {
        expected.truncate(last + 1);
    }
    let (seen, answers) = with_hyper(passed);
    assert_eq!(seen, expected);
    for refusal in ["HTTP/1.1 4", "HTTP/1.0 4", "HTTP/1.1 5"] {
        assert!(!String::from_utf8_lossy(&answers).contains(refusal));
    }
}

fn closes(request: &Seen) -> bool {
    let connection = |option: &str| {
        let mut values = request.fields.iter().filter(|(name, _)| name == "connection");
        values.any(|(_, value)| {
            let value = std::str::from_utf8(value).unwrap_or_default();
            value.is_ascii() && value.split(',').any(|word| word.trim().eq_ignore_ascii_case(option))
        })
    };
    connection("close") || (request.minor == 0 && !connection("keep-alive")) || request.body.is_none()
}

fn with_httparse(mut rest: &[u8]) -> Vec<Seen> {
    let mut requests = Vec::new();
    while !rest.is_empty() {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS];
        let mut head = httparse::Request::new(&mut fields);
        let parsed = head.parse(rest).expect("what passed is a request to httparse");
        let httparse::Status::Complete(bytes) = parsed else {
            panic!("half a head passed: {rest:?}")
        };
        let target = head.path.expect("a complete head");
        let uri = target.parse::<Uri>().expect("hyper can hold the target");
        // The same text, but for what `http` normalises: the scheme's case, and an absent path.
        let (text, target) = (uri.to_string().to_lowercase(), target.to_lowercase());
        assert!(
            text == target || text.replacen('/', "", 3) == target.replacen('/', "", 2),
            "{text} {target}"
        );
        let mut seen = Seen {
            method: head.method.expect("a complete head").to_owned(),
            target: uri.to_string(),
            minor: head.version.expect("a complete head"),
            fields: head
                .headers
                .iter()
                .map(|field| (field.name.to_lowercase(), field.value.to_vec()))
                .collect(),
            body: None,
        };
        rest = &rest[bytes..];
        let values = |wanted: &str| -> Vec<&Vec<u8>> {
            seen.fields
                .iter()
                .filter(|(name, _)| name == wanted)
                .map(|(_, value)| value)
                .collect()
        };
        let (lengths, codings) = (values("content-length"), values("transfer-encoding"));
        let (body, behind) = match (&lengths[..], &codings[..]) {
            ([], []) => (Some(Vec::new()), rest),
            ([length], []) => {
                let length = std::str::from_utf8(length)
                    .expect("digits")
                    .parse::<u64>()
                    .expect("a length");
                match usize::try_from(length)
                    .ok()
                    .and_then(|length| rest.split_at_checked(length))
                {
                    Some((body, behind)) => (Some(body.to_vec()), behind),
                    None => (None, &[][..]),
                }
            }
            ([], [coding]) if coding.eq_ignore_ascii_case(b"chunked") => dechunked(rest),
            _ => panic!("ambiguous framing passed: {:?}", seen.fields),
        };
        (seen.body, rest) = (body, behind);
        seen.fields.sort_by(|one, other| one.0.cmp(&other.0));
        requests.push(seen);
    }
    requests
}

/// The content of the chunked body at the front of `rest`, if it is complete, and what stands behind it.
pub(crate) fn dechunked(mut rest: &[u8]) -> (Option<Vec<u8>>, &[u8]) {
    let mut body = Vec::new();
    loop {
        let line = httparse::parse_chunk_size(rest).expect("what passed is a chunk size to httparse");
        let httparse::Status::Complete((bytes, size)) = line else {
            assert!(rest.is_empty(), "half a chunk-size line passed");
            return (None, rest);
        };
        rest = &rest[bytes..];
        if size == 0 {
            break;
        }
        let Some((data, behind)) = usize::try_from(size).ok().and_then(|size| rest.split_at_checked(size)) else {
            return (None, &[]);
        };
        body.extend_from_slice(data);
        let Some(behind) = behind.strip_prefix(b"\r\n") else {
            assert!(
                behind.is_empty(),
                "a chunk passed that ends with neither CRLF nor the stream"
            );
            return (None, behind);
        };
        rest = behind;
    }
    let mut trailers = [httparse::EMPTY_HEADER; FIELDS];
    match httparse::parse_headers(rest, &mut trailers).expect("what passed are trailers to httparse") {
        httparse::Status::Complete((bytes, _)) => (Some(body), &rest[bytes..]),
        httparse::Status::Partial => {
            assert!(rest.is_empty(), "half a trailer section passed");
            (None, rest)
        }
    }
}

/// Serves `passed` with a real hyper connection over memory: the requests it served, and what it wrote.
fn with_hyper(passed: &[u8]) -> (Vec<Seen>, Vec<u8>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let answers = Arc::new(Mutex::new(Vec::new()));
    let io = Wire {
        input: passed.to_vec(),
        at: 0,
        output: answers.clone(),
    };
    let service = service_fn(|request: Request<Incoming>| {
        let seen = seen.clone();
        async move {
            let request = observe(request).await;
            seen.lock().expect("one thread").push(request);
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.max_headers(FIELDS).half_close(true);
    {
        let mut connection = pin!(builder.serve_connection(io, service));
        let mut context = Context::from_waker(Waker::noop());
        // The wire is always ready, so each poll gets on; hyper gives way to others after a number of rounds.
        let polls = passed.len() + 64;
        let ended = (0..polls).any(|_| connection.as_mut().poll(&mut context).is_ready());
        assert!(ended, "hyper hangs on {passed:?}");
    }
    let seen = std::mem::take(&mut *seen.lock().expect("one thread"));
    let answers = std::mem::take(&mut *answers.lock().expect("one thread"));
    (seen, answers)
}

async fn observe(request: Request<Incoming>) -> Seen {
    let (head, body) = request.into_parts();
    let mut fields: Vec<_> = head
        .headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
        .collect();
    fields.sort_by(|one, other| one.0.cmp(&other.0));
    Seen {
        method: head.method.to_string(),
        target: head.uri.to_string(),
        minor: u8::from(head.version == Version::HTTP_11),
        fields,
        body: body.collect().await.ok().map(|body| body.to_bytes().to_vec()),
    }
}

/// Input that is all there and then ends, output that is all taken.
struct Wire {
    input: Vec<u8>,
    at: usize,
    output: Arc<Mutex<Vec<u8>>>,
}

impl Read for Wire {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        let bytes = buffer.remaining().min(self.input.len() - self.at);
        buffer.put_slice(&self.input[self.at..self.at + bytes]);
        self.at += bytes;
        Poll::Ready(Ok(()))
    }
}

impl Write for Wire {
    fn poll_write(self: std::pin::Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.output.lock().expect("one thread").extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
