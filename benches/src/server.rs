//! A peer: a process pinned to one core, up when it listens, with its CPU time and memory read from /proc.

mod procfs;

pub(crate) use procfs::{CpuTimes, this_thread, thread_cpu};

use crate::affinity;
use crate::error::{Context, Error};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::ffi::OsString;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// Ports are taken below the range from which Linux picks the loader's own (32768 and up): between the moment a
/// port is found free and the moment the peer binds it, no outgoing connection can take it.
const PORT_FIRST: u16 = 20_000;
const PORT_LAST: u16 = 31_999;
/// How often it is looked at whether a starting peer listens: the resolution of a start time.
const LISTEN_POLL: Duration = Duration::from_micros(500);
/// From SIGTERM to SIGKILL.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// How much of a failed peer's output is shown.
const LOG_TAIL_BYTES: usize = 4096;

/// What to start.
#[derive(Debug, Clone)]
pub(crate) struct Spec {
    pub(crate) name: String,
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<OsString>,
    /// Where it is going to listen.
    pub(crate) address: SocketAddr,
    /// The core it is bound to. None: it may use the whole machine.
    pub(crate) cpu: Option<usize>,
    /// How long it may take until it listens: compiling is part of it.
    pub(crate) timeout: Duration,
    /// Its stdout and stderr go to files here, as an access log does in earnest.
    pub(crate) logs: PathBuf,
}

/// A running peer. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pid: Pid,
    /// Becomes readable when the process ends.
    pidfd: OwnedFd,
    /// From before the fork to the moment the port was seen listening.
    pub(crate) started_in: Duration,
}

impl Server {
    pub(crate) fn start(spec: &Spec) -> Result<Self, Error> {
        let begin = Instant::now();
        let child = match spec.cpu {
            Some(cpu) => affinity::on_cpu(cpu, || spawn(spec))??,
            None => spawn(spec)?,
        };
        let pid = Pid::from_child(&child);
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).context(|| format!("watching {}", spec.name))?;
        let mut server = Self {
            child,
            pid,
            pidfd,
            started_in: Duration::ZERO,
        };
        server.wait_until_listening(spec, begin)?;
        Ok(server)
    }

    /// The kernel's list of listening sockets is read instead of connecting: a connect would be traffic, and one to
    /// a port where nothing listens yet can meet itself.
    fn wait_until_listening(&mut self, spec: &Spec, begin: Instant) -> Result<(), Error> {
        loop {
            if procfs::listens(self.pid, spec.address.port())? {
                self.started_in = begin.elapsed();
                return Ok(());
            }
            if let Some(status) = self.ended_within(LISTEN_POLL)? {
                let (name, address, log) = (spec.name.clone(), spec.address, log_tail(&spec.logs));
                return Err(Error::ServerEnded {
                    name,
                    address,
                    status,
                    log,
                });
            }
            if begin.elapsed() > spec.timeout {
                let (name, address, log) = (spec.name.clone(), spec.address, log_tail(&spec.logs));
                return Err(Error::ServerSilent {
                    name,
                    address,
                    waited: spec.timeout,
                    log,
                });
            }
        }
    }

    /// CPU time of all its threads so far.
    pub(crate) fn cpu(&self) -> Result<CpuTimes, Error> {
        CpuTimes::read(self.pid)
    }

    /// Resident memory now.
    pub(crate) fn rss_bytes(&self) -> Result<u64, Error> {
        procfs::memory(self.pid, "VmRSS")
    }

    /// The highest resident memory since [`Server::reset_peak`].
    pub(crate) fn rss_peak_bytes(&self) -> Result<u64, Error> {
        procfs::memory(self.pid, "VmHWM")
    }

    pub(crate) fn reset_peak(&self) -> Result<(), Error> {
        procfs::reset_peak(self.pid)
    }

    /// SIGTERM, and SIGKILL for one that does not go.
    pub(crate) fn stop(mut self) -> Result<(), Error> {
        match pidfd_send_signal(&self.pidfd, Signal::TERM) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => return Err(error).context(|| "ending a peer".to_owned()),
        }
        if self.ended_within(STOP_TIMEOUT)?.is_none() {
            self.child
                .kill()
                .and_then(|()| self.child.wait().map(drop))
                .context(|| "killing a peer".to_owned())?;
        }
        Ok(())
    }

    /// Waits so long; fails if the process ends before.
    pub(crate) fn stays_for(&mut self, wait: Duration) -> Result<(), Error> {
        match self.ended_within(wait)? {
            None => Ok(()),
            Some(status) => Err(Error::Premise {
                name: "a peer".to_owned(),
                detail: format!("ended while it was measured ({status})"),
            }),
        }
    }

    /// Waits at most this long for the process to end.
    fn ended_within(&mut self, wait: Duration) -> Result<Option<ExitStatus>, Error> {
        let timeout = Timespec {
            tv_sec: wait.as_secs().cast_signed(),
            tv_nsec: wait.subsec_nanos().into(),
        };
        match poll(&mut [PollFd::new(&self.pidfd, PollFlags::IN)], Some(&timeout)) {
            // A signal to the harness ends the wait early; the caller looks again.
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).context(|| "waiting for a peer".to_owned()),
        }
        self.child.try_wait().context(|| "looking at a peer".to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only for a process that is already gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(spec: &Spec) -> Result<Child, Error> {
    let stdout = create(&spec.logs.join("stdout.log"))?;
    let stderr = create(&spec.logs.join("stderr.log"))?;
    Command::new(&spec.program)
        .args(&spec.args)
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(stderr)
        .spawn()
        .context(|| format!("starting {}", spec.program.display()))
}

fn create(path: &Path) -> Result<File, Error> {
    File::create(path).context(|| format!("creating {}", path.display()))
}

/// The last lines a peer wrote, for a message about its failure.
fn log_tail(logs: &Path) -> String {
    let text = |name: &str| fs::read(logs.join(name)).unwrap_or_default();
    let mut all = text("stdout.log");
    all.extend(text("stderr.log"));
    let from = all.len().saturating_sub(LOG_TAIL_BYTES);
    String::from_utf8_lossy(all.get(from..).unwrap_or_default())
        .trim_end()
        .to_owned()
}

/// A port on 127.0.0.1 on which nothing listens.
pub(crate) fn free_address() -> Result<SocketAddr, Error> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let span = PORT_LAST - PORT_FIRST + 1;
    // Two harnesses at the same time begin at different places.
    let offset = u16::try_from(std::process::id() % u32::from(span)).unwrap_or_default();
    for _ in 0..span {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = PORT_FIRST + (offset.wrapping_add(step)) % span;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    Err(Error::NoPort {
        first: PORT_FIRST,
        last: PORT_LAST,
    })
}

#[cfg(test)]
mod tests;
