//! Proof that a gateway built without a compiler serves from its cache, and from nothing else.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::{files, step, workspace};

/// What a bad configuration ends with (sysexits).
const EX_CONFIG: i32 = 78;

/// Builds both binaries, lets the full one fill a cache, and the other one load it.
pub(crate) fn proof() -> Result<()> {
    let folder = workspace::target()?.join("no-jit");
    let bare = build(&folder, "tidegate-without-jit", &["--no-default-features"])?;
    // The full one last: its place in the target folder is where the tests look for it.
    let full = build(&folder, "tidegate", &[])?;
    step::step("a start from the cache alone", || from_cache(&folder, &bare, &full))
}

fn build(folder: &Path, name: &str, features: &[&str]) -> Result<PathBuf> {
    let mut command = workspace::cargo(workspace::root());
    command.args(["build", "--package", "tidegate"]).args(features);
    step::run(&format!("build {name}"), &mut command)?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let (from, to) = (workspace::target()?.join("debug/tidegate"), folder.join(name));
    fs::copy(&from, &to).with_context(|| format!("cannot copy {}", from.display()))?;
    Ok(to)
}

fn from_cache(folder: &Path, bare: &Path, full: &Path) -> Result<()> {
    let data = folder.join("data");
    if data.exists() {
        fs::remove_dir_all(&data).with_context(|| format!("cannot empty {}", data.display()))?;
    }
    let config = folder.join("gateway.toml");
    files::place_if_changed(&config, configuration(&data).as_bytes())?;
    let ends = |program: &Path, command: &str| -> Result<Option<i32>> {
        let mut run = Command::new(program);
        run.arg(command)
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Ok(run
            .status()
            .with_context(|| format!("cannot start {}", program.display()))?
            .code())
    };
    let expect = |what: &str, got: Option<i32>, wanted: i32| -> Result<()> {
        if got != Some(wanted) {
            bail!(
                "{what} ended with {got:?} instead of {wanted}; the configuration is {}",
                config.display()
            );
        }
        Ok(())
    };
    expect(
        "`check` without a compiler and a cache",
        ends(bare, "check")?,
        EX_CONFIG,
    )?;
    expect("`compile`", ends(full, "compile")?, 0)?;
    expect("`check` without a compiler, from the cache", ends(bare, "check")?, 0)
}

fn configuration(data: &Path) -> String {
    let guests = workspace::guests_out();
    let component = |name: &str| {
        let source = guests.join(format!("{name}.wasm"));
        format!("[component.{name}]\nsource = {source:?}\n[[route]]\npath = \"/{name}\"\ncomponent = \"{name}\"\n")
    };
    format!(
        "[gateway]\ndata_dir = {data:?}\n[[listener]]\naddress = \"127.0.0.1:0\"\n{}{}",
        component("hello"),
        component("hello-p3")
    )
}
