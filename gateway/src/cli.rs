//! The command line: one file a subcommand, and the exit codes of sysexits.

mod ask;
mod check;
mod compile;
mod explain;
mod grants;
mod inspect;
mod offline;
mod routes;
mod run;
mod schema;
mod serve;
mod table;
mod upstreams;

use crate::config::{Config, ConfigErrors, FromEnv, Options, ReportStyle};
use crate::control::{BuildError, StartError};
use crate::telemetry::log::{self, LogGuard, LogOptions};
use clap::{Parser, Subcommand};
use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// An edge HTTP gateway that runs WebAssembly components as handlers.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, about, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Run(run::Run),
    Check(check::Check),
    Explain(explain::Explain),
    Routes(routes::Routes),
    Upstreams(upstreams::Upstreams),
    Schema(schema::Schema),
    Inspect(inspect::Inspect),
    Compile(compile::Compile),
}

/// Exit codes, as sysexits(3) numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Exit {
    Usage = 64,
    Data = 65,
    NoInput = 66,
    Unavailable = 69,
    System = 71,
    Io = 74,
    Config = 78,
}

/// Why a command failed: what to print, and the code to end with.
#[derive(Debug)]
struct Failed {
    exit: Exit,
    message: String,
}

impl Failed {
    fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
        }
    }
}

type Done = Result<(), Failed>;

/// Runs the command that `args` name and gives the process's exit code.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers, not errors.
            let code = if error.use_stderr() { Exit::Usage as u8 } else { 0 };
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let done = match cli.command {
        Command::Serve(serve) => serve.run(),
        Command::Run(run) => run.run(),
        Command::Check(check) => check.run(),
        Command::Explain(explain) => explain.run(),
        Command::Routes(routes) => routes.run(),
        Command::Upstreams(upstreams) => upstreams.run(),
        Command::Schema(schema) => schema.run(),
        Command::Inspect(inspect) => inspect.run(),
        Command::Compile(compile) => compile.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            complain(&failed.message);
            ExitCode::from(failed.exit as u8)
        }
    }
}

/// Writes to stderr; a closed stderr is no reason to fail.
fn complain(message: &str) {
    let _ = writeln!(std::io::stderr(), "{}", message.trim_end());
}

/// Writes to stdout.
fn print(text: &str) -> Done {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match written {
        // `tidegate schema | head` is not a failure.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|error| Failed::new(Exit::Io, format!("cannot write the output: {error}"))),
    }
}

fn print_json(value: &serde_json::Value) -> Done {
    print(&format!("{value:#}\n"))
}

fn log_options() -> Result<LogOptions, Failed> {
    LogOptions::from_env().map_err(|error| Failed::new(Exit::Usage, error.to_string()))
}

fn start_log(options: &LogOptions) -> Result<LogGuard, Failed> {
    log::init(options).map_err(|error| Failed::new(Exit::Usage, error.to_string()))
}

/// The configuration at `path`, or everything that is wrong with it.
fn load(path: &Path, options: Options) -> Result<Config, Failed> {
    Config::load(path, options).map_err(|errors| report(&errors))
}

fn report(errors: &ConfigErrors) -> Failed {
    let style = if std::io::stderr().is_terminal() {
        ReportStyle::Fancy
    } else {
        ReportStyle::Plain
    };
    Failed::new(Exit::Config, errors.render(style))
}

fn start_failed(error: &StartError) -> Failed {
    let exit = match error {
        StartError::Build(BuildError::Unusable(errors)) => return report(errors),
        StartError::Build(_) | StartError::Engine(_) => Exit::Config,
        StartError::Listen(crate::door::ListenError::Tls { .. }) => Exit::Config,
        StartError::Listen(_) | StartError::Admin { .. } | StartError::DataDir(_) | StartError::Cache(_) => {
            Exit::Unavailable
        }
        StartError::AccessLog(_) => Exit::Io,
        StartError::System(_) => Exit::System,
    };
    Failed::new(exit, format!("error: {error}"))
}

/// A configuration file or folder; `./config` where none is named.
#[derive(Clone, Debug, clap::Args)]
struct ConfigArg {
    /// A TOML or JSON file, or a folder of TOML files
    #[arg(value_name = "CONFIG", default_value = "config")]
    path: PathBuf,
}
