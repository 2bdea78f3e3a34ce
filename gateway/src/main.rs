//! The `tidegate` binary: parses its arguments and does what they say.

use std::process::ExitCode;

fn main() -> ExitCode {
    tidegate::cli::main(std::env::args_os())
}
