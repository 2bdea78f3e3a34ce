//! `cargo xtask`: the one door to building, testing and showing Tidegate, for people and for CI.

mod artifacts;
mod bench;
mod cache;
mod certificate;
mod check;
mod demo;
mod files;
mod guests;
mod languages;
mod setup;
mod step;
mod tree;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build the guest components and put each at target/guests/<name>.wasm
    Guests,
    /// Build what the demo needs and serve it on 127.0.0.1:8080, with TLS on 127.0.0.1:8443
    Demo,
    /// Set up what is missing, then run every check and every test: what CI runs
    #[command(visible_alias = "ci")]
    Test,
    /// Measure Tidegate beside its peers; what follows goes to the harness
    Bench {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Wait until the demo's gateway serves, then print what to try. `demo` starts this itself
    #[command(hide = true)]
    DemoHints { gateway_pid: u32 },
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Guests => guests::build(),
        Command::Demo => demo::serve(),
        Command::Test => check::everything(),
        Command::Bench { args } => bench::compare(&args),
        Command::DemoHints { gateway_pid } => demo::hints(gateway_pid),
    };
    let Err(error) = done else { return ExitCode::SUCCESS };
    // Not as Debug, which would add xtask's own backtrace: what failed is another program.
    eprintln!("\nerror: {error:#}");
    ExitCode::FAILURE
}
