//! Running other programs: each step says what it is, how long it took, and how to repeat it when it fails.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// Announces a step, does it, and prints its time. An error ends the whole command.
pub(crate) fn step<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    eprintln!("\n==> {what}");
    let begun = Instant::now();
    let done = work().with_context(|| format!("`{what}` failed after {}", seconds(begun)))?;
    eprintln!("    {what}: {}", seconds(begun));
    Ok(done)
}

/// A step that is one command.
pub(crate) fn run(what: &str, command: &mut Command) -> Result<()> {
    step(what, || succeed(command))
}

/// Runs a command with this process's own input and output.
pub(crate) fn succeed(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot start `{}`", shown(command)))?;
    if !status.success() {
        bail!("{status}. To repeat it alone:\n\n    {}\n", shown(command));
    }
    Ok(())
}

/// Runs a command for its standard output; its errors stay visible.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    command.stderr(Stdio::inherit());
    let output = command
        .output()
        .with_context(|| format!("cannot start `{}`", shown(command)))?;
    if !output.status.success() {
        bail!("{}. To repeat it alone:\n\n    {}\n", output.status, shown(command));
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{}` wrote something that is not text", shown(command)))
}

/// The standard output of a command that may be missing or fail: `None` then.
pub(crate) fn probe(program: impl AsRef<Path>, args: &[&str]) -> Option<String> {
    let output = Command::new(program.as_ref())
        .args(args)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A command as one would type it in a shell, from any folder.
pub(crate) fn shown(command: &Command) -> String {
    let mut words = Vec::new();
    if let Some(folder) = command.get_current_dir() {
        words.push(format!("cd {} &&", quoted(&folder.to_string_lossy())));
    }
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            words.push(format!(
                "{}={}",
                name.to_string_lossy(),
                quoted(&value.to_string_lossy())
            ));
        }
    }
    words.push(quoted(&command.get_program().to_string_lossy()));
    words.extend(command.get_args().map(|arg| quoted(&arg.to_string_lossy())));
    words.join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn seconds(begun: Instant) -> String {
    format!("{:.1} s", begun.elapsed().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_it_would_be_typed() {
        let mut command = Command::new("cargo");
        command
            .args(["test", "it's", ""])
            .current_dir("/a b")
            .env("X", "1 2")
            .env_remove("Y");
        assert_eq!(shown(&command), r#"cd '/a b' && X='1 2' cargo test 'it'\''s' ''"#);
    }

    #[test]
    fn a_failed_command_says_how_to_repeat_it() {
        let error = succeed(Command::new("sh").args(["-c", "exit 3"]))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("exit status: 3") && error.contains("sh -c 'exit 3'"),
            "{error}"
        );
        let error = output(Command::new("sh").args(["-c", "exit 4"]))
            .unwrap_err()
            .to_string();
        assert!(error.contains("exit status: 4"), "{error}");
    }

    #[test]
    fn a_program_that_is_missing_is_named() {
        let error = succeed(&mut Command::new("no-such-program")).unwrap_err().to_string();
        assert!(error.contains("cannot start `no-such-program`"), "{error}");
        assert_eq!(probe("no-such-program", &[]), None);
        assert_eq!(probe("false", &[]), None);
        assert_eq!(probe("echo", &["a"]).as_deref(), Some("a\n"));
    }

    #[test]
    fn a_failed_step_carries_its_name() {
        let error = step("weighing", || -> Result<()> { bail!("too heavy") }).unwrap_err();
        let chain = format!("{error:#}");
        assert!(
            chain.contains("`weighing` failed") && chain.contains("too heavy"),
            "{chain}"
        );
        assert_eq!(step("counting", || Ok(3)).unwrap(), 3);
    }
}
