//! What can end a run. A wrong answer ends it too: a fast server that answers nonsense has no figures.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

/// Why the harness stopped without a result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A system call failed.
    #[error("{context}: {source}")]
    Io {
        /// What was being done.
        context: String,
        /// The system's answer.
        source: io::Error,
    },
    /// A file the run stands on is not there.
    #[error("{path} is missing: {remedy}")]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
        /// The command that makes it.
        remedy: &'static str,
    },
    /// A peer ended while it was waited for.
    #[error("{name} ended before it listened on {address} ({status})\n{log}")]
    ServerEnded {
        /// The peer.
        name: String,
        /// Where it should have listened.
        address: SocketAddr,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it wrote.
        log: String,
    },
    /// A peer does not listen in time.
    #[error("{name} did not listen on {address} within {waited:?}\n{log}")]
    ServerSilent {
        /// The peer.
        name: String,
        /// Where it should have listened.
        address: SocketAddr,
        /// How long it had.
        waited: Duration,
        /// The end of what it wrote.
        log: String,
    },
    /// What the measurement rests on does not hold.
    #[error("{name}: {detail}")]
    Premise {
        /// The peer or scenario.
        name: String,
        /// What was expected and what was seen.
        detail: String,
    },
    /// Answers differed from the expected status and body, or did not come.
    #[error("{name}: {errors} wrong answers beside {requests} right ones; the first: {first}")]
    WrongAnswers {
        /// The peer.
        name: String,
        /// How many were wrong or missing.
        errors: u64,
        /// How many were right.
        requests: u64,
        /// What was wrong with the first.
        first: String,
    },
    /// A core that this process may not run on.
    #[error("CPU {cpu} is not among those this process may use ({allowed}); choose with --server-cpu and --loader-cpu")]
    Cpu {
        /// The core asked for.
        cpu: usize,
        /// Those allowed.
        allowed: String,
    },
    /// More files would have to be open than the system lets this process have.
    #[error(
        "{needed} open files are needed and at most {hard} are allowed: raise the hard limit (`ulimit -Hn {needed}` as \
         root, LimitNOFILE= in systemd, --ulimit nofile= in Docker) or ask for fewer with --idle-connections"
    )]
    OpenFiles {
        /// For the connections and what the processes have open beside them.
        needed: u64,
        /// The hard limit (RLIMIT_NOFILE).
        hard: u64,
    },
    /// Every candidate port is taken.
    #[error("no free port between {first} and {last} on 127.0.0.1")]
    NoPort {
        /// The first one tried.
        first: u16,
        /// The last one tried.
        last: u16,
    },
    /// `cargo install` failed.
    #[error("`{command}` ended with {status}")]
    Install {
        /// The command.
        command: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// An argument that cannot be used.
    #[error("{0}")]
    Usage(String),
    /// With `--enforce`: a figure that was not reached.
    #[error("not reached: {0}")]
    NotReached(String),
}

/// Says what was being done when a system call failed.
pub(crate) trait Context<T> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T, E: Into<io::Error>> Context<T> for Result<T, E> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|source| Error::Io {
            context: what(),
            source: source.into(),
        })
    }
}
