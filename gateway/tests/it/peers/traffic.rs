//! Clients that ask without a pause, GET and POST in turn, and account for every request.

use crate::support::{Gateway, Raw, wait};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Instant;

/// One request and what came of it.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) method: &'static str,
    /// When it was sent.
    pub(super) asked: Instant,
    /// Of this request alone.
    pub(super) target: String,
    /// `None` where the connection ended without an answer.
    pub(super) status: Option<u16>,
    /// The gateway's own word for a fault.
    pub(super) code: Option<String>,
    pub(super) body: String,
}

impl Outcome {
    pub(super) fn is_well(&self) -> bool {
        self.status == Some(200)
    }
}

/// Clients under way.
pub(super) struct Traffic {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    is_over: AtomicBool,
    answered: AtomicUsize,
    outcomes: Mutex<Vec<Outcome>>,
}

impl Traffic {
    /// Each client has a connection to the gateway of its own.
    pub(super) fn start(gateway: &Gateway, clients: usize, methods: &'static [&'static str]) -> Self {
        let shared = Arc::<Shared>::default();
        let address = gateway.address();
        let client = |number: usize| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let mut raw = Raw::connect(address);
                for request in 0.. {
                    if shared.is_over.load(Ordering::SeqCst) {
                        return;
                    }
                    let method = methods[(number + request) % methods.len()];
                    let outcome = ask(&mut raw, method, format!("/r/{number}-{request}"));
                    if outcome.status.is_none() {
                        raw = Raw::connect(address);
                    }
                    shared.outcomes.lock().unwrap().push(outcome);
                    shared.answered.fetch_add(1, Ordering::SeqCst);
                }
            })
        };
        let clients = (0..clients).map(client).collect();
        Self { shared, clients }
    }

    /// Waits for so many further answers.
    #[track_caller]
    pub(super) fn go_on(&self, answers: usize) {
        let until = self.shared.answered.load(Ordering::SeqCst) + answers;
        wait::until_true("the traffic to go on", || {
            self.shared.answered.load(Ordering::SeqCst) >= until
        });
    }

    /// Everything, when the last answer is there.
    pub(super) fn stop(self) -> Vec<Outcome> {
        self.shared.is_over.store(true, Ordering::SeqCst);
        for client in self.clients {
            client.join().expect("a client ends");
        }
        std::mem::take(&mut self.shared.outcomes.lock().unwrap())
    }
}

fn ask(raw: &mut Raw, method: &'static str, target: String) -> Outcome {
    let body = if method == "POST" { "some of it" } else { "" };
    let length = if method == "POST" {
        format!("content-length: {}\r\n", body.len())
    } else {
        String::new()
    };
    let asked = Instant::now();
    raw.write(format!(
        "{method} {target} HTTP/1.1\r\nhost: traffic.test\r\n{length}\r\n{body}"
    ));
    let answer = raw.try_response();
    Outcome {
        method,
        asked,
        target,
        status: answer.as_ref().map(|answer| answer.status),
        code: answer
            .as_ref()
            .and_then(|answer| answer.field("tidegate-error").map(str::to_owned)),
        body: answer.map(|answer| answer.text()).unwrap_or_default(),
    }
}
