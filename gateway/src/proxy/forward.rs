//! The data path: one request to a server, its answer back, and another server where the first one fails safely.

use super::headers::{self, Hop};
use super::retry;
use super::server::{Load, Server};
use super::streaming::Streaming;
use super::transport::Transport;
use super::tunnel::{self, Handshake};
use super::upstream::Upstream;
use crate::config::HashKey;
use crate::error::{Fault, UpstreamFault};
use crate::http::{Body, Call, Edits, RequestCx, cookie, hop};
use crate::outbound::{Attempt, Manner, ResponseBody, SendError, Tunnel};
use crate::runtime::Deadlines;
use http::{Request, Response, Version, header, request};
use http_body::Body as _;
use smallvec::SmallVec;
use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

/// What decides on the server where hashing does.
type Key = SmallVec<[u8; 64]>;

impl Upstream {
    /// Sends a request to one of the servers and gives its answer. With `may_upgrade` a WebSocket handshake is one.
    ///
    /// # Errors
    /// [`Fault::Upstream`] where no server gives one; what stopped the request otherwise.
    pub(crate) async fn forward(
        self: &Arc<Self>,
        request: Request<Body>,
        cx: &RequestCx,
        deadlines: Deadlines,
        may_upgrade: bool,
        edits: &Edits,
    ) -> Result<Response<Body>, Fault> {
        let call = cx.call();
        call.set_deadlines(deadlines.head, deadlines.body.or(self.config().timeout.total));
        let Some(in_flight) = self.enter() else {
            return Err(self.refuse(
                UpstreamFault::Busy,
                "as many requests as its limits allow are under way",
            ));
        };
        self.budget.deposit();
        let (mut head, body) = request.into_parts();
        let hop = Hop {
            peer: cx.peer().forwarded(),
            provenance: cx.provenance(),
        };
        let handshake = Handshake::of(&head, may_upgrade && body.is_end_stream())?;
        let key = self.key(&head, cx.client().address.ip().to_canonical());
        let back = headers::request(&mut head, &hop)?;
        edits.apply(&mut head.headers);
        if let Some(handshake) = &handshake {
            handshake.prepare(&mut head);
        }
        let manner = Manner {
            upgrades: handshake.is_some(),
            awaits_continue: head.headers.contains_key(header::EXPECT) && !body.is_end_stream(),
            has_body: !body.is_end_stream(),
            goes_once: !self.may_repeat(&head, &body),
        };
        let sending = Sending {
            upstream: self,
            call,
            manner,
            key,
        };
        match sending.send(head, body).await? {
            Answer::Response { response, load, time } => {
                let server = load.server();
                if let Some(handshake) = &handshake {
                    handshake.check_refusal(response.status(), server)?;
                }
                server.metrics.answered(response.status().as_u16(), time);
                cx.served_by(Arc::clone(&server.name));
                let (mut head, body) = response.into_parts();
                headers::response(&mut head, &back);
                // The version is each hop's own (RFC 9110 §2.5): as 1.0 the answer could only end with the connection,
                // and nobody could tell whether it is whole.
                head.version = Version::HTTP_11;
                let body = if body.is_end_stream() {
                    Body::empty()
                } else {
                    Body::stream(Streaming::new(body, cx.clone(), load, in_flight))
                };
                Ok(Response::from_parts(head, body))
            }
            Answer::Upgraded { response, tunnel, load } => {
                let handshake = handshake.ok_or_else(|| Fault::Internal("an upgrade nobody asked for".to_owned()))?;
                cx.served_by(Arc::clone(&load.server().name));
                let (mut head, body) = handshake.answer(response, load.server())?.into_parts();
                hop::strip(&mut head.headers, |_| false);
                headers::response(&mut head, &back);
                handshake.finish(&mut head.headers);
                let answer = Response::from_parts(head, body);
                cx.upgrade(tunnel::after(tunnel, load, in_flight, cx.clone()));
                // From here on its idle time bounds it.
                call.set_deadlines(None, None);
                Ok(answer)
            }
        }
    }

    /// A body that may have been read cannot be sent again, but a request without one can be made anew.
    fn may_repeat(&self, head: &request::Parts, body: &Body) -> bool {
        body.is_end_stream() && retry::is_idempotent(&head.method) && self.budget.allows(1)
    }

    fn refuse(&self, kind: UpstreamFault, why: &str) -> Fault {
        self.metrics.refused(kind);
        Fault::Upstream {
            kind,
            why: format!("upstream {}: {why}", self.name()),
        }
    }

    fn key(&self, head: &request::Parts, client: IpAddr) -> Key {
        match &self.config().hash {
            None => Key::new(),
            Some(HashKey::Header(name)) => head
                .headers
                .get(name)
                .map_or_else(Key::new, |value| Key::from_slice(value.as_bytes())),
            Some(HashKey::Cookie(name)) => cookie(&head.headers, name).map_or_else(Key::new, Key::from_slice),
            Some(HashKey::Path) => Key::from_slice(head.uri.path().as_bytes()),
            Some(HashKey::Address) => match client {
                IpAddr::V4(address) => Key::from_slice(&address.octets()),
                IpAddr::V6(address) => Key::from_slice(&address.octets()),
            },
        }
    }
}

/// What a server gave.
enum Answer {
    Response {
        response: Response<ResponseBody>,
        load: Load,
        /// From when it was sent to the head of the response.
        time: Duration,
    },
    Upgraded {
        response: Response<()>,
        tunnel: Tunnel,
        load: Load,
    },
}

/// A request on its way, from server to server.
struct Sending<'u> {
    upstream: &'u Arc<Upstream>,
    call: &'u Call,
    manner: Manner,
    key: Key,
}

impl Sending<'_> {
    async fn send(&self, head: request::Parts, body: Body) -> Result<Answer, Fault> {
        let upstream = self.upstream;
        let spare = (!self.manner.goes_once).then(|| head.clone());
        let mut slot = Some(Request::from_parts(head, body));
        let mut tried: SmallVec<[Arc<Server>; 2]> = SmallVec::new();
        if !upstream.balancer.is_known() {
            let known = pin!(upstream.balancer.known(upstream.timeouts.connect));
            self.unless_stopped(known).await?;
        }
        loop {
            let Some(server) = upstream.balancer.pick(&self.key, &tried) else {
                return Err(upstream.refuse(UpstreamFault::Unavailable, "no server is healthy"));
            };
            let (load, sent_at) = (server.take(), Instant::now());
            let error = match self.attempt(&server, &mut slot).await? {
                Attempt::Response(response) => {
                    server.ejection.succeeded();
                    let time = sent_at.elapsed();
                    return Ok(Answer::Response { response, load, time });
                }
                Attempt::Upgraded(response, tunnel) => {
                    server.ejection.succeeded();
                    return Ok(Answer::Upgraded { response, tunnel, load });
                }
                Attempt::Unsent(error) => error,
                Attempt::Failed(error) => {
                    let again = spare.as_ref().filter(|_| retry::may_help(&error));
                    slot = again.map(|head| Request::from_parts(head.clone(), Body::empty()));
                    error
                }
            };
            let fault = upstream.failed(&server, &error, self.call);
            tried.push(server);
            if slot.is_none() || !self.may_retry(tried.len(), &error) {
                return Err(fault);
            }
            tracing::debug!("sent again after {fault}");
        }
    }

    async fn attempt(&self, server: &Server, slot: &mut Option<Request<Body>>) -> Result<Attempt, Fault> {
        let timeouts = &self.upstream.timeouts;
        let attempt = pin!(Transport::send(&*server.endpoint, slot, timeouts, self.manner));
        self.unless_stopped(attempt).await
    }

    /// What `future` gives, unless the request has to stop first: then it is dropped, which breaks the exchange off.
    async fn unless_stopped<F: Future>(&self, mut future: Pin<&mut F>) -> Result<F::Output, Fault> {
        poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            self.call.register(cx.waker());
            self.call
                .cause()
                .map_or(Poll::Pending, |cause| Poll::Ready(Err(cause.fault())))
        })
        .await
    }

    fn may_retry(&self, sent: usize, error: &SendError) -> bool {
        let budget = &self.upstream.budget;
        let sent = u32::try_from(sent).unwrap_or(u32::MAX);
        if matches!(error, SendError::LimitReached | SendError::RequestBody(_)) || !budget.allows(sent) {
            return false;
        }
        let may = budget.spend();
        if may {
            self.upstream.metrics.retried();
        } else {
            self.upstream.metrics.retry_refused();
        }
        may
    }
}
