//! What a server of HTTP/2 has to do and to refuse (RFC 9113, 7541, 8441), on every kind of route.
//!
//! The cases are those that h2spec is known for, and more, written from the RFCs. Each is a short conversation on a
//! connection of its own. An id is the section of its RFC, and a number of ours behind the last slash.

mod connection;
mod control;
mod expect;
mod fields;
mod flow;
mod frames;
mod framing;
mod hpack;
mod messages;
mod origin;
mod settings;
mod states;
mod streams;

use crate::support::certs::{Authority, greet};
use crate::support::frames::{Done, Frames};
use crate::support::gateway::Builder;
use crate::support::{Gateway, Protocol, Raw};
use expect::Expect;
use origin::Origin;
use rustls::ClientConfig;
use std::sync::Arc;

/// One demand of the RFCs.
struct Case {
    id: &'static str,
    /// What the client does, and what has to come of it.
    what: &'static str,
    /// The client's part, on the route of this authority.
    run: fn(&mut Frames, &str) -> Done,
    expect: Expect,
}

/// Paths of every route. What is sent to ECHO comes back: content-type, body and trailers.
const ECHO: &str = "/echo";
/// Answers with a few bytes.
const TEXT: &str = "/text";
/// Answers with a head and a few bytes, and then neither ends nor sends more.
const HELD: &str = "/held";
/// Answers with [`MANY_BYTES`] in as many pieces.
const MANY: &str = "/many";
const MANY_BYTES: usize = 10_000;
/// Answers with the fields it got.
const FIELDS: &str = "/";

/// The authorities of the routes: one for each kind of target.
const ROUTES: [&str; 3] = ["component.test", "http1.test", "h2.test"];
/// An authority of the gateway's own answers, which have status 204.
const NOBODY: &str = "nobody.test";

/// Cases that no route passes, and why. They are run all the same: one that passes has to leave this list.
const KNOWN: [(&str, &str); 3] = [
    (
        "8.1/8",
        "h2 leaves pseudo-header fields out of trailers, and says nothing of them",
    ),
    (
        "8.1/9",
        "h2 leaves pseudo-header fields out of trailers, and says nothing of them",
    ),
    (
        "8.3.1/12",
        "http::uri::PathAndQuery leaves the fragment out, and says nothing of it",
    ),
];

/// How a case's conversation begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Start {
    /// With nothing.
    Bare,
    /// With both prefaces exchanged.
    Greeted,
}

/// The gateway of a section, what is behind it, and how it is reached.
struct Site {
    gateway: Gateway,
    origins: [Origin; 2],
    tls: Option<Arc<ClientConfig>>,
}

fn builder(origins: &[Origin; 2]) -> Builder {
    let parts = [
        ("echo-stream", ECHO),
        ("hello", TEXT),
        ("silent-stream", HELD),
        ("many-small-writes", MANY),
        ("demo", FIELDS),
    ];
    // None of these conversations is about a time of the gateway's.
    let mut builder = Gateway::with()
        .listener_limits("{ header_timeout = '10m', idle_timeout = '10m' }")
        .route(&format!("{{ host = '{NOBODY}', respond = {{ status = 204 }} }}"));
    for (name, path) in parts {
        builder = builder
            .component_with(name, |component| component.without_route().limit("deadline", "10m"))
            .route(&format!(
                "{{ host = 'component.test', path = '{path}', component = '{name}' }}"
            ));
    }
    for (origin, name) in origins.iter().zip(["http1", "h2"]) {
        let upstream = format!("{{ servers = ['{}'], protocol = '{name}' }}", origin.address);
        builder = builder.upstream(name, &upstream).route(&format!(
            "{{ host = '{name}.test', upstream = '{name}', websocket = false }}"
        ));
    }
    builder
}

impl Site {
    fn start(tls: Option<Arc<ClientConfig>>, change: impl FnOnce(Builder) -> Builder) -> Self {
        let origins = [Protocol::H1, Protocol::H2].map(Origin::start);
        Self {
            gateway: change(builder(&origins)).start(),
            origins,
            tls,
        }
    }

    /// Cleartext, and HTTP/2 by prior knowledge.
    fn clear() -> Self {
        Self::start(None, |builder| builder)
    }

    /// TLS, and HTTP/2 by ALPN.
    fn tls() -> Self {
        let authority = Authority::new();
        Self::start(Some(authority.client(&["h2"], None)), |builder| {
            let pair = authority.sign(&["component.test"]).write(builder.folder(), "site");
            builder.tls(&[pair])
        })
    }

    fn connect(&self) -> Raw {
        let Some(config) = &self.tls else {
            return self.gateway.connect();
        };
        let greeted = greet(self.gateway.address(), "component.test", config).expect("a TLS handshake");
        assert_eq!(greeted.alpn.as_deref(), Some("h2"));
        greeted.raw
    }

    /// Has every case's conversation on every route, and fails with all that went wrong.
    #[track_caller]
    fn hold(&self, start: Start, cases: &[Case]) {
        let mut wrong = Vec::new();
        for case in cases {
            for route in ROUTES {
                let known = KNOWN.iter().find(|(id, _)| *id == case.id);
                let why = match (self.converse(start, case, route), known) {
                    (Ok(()), None) | (Err(_), Some(_)) => continue,
                    (Err(why), None) => why,
                    (Ok(()), Some((_, why))) => format!("it went well, and is known not to: {why}"),
                };
                wrong.push(format!("{} on {route}: {}\n    {why}", case.id, case.what));
            }
        }
        if let Err(why) = self.is_well() {
            wrong.push(format!("behind all of them: {why}"));
        }
        let count = cases.len() * ROUTES.len();
        assert!(wrong.is_empty(), "of {count} conversations:\n{}", wrong.join("\n"));
    }

    fn converse(&self, start: Start, case: &Case, route: &str) -> Done {
        let mut frames = Frames::over(self.connect());
        let said = match start {
            Start::Bare => Ok(()),
            Start::Greeted => frames.greet(&[]),
        };
        let said = said.and_then(|()| (case.run)(&mut frames, route));
        let result = said.and_then(|()| case.expect.is_met(&mut frames));
        result.map_err(|why| {
            let seen: Vec<String> = frames.seen.iter().map(ToString::to_string).collect();
            format!("{why}; the gateway sent: {}", seen.join(", "))
        })
    }

    /// None of the conversations reached a handler: they were all about ECHO.
    #[track_caller]
    fn was_not_asked(&self) {
        let labels = [("component", "echo-stream")];
        let calls = self.gateway.metric("tidegate_component_calls_total", &labels);
        let echoed = self.origins.each_ref().map(Origin::echoed);
        assert_eq!((calls, echoed), (0.0, [0; 2]), "a handler was asked what is malformed");
    }

    /// All routes answer, nothing of the conversations is left, and no server is blamed for what a client did.
    fn is_well(&self) -> Done {
        for route in ROUTES {
            let mut frames = Frames::over(self.connect());
            frames.greet(&[])?;
            frames.get(1, route, TEXT)?;
            frames.answered(1, "200").map_err(|why| format!("{route}: {why}"))?;
        }
        for name in ["requests_in_flight", "component_instances", "connections_open"] {
            self.gateway.wait_metric(&format!("tidegate_{name}"), &[], 0.0);
        }
        let metrics = self.gateway.admin("GET", "/metrics", &[]).text();
        let is_blame = |line: &&str| line.starts_with("tidegate_upstream_failures_total{") && !line.ends_with(" 0");
        let blames: Vec<&str> = metrics.lines().filter(is_blame).collect();
        if blames.is_empty() {
            Ok(())
        } else {
            Err(format!("on a server's record: {}", blames.join(", ")))
        }
    }
}
