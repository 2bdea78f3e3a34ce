//! `cargo xtask bench`: the side-by-side measurement, with the gateway built as packages are.

use anyhow::Result;

use crate::{guests, setup, step, workspace};

/// Builds the gateway and the guests, then hands over to the harness in benches/.
pub(crate) fn compare(args: &[String]) -> Result<()> {
    setup::tools(setup::Purpose::Build)?;
    guests::build()?;
    let cargo = || workspace::cargo(workspace::root());
    step::run(
        "gateway, dist profile",
        cargo().args(["build", "--profile", "dist", "--package", "tidegate"]),
    )?;
    let harness = ["run", "--release", "--package", "tidegate-benches", "--", "compare"];
    step::run("compare", cargo().args(harness).args(args))
}
