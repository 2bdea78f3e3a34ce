//! `cargo build`, asked for what it made. cargo names the files itself, so no rule about dashes, underscores or
//! folders is guessed here.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::step::shown;

/// One target that cargo built, or found fresh.
#[derive(Debug, PartialEq)]
pub(crate) struct Artifact {
    pub(crate) package_id: String,
    /// The target's name; a library's has underscores where its package has dashes.
    pub(crate) target: String,
    pub(crate) kinds: Vec<String>,
    pub(crate) files: Vec<PathBuf>,
}

impl Artifact {
    pub(crate) fn is(&self, kind: &str) -> bool {
        self.kinds.iter().any(|k| k == kind)
    }

    /// The file with this extension; an empty one asks for a program.
    pub(crate) fn file(&self, extension: &str) -> Option<&Path> {
        let wanted = |file: &&PathBuf| file.extension().unwrap_or_default() == extension;
        self.files.iter().find(wanted).map(PathBuf::as_path)
    }
}

/// Runs a `cargo build`; messages for people go to stderr as always.
pub(crate) fn build(command: &mut Command) -> Result<Vec<Artifact>> {
    // What a person would type, before the format only a program reads is added.
    let typed = shown(command);
    command
        .arg("--message-format=json-render-diagnostics")
        .stderr(Stdio::inherit());
    let output = command.output().with_context(|| format!("cannot start `{typed}`"))?;
    if !output.status.success() {
        bail!("{}. To repeat it alone:\n\n    {typed}\n", output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(parse)
        .collect())
}

fn parse(line: &str) -> Option<Artifact> {
    let message: Value = serde_json::from_str(line).ok()?;
    if message.get("reason")?.as_str()? != "compiler-artifact" {
        return None;
    }
    let target = message.get("target")?;
    let texts = |list: &Value| -> Vec<String> {
        list.as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    };
    Some(Artifact {
        package_id: message.get("package_id")?.as_str()?.to_owned(),
        target: target.get("name")?.as_str()?.to_owned(),
        kinds: texts(target.get("kind")?),
        files: texts(message.get("filenames")?)
            .into_iter()
            .map(PathBuf::from)
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_artifact_message_is_read_and_others_are_not() {
        let line = r#"{"reason":"compiler-artifact","package_id":"path+file:///g/hello-min#0.1.0","target":
            {"kind":["cdylib"],"name":"hello_min"},"filenames":["/t/hello_min.wasm","/t/hello_min.d"],"fresh":true}"#;
        let artifact = parse(&line.replace('\n', "")).unwrap();
        assert_eq!(artifact.target, "hello_min");
        assert!(artifact.is("cdylib") && !artifact.is("bin"));
        assert_eq!(artifact.file("wasm"), Some(Path::new("/t/hello_min.wasm")));
        assert_eq!(artifact.file("so"), None);
        assert_eq!(parse(r#"{"reason":"build-finished","success":true}"#), None);
        assert_eq!(parse("   Compiling something"), None);
    }

    #[test]
    fn a_program_is_the_file_without_an_extension() {
        let line = r#"{"reason":"compiler-artifact","package_id":"x","target":{"kind":["bin"],"name":"tidegate"},
            "filenames":["/t/debug/tidegate"]}"#;
        let artifact = parse(&line.replace('\n', "")).unwrap();
        assert_eq!(artifact.file(""), Some(Path::new("/t/debug/tidegate")));
    }
}
