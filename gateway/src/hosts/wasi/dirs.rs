//! Granted folders: opened for each instance, so that a folder that was put in another's place is the one seen.
//!
//! Inside a folder wasmtime keeps the guest (openat2 with RESOLVE_BENEATH on Linux): neither `..`, nor an absolute
//! path, nor a symbolic link leads out. What this file sees to is that the folder itself is the one that was meant.

use crate::config::DirGrant;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

/// Why a folder cannot be granted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DirError {
    /// It is not there, is no folder, or may not be read.
    #[error(
        "the folder {path}, granted as {guest}, cannot be opened: {reason}: make it, or take it out of the \
         component's grants.dirs"
    )]
    Open {
        /// The folder.
        path: PathBuf,
        /// What the guest would call it.
        guest: String,
        /// What the system said.
        reason: String,
    },
    /// Compiled components are native code, and the admin token is a password: no guest comes near them.
    #[error(
        "the folder {path}, granted as {guest}, is or holds part of the gateway's own data_dir {data_dir}: grant \
         another folder, or move data_dir"
    )]
    Private {
        /// The folder.
        path: PathBuf,
        /// What the guest would call it.
        guest: String,
        /// The data folder.
        data_dir: PathBuf,
    },
    /// A guest may replace what is in a folder it may write to by a symbolic link.
    #[error(
        "the folder {path}, granted as {guest}, is inside {outer}, which the component may write to and could put a \
         link in its place: grant one of them, or make the outer one read_only"
    )]
    Nested {
        /// The folder.
        path: PathBuf,
        /// What the guest would call it.
        guest: String,
        /// The writable folder around it.
        outer: PathBuf,
    },
}

/// The folders of one component.
#[derive(Debug)]
pub(super) struct Dirs(Box<[Dir]>);

struct Dir {
    path: PathBuf,
    guest: String,
    perms: FsPerms,
    /// It could not be opened for the last instance, which the log was told.
    is_missed: AtomicBool,
}

impl Dirs {
    pub(super) fn open(grants: &[DirGrant], data_dir: &Path) -> Result<Self, DirError> {
        let mut real = Vec::with_capacity(grants.len());
        for grant in grants {
            real.push((grant, real_path(grant)?));
        }
        // Where there is no data_dir, nothing can hold it.
        let data_dir = data_dir.canonicalize().unwrap_or_else(|_| data_dir.to_owned());
        for (grant, path) in &real {
            if path.starts_with(&data_dir) || data_dir.starts_with(path) {
                return Err(DirError::Private {
                    path: grant.path.clone(),
                    guest: grant.guest.clone(),
                    data_dir,
                });
            }
            let is_around = |(other, outer): &&(&DirGrant, PathBuf)| {
                !other.read_only && path != outer && (path.starts_with(outer) || grant.path.starts_with(outer))
            };
            if let Some((outer, _)) = real.iter().find(is_around) {
                return Err(DirError::Nested {
                    path: grant.path.clone(),
                    guest: grant.guest.clone(),
                    outer: outer.path.clone(),
                });
            }
        }
        Ok(Self(grants.iter().map(Dir::new).collect()))
    }

    pub(super) fn give(&self, component: &str, builder: &mut WasiCtxBuilder) {
        for dir in &self.0 {
            dir.give(component, builder);
        }
    }
}

/// Where a folder is, without links; it is opened to see that it can be.
fn real_path(grant: &DirGrant) -> Result<PathBuf, DirError> {
    let failed = |reason: String| DirError::Open {
        path: grant.path.clone(),
        guest: grant.guest.clone(),
        reason,
    };
    let real = grant.path.canonicalize().map_err(|error| failed(error.to_string()))?;
    let mut trial = WasiCtxBuilder::new();
    trial
        .preopened_dir(&real, &grant.guest, perms(grant))
        .map_err(|error| failed(format!("{error:#}")))?;
    Ok(real)
}

fn perms(grant: &DirGrant) -> FsPerms {
    if grant.read_only {
        FsPerms::ReadOnly
    } else {
        FsPerms::ReadWrite
    }
}

impl Dir {
    fn new(grant: &DirGrant) -> Self {
        Self {
            path: grant.path.clone(),
            guest: grant.guest.clone(),
            perms: perms(grant),
            is_missed: AtomicBool::new(false),
        }
    }

    fn give(&self, component: &str, builder: &mut WasiCtxBuilder) {
        match builder.preopened_dir(&self.path, &self.guest, self.perms) {
            Ok(_) => {
                if self.is_missed.load(Ordering::Relaxed) && self.is_missed.swap(false, Ordering::Relaxed) {
                    tracing::info!(component, path = %self.path.display(), "the granted folder is back");
                }
            }
            Err(error) => {
                if !self.is_missed.swap(true, Ordering::Relaxed) {
                    tracing::error!(
                        component,
                        path = %self.path.display(),
                        "the granted folder cannot be opened any more, and the component does not see it until it \
                         can: {error:#}"
                    );
                }
            }
        }
    }
}

impl fmt::Debug for Dir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dir")
            .field("path", &self.path)
            .field("guest", &self.guest)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn grant(path: &Path, guest: &str, read_only: bool) -> DirGrant {
        DirGrant {
            path: path.to_owned(),
            guest: guest.to_owned(),
            read_only,
        }
    }

    #[test]
    fn a_folder_that_cannot_be_opened_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "x").unwrap();
        for path in [folder.path().join("nowhere"), file] {
            let refused = Dirs::open(&[grant(&path, "/data", true)], Path::new("/nowhere/var"));
            let Err(DirError::Open { path: named, .. }) = refused else {
                panic!("{refused:?}");
            };
            assert_eq!(named, path);
        }
    }

    #[test]
    fn the_data_dir_is_never_granted_from_above_below_or_through_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        fs::create_dir_all(at("var/compiled")).unwrap();
        fs::create_dir_all(at("variants")).unwrap();
        symlink(at("var"), at("link")).unwrap();
        for path in [folder.path().to_owned(), at("var"), at("var/compiled"), at("link")] {
            let refused = Dirs::open(&[grant(&path, "/data", true)], &at("var"));
            assert!(
                matches!(refused, Err(DirError::Private { .. })),
                "{path:?}: {refused:?}"
            );
        }
        // A name that only begins the same.
        Dirs::open(&[grant(&at("variants"), "/data", true)], &at("var")).unwrap();
    }

    #[test]
    fn no_folder_is_inside_one_the_guest_may_write_to() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        fs::create_dir_all(at("outer/inner")).unwrap();
        fs::create_dir_all(at("elsewhere")).unwrap();
        symlink(at("elsewhere"), at("outer/link")).unwrap();
        let open = |outer_read_only: bool, inner: &str| {
            let grants = [
                grant(&at(inner), "/inner", true),
                grant(&at("outer"), "/outer", outer_read_only),
            ];
            Dirs::open(&grants, Path::new("/nowhere/var"))
        };
        for inner in ["outer/inner", "outer/link"] {
            let refused = open(false, inner);
            assert!(matches!(refused, Err(DirError::Nested { .. })), "{inner}: {refused:?}");
            open(true, inner).unwrap();
        }
        open(false, "elsewhere").unwrap();
        // The same folder twice is no way out of it.
        open(false, "outer").unwrap();
    }
}
