//! The nginx of the machine: found, not installed. Its release is shown beside every figure.

use crate::error::{Context, Error};
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where Debian puts it; only root has this folder in the PATH there.
const SBIN: &str = "/usr/sbin";
const PACKAGE: &str = "install nginx (Debian and Ubuntu: apt-get install nginx-light), or name one with --nginx";

/// The first `nginx` in the PATH, else the one among the system's own programs.
pub(crate) fn find() -> Result<PathBuf, Error> {
    let path = env::var_os("PATH").unwrap_or_default();
    first(env::split_paths(&path).chain([PathBuf::from(SBIN)]))
}

fn first(folders: impl IntoIterator<Item = PathBuf>) -> Result<PathBuf, Error> {
    folders
        .into_iter()
        .map(|folder| folder.join("nginx"))
        .find(|program| program.is_file())
        .ok_or_else(|| missing(Path::new("nginx")))
}

/// What `nginx -v` says, `nginx/1.22.1`. It writes to stderr.
pub(crate) fn version(program: &Path) -> Result<String, Error> {
    if !program.is_file() {
        return Err(missing(program));
    }
    let output = Command::new(program)
        .arg("-v")
        .output()
        .context(|| format!("running {}", program.display()))?;
    let text = String::from_utf8_lossy(&output.stderr);
    let version = text.lines().find_map(|line| line.strip_prefix("nginx version: "));
    version.map(ToOwned::to_owned).ok_or_else(|| Error::Premise {
        name: program.display().to_string(),
        detail: format!("`-v` says {:?}: that is not nginx", text.trim()),
    })
}

fn missing(program: &Path) -> Error {
    Error::Missing {
        path: program.to_owned(),
        remedy: PACKAGE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_nginx_is_found_and_says_its_release() {
        let version = version(&find().unwrap()).unwrap();
        assert!(version.starts_with("nginx/1."), "{version}");
    }

    #[test]
    fn a_missing_one_is_named_with_its_package() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("nginx")).unwrap();
        let told = |error: Error| {
            let text = error.to_string();
            assert!(
                text.contains("nginx is missing") && text.contains("nginx-light"),
                "{text}"
            );
        };
        told(first([dir.path().to_owned()]).unwrap_err());
        told(version(Path::new("/no/nginx")).unwrap_err());
        let error = version(Path::new("/bin/true")).unwrap_err().to_string();
        assert!(error.contains("that is not nginx"), "{error}");
    }
}
