//! The server that guests call and that requests are passed on to: the native peer on a thread of this process, bound to
//! the loader's core, counting.

use super::Setup;
use crate::error::{Context, Error};
use crate::native::{self, Counts};
use crate::server::thread_cpu;
use crate::{affinity, loader::Expected};
use rustix::thread::{Pid, gettid};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

/// What it answers to guests, and so what a guest that passes the answer on must answer.
pub(super) const GREETING: &str = "Hello from the server behind\n";
/// Pooled connections to it may be this many for each request in flight: one is what it takes, and one more may be
/// opened while another is on its way back to the pool.
const CONNECTIONS_EACH: u64 = 2;

/// A running upstream. Dropped, it is ended.
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) address: SocketAddr,
    counts: Arc<Counts>,
    thread: Pid,
    stop: Option<oneshot::Sender<()>>,
    join: Option<JoinHandle<()>>,
}

/// What an upstream has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) connections: u64,
    pub(super) requests: u64,
}

impl Upstream {
    /// One that answers every request with `body`, of a stated length.
    pub(super) fn start(cpu: usize, body: String) -> Result<Self, Error> {
        let (ready, started) = sync_channel(1);
        let (stop, stopped) = oneshot::channel();
        let counts = Arc::<Counts>::default();
        let own = Arc::clone(&counts);
        let join = std::thread::Builder::new()
            .name("upstream".to_owned())
            .spawn(move || serve(cpu, body, own, &ready, stopped))
            .context(|| "starting the upstream's thread".to_owned())?;
        let (address, thread) = started
            .recv()
            .map_err(|_| Error::Usage("the upstream's thread ended before it listened".to_owned()))??;
        Ok(Self {
            address,
            counts,
            thread,
            stop: Some(stop),
            join: Some(join),
        })
    }

    /// What to ask of a guest that fetches what `url` names.
    pub(super) fn path(&self) -> String {
        format!("/?url=http://{}/", self.address)
    }

    pub(super) fn seen(&self) -> Seen {
        Seen {
            connections: self.counts.connections.load(Ordering::Relaxed),
            requests: self.counts.requests.load(Ordering::Relaxed),
        }
    }

    /// The names of the fields in the first request, in small letters; none before it.
    pub(super) fn first_fields(&self) -> &[String] {
        self.counts.first_fields.get().map_or(&[], Vec::as_slice)
    }

    /// The time its thread has spent on a core.
    pub(super) fn cpu(&self) -> Result<Duration, Error> {
        thread_cpu(self.thread)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        // Neither can fail but for a thread that is already gone.
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(join) = self.join.take() {
            let _ = join.join();
        }
    }
}

/// The answer that proves a request went through to an upstream with this body.
pub(super) fn expected(body: &str) -> Expected {
    Expected {
        status: 200,
        body: body.as_bytes().to_vec(),
    }
}

type Started = Result<(SocketAddr, Pid), Error>;

fn serve(cpu: usize, body: String, counts: Arc<Counts>, ready: &SyncSender<Started>, stopped: oneshot::Receiver<()>) {
    let runtime = affinity::bind(cpu).and_then(|()| native::runtime());
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return drop(ready.send(Err(error))),
    };
    runtime.block_on(async {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = native::listen(any).await;
        let bound = listener.and_then(|listener| Ok((native::bound(&listener)?, listener)));
        match bound {
            Ok((address, listener)) => {
                // The receiver waits for this one message.
                let _ = ready.send(Ok((address, gettid())));
                tokio::select! {
                    () = native::accept(listener, body.into(), counts) => {}
                    // The sender's end counts as much as its word.
                    _ = stopped => {}
                }
            }
            Err(error) => drop(ready.send(Err(error))),
        }
    });
}

impl Seen {
    /// Why these counts are not those of `requests` calls over at most `connections_max` connections.
    pub(super) fn fault(self, requests: u64, connections: Connections) -> Option<String> {
        let Self {
            connections: opened,
            requests: seen,
        } = self;
        if seen != requests {
            return Some(format!(
                "the upstream saw {seen} requests, the loader {requests} answers"
            ));
        }
        match connections {
            Connections::AtMost(max) if opened > max => Some(format!(
                "{opened} connections to the upstream for {requests} requests: at most {max} were to be opened and kept"
            )),
            Connections::OneACall if opened != requests => Some(format!(
                "{opened} connections to the upstream for {requests} requests: the stock client opens one a call, so this \
                 is another client"
            )),
            Connections::AtMost(_) | Connections::OneACall => None,
        }
    }
}

/// How a peer is to use connections to the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Connections {
    AtMost(u64),
    OneACall,
}

impl Connections {
    /// Kept and used again.
    pub(super) fn pooled(setup: &Setup) -> Self {
        Self::AtMost(CONNECTIONS_EACH * setup.connections as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loader::{connect, exchange};

    #[test]
    fn it_answers_and_counts_and_ends_when_dropped() {
        let cpu = *affinity::allowed().unwrap().last().unwrap();
        let upstream = Upstream::start(cpu, GREETING.to_owned()).unwrap();
        assert!(upstream.first_fields().is_empty());
        let address = upstream.address;
        assert_eq!(upstream.path(), format!("/?url=http://{address}/"));
        let before = upstream.cpu().unwrap();
        for _ in 0..2 {
            let mut kept = connect(address).unwrap();
            for _ in 0..3 {
                let answer = exchange(&mut kept, address, &address.to_string(), "/").unwrap();
                let seen = Expected {
                    status: answer.status,
                    body: answer.body,
                };
                assert_eq!(seen, expected(GREETING));
            }
        }
        let expected = Seen {
            connections: 2,
            requests: 6,
        };
        assert_eq!(upstream.seen(), expected);
        assert_eq!(upstream.first_fields(), ["host"]);
        assert!(upstream.cpu().unwrap() > before);
        // A dropped upstream's thread has gone with all it held; its port may live on in a process being forked now.
        let counts = Arc::clone(&upstream.counts);
        drop(upstream);
        assert_eq!(Arc::strong_count(&counts), 1);
    }

    #[test]
    fn a_core_that_is_not_there_is_an_error_and_no_hang() {
        assert!(matches!(
            Upstream::start(usize::MAX, String::new()),
            Err(Error::Cpu { .. })
        ));
    }

    #[test]
    fn counts_that_do_not_fit_are_told() {
        let seen = |connections, requests| Seen { connections, requests };
        assert_eq!(seen(8, 1000).fault(1000, Connections::AtMost(8)), None);
        assert_eq!(seen(1000, 1000).fault(1000, Connections::OneACall), None);
        let told = |seen: Seen, requests, connections| seen.fault(requests, connections).unwrap();
        assert!(told(seen(8, 999), 1000, Connections::AtMost(8)).contains("saw 999 requests, the loader 1000"));
        assert!(told(seen(8, 1001), 1000, Connections::OneACall).contains("saw 1001"));
        assert!(told(seen(9, 1000), 1000, Connections::AtMost(8)).contains("9 connections"));
        assert!(told(seen(999, 1000), 1000, Connections::OneACall).contains("another client"));
    }
}
