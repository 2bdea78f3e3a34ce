//! The guests in other languages. Each is built by its language's own toolchain, which is installed under the target
//! folder at exactly the version that the guest's sources pin, and again only when what it is made from changes.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{files, guests, setup, step, workspace};

struct Guest {
    /// Its folder in guests/, and its component's name.
    name: &'static str,
    /// What the component is made from, beside the toolchain.
    sources: &'static [&'static str],
    toolchain: Toolchain,
    componentize: fn(&Places) -> Result<Command>,
}

struct Toolchain {
    name: &'static str,
    /// Files beside the sources that pin its version, and that of everything it brings.
    pins: &'static [&'static str],
    /// Where in its folder the program is.
    program: &'static str,
    install: fn(&Path) -> Result<()>,
}

const GUESTS: [Guest; 2] = [
    Guest {
        name: "hello-py",
        sources: &["app.py"],
        toolchain: Toolchain {
            name: "componentize-py",
            pins: &["requirements.txt"],
            program: "bin/componentize-py",
            install: pip_install,
        },
        componentize: componentize_py,
    },
    Guest {
        name: "hello-js",
        sources: &["hello.js", "hello.wit"],
        toolchain: Toolchain {
            name: "componentize-js",
            pins: &["package.json", "package-lock.json"],
            program: "node_modules/.bin/componentize-js",
            install: npm_ci,
        },
        componentize: componentize_js,
    },
];

/// Where one guest is built. All of it is under cargo's target folder, so it is kept where that is kept.
struct Places {
    /// Copies of the sources, as the tools write beside what they read.
    sources: PathBuf,
    toolchain: PathBuf,
    program: PathBuf,
    component: PathBuf,
    /// What the component was made from, written once it is there.
    stamp: PathBuf,
}

impl Places {
    fn of(guest: &Guest, target: &Path) -> Self {
        let build = target.join("guests-languages");
        let toolchain = target.join("tools").join(guest.toolchain.name);
        Self {
            sources: build.join(guest.name),
            program: toolchain.join(guest.toolchain.program),
            toolchain,
            component: build.join(format!("{}.wasm", guest.name)),
            stamp: build.join(format!("{}.stamp", guest.name)),
        }
    }
}

/// The guests that are not cargo's to build.
pub(crate) fn names() -> impl Iterator<Item = String> {
    GUESTS.iter().map(|guest| guest.name.to_owned())
}

/// Builds each of them and puts it at `<out>/<name>.wasm`.
pub(crate) fn build(out: &Path) -> Result<()> {
    let target = workspace::target()?;
    for guest in &GUESTS {
        let places = Places::of(guest, &target);
        component(guest, &workspace::guests().join(guest.name), &places)?;
        let bytes = read(&places.component)?;
        if files::place_if_changed(&out.join(format!("{}.wasm", guest.name)), &bytes)? {
            eprintln!("    {}.wasm: {} KiB", guest.name, bytes.len().div_ceil(1024));
        }
    }
    Ok(())
}

/// Makes the component of the sources in a folder, unless it was made from the same already.
fn component(guest: &Guest, folder: &Path, places: &Places) -> Result<()> {
    let pins = read_all(folder, guest.toolchain.pins)?;
    let sources = read_all(folder, guest.sources)?;
    let mut command = (guest.componentize)(places)?;
    // The command is part of it: it names the interfaces the component is built against.
    let made_from = fingerprint(&(&pins, &sources, step::shown(&command)));
    if places.component.exists() && has(&places.stamp, &made_from) {
        return Ok(());
    }
    toolchain(&guest.toolchain, places, &pins)?;
    empty(&places.sources)?;
    write_all(&places.sources, &sources)?;
    // First away with the stamp, so that what a failed or broken off build leaves behind is not taken for good.
    remove(&places.stamp)?;
    step::run(&format!("component {}", guest.name), &mut command)?;
    files::place(&places.stamp, made_from.as_bytes(), 0o644)
}

/// Installs the toolchain, unless that version is there and runs: it ceases to when the system's interpreter moves.
fn toolchain(toolchain: &Toolchain, places: &Places, pins: &[Source]) -> Result<()> {
    let stamp = places.toolchain.join("pins.stamp");
    let pinned = fingerprint(&pins);
    if has(&stamp, &pinned) && step::probe(&places.program, &["--version"]).is_some() {
        return Ok(());
    }
    step::step(&format!("installing {}, once", toolchain.name), || {
        empty(&places.toolchain)?;
        write_all(&places.toolchain, pins)?;
        (toolchain.install)(&places.toolchain)?;
        files::place(&stamp, pinned.as_bytes(), 0o644)
    })
}

fn pip_install(folder: &Path) -> Result<()> {
    setup::tools(setup::Purpose::Languages)?;
    step::succeed(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
    let mut pip = Command::new(folder.join("bin/pip"));
    // A wheel or nothing: building it would call for a Rust toolchain and the WASI SDK.
    pip.args(["--quiet", "--disable-pip-version-check", "install", "--no-input"]);
    pip.args(["--only-binary", ":all:", "--require-hashes", "--requirement"]);
    step::succeed(pip.arg(folder.join("requirements.txt")))
}

fn npm_ci(folder: &Path) -> Result<()> {
    setup::tools(setup::Purpose::Languages)?;
    let mut npm = Command::new("npm");
    // No package among them needs a script of its own to be installed.
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
    step::succeed(npm.current_dir(folder))
}

fn componentize_py(places: &Places) -> Result<Command> {
    let mut command = Command::new(&places.program);
    command.arg("--quiet").arg("--wit-path").arg(wasi_wit()?);
    command.args(["--world", "wasi:http/proxy", "componentize", "app", "--python-path"]);
    command.arg(&places.sources).arg("--output").arg(&places.component);
    // Whose packages the guest may import: those beside the toolchain, where it would otherwise ask the system's
    // Python for its own.
    command.env("VIRTUAL_ENV", &places.toolchain);
    Ok(command)
}

fn componentize_js(places: &Places) -> Result<Command> {
    let mut command = Command::new(&places.program);
    command.arg(places.sources.join("hello.js"));
    command.arg("--wit").arg(places.sources.join("hello.wit"));
    command.args(["--world-name", "hello", "--out"]).arg(&places.component);
    Ok(command)
}

/// The WIT of WASI 0.2 as the guests in Rust have it: the one in their crate `wasip2`.
fn wasi_wit() -> Result<PathBuf> {
    let mut command = workspace::cargo(&workspace::guests());
    // Only what is there for the guests' target already.
    command.args(["metadata", "--format-version", "1", "--filter-platform", guests::TARGET]);
    let metadata: Value =
        serde_json::from_str(&step::output(&mut command)?).context("cargo metadata did not answer with JSON")?;
    wit_of("wasip2", &metadata)
        .context("the guests no longer use the crate wasip2, whose WIT hello-py is built against")
}

fn wit_of(name: &str, metadata: &Value) -> Option<PathBuf> {
    let packages = metadata.get("packages")?.as_array()?;
    let package = packages.iter().find(|p| p.get("name").is_some_and(|n| n == name))?;
    let manifest = Path::new(package.get("manifest_path")?.as_str()?);
    Some(manifest.parent()?.join("wit"))
}

/// A file's name and content.
type Source = (&'static str, Vec<u8>);

/// Changes when one of them does. Another std may hash otherwise, which costs a build and nothing else.
fn fingerprint(of: &impl Hash) -> String {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

fn has(stamp: &Path, text: &str) -> bool {
    fs::read(stamp).is_ok_and(|present| present == text.as_bytes())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn read_all(folder: &Path, names: &'static [&'static str]) -> Result<Vec<Source>> {
    names
        .iter()
        .map(|name| Ok((*name, read(&folder.join(name))?)))
        .collect()
}

fn write_all(folder: &Path, sources: &[Source]) -> Result<()> {
    sources
        .iter()
        .try_for_each(|(name, bytes)| files::place(&folder.join(name), bytes, 0o644))
}

/// Makes a folder that has nothing in it.
fn empty(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => fs::create_dir_all(folder),
    }
    .with_context(|| format!("cannot empty {}", folder.display()))
}

fn remove(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", file.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
