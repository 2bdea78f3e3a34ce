//! One request on one connection: sending it, and waiting for the head of its response.

use super::connection::{Connection, H1, Lease, SharedLease, Stream, Timer};
use super::destination::{Target, to_origin_form};
use super::response::{self, ResponseBody};
use super::tunnel::Tunnel;
use super::upload::{Progress, Upload};
use super::{SendError, Timeouts, length};
use crate::http::guard::response::Asked;
use crate::limits;
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TE, TRANSFER_ENCODING};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// How an attempt ended.
pub(super) enum Outcome {
    Response(Response<ResponseBody>),
    /// 101, as the request wanted: what follows is the new protocol's.
    Upgraded(Response<()>, Tunnel),
    /// The connection was closed before a byte of the request was on it: it is where it was taken from.
    Unsent(SendError),
    Failed(SendError),
}

/// What is special about a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Manner {
    /// It asks for another protocol, and 101 is an answer. HTTP/1 alone knows that.
    pub(crate) upgrades: bool,
    /// Its body is sent when the server says 100, or says nothing for [`limits::CONTINUE_TIME`] (RFC 9110 §10.1.1).
    pub(crate) awaits_continue: bool,
    /// It has a body, whatever its method. Otherwise that of GET and HEAD goes only where its length is known: guests
    /// begin one and mean none.
    pub(crate) has_body: bool,
    /// Its sender will not repeat it, so no connection will do that its server has closed.
    pub(crate) goes_once: bool,
}

/// What an exchange under way holds. Dropped before it is complete, it ends at once: the connection is closed
/// (HTTP/1) or the stream reset (HTTP/2), and the request body is asked for nothing more.
pub(super) struct Flight {
    lease: Option<Held>,
    upload: Option<Arc<Progress>>,
    pub(super) timer: Option<Timer>,
    /// Until the body is sent without having been asked for.
    hold: Option<Timer>,
    /// Whether the connection may serve another exchange after this one.
    keeps: bool,
    /// Whether the head of the response has come.
    is_answered: bool,
}

enum Held {
    Own(Box<dyn Lease>),
    Shared(Arc<dyn SharedLease>),
}

impl Flight {
    /// The response was received whole.
    pub(super) fn complete(&mut self) {
        // A request body that is not over will not be: the server has said all it had to say.
        let is_sent = self.upload.as_ref().is_none_or(|upload| upload.is_over());
        match self.lease.take() {
            Some(Held::Own(lease)) if is_sent && self.keeps => lease.complete(self.timer.take()),
            Some(Held::Shared(lease)) if is_sent => lease.ended(),
            other => {
                self.lease = other;
                self.abort();
            }
        }
    }

    /// Ends what is not complete.
    pub(super) fn abort(&mut self) {
        let Some(lease) = self.lease.take() else {
            return;
        };
        let upload = self.upload.take();
        if let Some(upload) = &upload {
            upload.abort();
        }
        match lease {
            Held::Own(lease) => lease.abort(),
            Held::Shared(lease) => {
                // A piece that waits for a window may wait for ever: after the head of the response it hears of nothing
                // else. Until then hyper resets the stream.
                if self.is_answered && upload.is_some_and(|upload| upload.is_stuck()) {
                    lease.retire();
                }
                lease.ended();
            }
        }
    }

    /// Whether this is a stream of HTTP/2, and not over yet.
    pub(super) fn is_stream(&self) -> bool {
        matches!(self.lease, Some(Held::Shared(_)))
    }

    /// The server does not answer: later requests had better not meet the same connection.
    fn suspect(&self) {
        if let Some(Held::Shared(lease)) = &self.lease {
            lease.retire();
        }
    }

    /// What an error of hyper's means: a body that failed explains everything that came after it.
    pub(super) fn blame(&self, error: hyper::Error, of: fn(hyper::Error) -> SendError) -> SendError {
        if self.upload.as_ref().is_some_and(|upload| upload.has_failed()) {
            SendError::RequestBody(error)
        } else {
            of(error)
        }
    }

    /// Polls the timer, which runs from `from` on, or from the request body's last progress where that was later.
    fn poll_late(&mut self, cx: &mut Context<'_>, from: Instant, patience: Duration) -> Poll<SendError> {
        loop {
            let timer = self
                .timer
                .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(from + patience)));
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let upload = self.upload.as_deref();
            if upload.is_some_and(Progress::is_waiting) {
                // What the server does not have it cannot answer, and whoever makes the body has a time of its own.
                timer.as_mut().reset(Instant::now() + patience);
                continue;
            }
            let due = upload.map_or(from, |upload| upload.last().max(from)) + patience;
            if due <= Instant::now() {
                let is_stuck = upload.is_some_and(Progress::is_stuck);
                return Poll::Ready(if is_stuck {
                    SendError::WriteTimeout
                } else {
                    SendError::FirstByteTimeout
                });
            }
            timer.as_mut().reset(due);
        }
    }
}

impl Flight {
    /// Lets a body go that was held back for long enough.
    fn poll_hold(&mut self, cx: &mut Context<'_>) {
        let Some(hold) = &mut self.hold else { return };
        if hold.as_mut().poll(cx).is_ready() {
            self.hold = None;
            if let Some(upload) = &self.upload {
                upload.release();
            }
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.abort();
    }
}

/// Sends the request that is in `slot` on `connection` and waits for the response's head. From a slot, because a request
/// is large, and every future that is given one keeps room for it.
pub(super) async fn send<B>(
    connection: Connection<B>,
    target: &Target,
    slot: &mut Option<Request<Upload<B>>>,
    timeouts: &Timeouts,
    manner: Manner,
) -> Outcome
where
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + Unpin + 'static,
{
    let Some(mut request) = slot.take() else {
        return Outcome::Failed(SendError::Uri("there is no request"));
    };
    let upload = request.body().progress();
    let prepared = match &connection {
        Connection::H1(connection) => for_h1(connection, &mut request, manner),
        Connection::H2(_) => for_h2(target, &mut request),
    };
    let prepared = prepared.and_then(|()| length::make_plain(request.headers_mut()));
    if let Err(error) = prepared {
        return Outcome::Failed(error);
    }
    match connection {
        Connection::H1(mut connection) => {
            let mut timer = connection.timer.take();
            let sent_at = Instant::now();
            if let Some(timer) = &mut timer {
                timer.as_mut().reset(sent_at + timeouts.first_byte);
            }
            let hold = hold_back(&mut request, upload.as_ref(), manner);
            connection.link.expect(Asked {
                is_head: request.method() == Method::HEAD,
                may_upgrade: manner.upgrades,
            });
            let answer = pin!(connection.sender.try_send_request(request));
            let flight = Flight {
                lease: Some(Held::Own(connection)),
                upload,
                timer,
                hold,
                keeps: true,
                is_answered: false,
            };
            head(answer, slot, flight, sent_at, timeouts, manner).await
        }
        Connection::H2(stream) => match start(stream) {
            Some((mut sender, lease)) => {
                let answer = pin!(sender.try_send_request(request));
                let flight = Flight {
                    lease: Some(Held::Shared(lease)),
                    upload,
                    timer: None,
                    hold: None,
                    keeps: true,
                    is_answered: false,
                };
                head(answer, slot, flight, Instant::now(), timeouts, Manner::default()).await
            }
            None => Outcome::Failed(SendError::Connect(std::io::ErrorKind::ConnectionAborted.into())),
        },
    }
}

/// Holds the body back until the server asks for it, where the request says it waits for that. hyper tells of interim
/// responses on HTTP/1 only; elsewhere the body goes at once, which every server has to expect.
fn hold_back<B>(request: &mut Request<Upload<B>>, upload: Option<&Arc<Progress>>, manner: Manner) -> Option<Timer> {
    let upload = upload.filter(|_| manner.awaits_continue)?;
    upload.hold();
    let asked_for = Arc::clone(upload);
    hyper::ext::on_informational(request, move |response| {
        if response.status() == StatusCode::CONTINUE {
            asked_for.release();
        }
    });
    Some(Box::pin(tokio::time::sleep(limits::CONTINUE_TIME)))
}

type H2Sender<B> = hyper::client::conn::http2::SendRequest<Upload<B>>;

fn start<B: Send + 'static>(stream: Stream<B>) -> Option<(H2Sender<B>, Arc<dyn SharedLease>)> {
    let sender = stream.sender()?;
    Some((sender, stream.into_connection()?))
}

/// Origin-form, and a Host field (RFC 9112 §3.2).
fn for_h1<B>(connection: &H1<B>, request: &mut Request<Upload<B>>, manner: Manner) -> Result<(), SendError> {
    if !request.headers().contains_key(HOST) {
        // An authority stands there when the request was on its way by HTTP/2 before.
        let authority = request.uri().authority().map(|authority| authority.as_str());
        let host = match authority.map(HeaderValue::from_str) {
            Some(host) => host.map_err(|_| SendError::Uri("its host is no field value"))?,
            None => connection.host.clone(),
        };
        request.headers_mut().insert(HOST, host);
    }
    to_origin_form(request.uri_mut())?;
    if request.headers().contains_key(TE) && !request.headers().contains_key(CONNECTION) {
        // Servers may pass over a TE that is not named as this hop's own (RFC 9110 §10.1.4).
        request.headers_mut().insert(CONNECTION, HeaderValue::from_static("te"));
    }
    if manner.has_body
        && matches!(*request.method(), Method::GET | Method::HEAD)
        && !request.headers().contains_key(CONTENT_LENGTH)
    {
        // hyper sends a body with these where a field says that there is one.
        let chunked = HeaderValue::from_static("chunked");
        request.headers_mut().insert(TRANSFER_ENCODING, chunked);
    }
    *request.version_mut() = http::Version::HTTP_11;
    Ok(())
}

/// Absolute, without a Host field, which the authority stands for (RFC 9113 §8.3.1).
fn for_h2<B>(target: &Target, request: &mut Request<Upload<B>>) -> Result<(), SendError> {
    request.headers_mut().remove(CONNECTION);
    let host = request.headers_mut().remove(HOST);
    if host.is_some() || request.uri().authority().is_none() {
        target.restore(request.uri_mut(), host.as_ref())?;
    }
    *request.version_mut() = http::Version::HTTP_2;
    Ok(())
}

async fn head<B>(
    mut answer: Pin<&mut impl Future<Output = Result<Response<Incoming>, TrySendError<Request<Upload<B>>>>>>,
    slot: &mut Option<Request<Upload<B>>>,
    mut flight: Flight,
    sent_at: Instant,
    timeouts: &Timeouts,
    manner: Manner,
) -> Outcome {
    let answer = poll_fn(|cx| match answer.as_mut().poll(cx) {
        Poll::Ready(answer) => Poll::Ready(Ok(answer)),
        Poll::Pending => {
            flight.poll_hold(cx);
            flight.poll_late(cx, sent_at, timeouts.first_byte).map(Err)
        }
    });
    match answer.await {
        Ok(Ok(response)) => {
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                return if manner.upgrades {
                    // Apart, so that other requests have no room for it.
                    Box::pin(upgrade(response, flight)).await
                } else {
                    Outcome::Failed(SendError::Upgrade)
                };
            }
            let (mut head, body) = response.into_parts();
            flight.keeps = response::clean(&mut head);
            flight.is_answered = true;
            Outcome::Response(Response::from_parts(
                head,
                ResponseBody::new(body, flight, timeouts.between_bytes),
            ))
        }
        Ok(Err(mut error)) => match error.take_message() {
            Some(request) => {
                // It is whole, and not to be ended with the connection that did not take it.
                flight.upload = None;
                *slot = Some(request);
                Outcome::Unsent(SendError::of_request(error.into_error()))
            }
            None => Outcome::Failed(flight.blame(error.into_error(), SendError::of_request)),
        },
        Err(late) => {
            flight.suspect();
            Outcome::Failed(late)
        }
    }
}

/// Takes the socket out of HTTP's hands, with what came behind the 101.
async fn upgrade(mut response: Response<Incoming>, flight: Flight) -> Outcome {
    match hyper::upgrade::on(&mut response).await {
        Ok(upgraded) => Outcome::Upgraded(response.map(drop), Tunnel::new(upgraded, flight)),
        Err(error) => Outcome::Failed(SendError::of_request(error)),
    }
}

impl fmt::Debug for Flight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flight")
            .field("upload", &self.upload)
            .field("keeps", &self.keeps)
            .finish_non_exhaustive()
    }
}
