//! `cargo xtask bench`: the side-by-side measurement, with the gateway built as packages are.

use std::path::PathBuf;

use anyhow::Result;

use crate::{guests, setup, step, workspace};

/// Builds the gateway and the guests, then hands over to the harness in benches/.
pub(crate) fn compare(args: &[String]) -> Result<()> {
    setup::tools(setup::Purpose::Bench)?;
    guests::in_rust()?;
    let cargo = || workspace::cargo(workspace::root());
    step::run(
        "gateway, dist profile",
        cargo().args(["build", "--profile", "dist", "--package", "tidegate"]),
    )?;
    let mut harness = cargo();
    harness.args(["run", "--release", "--package", "tidegate-benches", "--", "compare"]);
    for (flag, folder) in places_not_named(args, workspace::target()?) {
        harness.arg(flag).arg(folder);
    }
    step::run("compare", harness.args(args))
}

/// Where the gateway and the guests were put, as arguments to the harness, but for those the caller names.
fn places_not_named(args: &[String], target: PathBuf) -> Vec<(&'static str, PathBuf)> {
    let mut places = vec![("--target-dir", target), ("--guests", workspace::guests_out())];
    places.retain(|(flag, _)| !args.iter().any(|arg| arg.split('=').next() == Some(flag)));
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_the_caller_names_is_the_callers() {
        let flags = |args: &[&str]| -> Vec<&str> {
            let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
            places_not_named(&args, "/t".into())
                .into_iter()
                .map(|(flag, _)| flag)
                .collect()
        };
        assert_eq!(flags(&["--rounds", "3"]), ["--target-dir", "--guests"]);
        assert_eq!(flags(&["--guests", "/g"]), ["--target-dir"]);
        assert_eq!(flags(&["--guests=/g", "--target-dir=/t"]), [""; 0]);
    }
}
