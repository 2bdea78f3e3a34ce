//! What a caller learns of a server's answer, and what httparse and hyper's client make of the bytes that passed.
//!
//! The fuzz targets in `gateway/fuzz` share this file.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use hyper::{Request, Response, StatusCode, Version};

use super::super::oracle::dechunked;
use crate::http::guard::Verdict;
use crate::http::guard::response::{Asked, At, BadResponse, ResponseGuard, ResponseLimits};
use crate::limits;

const FIELDS: usize = limits::OUTGOING_HEADER_COUNT;

/// All that a caller learns of the bytes that answer one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) passed: usize,
    pub(crate) verdict: Verdict<BadResponse>,
    pub(crate) state: At,
}

/// Feeds `bytes` as a caller does, a read ending at each of `ends` and at the end.
pub(crate) fn outcome(
    limits: ResponseLimits,
    asked: Asked,
    bytes: &[u8],
    ends: impl IntoIterator<Item = usize>,
) -> Outcome {
    let mut guard = ResponseGuard::new(limits);
    guard.expects(asked);
    feed(&mut guard, bytes, ends)
}

/// The same for a guard that has served before.
pub(crate) fn feed(guard: &mut ResponseGuard, bytes: &[u8], ends: impl IntoIterator<Item = usize>) -> Outcome {
    let mut passed = 0;
    let mut verdict = Verdict::Ok;
    for end in ends.into_iter().chain([bytes.len()]) {
        let input = &bytes[passed..end.max(passed)];
        let scan = guard.scan(input);
        assert!(scan.pass <= input.len());
        match scan.verdict {
            Verdict::Ok => assert_eq!(scan.pass, input.len()),
            Verdict::NeedMore => assert!(scan.pass < input.len()),
            Verdict::Reject(_) => assert_eq!(guard.state(), At::Refused),
        }
        passed += scan.pass;
        verdict = scan.verdict;
        if matches!(verdict, Verdict::Reject(_)) {
            break;
        }
    }
    Outcome {
        passed,
        verdict,
        state: guard.state(),
    }
}

/// One response as a parser saw it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) status: u16,
    minor: u8,
    /// Names in lower case, each name's values in their order.
    fields: Vec<(String, Vec<u8>)>,
    /// What follows the head; `None` for a body that is not complete.
    pub(crate) body: Option<Vec<u8>>,
}

/// Asserts that httparse and hyper's client find the same response in `passed`, with nothing behind it, and says what
/// they find. `None` where it has not come.
pub(crate) fn agreed(asked: Asked, passed: &[u8]) -> Option<Seen> {
    let seen = with_httparse(asked, passed);
    assert_eq!(with_hyper(asked, passed), seen);
    seen
}

/// What httparse finds, whole heads and nothing behind the response.
pub(crate) fn with_httparse(asked: Asked, mut rest: &[u8]) -> Option<Seen> {
    loop {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS];
        let mut head = httparse::Response::new(&mut fields);
        if rest.is_empty() {
            return None;
        }
        let parsed = head.parse(rest).expect("what passed is a response to httparse");
        let httparse::Status::Complete(bytes) = parsed else {
            panic!("half a head passed: {rest:?}")
        };
        rest = &rest[bytes..];
        let mut seen = Seen {
            status: head.code.expect("a complete head"),
            minor: head.version.expect("a complete head"),
            fields: head
                .headers
                .iter()
                .map(|field| (field.name.to_lowercase(), field.value.to_vec()))
                .collect(),
            body: None,
        };
        let values = |wanted: &str| -> Vec<&[u8]> {
            let fields = seen.fields.iter().filter(|(name, _)| name == wanted);
            fields.map(|(_, value)| value.as_slice()).collect()
        };
        let (lengths, codings) = (values("content-length"), values("transfer-encoding"));
        let (body, behind) = match (seen.status, &lengths[..], &codings[..]) {
            (101, ..) => {
                assert!(asked.may_upgrade);
                (Some(rest.to_vec()), &[][..])
            }
            (100..=199, ..) => continue,
            (204 | 304, ..) => (Some(Vec::new()), rest),
            _ if asked.is_head => (Some(Vec::new()), rest),
            (_, [], []) => (Some(rest.to_vec()), &[][..]),
            (_, [length], []) => fixed(length, rest),
            (_, [], [coding]) if coding.eq_ignore_ascii_case(b"chunked") => dechunked(rest),
            _ => panic!("ambiguous framing passed: {:?}", seen.fields),
        };
        assert!(behind.is_empty(), "bytes passed that belong to no response");
        seen.body = body;
        seen.fields.sort_by(|one, other| one.0.cmp(&other.0));
        return Some(seen);
    }
}

fn fixed<'a>(length: &[u8], rest: &'a [u8]) -> (Option<Vec<u8>>, &'a [u8]) {
    let length = std::str::from_utf8(length).expect("digits");
    let length = length.parse::<u64>().expect("a length");
    let parts = usize::try_from(length)
        .ok()
        .and_then(|length| rest.split_at_checked(length));
    parts.map_or((None, &[]), |(body, behind)| (Some(body.to_vec()), behind))
}

/// What hyper's client makes of `passed`, which ends behind it, on a connection of its own. `None` where it sees no
/// response.
fn with_hyper(asked: Asked, passed: &[u8]) -> Option<Seen> {
    let io = Wire {
        input: passed.to_vec(),
        at: 0,
        is_asked: false,
    };
    let method = if asked.is_head { "HEAD" } else { "GET" };
    let mut request = Request::builder().method(method).uri("/").header("host", "a");
    if asked.may_upgrade {
        request = request.header("connection", "upgrade").header("upgrade", "b");
    }
    let request = request.body(Empty::<Bytes>::new()).expect("a request");
    // As `outbound` has it.
    let mut builder = http1::Builder::new();
    builder
        .max_header_size(limits::OUTGOING_HEAD_BYTES)
        .max_buf_size(limits::OUTGOING_BUFFER_BYTES);
    let seen = Arc::new(Mutex::new(None));
    let mut exchange = pin!({
        let seen = Arc::clone(&seen);
        async move {
            let (mut sender, connection) = builder.handshake(io).await.expect("no bytes are needed");
            let mut connection = pin!(connection.with_upgrades());
            let mut asking = pin!(async {
                if let Ok(response) = sender.send_request(request).await {
                    let response = observe(response).await;
                    *seen.lock().expect("one thread") = Some(response);
                }
            });
            let mut is_open = true;
            std::future::poll_fn(|cx| {
                is_open = is_open && connection.as_mut().poll(cx).is_pending();
                asking.as_mut().poll(cx)
            })
            .await;
        }
    });
    let mut context = Context::from_waker(Waker::noop());
    // The wire is always ready, so each poll gets on; hyper gives way to others after a number of rounds.
    let polls = passed.len() + 64;
    let ended = (0..polls).any(|_| exchange.as_mut().poll(&mut context).is_ready());
    assert!(ended, "hyper hangs on {passed:?}");
    seen.lock().expect("one thread").take()
}

async fn observe(mut response: Response<Incoming>) -> Seen {
    let upgraded = hyper::upgrade::on(&mut response);
    let (head, body) = response.into_parts();
    let mut fields: Vec<_> = head
        .headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
        .collect();
    fields.sort_by(|one, other| one.0.cmp(&other.0));
    let body = if head.status == StatusCode::SWITCHING_PROTOCOLS {
        Some(rest(upgraded.await.expect("the other protocol")).await)
    } else {
        body.collect().await.ok().map(|body| body.to_bytes().to_vec())
    };
    Seen {
        status: head.status.as_u16(),
        minor: u8::from(head.version == Version::HTTP_11),
        fields,
        body,
    }
}

/// All that comes behind a 101.
async fn rest(mut upgraded: hyper::upgrade::Upgraded) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let mut space = [0; 64];
        let mut space = ReadBuf::new(&mut space);
        let read = std::future::poll_fn(|cx| Pin::new(&mut upgraded).poll_read(cx, space.unfilled())).await;
        read.expect("it can be read");
        if space.filled().is_empty() {
            return all;
        }
        all.extend_from_slice(space.filled());
    }
}

/// A server that answers once it is asked, and then ends.
struct Wire {
    input: Vec<u8>,
    at: usize,
    is_asked: bool,
}

impl Read for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        if !self.is_asked {
            return Poll::Pending;
        }
        let bytes = buffer.remaining().min(self.input.len() - self.at);
        buffer.put_slice(&self.input[self.at..self.at + bytes]);
        self.at += bytes;
        Poll::Ready(Ok(()))
    }
}

impl Write for Wire {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.is_asked = true;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
