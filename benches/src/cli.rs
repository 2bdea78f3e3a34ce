//! The commands of `tidegate-bench`, and how results are shown.

mod show;

use crate::error::Error;
use crate::loader::{Expected, Loader, Pace, Plan, probe};
use crate::scenarios::{Outcome, Scenario, Setup};
use crate::{affinity, install, native, nginx};
use clap::{Args, Parser, Subcommand};
use serde::Serialize;
use show::{describe, heading};
use std::env;
use std::fs;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Measures Tidegate beside `wasmtime serve`, nginx and a native hyper handler
#[derive(Debug, Parser)]
#[command(name = "tidegate-bench", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run scenarios and print ratios against `wasmtime serve` or nginx
    #[command(
        after_help = "Examples:\n  tidegate-bench compare\n  tidegate-bench compare --rounds 3 --seconds 1 fresh-default\n  tidegate-bench compare --json memory warm-start > result.json\n  tidegate-bench compare --enforce reuse concurrent outgoing idle-connections\n  tidegate-bench compare local proxy-h1 proxy-p99"
    )]
    Compare(CompareArgs),
    /// Install the `wasmtime` that is compared with, if it is absent, and print its path
    Install(PlaceArgs),
    /// Load one URL and print what it did; every answer must equal the first
    #[command(
        after_help = "Examples:\n  tidegate-bench load http://127.0.0.1:8080/ --connections 64 --seconds 10\n  tidegate-bench load http://127.0.0.1:8080/ --rate 5000"
    )]
    Load(LoadArgs),
    /// Serve a constant with hyper: the third peer
    Native(NativeArgs),
}

#[derive(Debug, Args)]
struct CompareArgs {
    /// Scenarios to run; all of them when none is named
    #[arg(value_enum)]
    scenarios: Vec<Scenario>,
    /// Interleaved rounds a comparison, and warm starts
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
    /// Measured seconds for each peer and round
    #[arg(long, default_value = "3", value_parser = seconds)]
    seconds: Duration,
    /// Seconds of load before the measured ones
    #[arg(long, default_value = "1", value_parser = seconds)]
    warm_up: Duration,
    /// Connections of the loader, each with one request in flight
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=4096))]
    connections: u16,
    /// The core that the server is bound to
    #[arg(long, default_value_t = 0)]
    server_cpu: usize,
    /// The core that the loader is bound to
    #[arg(long, default_value_t = 1)]
    loader_cpu: usize,
    /// MiB streamed by the scenario `memory`
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u64).range(1..=1_048_576))]
    stream_mib: u64,
    /// Components of the scenario `warm-start`
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    components: u16,
    /// Connections that the scenario `idle-connections` leaves open
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u16).range(1..=20_000))]
    idle_connections: u16,
    /// The gateway [default: dist/tidegate in the target folder]
    #[arg(long, value_name = "PATH")]
    tidegate: Option<PathBuf>,
    /// The `wasmtime` to compare with [default: installed into bench-tools in the target folder]
    #[arg(long, value_name = "PATH")]
    wasmtime: Option<PathBuf>,
    /// The nginx to compare with [default: the first in the PATH, else /usr/sbin/nginx]
    #[arg(long, value_name = "PATH")]
    nginx: Option<PathBuf>,
    /// The folder of the guests [default: guests in the target folder]
    #[arg(long, value_name = "DIR")]
    guests: Option<PathBuf>,
    /// Print the results as JSON, with every sample
    #[arg(long)]
    json: bool,
    /// Fail if a figure that is to be reached is not
    #[arg(long)]
    enforce: bool,
    #[command(flatten)]
    place: PlaceArgs,
}

#[derive(Debug, Args)]
struct PlaceArgs {
    /// The target folder [default: CARGO_TARGET_DIR, or target in the workspace]
    #[arg(long, value_name = "DIR")]
    target_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct LoadArgs {
    /// http://HOST:PORT/PATH
    url: http::Uri,
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=4096))]
    connections: u16,
    #[arg(long, default_value = "10", value_parser = seconds)]
    seconds: Duration,
    /// Requests a second whatever the server does; latency counts from when each was due [default: as fast as answered]
    #[arg(long)]
    rate: Option<f64>,
    /// The status that every answer must have
    #[arg(long, default_value_t = 200)]
    status: u16,
}

#[derive(Debug, Args)]
struct NativeArgs {
    #[arg(long, default_value = "127.0.0.1:0")]
    address: SocketAddr,
    #[arg(long, default_value = "Hello\n")]
    body: String,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Results {
    machine: Machine,
    wasmtime: Option<String>,
    nginx: Option<String>,
    rounds: usize,
    seconds: f64,
    connections: usize,
    outcomes: Vec<Outcome>,
}

#[derive(Debug, Serialize)]
struct Machine {
    processor: String,
    cores: usize,
    kernel: String,
}

/// Runs one command.
pub fn run(cli: Cli) -> Result<(), Error> {
    match cli.command {
        Command::Compare(args) => compare(args),
        Command::Install(args) => {
            println!("{}", install::ensure(&target_dir(args))?.display());
            Ok(())
        }
        Command::Load(args) => load(&args),
        Command::Native(args) => native::serve(args.address, args.body, |address| eprintln!("http://{address}")),
    }
}

fn compare(args: CompareArgs) -> Result<(), Error> {
    let (json, enforce) = (args.json, args.enforce);
    let scenarios = if args.scenarios.is_empty() {
        Scenario::all().to_vec()
    } else {
        args.scenarios.clone()
    };
    let setup = setup(args, &scenarios)?;
    let mut results = Results {
        machine: machine()?,
        wasmtime: setup.wasmtime.as_deref().map(install::require_wanted).transpose()?,
        nginx: setup.nginx.as_deref().map(nginx::version).transpose()?,
        rounds: setup.rounds,
        seconds: setup.measure.as_secs_f64(),
        connections: setup.connections,
        outcomes: Vec::new(),
    };
    if !json {
        print!("{}", heading(&results));
    }
    for scenario in scenarios {
        scenario.run(&setup, |outcome| {
            if !json {
                print!("\n{}", describe(&outcome));
            }
            results.outcomes.push(outcome);
            Ok(())
        })?;
    }
    if json {
        let text = serde_json::to_string_pretty(&results).map_err(|error| Error::Usage(error.to_string()))?;
        println!("{text}");
    }
    let missed: Vec<&str> = results
        .outcomes
        .iter()
        .flat_map(Outcome::verdicts)
        .filter(|verdict| !verdict.reached)
        .map(|verdict| verdict.what.as_str())
        .collect();
    if enforce && !missed.is_empty() {
        return Err(Error::NotReached(missed.join("; ")));
    }
    Ok(())
}

fn setup(args: CompareArgs, scenarios: &[Scenario]) -> Result<Setup, Error> {
    affinity::check(args.server_cpu)?;
    affinity::check(args.loader_cpu)?;
    if args.server_cpu == args.loader_cpu {
        return Err(Error::Usage("the server and the loader need a core each".to_owned()));
    }
    let target = target_dir(args.place);
    let wasmtime = match args.wasmtime {
        Some(path) => Some(path),
        None if scenarios.iter().any(|scenario| scenario.needs_wasmtime()) => Some(install::ensure(&target)?),
        None => None,
    };
    let nginx = match args.nginx {
        Some(path) => Some(path),
        None if scenarios.iter().any(|scenario| scenario.needs_nginx()) => Some(nginx::find()?),
        None => None,
    };
    Ok(Setup {
        tidegate: args.tidegate.unwrap_or_else(|| target.join("dist/tidegate")),
        wasmtime,
        nginx,
        guests: args.guests.unwrap_or_else(|| target.join("guests")),
        rounds: args.rounds.into(),
        measure: args.seconds,
        warm_up: args.warm_up,
        connections: args.connections.into(),
        server_cpu: args.server_cpu,
        loader_cpu: args.loader_cpu,
        stream_bytes: args.stream_mib << 20,
        components: args.components.into(),
        idle_connections: args.idle_connections.into(),
    })
}

fn load(args: &LoadArgs) -> Result<(), Error> {
    let authority = args
        .url
        .authority()
        .ok_or_else(|| Error::Usage(format!("{} names no host", args.url)))?;
    if args.url.scheme_str() != Some("http") {
        return Err(Error::Usage(format!("{}: only http:// can be loaded", args.url)));
    }
    let port = authority.port_u16().unwrap_or(80);
    let address = (authority.host().trim_matches(['[', ']']), port).to_socket_addrs();
    let address = address.ok().and_then(|mut addresses| addresses.next());
    let address = address.ok_or_else(|| Error::Usage(format!("{authority} has no address")))?;
    let path = args.url.path_and_query().map_or("/", |path| path.as_str());

    let first = probe(address, authority.as_str(), path)?;
    let mut loader = Loader::connect(Plan {
        address,
        authority: authority.to_string(),
        path: path.to_owned(),
        expected: Expected {
            status: args.status,
            body: first.body,
        },
        connections: args.connections.into(),
        pace: args.rate.map_or(Pace::Closed, |per_second| Pace::Open { per_second }),
    })?;
    let report = loader.run(args.seconds)?;
    println!(
        "{} right, {} wrong, {} reconnects in {:.2} s: {:.0} rps; latency p50 {:.0} µs, p99 {:.0} µs, max {:.0} µs",
        report.requests,
        report.errors,
        report.reconnects,
        report.elapsed.as_secs_f64(),
        report.requests_per_second(),
        report.latency_us(0.5),
        report.latency_us(0.99),
        report.latency_max_us()
    );
    report.require_right(&args.url.to_string())
}

fn machine() -> Result<Machine, Error> {
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor = processor
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    Ok(Machine {
        processor: processor.map_or("an unnamed processor", |(_, name)| name).to_owned(),
        cores: affinity::allowed()?.len(),
        kernel: kernel.trim().to_owned(),
    })
}

fn target_dir(args: PlaceArgs) -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    let chosen = args
        .target_dir
        .or_else(|| env::var_os("CARGO_TARGET_DIR").map(PathBuf::from))
        .unwrap_or(workspace);
    // Shown in messages and given to other programs: better without the `..`, where it exists already.
    chosen.canonicalize().unwrap_or(chosen)
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().map_err(|error| error.to_string())?;
    let range = 0.05..=3600.0;
    range
        .contains(&seconds)
        .then(|| Duration::from_secs_f64(seconds))
        .ok_or_else(|| format!("a time between {} and {} seconds is needed", range.start(), range.end()))
}

#[cfg(test)]
mod tests;
