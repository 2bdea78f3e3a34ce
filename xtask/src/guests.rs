//! `cargo xtask guests`: builds the guest components and puts each at `target/guests/<name>.wasm`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::artifacts::{self, Artifact};
use crate::{files, languages, setup, step, workspace};

pub(crate) const TARGET: &str = "wasm32-wasip2";

/// Builds every guest. Files whose bytes stay the same keep their times.
pub(crate) fn build() -> Result<()> {
    in_rust()?;
    step::step("guests in other languages", || {
        languages::build(&workspace::guests_out())
    })
}

/// Builds those in Rust, for who needs no other: then neither Python nor Node.js has to be there.
pub(crate) fn in_rust() -> Result<()> {
    step::step("guests", || {
        setup::wasm_target()?;
        let packages = package_names(&workspace::metadata(&workspace::guests())?);
        let built = artifacts::build(&mut release(&["build"])?)?;
        let out = workspace::guests_out();
        fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
        let mut names: BTreeSet<_> = languages::names().collect();
        let others = names.len();
        for artifact in &built {
            let Some(name) = guest_name(artifact, &packages) else {
                continue;
            };
            let from = artifact
                .file("wasm")
                .with_context(|| format!("cargo built no .wasm file for {name}"))?;
            let bytes = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
            if files::place_if_changed(&out.join(format!("{name}.wasm")), &bytes)? {
                eprintln!("    {name}.wasm: {} KiB", bytes.len().div_ceil(1024));
            }
            if !names.insert(name.clone()) {
                bail!("two guests are named {name}; rename one");
            }
        }
        for (name, text) in texts(&workspace::guests())? {
            let bytes = wat::parse_file(&text).with_context(|| format!("cannot assemble {}", text.display()))?;
            if files::place_if_changed(&out.join(format!("{name}.wasm")), &bytes)? {
                eprintln!("    {name}.wasm: {} KiB", bytes.len().div_ceil(1024));
            }
            if !names.insert(name.clone()) {
                bail!("two guests are named {name}; rename one");
            }
        }
        let count = names.len() - others;
        if count == 0 {
            bail!("guests/ has no cdylib and no program to build");
        }
        remove_others(&out, &names)?;
        eprintln!("    {count} components in {}", out.display());
        Ok(())
    })
}

/// Lints the guests as they are built: for their own target, and without tests, as half of them have no std.
pub(crate) fn clippy() -> Result<()> {
    step::run(
        "clippy, guests",
        release(&["clippy", "--workspace"])?.args(["--", "--deny", "warnings"]),
    )
}

fn release(args: &[&str]) -> Result<Command> {
    let mut command = workspace::cargo(&workspace::guests());
    command.args(args).args(["--release", "--target", TARGET]);
    command
        .arg("--target-dir")
        .arg(workspace::guests_target(&workspace::target()?));
    Ok(command)
}

/// Package ids and the names they stand for, members of the workspace only.
fn package_names(metadata: &Value) -> BTreeMap<String, String> {
    let packages = metadata.get("packages").and_then(Value::as_array);
    let text = |package: &Value, key: &str| Some(package.get(key)?.as_str()?.to_owned());
    packages
        .into_iter()
        .flatten()
        .filter_map(|p| Some((text(p, "id")?, text(p, "name")?)))
        .collect()
}

/// The guests that are texts, `guests/<name>/<name>.wat`: what no toolchain of ours can build.
fn texts(guests: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let mut texts = BTreeMap::new();
    for entry in fs::read_dir(guests).with_context(|| format!("cannot list {}", guests.display()))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let text = guests.join(&name).join(format!("{name}.wat"));
        if text.is_file() {
            texts.insert(name, text);
        }
    }
    Ok(texts)
}

/// The name a guest goes by, or `None` for a dependency, a library or a build script. A library's target has
/// underscores, so it goes by its package's name; a program goes by its own.
fn guest_name(artifact: &Artifact, packages: &BTreeMap<String, String>) -> Option<String> {
    let package = packages.get(&artifact.package_id)?;
    if artifact.is("cdylib") {
        Some(package.clone())
    } else if artifact.is("bin") {
        Some(artifact.target.clone())
    } else {
        None
    }
}

/// Removes components that no guest builds any more, so that no test passes on one that is gone.
fn remove_others(out: &Path, names: &BTreeSet<String>) -> Result<()> {
    for entry in fs::read_dir(out).with_context(|| format!("cannot list {}", out.display()))? {
        let path = entry?.path();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        if path.extension().is_some_and(|e| e == "wasm") && !names.contains(stem.as_ref()) {
            fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
            eprintln!("    {stem}.wasm removed: no guest builds it");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn artifact(id: &str, target: &str, kind: &str) -> Artifact {
        Artifact {
            package_id: id.into(),
            target: target.into(),
            kinds: vec![kind.into()],
            files: vec![],
        }
    }

    #[test]
    fn guests_go_by_their_package_and_programs_by_their_own_name() {
        let metadata = serde_json::json!({ "packages": [
            { "id": "path+file:///g/hello-min#0.1.0", "name": "hello-min" },
            { "id": "path+file:///g/not-http#0.1.0", "name": "not-http" },
            { "id": "path+file:///g/support#0.1.0", "name": "support" },
        ]});
        let packages = package_names(&metadata);
        assert_eq!(packages.len(), 3);
        let name = |id, target, kind| guest_name(&artifact(id, target, kind), &packages);
        assert_eq!(
            name("path+file:///g/hello-min#0.1.0", "hello_min", "cdylib").as_deref(),
            Some("hello-min")
        );
        assert_eq!(
            name("path+file:///g/not-http#0.1.0", "second", "bin").as_deref(),
            Some("second")
        );
        assert_eq!(
            name("path+file:///g/hello-min#0.1.0", "build-script-build", "custom-build"),
            None
        );
        assert_eq!(name("path+file:///g/support#0.1.0", "support", "lib"), None);
        assert_eq!(name("registry+https://x#somebody@1.0.0", "somebody", "cdylib"), None);
    }

    #[test]
    fn texts_go_by_their_folder() {
        let guests = tempfile::tempdir().unwrap();
        for folder in ["one", "two", "three"] {
            fs::create_dir(guests.path().join(folder)).unwrap();
        }
        for text in ["one/one.wat", "two/other.wat", "four.wat"] {
            fs::write(guests.path().join(text), "(component)").unwrap();
        }
        let found = texts(guests.path()).unwrap();
        assert_eq!(found.keys().collect::<Vec<_>>(), ["one"]);
        assert_eq!(wat::parse_file(&found["one"]).unwrap(), b"\0asm\x0d\0\x01\0");
    }

    #[test]
    fn what_no_guest_builds_any_more_is_removed_and_other_files_are_not() {
        let out = tempfile::tempdir().unwrap();
        for name in ["hello.wasm", "gone.wasm", "notes.txt"] {
            fs::write(out.path().join(name), "x").unwrap();
        }
        remove_others(out.path(), &BTreeSet::from(["hello".to_owned()])).unwrap();
        let left: BTreeSet<_> = fs::read_dir(out.path())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(left, BTreeSet::from(["hello.wasm".to_owned(), "notes.txt".to_owned()]));
    }
}
