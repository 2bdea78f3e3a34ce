//! How a client learns what became of its request, whatever the server spoke and did.

use super::{HOST, SHORT_TIME, get, in_time, is_own};
use crate::support::client::Broken;
use crate::support::{Client, End, Gateway};
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// With this status.
    Status(u16),
    /// The answer breaks off behind this much of its body.
    Cut(&'static str),
    /// It is whole, and this is its body.
    Whole(&'static str),
}

/// One way to fail, or to come close to it.
pub(super) struct Fault<S> {
    pub(super) target: &'static str,
    told: Told,
    /// What the access log calls it, and the answer where there is one.
    pub(super) code: &'static str,
    /// Whether a time has to pass before it is known.
    pub(super) is_slow: bool,
    /// What the server does when it has the request.
    pub(super) script: S,
}

/// One that is known at once.
pub(super) const fn at_once<S: Copy>(target: &'static str, told: Told, code: &'static str, script: S) -> Fault<S> {
    Fault {
        target,
        told,
        code,
        is_slow: false,
        script,
    }
}

/// One that is known when a time is over.
pub(super) const fn slowly<S: Copy>(target: &'static str, told: Told, code: &'static str, script: S) -> Fault<S> {
    Fault {
        target,
        told,
        code,
        is_slow: true,
        script,
    }
}

impl<S> Fault<S> {
    fn least(&self) -> Duration {
        if self.is_slow { SHORT_TIME } else { Duration::ZERO }
    }

    /// Asks by HTTP/1.1, and then for something else. What is wrong, if something is.
    pub(super) fn over_http1(&self, gateway: &Gateway) -> Option<String> {
        let mut raw = gateway.connect();
        raw.write(get(self.target));
        let answer = in_time(self.target, self.least(), || raw.try_response());
        let is_right = answer.as_ref().is_some_and(|answer| match self.told {
            Told::Status(status) => {
                let code = answer.field("tidegate-error");
                (answer.status, code, answer.end) == (status, Some(self.code), End::Complete)
            }
            Told::Cut(body) => (answer.status, answer.text().as_str(), answer.end) == (200, body, End::Cut),
            Told::Whole(body) => (answer.status, answer.text().as_str(), answer.end) == (200, body, End::Complete),
        });
        if answer.as_ref().is_none_or(|answer| answer.end != End::Complete) {
            raw.is_closed();
            raw = gateway.connect();
        }
        is_own(&mut raw, "/next");
        self.is_logged(gateway, "HTTP/1.1");
        (!is_right).then(|| format!("{}: {answer:?}", self.target))
    }

    /// The same by HTTP/2. The other streams of the connection have nothing to do with it.
    pub(super) fn over_http2(&self, gateway: &Gateway, client: &mut Client) -> Option<String> {
        let head = client.request("GET", HOST, self.target);
        let (mut upload, response) = client.begin(head);
        upload.finish(None);
        let came: Result<_, Broken> = in_time(self.target, self.least(), || {
            let (head, mut download) = response()?;
            let mut body = Vec::new();
            let broken = loop {
                match download.data() {
                    Ok(Some(data)) => body.extend_from_slice(&data),
                    Ok(None) => break None,
                    Err(broken) => break Some(broken),
                }
            };
            Ok((head, body, broken))
        });
        let is_right = came.as_ref().is_ok_and(|(head, body, broken)| {
            let reset = broken.as_ref().map(|broken| broken.reset);
            match self.told {
                Told::Status(status) => {
                    let code = head.headers.get("tidegate-error").map(|code| code.as_bytes());
                    (head.status.as_u16(), code, reset) == (status, Some(self.code.as_bytes()), None)
                }
                Told::Cut(expected) => {
                    (body.as_slice(), reset) == (expected.as_bytes(), Some(Some(h2::Reason::INTERNAL_ERROR)))
                }
                Told::Whole(expected) => (body.as_slice(), reset) == (expected.as_bytes(), None),
            }
        });
        assert_eq!(client.get(HOST, "/next").text(), "GET /next", "after {}", self.target);
        self.is_logged(gateway, "HTTP/2");
        (!is_right).then(|| format!("{}: {came:?}", self.target))
    }

    /// The line of the access log about it has this outcome.
    #[track_caller]
    fn is_logged(&self, gateway: &Gateway, protocol: &str) {
        let is_it = |line: &serde_json::Value| line["path"] == self.target && line["version"] == protocol;
        let line = gateway.wait_access(self.target, is_it);
        assert_eq!(
            (&line["outcome"], &line["route"]),
            (&self.code.into(), &"api".into()),
            "{line}"
        );
    }
}

/// Asserts that nothing is.
#[track_caller]
pub(super) fn nothing_is_wrong(wrong: &[String], cases: usize) {
    assert!(wrong.is_empty(), "{} of {cases}:\n{}", wrong.len(), wrong.join("\n"));
}
