//! The data folder: private, of a known format, and used by one gateway at a time.

use rustix::fs::{FlockOperation, flock};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The format this version writes.
const FORMAT: u32 = 1;

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// It cannot be made or opened.
    #[error("data_dir {path} cannot be used: {source}")]
    Io {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process holds its lock.
    #[error("data_dir {path} is in use by another Tidegate: stop that one, or give this one a data_dir of its own")]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// A newer version wrote it.
    #[error("data_dir {path} has format {found}, and this version knows up to {FORMAT}: run the version that made it")]
    Newer {
        /// The folder.
        path: PathBuf,
        /// What its FORMAT file says.
        found: String,
    },
}

/// An opened data folder; its lock is given back when this is dropped.
#[derive(Debug)]
pub(super) struct DataDir {
    _lock: File,
}

impl DataDir {
    /// Makes the folder where it is missing, and takes it for this process.
    pub(super) fn open(path: &Path) -> Result<Self, DataDirError> {
        let error = |at: &Path| {
            let path = at.to_owned();
            move |source| DataDirError::Io { path, source }
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(error(path))?;
        // A folder that was there already keeps its mode: it may be somebody's whole disk.
        let mode = fs::metadata(path).map_err(error(path))?.permissions().mode();
        if mode & 0o022 != 0 {
            tracing::warn!("data_dir {} can be written to by others: chmod 700 it", path.display());
        }
        let lock_path = path.join("LOCK");
        let lock = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock_path)
            .map_err(error(&lock_path))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|errno| {
            if errno == rustix::io::Errno::WOULDBLOCK {
                DataDirError::InUse { path: path.to_owned() }
            } else {
                error(&lock_path)(errno.into())
            }
        })?;
        check_format(path)?;
        Ok(Self { _lock: lock })
    }
}

fn check_format(path: &Path) -> Result<(), DataDirError> {
    let file = path.join("FORMAT");
    let error = |source| DataDirError::Io {
        path: file.clone(),
        source,
    };
    let found = match fs::read_to_string(&file) {
        Ok(found) => found,
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => {
            return fs::write(&file, format!("{FORMAT}\n")).map_err(error);
        }
        Err(source) => return Err(error(source)),
    };
    match found.trim().parse::<u32>() {
        Ok(format) if format <= FORMAT => Ok(()),
        _ => Err(DataDirError::Newer {
            path: path.to_owned(),
            found: found.trim().to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_gateway_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("var");
        let first = DataDir::open(&path).unwrap();
        assert!(matches!(DataDir::open(&path), Err(DataDirError::InUse { .. })));
        drop(first);
        DataDir::open(&path).unwrap();
    }

    #[test]
    fn a_newer_format_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        drop(DataDir::open(dir.path()).unwrap());
        assert_eq!(fs::read_to_string(dir.path().join("FORMAT")).unwrap(), "1\n");
        for found in ["2", "one", ""] {
            fs::write(dir.path().join("FORMAT"), found).unwrap();
            assert!(
                matches!(DataDir::open(dir.path()), Err(DataDirError::Newer { .. })),
                "{found:?}"
            );
        }
    }
}
