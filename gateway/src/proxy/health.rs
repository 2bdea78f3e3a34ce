//! Active health: asking each server how it is, on a connection of its own.
//!
//! pingora counts what comes of it, and says when a server has changed. Its own checks are not used: their connections
//! are pingora's, which verify no certificate where a server has no name. It tells changes to the `log` crate as well,
//! where nobody listens.

use super::balance::Member;
use crate::config::{HealthConfig, HealthProbe, Name, UpstreamConfig};
use crate::http::Body;
use crate::limits;
use crate::outbound::{Attempt, Manner, ResponseBody, SendError, Timeouts};
use futures_util::future::BoxFuture;
use http::header::{ACCEPT, HOST, HeaderValue, USER_AGENT};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use pingora::lb::Backend;
use pingora::lb::health_check::HealthCheck;
use pingora::{Error, ErrorType, Result};
use std::time::Duration;
use tokio::sync::Semaphore;

/// The health checks of one upstream.
#[derive(Debug)]
pub(super) struct Checks {
    upstream: Name,
    config: HealthConfig,
    /// Checks that may be under way at once.
    at_once: Semaphore,
}

/// Why a check has failed.
#[derive(Debug, thiserror::Error)]
enum Unhealthy {
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error("{0}")]
    Send(#[from] SendError),
    #[error("it answered {0}")]
    Status(StatusCode),
    #[error("its answer is cut off")]
    Body,
    #[error("it wants another protocol")]
    Upgrade,
    #[error("the path or host of the check cannot be sent")]
    Request,
}

impl Checks {
    /// `None` where the configuration wants none.
    pub(super) fn new(config: &UpstreamConfig) -> Option<Self> {
        Some(Self {
            upstream: config.name.clone(),
            config: config.health.clone()?,
            at_once: Semaphore::new(limits::UPSTREAM_PROBES_COUNT),
        })
    }

    /// One check, with all its time.
    async fn ask(&self, member: &Member) -> Result<(), Unhealthy> {
        // Waiting for a place is no server's fault, and not of its time.
        let _place = self.at_once.acquire().await;
        let time = self.config.timeout;
        // What is left over from the check before would say that the server was well then.
        member.probe.close_idle(Duration::ZERO);
        // The parts of a check have no time of their own: what they would end is ended before.
        let patience = time.saturating_mul(2);
        let answer = async {
            match &self.config.check {
                HealthProbe::Tcp => Ok(member.probe.reach(patience).await?),
                HealthProbe::Http { path, host } => get(member, path, host.as_ref(), patience).await,
            }
        };
        let outcome = tokio::time::timeout(time, answer).await;
        member.probe.close_idle(Duration::ZERO);
        outcome.unwrap_or(Err(Unhealthy::Timeout(time)))
    }
}

async fn get(member: &Member, path: &str, host: Option<&HeaderValue>, patience: Duration) -> Result<(), Unhealthy> {
    let mut request = Request::get(path)
        .header(USER_AGENT, concat!("tidegate/", env!("CARGO_PKG_VERSION")))
        .header(ACCEPT, "*/*");
    if let Some(host) = host {
        request = request.header(HOST, host);
    }
    let request = request.body(Body::empty()).map_err(|_| Unhealthy::Request)?;
    let timeouts = Timeouts {
        connect: patience,
        first_byte: patience,
        between_bytes: patience,
    };
    match member
        .probe
        .send(&mut Some(request), &timeouts, Manner::default())
        .await
    {
        Attempt::Response(response) => judge(response).await,
        Attempt::Upgraded(..) => Err(Unhealthy::Upgrade),
        Attempt::Unsent(error) | Attempt::Failed(error) => Err(error.into()),
    }
}

/// The status decides, once the body was seen: to its end, or to where a check has seen enough.
async fn judge(response: Response<ResponseBody>) -> Result<(), Unhealthy> {
    let (head, mut body) = response.into_parts();
    if !(200..400).contains(&head.status.as_u16()) {
        return Err(Unhealthy::Status(head.status));
    }
    let mut left = limits::UPSTREAM_PROBE_BODY_BYTES;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Unhealthy::Body)?;
        let length = frame.data_ref().map_or(0, bytes::Bytes::len);
        let Some(rest) = left.checked_sub(length) else { break };
        left = rest;
    }
    Ok(())
}

impl HealthCheck for Checks {
    fn check<'a, 'b, 'f>(&'a self, target: &'b Backend) -> BoxFuture<'f, Result<()>>
    where
        'a: 'f,
        'b: 'f,
        Self: 'f,
    {
        Box::pin(async move {
            let Some(member) = Member::of(target) else {
                return Ok(());
            };
            self.ask(member).await.map_err(|error| {
                member.check_failed(error.to_string());
                // pingora wants to know that it failed, and nothing else.
                Error::new(ErrorType::ConnectError)
            })
        })
    }

    fn health_status_change<'a, 'b, 'f>(&'a self, target: &'b Backend, healthy: bool) -> BoxFuture<'f, ()>
    where
        'a: 'f,
        'b: 'f,
        Self: 'f,
    {
        if let Some(member) = Member::of(target) {
            member.set_healthy(healthy);
            let (upstream, server, address) = (&self.upstream, &member.server.name, member.address());
            if healthy {
                tracing::info!(%upstream, %server, %address, "the server is healthy again");
            } else {
                let reason = member.reason();
                tracing::warn!(%upstream, %server, %address, reason, "the server is not healthy and gets no requests");
            }
        }
        Box::pin(std::future::ready(()))
    }

    fn backend_summary(&self, target: &Backend) -> String {
        format!("{} of upstream {}", target.addr, self.upstream)
    }

    fn health_threshold(&self, success: bool) -> usize {
        let count = if success {
            self.config.healthy_after
        } else {
            self.config.unhealthy_after
        };
        usize::try_from(count).unwrap_or(usize::MAX)
    }
}
