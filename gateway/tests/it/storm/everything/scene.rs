//! What stands in the storm: the good routes, and every bad guest in each isolation mode it can have.

use crate::support::Gateway;
use crate::support::config::{Component, entry};
use std::net::SocketAddr;
use toml::Table;

/// Every connection's own limits: short, so that what a storm leaves hanging is met by them within it.
const LISTENER: &str = "{ body = '1MiB', header_timeout = '4s', body_idle_timeout = '4s', write_timeout = '4s' }";
/// The most that a body may have, as above.
pub(super) const BODY_BYTES: usize = 1024 * 1024;
/// Instances are retired often, and soon when nobody needs them.
const REUSE: &str = "{ requests = 16, idle = '2s' }";
/// Two of them can take more than the pool of 1000, and keep it until the other one wants it.
pub(super) const CROWD: usize = 600;
const CROWD_REUSE: &str = "{ requests = 1000, idle = '4s' }";

const P2: &[&str] = &["fresh", "reuse"];
const P3: &[&str] = &["fresh", "reuse", "concurrent"];

/// A target, and the outcomes one of which it must have.
type Target = (&'static str, &'static [&'static str]);

/// A guest that is to do no harm.
struct Bad {
    guest: &'static str,
    modes: &'static [&'static str],
    limits: &'static [(&'static str, &'static str)],
    /// What else becomes of requests that share an instance with the worst of them.
    neighbours: &'static [&'static str],
    targets: &'static [Target],
}

const BROKEN: &[&str] = &["200 cut", "502 guest-error"];
const GOOD: &[&str] = &["200"];
const TRAP: &[&str] = &["502 trap"];

const BAD: &[Bad] = &[
    Bad {
        guest: "spin-forever",
        modes: P2,
        limits: &[("cpu", "200ms"), ("deadline", "3s"), ("body_deadline", "4s")],
        neighbours: &[],
        targets: &[
            ("/", &["504 cpu", "504 deadline"]),
            ("/after-head", &["200 cut", "504 cpu", "504 deadline"]),
        ],
    },
    Bad {
        guest: "sleep-forever",
        modes: P2,
        limits: &[("deadline", "1s")],
        neighbours: &[],
        targets: &[("/", &["504 deadline"])],
    },
    Bad {
        guest: "silent-stream",
        modes: P2,
        limits: &[("body_deadline", "1s")],
        neighbours: &[],
        targets: &[("/", &["200 cut", "504 body-deadline"])],
    },
    Bad {
        guest: "allocate-forever",
        modes: P2,
        limits: &[("memory", "16MiB"), ("cpu", "0s")],
        neighbours: &[],
        targets: &[("/", &["502 memory"])],
    },
    Bad {
        guest: "handle-hoarder",
        modes: P2,
        limits: &[],
        neighbours: &[],
        targets: &[("/", TRAP)],
    },
    Bad {
        guest: "leak-handles",
        modes: P2,
        limits: &[],
        neighbours: &[],
        targets: &[("/?n=100", GOOD), ("/?what=request", GOOD)],
    },
    Bad {
        guest: "trap",
        modes: P2,
        limits: &[],
        neighbours: &[],
        targets: &[
            ("/", TRAP),
            ("/panic", TRAP),
            ("/exit", TRAP),
            ("/return", &["502 no-response"]),
        ],
    },
    Bad {
        guest: "trap-after-head",
        modes: P2,
        limits: &[],
        neighbours: &[],
        targets: &[("/", &["200 cut", "502 trap"])],
    },
    Bad {
        guest: "remember-p3",
        modes: P3,
        limits: &[("cpu", "300ms"), ("deadline", "4s")],
        neighbours: &["502 trap", "504 deadline"],
        targets: &[
            ("/spin?ms=0", &["504 cpu", "504 deadline"]),
            ("/trap", TRAP),
            ("/hang", &["504 deadline"]),
            // To write to all of it may take longer than it may compute.
            ("/grow?mib=40", &["200", "507 no", "504 cpu"]),
            ("/?ms=20", GOOD),
        ],
    },
    Bad {
        guest: "post-return-work",
        modes: P3,
        limits: &[("body_deadline", "5s")],
        neighbours: &["200 cut", "502 trap"],
        targets: &[
            ("/?ms=50", GOOD),
            ("/?spin=20", GOOD),
            ("/?trap=1", &["200", "200 cut", "502 trap"]),
        ],
    },
    Bad {
        guest: "post-return-work-p2",
        modes: P2,
        limits: &[("body_deadline", "5s")],
        neighbours: &[],
        targets: &[
            ("/?ms=50", GOOD),
            ("/?spin=20", GOOD),
            ("/?trap=1", &["200", "200 cut", "502 trap"]),
        ],
    },
    Bad {
        guest: "slow-stream",
        modes: P2,
        limits: &[],
        neighbours: &[],
        targets: &[("/?chunks=5&ms=20&bytes=100", GOOD)],
    },
    Bad {
        guest: "many-small-writes",
        modes: P2,
        limits: &[],
        neighbours: &[],
        targets: &[("/?writes=2000", GOOD)],
    },
    Bad {
        guest: "big-response",
        modes: P2,
        limits: &[],
        neighbours: &[],
        targets: &[("/?bytes=300000", GOOD)],
    },
    Bad {
        guest: "echo-stream",
        modes: P2,
        limits: &[],
        neighbours: &[],
        targets: &[],
    },
    Bad {
        guest: "echo-stream-p3",
        modes: P3,
        limits: &[],
        neighbours: &[],
        targets: &[],
    },
    Bad {
        guest: "outbound-proxy",
        modes: P2,
        limits: &[],
        neighbours: &[],
        targets: FETCHES,
    },
    Bad {
        guest: "outbound-proxy-p3",
        modes: P3,
        limits: &[],
        // One whose client has left and that computes on is stopped with all of its instance.
        neighbours: &[],
        targets: FETCHES,
    },
];

/// What the origin does is in its path.
const FETCHES: &[Target] = &[
    ("/?url=http://{origin}/ok", GOOD),
    ("/?url=http://{origin}/trickle", GOOD),
    ("/?first=300&url=http://{origin}/stall", &["502 HTTP-response-timeout"]),
    // Where the break is known before the head is out, that is an error of its own.
    ("/?between=300&url=http://{origin}/stall-body", BROKEN),
    ("/?url=http://{origin}/cut", BROKEN),
    (
        "/?url=http://{origin}/reset",
        &["502 connection-terminated", "502 HTTP-response-incomplete"],
    ),
    ("/?url=http://127.0.0.1:1/denied", &["502 HTTP-request-denied"]),
];

/// One request whose outcome is known.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) guest: &'static str,
    pub(super) mode: &'static str,
    pub(super) component: String,
    pub(super) target: String,
    pub(super) expected: Vec<&'static str>,
}

/// Every request of the bad guests, in each of their modes.
pub(super) fn cases(origin: SocketAddr) -> Vec<Case> {
    let mut cases = Vec::new();
    for bad in BAD {
        for mode in bad.modes {
            for (target, expected) in bad.targets {
                let mut expected = expected.to_vec();
                if *mode == "concurrent" {
                    expected.extend(bad.neighbours);
                }
                cases.push(Case {
                    guest: bad.guest,
                    mode,
                    component: format!("{}-{mode}", bad.guest),
                    target: target.replace("{origin}", &origin.to_string()),
                    expected,
                });
            }
        }
    }
    cases
}

/// The names of a guest's components.
pub(super) fn modes_of(guest: &str) -> Vec<String> {
    let bad = BAD.iter().filter(|bad| bad.guest == guest);
    bad.flat_map(|bad| bad.modes.iter().map(|mode| format!("{}-{mode}", bad.guest)))
        .collect()
}

fn with_mode(component: Component, mode: &str) -> Component {
    if mode == "fresh" {
        return component;
    }
    component.isolation(mode).reuse(REUSE)
}

/// Limits that nothing reaches only because the machine is busy.
fn patient(component: Component) -> Component {
    component
        .limit("deadline", "10s")
        .limit("queue_time", "10s")
        .limit("cpu", "8s")
}

/// The gateway, with everything in it.
pub(super) fn gateway(origin: SocketAddr) -> Gateway {
    let mut builder = Gateway::with()
        .listener_limits(LISTENER)
        .route("{ name = 'respond', host = 'respond.test', respond = { status = 200, body = 'pong' } }")
        .component_with("hello", |component| patient(component).named("hello-fresh"))
        .component_with("hello", |component| {
            with_mode(patient(component).named("hello-reuse"), "reuse")
        })
        .component_with("hello-p3", |component| {
            with_mode(patient(component).named("hello-shared"), "concurrent")
        })
        .component_with("echo-stream", |component| patient(component).named("good-echo"))
        .component_with("sleep-forever", |component| {
            component
                .named("few")
                .limit("concurrency", 4)
                .limit("queue", 4)
                .limit("queue_time", "300ms")
                .limit("deadline", "1s")
        });
    for name in ["crowd-a", "crowd-b"] {
        builder = builder.component_with("remember-p3", |component| {
            let component = patient(component).named(name).limit("concurrency", CROWD as i64);
            component.isolation("reuse").reuse(CROWD_REUSE)
        });
    }
    for bad in BAD {
        for mode in bad.modes {
            builder = builder.component_with(bad.guest, |component| {
                let mut component = with_mode(patient(component).named(&format!("{}-{mode}", bad.guest)), mode);
                for (key, value) in bad.limits {
                    component = component.limit(key, *value);
                }
                if bad.guest.starts_with("outbound-proxy") {
                    let grants = format!("{{ http = ['http://{origin}'] }}");
                    component = component.set("grants", crate::support::config::inline(&grants));
                }
                component
            });
        }
    }
    builder.start()
}

/// Components that a reload replaces: good ones, bad ones, and one with connections of its own.
const REPLACED: [&str; 6] = [
    "hello-reuse",
    "hello-shared",
    "remember-p3-concurrent",
    "spin-forever-reuse",
    "outbound-proxy-p3-reuse",
    "post-return-work-reuse",
];

/// The configuration in which some components are others than in the one before.
pub(super) fn replaced(config: &mut Table, number: usize) {
    let keep = number % 2;
    for name in REPLACED.iter().skip(keep).step_by(2) {
        let component = entry(entry(config, "component"), name);
        entry(component, "env").insert("VERSION".to_owned(), number.to_string().into());
    }
}
