//! A small load generator: keep-alive HTTP/1.1 connections that check every answer and account for every request.
//!
//! Each request has a number of its own, `CONNECTION-REQUEST`, in its target. One that stays without an answer can
//! so be looked up in the gateway's access log: where it is found there, the gateway had accepted it and lost it;
//! where it is not, its connection was closed before any byte of it was read.

use super::wait;
use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

/// Whether an answer is the one expected; an error says why not.
pub(crate) type Check = Arc<dyn Fn(&Answer) -> Result<(), String> + Send + Sync>;

/// What to ask, how often, and what to make of the answers.
#[derive(Clone)]
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    /// Requests go to the host `NAME.test`.
    pub(crate) component: String,
    /// `{n}` stands for the request's number.
    pub(crate) target: String,
    pub(crate) connections: usize,
    /// Between an answer and the next request, half of it on average.
    pub(crate) pause: Duration,
    pub(crate) check: Check,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The gateway's own word for a fault.
    pub(crate) code: Option<String>,
    pub(crate) body: Vec<u8>,
    /// When its request was sent.
    pub(crate) asked: Instant,
    closes: bool,
}

/// What became of all requests and connections.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Whole answers, by status and fault code.
    pub(crate) answers: BTreeMap<(u16, String), usize>,
    pub(crate) latencies: Vec<Duration>,
    /// Answers that were wrong or broke off, and why. Their requests were accepted.
    pub(crate) failures: Vec<String>,
    /// Numbers of requests whose connection closed without a byte of an answer.
    pub(crate) unanswered: HashSet<String>,
    /// Connections closed between two requests without being announced.
    pub(crate) closed_idle: usize,
    /// Connections ended after an answer that said so.
    pub(crate) closed_announced: usize,
    /// Connections that were not taken.
    pub(crate) refused: usize,
}

impl Report {
    pub(crate) fn answered(&self) -> usize {
        self.answers.values().sum()
    }

    /// The latency that this share of answers kept: 0.99 for p99.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let at = ((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1));
        sorted.get(at).copied().unwrap_or_default()
    }
}

#[derive(Default)]
struct Shared {
    report: Mutex<Report>,
    is_over: AtomicBool,
    /// Connections that have had their first answer.
    warm: AtomicUsize,
}

/// A load under way.
pub(crate) struct Loader {
    runtime: Runtime,
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

impl Loader {
    pub(crate) fn start(load: &Load) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build();
        let runtime = runtime.expect("a runtime can be made");
        let shared = Arc::new(Shared::default());
        let task = |number| {
            let connection = Connection {
                load: load.clone(),
                shared: Arc::clone(&shared),
                number,
                requests: 0,
                stream: None,
            };
            runtime.spawn(connection.run())
        };
        let tasks = (0..load.connections).map(task).collect();
        Self { runtime, shared, tasks }
    }

    /// Waits until every connection has had an answer.
    #[track_caller]
    pub(crate) fn wait_warm(&self) {
        let warm = || self.shared.warm.load(Ordering::Relaxed);
        wait::until_true("every connection of the load to be answered", || {
            warm() == self.tasks.len()
        });
    }

    /// Answers so far.
    pub(crate) fn answered(&self) -> usize {
        self.shared.report.lock().unwrap().answered()
    }

    /// Ends the load once the requests under way are answered.
    pub(crate) fn stop(self) -> Report {
        self.shared.is_over.store(true, Ordering::Relaxed);
        self.join()
    }

    /// Waits until the load ends by itself, since the gateway takes no more connections.
    #[track_caller]
    pub(crate) fn join(self) -> Report {
        let all = async {
            for task in self.tasks {
                task.await.expect("a connection's task ends");
            }
        };
        self.runtime.block_on(async {
            tokio::time::timeout(wait::PATIENCE * 2, all)
                .await
                .expect("the load ends in time");
        });
        std::mem::take(&mut self.shared.report.lock().unwrap())
    }
}

struct Connection {
    load: Load,
    shared: Arc<Shared>,
    number: usize,
    requests: usize,
    stream: Option<TcpStream>,
}

/// What a request came to.
enum Asked {
    Answered(Answer),
    /// Closed without a byte of an answer.
    Unanswered,
    Failed(String),
}

impl Connection {
    async fn run(mut self) {
        while !self.shared.is_over.load(Ordering::Relaxed) {
            let Some(stream) = self.open().await else { return };
            self.requests += 1;
            let (answer, stream) = ask(stream, &self.request()).await;
            self.record(answer, stream);
            self.pause().await;
        }
    }

    fn record(&mut self, answer: Asked, stream: TcpStream) {
        let mut report = self.shared.report.lock().unwrap();
        match answer {
            Asked::Answered(answer) => {
                report.latencies.push(answer.asked.elapsed());
                *report
                    .answers
                    .entry((answer.status, answer.code.clone().unwrap_or_default()))
                    .or_default() += 1;
                if let Err(why) = (self.load.check)(&answer) {
                    report.failures.push(why);
                }
                if answer.closes {
                    report.closed_announced += 1;
                } else {
                    self.stream = Some(stream);
                }
                if self.requests == 1 {
                    self.shared.warm.fetch_add(1, Ordering::Relaxed);
                }
            }
            Asked::Unanswered => drop(report.unanswered.insert(self.id())),
            Asked::Failed(why) => report.failures.push(why),
        }
    }

    fn id(&self) -> String {
        format!("{}-{}", self.number, self.requests)
    }

    fn request(&self) -> String {
        let target = self.load.target.replace("{n}", &self.id());
        format!("GET {target} HTTP/1.1\r\nhost: {}.test\r\n\r\n", self.load.component)
    }

    /// The connection there is, unless it was closed meanwhile, else a new one; `None` where none is taken.
    async fn open(&mut self) -> Option<TcpStream> {
        if let Some(stream) = self.stream.take() {
            if !has_ended(&stream) {
                return Some(stream);
            }
            self.shared.report.lock().unwrap().closed_idle += 1;
        }
        match TcpStream::connect(self.load.address).await {
            Ok(stream) => Some(stream),
            Err(_) => {
                self.shared.report.lock().unwrap().refused += 1;
                None
            }
        }
    }

    /// Spread over the connections and requests, so that they do not all speak at once.
    async fn pause(&mut self) {
        if self.load.pause.is_zero() {
            return;
        }
        let spread = (self.number * 7919 + self.requests * 104_729) % 1000;
        let pause = self.load.pause.mul_f64(spread as f64 / 1000.0);
        let Some(stream) = &self.stream else {
            return tokio::time::sleep(pause).await;
        };
        // Ends early when the gateway closes.
        if tokio::time::timeout(pause, closed(stream)).await.is_ok() {
            self.stream = None;
            self.shared.report.lock().unwrap().closed_idle += 1;
        }
    }
}

/// Waits until the other side ends the connection, or says something out of turn.
async fn closed(stream: &TcpStream) {
    while stream.readable().await.is_ok() && !has_ended(stream) {}
}

fn has_ended(stream: &TcpStream) -> bool {
    !matches!(stream.try_read(&mut [0; 1]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}

/// Sends one request and reads its answer.
async fn ask(mut stream: TcpStream, request: &str) -> (Asked, TcpStream) {
    let asked = Instant::now();
    let mut bytes = Vec::new();
    // A write that fails is no verdict: an answer may be there all the same.
    let _ = stream.write_all(request.as_bytes()).await;
    loop {
        match parse(&bytes, asked) {
            Ok(Some(answer)) => return (Asked::Answered(answer), stream),
            Ok(None) => {}
            Err(why) => return (Asked::Failed(format!("{request:?}: {why}")), stream),
        }
        match stream.read_buf(&mut bytes).await {
            Ok(1..) => {}
            end if bytes.is_empty() => {
                drop(end);
                return (Asked::Unanswered, stream);
            }
            end => {
                let got = String::from_utf8_lossy(&bytes);
                return (
                    Asked::Failed(format!("{request:?}: cut with {end:?} after {got:?}")),
                    stream,
                );
            }
        }
    }
}

/// The answer in `bytes`, once all of it is there.
fn parse(bytes: &[u8], asked: Instant) -> Result<Option<Answer>, String> {
    let mut space = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Response::new(&mut space);
    let httparse::Status::Complete(at) = head.parse(bytes).map_err(|error| error.to_string())? else {
        return Ok(None);
    };
    let field = |name: &str| {
        let field = head
            .headers
            .iter()
            .find(|field| field.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(field.value).ok()
    };
    let rest = &bytes[at..];
    let body = if let Some(length) = field("content-length") {
        let length = length.parse::<usize>().map_err(|error| error.to_string())?;
        if rest.len() > length {
            return Err(format!("{} bytes too many", rest.len() - length));
        }
        (rest.len() == length).then(|| rest.to_vec())
    } else if field("transfer-encoding") == Some("chunked") {
        dechunk(rest)?
    } else {
        return Err("an answer without a length".to_owned());
    };
    let Some(body) = body else { return Ok(None) };
    let status = head.code.ok_or("an answer without a status")?;
    let code = field("tidegate-error").map(str::to_owned);
    Ok(Some(Answer {
        status,
        code,
        body,
        asked,
        closes: field("connection") == Some("close"),
    }))
}

fn dechunk(mut rest: &[u8]) -> Result<Option<Vec<u8>>, String> {
    let mut body = Vec::new();
    loop {
        let size = httparse::parse_chunk_size(rest).map_err(|error| error.to_string())?;
        let httparse::Status::Complete((at, size)) = size else {
            return Ok(None);
        };
        let size = usize::try_from(size).map_err(|error| error.to_string())?;
        let Some(chunk) = rest.get(at..at + size + 2) else {
            return Ok(None);
        };
        if size == 0 {
            return Ok(Some(body));
        }
        body.extend_from_slice(&chunk[..size]);
        rest = &rest[at + size + 2..];
    }
}

/// Lets this process, and the gateways it starts from now on, have this many files open.
#[track_caller]
pub(crate) fn allow_descriptors(count: u64) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let now = getrlimit(Resource::Nofile);
    if now.current.is_none_or(|current| current >= count) {
        return;
    }
    let maximum = now.maximum;
    assert!(
        maximum.is_none_or(|maximum| maximum >= count),
        "`ulimit -Hn` is {maximum:?}; {count} are needed"
    );
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(count),
            maximum,
        },
    )
    .expect("the soft limit can be raised");
}
