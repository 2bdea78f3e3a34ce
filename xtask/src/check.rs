//! `cargo xtask test`: sets up what is missing, then every check and every test, cheapest first. The first
//! failure ends it and says how to repeat that step alone.

use anyhow::Result;

use crate::{cache, guests, setup, step, tree, workspace};

pub(crate) fn everything() -> Result<()> {
    let begun = std::time::Instant::now();
    step::step("tools", || {
        setup::tools(setup::Purpose::Test)?;
        setup::rust_components()
    })?;
    format()?;
    one_crypto_provider()?;
    guests::build()?;
    guests::clippy()?;
    clippy()?;
    deny()?;
    without_compiler()?;
    fuzz_targets()?;
    tests()?;
    eprintln!("\nAll passed in {:.0} s.", begun.elapsed().as_secs_f64());
    Ok(())
}

/// Each workspace by itself. Not `--all`, which would also format what a fuzz workspace depends on by path.
fn format() -> Result<()> {
    for name in ["", "guests"].into_iter().chain(workspace::FUZZ) {
        let mut command = workspace::cargo(&workspace::root().join(name));
        step::run(format!("format {name}").trim_end(), command.args(["fmt", "--check"]))?;
    }
    Ok(())
}

/// ring alone: with a second provider beside it rustls picks none by itself.
fn one_crypto_provider() -> Result<()> {
    step::step("one crypto provider", || {
        tree::absent("aws-lc-rs", &["--workspace"], "ring is to be the only crypto provider")
    })
}

fn clippy() -> Result<()> {
    let mut command = workspace::cargo(workspace::root());
    step::run(
        "clippy",
        command.args(["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"]),
    )
}

/// Bans, licences and sources. Not advisories: their database is a git repository on GitHub, which a build
/// machine need not reach; `cargo deny check advisories` asks it where one can.
fn deny() -> Result<()> {
    step::step("cargo-deny", || {
        let mut command = std::process::Command::new(setup::cargo_deny()?);
        // --workspace: the root is virtual, and each member counts.
        command
            .args(["--workspace", "check", "bans", "licenses", "sources"])
            .current_dir(workspace::root());
        step::succeed(&mut command)
    })
}

/// Cargo feature `jit` off is a gateway that only runs what is compiled already, so no compiler may be in it.
fn without_compiler() -> Result<()> {
    let features = ["--package", "tidegate", "--no-default-features"];
    step::step("no compiler without `jit`", || {
        tree::absent(
            "cranelift-codegen",
            &[&features[..], &["--edges", "normal"]].concat(),
            "`jit` is off",
        )
    })?;
    let mut command = workspace::cargo(workspace::root());
    step::run(
        "clippy without `jit`",
        command.arg("clippy").args(features).args(["--", "--deny", "warnings"]),
    )?;
    cache::proof()
}

/// That the fuzz targets still build. Running them is for a person with time and a nightly toolchain.
fn fuzz_targets() -> Result<()> {
    let build = workspace::target()?.join("fuzz-build");
    for name in workspace::FUZZ {
        let mut command = workspace::cargo(&workspace::root().join(name));
        command.args(["check", "--bins", "--target-dir"]).arg(&build);
        step::run(&format!("fuzz targets, {name}"), &mut command)?;
    }
    Ok(())
}

/// One profile: dev. Its dependencies are optimised, so guests compile quickly.
fn tests() -> Result<()> {
    // One at a time: each has a gateway of its own at work, and two cores are what such a machine has. Beside one
    // another they measure the machine's load, where they mean the gateway's patience.
    step::run(
        "tests",
        workspace::cargo(workspace::root())
            .args(["test", "--workspace"])
            .env("RUST_TEST_THREADS", "1"),
    )
}
