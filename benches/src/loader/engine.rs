//! The loader's loop: who may send, who has answered, when it is over.

use super::connection::{Connection, Received};
use super::{Pace, Plan, Report, request_bytes};
use crate::error::{Context, Error};
use hdrhistogram::Histogram;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// After the end of a run, answers still owed may take this long; then they count as missing.
const GRACE: Duration = Duration::from_secs(10);
/// A run is given up after this many wrong answers: it has failed, and the first of them says why.
const ERRORS_COUNT: u64 = 100;
/// Latencies up to a minute, to three significant digits.
const LATENCY_MAX_NS: u64 = 60_000_000_000;
/// epoll's timeout is rounded up to a millisecond on older kernels, and a core that slept takes its time to wake up. So
/// the loader spins through the last stretch before a request is due. It yields at each turn: an upstream that has the
/// same core is not kept waiting by a loop that does nothing.
const SPIN: Duration = Duration::from_millis(2);

/// Open connections and the request they send. One `Loader` is run twice, to warm up and to measure, so that the
/// measured part has neither a handshake nor a first request in it.
#[derive(Debug)]
pub(crate) struct Loader {
    plan: Plan,
    request: Vec<u8>,
    epoll: OwnedFd,
    connections: Vec<Connection>,
}

/// What one run has seen so far.
struct Run {
    begin: Instant,
    stop: Instant,
    last: Instant,
    in_flight: usize,
    /// Open loop: connections without a request and since when, and how many requests have been sent.
    idle: Vec<(usize, Instant)>,
    sent: u64,
    report: Report,
}

impl Loader {
    pub(crate) fn connect(plan: Plan) -> Result<Self, Error> {
        if plan.connections == 0 {
            return Err(Error::Usage("at least one connection is needed".to_owned()));
        }
        if let Pace::Open { per_second } = plan.pace
            && !(per_second > 0.0 && per_second.is_finite())
        {
            return Err(Error::Usage(format!("a rate of {per_second} requests a second")));
        }
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).context(|| "creating an epoll object".to_owned())?;
        let request = request_bytes(&plan.authority, &plan.path);
        let mut loader = Self {
            connections: Vec::with_capacity(plan.connections),
            plan,
            request,
            epoll,
        };
        for index in 0..loader.plan.connections {
            let connection = loader.open(index)?;
            loader.connections.push(connection);
        }
        Ok(loader)
    }

    /// Sends requests for `duration`, then waits for the answers still owed.
    pub(crate) fn run(&mut self, duration: Duration) -> Result<Report, Error> {
        let begin = Instant::now();
        let mut run = Run::new(begin, duration, self.connections.len())?;
        if self.plan.pace == Pace::Closed {
            for index in 0..self.connections.len() {
                self.send(index, begin, &mut run)?;
            }
        }
        let mut events = Vec::with_capacity(self.connections.len());
        loop {
            let now = Instant::now();
            let due = self.send_due(now, &mut run)?;
            if (run.in_flight == 0 && now >= run.stop && due.is_none()) || run.report.errors >= ERRORS_COUNT {
                break;
            }
            if now >= run.stop + GRACE {
                self.give_up(due, &mut run)?;
                break;
            }
            let timeout = timeout(now, due, run.stop);
            if timeout == Timespec::default() {
                std::thread::yield_now();
            }
            match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error).context(|| "waiting for answers".to_owned()),
            }
            for event in events.drain(..) {
                let index = usize::try_from(event.data.u64()).unwrap_or(usize::MAX);
                self.on_event(index, event.flags, &mut run)?;
            }
        }
        run.report.elapsed = run.last - run.begin;
        Ok(run.report)
    }

    fn open(&self, index: usize) -> Result<Connection, Error> {
        let address = self.plan.address;
        let connection = Connection::open(address).context(|| format!("connecting to {address}"))?;
        epoll::add(
            &self.epoll,
            &connection,
            epoll::EventData::new_u64(index as u64),
            epoll::EventFlags::IN,
        )
        .context(|| "watching a connection".to_owned())?;
        Ok(connection)
    }

    fn send(&mut self, index: usize, intended: Instant, run: &mut Run) -> Result<(), Error> {
        let Some(connection) = self.connections.get_mut(index) else {
            return Ok(());
        };
        run.in_flight += 1;
        match connection.send(&self.request, intended) {
            Ok(true) => Ok(()),
            Ok(false) => self.watch(index, epoll::EventFlags::IN | epoll::EventFlags::OUT),
            Err(error) => self.wrong(index, format!("sending: {error}"), run),
        }
    }

    /// Open loop: sends what is due and can be sent. Returns when the next request is due, if one is still to come.
    fn send_due(&mut self, now: Instant, run: &mut Run) -> Result<Option<Instant>, Error> {
        let Pace::Open { per_second } = self.plan.pace else {
            return Ok(None);
        };
        loop {
            let due = run.begin + Duration::from_secs_f64(run.sent as f64 / per_second);
            if due >= run.stop {
                return Ok(None);
            }
            if due > now {
                return Ok(Some(due));
            }
            let Some((index, free)) = run.idle.pop() else {
                return Ok(Some(due));
            };
            run.sent += 1;
            run.late(due.max(free));
            self.send(index, due, run)?;
        }
    }

    fn on_event(&mut self, index: usize, flags: epoll::EventFlags, run: &mut Run) -> Result<(), Error> {
        let Some(connection) = self.connections.get_mut(index) else {
            return Ok(());
        };
        if flags.contains(epoll::EventFlags::OUT) {
            match connection.flush(&self.request) {
                Ok(true) => self.watch(index, epoll::EventFlags::IN)?,
                Ok(false) => {}
                Err(error) => return self.wrong(index, format!("sending: {error}"), run),
            }
        }
        if !flags.intersects(epoll::EventFlags::IN | epoll::EventFlags::HUP | epoll::EventFlags::ERR) {
            return Ok(());
        }
        let Some(connection) = self.connections.get_mut(index) else {
            return Ok(());
        };
        match connection.receive(&self.plan.expected) {
            Received::Pending => Ok(()),
            Received::Right { keep_alive } => self.right(index, keep_alive, run),
            Received::Wrong(what) => self.wrong(index, what, run),
            Received::ClosedIdle => {
                run.report.reconnects += 1;
                self.reopen(index)
            }
        }
    }

    fn right(&mut self, index: usize, keep_alive: bool, run: &mut Run) -> Result<(), Error> {
        let now = Instant::now();
        let since = self
            .connections
            .get_mut(index)
            .and_then(Connection::take_since)
            .unwrap_or(now);
        run.answered(now.saturating_duration_since(since), now);
        if !keep_alive {
            run.report.reconnects += 1;
            self.reopen(index)?;
        }
        self.next(index, now, run)
    }

    fn wrong(&mut self, index: usize, what: String, run: &mut Run) -> Result<(), Error> {
        let now = Instant::now();
        let owed = self
            .connections
            .get_mut(index)
            .and_then(Connection::take_since)
            .is_some();
        run.in_flight -= usize::from(owed);
        run.failed(what);
        if run.report.errors >= ERRORS_COUNT {
            return Ok(());
        }
        self.reopen(index)?;
        // A connection that failed without a request is already among the idle ones.
        if owed { self.next(index, now, run) } else { Ok(()) }
    }

    fn next(&mut self, index: usize, now: Instant, run: &mut Run) -> Result<(), Error> {
        if matches!(self.plan.pace, Pace::Open { .. }) {
            run.idle.push((index, now));
        } else if now < run.stop {
            return self.send(index, now, run);
        }
        Ok(())
    }

    /// The old socket leaves epoll when it is closed.
    fn reopen(&mut self, index: usize) -> Result<(), Error> {
        let fresh = self.open(index)?;
        if let Some(place) = self.connections.get_mut(index) {
            *place = fresh;
        }
        Ok(())
    }

    fn watch(&self, index: usize, flags: epoll::EventFlags) -> Result<(), Error> {
        let Some(connection) = self.connections.get(index) else {
            return Ok(());
        };
        epoll::modify(&self.epoll, connection, epoll::EventData::new_u64(index as u64), flags)
            .context(|| "watching a connection".to_owned())
    }

    /// Everything still owed is missing: requests in flight, and in the open loop those that were due and never sent.
    fn give_up(&mut self, due: Option<Instant>, run: &mut Run) -> Result<(), Error> {
        for index in 0..self.connections.len() {
            if self.connections.get(index).is_some_and(Connection::in_flight) {
                run.failed(format!("no answer within {GRACE:?} after the end of the run"));
                self.reopen(index)?;
            }
        }
        if due.is_some() {
            run.failed("requests that were due found no free connection".to_owned());
        }
        Ok(())
    }
}

impl Run {
    fn new(begin: Instant, duration: Duration, connections: usize) -> Result<Self, Error> {
        let histogram = || {
            Histogram::new_with_bounds(1, LATENCY_MAX_NS, 3)
                .map_err(|error| Error::Usage(format!("the latency histogram: {error}")))
        };
        Ok(Self {
            begin,
            stop: begin + duration,
            last: begin,
            in_flight: 0,
            idle: (0..connections).map(|index| (index, begin)).collect(),
            sent: 0,
            report: Report {
                requests: 0,
                errors: 0,
                first_error: None,
                elapsed: Duration::ZERO,
                reconnects: 0,
                latency: histogram()?,
                late: histogram()?,
            },
        })
    }

    fn answered(&mut self, latency: Duration, now: Instant) {
        self.in_flight -= 1;
        self.last = now;
        self.report.requests += 1;
        record(&mut self.report.latency, latency);
    }

    /// A request goes out now that could have gone out at `possible`: it was due by then, and a connection was free.
    fn late(&mut self, possible: Instant) {
        record(&mut self.report.late, possible.elapsed());
    }

    fn failed(&mut self, what: String) {
        self.report.errors += 1;
        self.report.first_error.get_or_insert(what);
    }
}

fn record(histogram: &mut Histogram<u64>, time: Duration) {
    let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    histogram.saturating_record(nanoseconds.max(1));
}

fn timeout(now: Instant, due: Option<Instant>, stop: Instant) -> Timespec {
    let wake = due.unwrap_or(if now < stop { stop } else { stop + GRACE });
    let wait = wake.saturating_duration_since(now);
    // A due request without a free connection waits for an answer, not for the clock.
    let wait = match due {
        Some(due) if due <= now => SPIN,
        Some(_) => wait.saturating_sub(SPIN),
        None => wait,
    };
    Timespec {
        tv_sec: wait.as_secs().min(60).cast_signed(),
        tv_nsec: wait.subsec_nanos().into(),
    }
}
