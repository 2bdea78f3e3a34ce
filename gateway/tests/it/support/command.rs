//! The `tidegate` command, run to its end or held while it serves.

use super::wait;
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

/// The binary under test, without the environment of whoever runs the tests.
pub(crate) fn tidegate() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command.env_clear().stdin(Stdio::null());
    // A process that is killed leaves its temporary folder behind: here it is cleaned away with the target folder.
    command.env("TMPDIR", env!("CARGO_TARGET_TMPDIR"));
    command
}

/// Runs a command that ends by itself.
pub(crate) fn run<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Ran {
    let output = tidegate().args(args).output().expect("tidegate cannot be started");
    Ran::new(output)
}

/// What a command left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    fn new(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("output is UTF-8");
        Self {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    #[track_caller]
    pub(crate) fn exited(&self, code: i32) -> &Self {
        assert_eq!(
            self.code,
            Some(code),
            "stdout: {}\nstderr: {}",
            self.stdout,
            self.stderr
        );
        self
    }

    #[track_caller]
    pub(crate) fn complained(&self, part: &str) -> &Self {
        assert!(
            self.stderr.contains(part),
            "{part:?} is not in stderr:\n{}",
            self.stderr
        );
        self
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {}", self.stdout))
    }
}

/// Lines that a thread gathers while a process runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    fn gather(from: impl Read + Send + 'static) -> Self {
        let lines = Self::default();
        let into = lines.clone();
        // Ends with the process, whose end of the pipe closes.
        thread::spawn(move || {
            for line in BufReader::new(from).lines().map_while(Result::ok) {
                into.0.lock().unwrap().push(line);
            }
        });
        lines
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// The first line that `pick` takes, waited for.
    #[track_caller]
    pub(crate) fn wait<T>(&self, what: &str, pick: impl Fn(&str) -> Option<T>) -> T {
        wait::until(what, || self.0.lock().unwrap().iter().find_map(|line| pick(line)))
    }
}

/// A command that runs until it is told to end; killed when dropped.
#[derive(Debug)]
pub(crate) struct Running {
    /// What a failed test calls it.
    name: String,
    child: Child,
    pub(crate) stdout: Lines,
    pub(crate) stderr: Lines,
}

impl Running {
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let name = Path::new(command.get_program()).file_name().unwrap_or_default();
        let name = name.to_string_lossy().into_owned();
        let spawned = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = spawned.unwrap_or_else(|error| panic!("{name} cannot be started: {error}"));
        let stdout = Lines::gather(child.stdout.take().expect("stdout is piped"));
        let stderr = Lines::gather(child.stderr.take().expect("stderr is piped"));
        Self {
            name,
            child,
            stdout,
            stderr,
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = Pid::from_child(&self.child);
        kill_process(id, signal).expect("the process is there");
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its exit status, if it has ended.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the child can be waited for")
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        wait::until(format!("the end of {}", self.name), || self.ended())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let ended = self.child.try_wait();
        // Gone already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            if let Ok(Some(status)) = ended {
                eprintln!("---- {} had ended before: {status}", self.name);
            }
            let lines = self.stderr.all();
            let tail = lines
                .iter()
                .skip(lines.len().saturating_sub(60))
                .cloned()
                .collect::<Vec<_>>();
            eprintln!("---- stderr of {}\n{}\n----", self.name, tail.join("\n"));
        }
    }
}
