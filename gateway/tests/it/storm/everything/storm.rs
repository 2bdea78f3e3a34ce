//! What a storm is made of: the attackers, each a loop in a thread of its own, and the account of what they met.

use super::scene::{self, BODY_BYTES, CROWD, Case};
use super::{echo, pause};
use crate::support::streams::Streams;
use crate::support::{End, Gateway, Raw, Response};
use h2::Reason;
use socket2::{Domain, SockRef, Socket, Type};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Scope;
use std::time::{Duration, Instant};

/// Threads that ask bad guests one request after the other.
const CALLERS: usize = 8;
/// Beyond what the listener lets a head, a body or a writer take.
const BEYOND: Duration = Duration::from_millis(5500);

/// A storm under way.
pub(super) struct Storm<'a> {
    pub(super) gateway: &'a Gateway,
    pub(super) cases: &'a [Case],
    is_over: AtomicBool,
    account: Mutex<Account>,
}

/// What was tried, and what it came to.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// By attack, then by outcome.
    pub(super) outcomes: BTreeMap<String, BTreeMap<String, usize>>,
    pub(super) failures: Vec<String>,
}

impl<'a> Storm<'a> {
    pub(super) fn new(gateway: &'a Gateway, cases: &'a [Case]) -> Self {
        Self {
            gateway,
            cases,
            is_over: AtomicBool::new(false),
            account: Mutex::default(),
        }
    }

    /// Starts every attacker.
    pub(super) fn start<'s>(&'s self, scope: &'s Scope<'s, '_>) {
        for at in 0..CALLERS {
            scope.spawn(move || self.call(at * self.cases.len() / CALLERS));
        }
        let attacks: [fn(&Self, usize); 12] = [
            Self::leave,
            Self::leave,
            Self::leave,
            Self::trickle,
            Self::trickle,
            Self::stall,
            Self::stall,
            Self::sip,
            Self::only_open,
            Self::reset_streams,
            Self::send_too_much,
            Self::saturate,
        ];
        for (seat, attack) in attacks.into_iter().enumerate() {
            scope.spawn(move || self.rounds(seat, attack));
        }
        scope.spawn(|| self.rounds(0, Self::take_nothing));
        scope.spawn(|| self.rounds(0, Self::crowd));
        for protocol in echo::PROTOCOLS {
            scope.spawn(move || echo::run(self, protocol));
        }
    }

    /// Round after round of one attack; each is counted from where its seat says.
    fn rounds(&self, seat: usize, attack: fn(&Self, usize)) {
        let mut round = seat * 101;
        while !self.is_over() {
            attack(self, round);
            round += 1;
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// Lets every attacker finish what it is at.
    pub(super) fn stop(&self) {
        self.is_over.store(true, Ordering::Release);
    }

    pub(super) fn account(self) -> Account {
        self.account.into_inner().unwrap()
    }

    pub(super) fn count(&self, attack: &str, outcome: &str) {
        let mut account = self.account.lock().unwrap();
        let outcomes = account.outcomes.entry(attack.to_owned()).or_default();
        *outcomes.entry(outcome.to_owned()).or_default() += 1;
    }

    pub(super) fn fail(&self, what: String) {
        self.account.lock().unwrap().failures.push(what);
    }

    /// Counts an outcome, and holds it against those expected.
    fn judge(&self, attack: &str, what: &str, expected: &[&str], (outcome, text): (String, String)) {
        if !expected.contains(&outcome.as_str()) {
            self.fail(format!(
                "{attack}: {what}: {outcome}, not one of {expected:?}: {text:?}"
            ));
        }
        self.count(attack, &outcome);
    }

    /// One component of a guest.
    fn one_of(&self, guest: &str, round: usize) -> String {
        let modes = scene::modes_of(guest);
        modes[round % modes.len()].clone()
    }

    // ---- Bad guests ------------------------------------------------------------------------------------------

    fn call(&self, from: usize) {
        for case in self.cases.iter().cycle().skip(from) {
            if self.is_over() {
                return;
            }
            self.ask(case);
        }
    }

    /// One request of a bad guest's.
    pub(super) fn ask(&self, case: &Case) {
        let mut raw = self.gateway.connect();
        raw.write(get(&case.component, &case.target));
        let attack = format!("{} {}", case.guest, case.mode);
        let what = format!("{}{}", case.component, case.target);
        self.judge(&attack, &what, &case.expected, outcome(&mut raw));
    }

    // ---- Clients that leave ----------------------------------------------------------------------------------

    /// A client that goes away, half of them with a reset.
    fn leave(&self, round: usize) {
        let mut raw = self.gateway.connect();
        let waits = [
            "sleep-forever",
            "spin-forever",
            "remember-p3",
            "outbound-proxy",
            "outbound-proxy-p3",
        ];
        let streams = ["silent-stream", "slow-stream", "big-response", "many-small-writes"];
        let phase = match round % 5 {
            0 => "before a byte",
            1 => {
                raw.write("GET / HTTP/1.1\r\nhost: hello-fr");
                "within its head"
            }
            2 => {
                let name = self.one_of(["echo-stream", "echo-stream-p3"][round / 5 % 2], round / 10);
                raw.write(format!(
                    "POST / HTTP/1.1\r\nhost: {name}.test\r\ncontent-length: 1000\r\n\r\n0123456789"
                ));
                "within its body"
            }
            3 => {
                let guest = waits[round / 5 % waits.len()];
                let target = match guest {
                    "remember-p3" => ["/hang", "/spin?ms=0"][round / 25 % 2].to_owned(),
                    "outbound-proxy" | "outbound-proxy-p3" => self.fetch("/stall"),
                    _ => "/".to_owned(),
                };
                raw.write(get(&self.one_of(guest, round / 25), &target));
                "while it waited"
            }
            _ => {
                let guest = streams[round / 5 % streams.len()];
                let target = "/?bytes=1000&chunks=1000&ms=5&writes=1000000";
                raw.write(get(&self.one_of(guest, round / 20), target));
                if let Some(mut response) = raw.head().filter(|head| head.status == 200) {
                    next_piece(&mut raw, &mut response);
                }
                "within its answer"
            }
        };
        pause(Duration::from_millis((round % 7) as u64 * 8));
        if round.is_multiple_of(2) {
            // What cannot be set here was closed by the gateway meanwhile.
            let _ = SockRef::from(raw.tcp()).set_linger(Some(Duration::ZERO));
        }
        drop(raw);
        self.count("clients that left", phase);
    }

    /// The target that makes a proxy fetch this from the origin.
    fn fetch(&self, path: &str) -> String {
        let known = self.cases.iter().find(|case| case.target.ends_with("/stall"));
        let target = &known.expect("a case that stalls").target;
        target.replace("first=300&", "").replace("/stall", path)
    }

    // ---- Slow writers ----------------------------------------------------------------------------------------

    /// Heads and bodies that come a byte at a time, and do come.
    fn trickle(&self, round: usize) {
        let mut raw = self.gateway.connect();
        let one_by_one = |raw: &mut Raw, text: &str| {
            for byte in text.bytes() {
                raw.write([byte]);
                pause(Duration::from_millis(15));
            }
        };
        if round.is_multiple_of(2) {
            one_by_one(&mut raw, &get("hello-fresh", "/"));
            self.judge("slow writers", "a head", &["200"], outcome(&mut raw));
            return;
        }
        let body = "it takes its time, and comes";
        let name = self.one_of(["echo-stream", "echo-stream-p3"][round / 2 % 2], round / 4);
        raw.write(format!(
            "POST / HTTP/1.1\r\nhost: {name}.test\r\ncontent-length: {}\r\n\r\n",
            body.len()
        ));
        one_by_one(&mut raw, body);
        let (outcome, text) = outcome(&mut raw);
        if text != body {
            self.fail(format!("slow writers: {name} gave back {text:?}, {outcome}"));
        }
        self.judge("slow writers", &name, &["200"], (outcome, text));
    }

    /// Heads and bodies that stop in the middle.
    fn stall(&self, round: usize) {
        let mut raw = self.gateway.connect();
        if round.is_multiple_of(2) {
            raw.write("GET / HTTP/1.1\r\nhost: hello-fr");
            self.judge("stuck writers", "a head", &["408 header-timeout"], outcome(&mut raw));
            return;
        }
        let name = self.one_of(["echo-stream", "echo-stream-p3"][round / 2 % 2], round / 4);
        raw.write(format!(
            "POST / HTTP/1.1\r\nhost: {name}.test\r\ncontent-length: 1000\r\n\r\n0123456789"
        ));
        let expected = ["200 cut", "408 body-timeout"];
        self.judge("stuck writers", &name, &expected, outcome(&mut raw));
    }

    // ---- Slow readers ----------------------------------------------------------------------------------------

    /// A connection whose window is as small as the system lets it be.
    fn narrow(&self) -> Raw {
        let address = self.gateway.address();
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a socket");
        socket.set_recv_buffer_size(2048).expect("a socket option");
        socket.connect(&address.into()).expect("the gateway takes connections");
        Raw::over_tcp(socket.into())
    }

    /// A reader that takes its time with an answer, and gets all of it; every third leaves before.
    fn sip(&self, round: usize) {
        const BYTES: usize = 300_000;
        let guest = ["big-response", "many-small-writes"][round % 2];
        let target = ["/?bytes=300000", "/?bytes=100&writes=3000"][round % 2];
        let mut raw = self.narrow();
        raw.write(get(&self.one_of(guest, round / 2), target));
        let Some(mut response) = raw.head().filter(|head| head.status == 200) else {
            return self.fail(format!("slow readers: {guest} did not answer well"));
        };
        while next_piece(&mut raw, &mut response) {
            pause(Duration::from_millis(2));
            if round.is_multiple_of(3) && response.body.len() > BYTES / 4 {
                return self.count("slow readers", "left");
            }
        }
        if (response.status, response.end) != (200, End::Complete) || !is_pattern(&response.body, BYTES) {
            let got = response.body.len();
            self.fail(format!(
                "slow readers: {guest}: {} with {got} bytes, {:?}",
                response.status, response.end
            ));
        }
        self.count("slow readers", "200");
    }

    /// A reader that takes nothing at all, until it is cut.
    fn take_nothing(&self, round: usize) {
        const BYTES: usize = 60_000_000;
        let mut raws: Vec<_> = (0..4).map(|_| self.narrow()).collect();
        for (n, raw) in raws.iter_mut().enumerate() {
            raw.write(get(
                &self.one_of("big-response", round + n),
                &format!("/?bytes={BYTES}"),
            ));
            if raw.head().is_none_or(|head| head.status != 200) {
                self.fail("readers that stopped: no answer".to_owned());
            }
        }
        pause(BEYOND);
        for mut raw in raws {
            if raw.rest().len() < BYTES {
                self.count("readers that stopped", "cut");
            } else {
                self.fail("readers that stopped: got all of it".to_owned());
            }
        }
    }

    // ---- Connections -----------------------------------------------------------------------------------------

    /// Connections that say nothing: half of them until the gateway closes them.
    fn only_open(&self, round: usize) {
        let mut raws: Vec<_> = (0..20).map(|_| self.gateway.connect()).collect();
        let kept = raws.split_off(10);
        drop(raws);
        if round.is_multiple_of(2) {
            pause(Duration::from_millis(500));
            self.count_many("silent connections", "left", 20);
            return;
        }
        for mut raw in kept {
            raw.is_closed();
        }
        self.count_many("silent connections", "left", 10);
        self.count_many("silent connections", "closed", 10);
    }

    fn count_many(&self, attack: &str, outcome: &str, times: usize) {
        (0..times).for_each(|_| self.count(attack, outcome));
    }

    /// HTTP/2 streams that are reset at all times of their life; the connection serves on, or is dropped with them.
    fn reset_streams(&self, round: usize) {
        let mut streams = Streams::connect(self.gateway.address());
        let guests = ["sleep-forever", "spin-forever", "silent-stream", "slow-stream"];
        let mut asked = Vec::new();
        for (n, guest) in guests
            .into_iter()
            .chain(["remember-p3", "outbound-proxy-p3"])
            .enumerate()
        {
            let target = match guest {
                "remember-p3" => "/hang".to_owned(),
                "outbound-proxy-p3" => self.fetch("/stall-body"),
                _ => "/?chunks=1000".to_owned(),
            };
            match streams.ask("GET", &self.one_of(guest, round + n), &target) {
                Ok(stream) => asked.push(stream),
                Err(error) => return self.fail(format!("HTTP/2: {guest}: {error}")),
            }
        }
        pause(Duration::from_millis((round % 5) as u64 * 15));
        if round.is_multiple_of(3) {
            drop((asked, streams));
            return self.count_many("HTTP/2 streams", "dropped with their connection", 6);
        }
        for stream in &mut asked {
            stream.upload.send_reset(Reason::CANCEL);
        }
        self.count_many("HTTP/2 streams", "reset", asked.len());
        match streams.get("hello-fresh", "/") {
            Ok((200, body)) if body == super::HELLO => self.count("HTTP/2 streams", "200 beside them"),
            other => self.fail(format!("HTTP/2: hello beside the resets: {other:?}")),
        }
    }

    /// Bodies over the limit: with a length that says so, and chunked ones that do not.
    fn send_too_much(&self, round: usize) {
        let name = self.one_of(["echo-stream", "echo-stream-p3"][round % 2], round / 2);
        let mut raw = self.gateway.connect();
        if round % 4 < 2 {
            let length = BODY_BYTES + 1;
            raw.write(format!(
                "POST / HTTP/1.1\r\nhost: {name}.test\r\ncontent-length: {length}\r\n\r\n"
            ));
            self.judge(
                "bodies over the limit",
                &name,
                &["413 body-too-large"],
                outcome(&mut raw),
            );
        } else {
            raw.write(format!(
                "POST / HTTP/1.1\r\nhost: {name}.test\r\ntransfer-encoding: chunked\r\n\r\n"
            ));
            let mut writer = Raw::over_tcp(raw.tcp().try_clone().expect("a socket can be cloned"));
            let chunk = [&b"10000\r\n"[..], &[b'x'; 0x1_0000], b"\r\n"].concat();
            let (outcome, text) = std::thread::scope(|scope| {
                // Ends with the connection at the latest.
                scope.spawn(move || (0..=BODY_BYTES / 0x1_0000 + 1).all(|_| writer.try_write(&chunk).is_ok()));
                outcome(&mut raw)
            });
            let expected = ["200 cut", "413 body-too-large", "closed"];
            self.judge(
                "bodies over the limit",
                &name,
                &expected,
                (outcome, text.len().to_string()),
            );
        }
        pause(Duration::from_millis(100));
    }

    // ---- Places ----------------------------------------------------------------------------------------------

    /// Three times as many calls as a component may have at work and waiting.
    fn saturate(&self, _round: usize) {
        let ask = |_| {
            let mut raw = self.gateway.connect();
            raw.write(get("few", "/"));
            raw
        };
        let raws: Vec<_> = (0..24).map(ask).collect();
        for mut raw in raws {
            let expected = ["503 saturated", "504 deadline"];
            self.judge("more calls than places", "few", &expected, outcome(&mut raw));
        }
        pause(Duration::from_millis(500));
    }

    /// Each of two components fills more than half of the pool, and keeps it for a while.
    fn crowd(&self, round: usize) {
        for name in ["crowd-a", "crowd-b"] {
            let ask = |_| {
                let mut raw = self.gateway.connect();
                raw.write(get(name, "/?ms=200"));
                raw
            };
            let began = Instant::now();
            let raws: Vec<_> = (0..CROWD).map(ask).collect();
            for mut raw in raws {
                let outcome = outcome(&mut raw);
                let what = format!("{name}, {:?} after all were asked", began.elapsed());
                self.judge("calls that fill the pool", &what, &["200"], outcome);
            }
        }
        if round > 0 {
            // They come back when most of their instances have gone, or have not.
            for _ in 0..(round % 3) * 40 {
                if !self.is_over() {
                    pause(Duration::from_millis(100));
                }
            }
        }
    }
}

pub(super) fn get(component: &str, target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nhost: {component}.test\r\n\r\n")
}

/// How a request ended, in the words of the table, and what text it brought.
pub(super) fn outcome(raw: &mut Raw) -> (String, String) {
    let Some(response) = raw.try_response() else {
        return ("closed".to_owned(), String::new());
    };
    let text = response.text();
    (words(&response, &text), text)
}

fn words(response: &Response, text: &str) -> String {
    let status = response.status;
    if let Some(code) = response.field("tidegate-error") {
        return format!("{status} {code}");
    }
    if response.end == End::Cut {
        return format!("{status} cut");
    }
    if status >= 400 {
        // A guest's own words: the first of them is the error as WIT names it.
        return format!("{status} {}", text.split_whitespace().next().unwrap_or_default());
    }
    status.to_string()
}

/// Reads a chunk of a body, or a piece of one that has a length; false at its end.
fn next_piece(raw: &mut Raw, response: &mut Response) -> bool {
    const PIECE_BYTES: usize = 4096;
    let Some(length) = response.field("content-length") else {
        return raw.chunk(response);
    };
    let length: usize = length.parse().expect("a length is a number");
    let piece = raw.take((length - response.body.len()).min(PIECE_BYTES));
    if piece.is_empty() && response.body.len() < length {
        response.end = End::Cut;
    }
    response.body.extend_from_slice(&piece);
    response.end == End::Complete && response.body.len() < length
}

/// The body that `big-response` and `many-small-writes` send.
fn is_pattern(body: &[u8], length: usize) -> bool {
    body.len() == length && body.iter().enumerate().all(|(at, byte)| usize::from(*byte) == at % 251)
}
