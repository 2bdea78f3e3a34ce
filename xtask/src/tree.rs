//! Crates that must not be in the dependency tree, asked of `cargo tree`.

use anyhow::{Context, Result, bail};

use crate::step::shown;
use crate::workspace;

/// What `cargo tree --invert` said about a crate.
#[derive(Debug, PartialEq)]
enum Answer {
    Absent,
    /// With the paths that lead to it.
    Present(String),
    /// It could not tell: a broken manifest, a lock file out of date.
    Unknown(String),
}

/// Fails when `package` is in the tree that `selection` (arguments to cargo tree) describes, on any platform.
pub(crate) fn absent(package: &str, selection: &[&str], why: &str) -> Result<()> {
    let mut command = workspace::cargo(workspace::root());
    command
        .arg("tree")
        .args(selection)
        .args(["--target", "all", "--invert", package]);
    let output = command
        .output()
        .with_context(|| format!("cannot start `{}`", shown(&command)))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match answer(output.status.success(), &text(&output.stdout), &text(&output.stderr)) {
        Answer::Absent => Ok(()),
        Answer::Present(paths) => bail!(
            "{package} is in the tree, and {why}:\n\n{paths}\n    {}\n",
            shown(&command)
        ),
        Answer::Unknown(error) => bail!("cargo tree could not tell:\n{error}\n    {}\n", shown(&command)),
    }
}

/// cargo fails when the lock file does not have the crate at all, which is the best answer; so success alone
/// says nothing, and neither does failure.
fn answer(success: bool, stdout: &str, stderr: &str) -> Answer {
    match (success, stdout.trim().is_empty()) {
        (true, false) => Answer::Present(stdout.to_owned()),
        (true, true) if stderr.contains("nothing to print") => Answer::Absent,
        (false, true) if stderr.contains("did not match any packages") => Answer::Absent,
        // Several versions of one crate: cargo asks which.
        (false, _) if stderr.contains("is ambiguous") => Answer::Present(stderr.to_owned()),
        _ => Answer::Unknown(stderr.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_that_is_nowhere_is_absent() {
        let nowhere = "error: package ID specification `aws-lc-rs` did not match any packages";
        assert_eq!(answer(false, "", nowhere), Answer::Absent);
        let elsewhere = "warning: nothing to print.\n\nTo find dependencies that require specific ..";
        assert_eq!(answer(true, "", elsewhere), Answer::Absent);
    }

    #[test]
    fn a_crate_that_is_there_is_present() {
        assert_eq!(
            answer(true, "ring v0.17\n└── rustls\n", ""),
            Answer::Present("ring v0.17\n└── rustls\n".into())
        );
        let twice = "error: specification `rand` is ambiguous";
        assert_eq!(answer(false, "", twice), Answer::Present(twice.into()));
    }

    #[test]
    fn any_other_failure_is_not_taken_for_absence() {
        let broken = "error: no matching package named `hdrhistogram` found";
        assert_eq!(answer(false, "", broken), Answer::Unknown(broken.into()));
        assert_eq!(answer(true, "", ""), Answer::Unknown(String::new()));
    }

    #[test]
    fn the_real_tree_is_asked() {
        absent("no-such-crate-as-this", &["--package", "xtask"], "never was").unwrap();
        let error = absent("anyhow", &["--package", "xtask"], "this test says so")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("anyhow is in the tree, and this test says so"),
            "{error}"
        );
    }
}
