//! What becomes of an import when the guest calls it.

use crate::config::Grants;
use crate::runtime::Import;

/// What becomes of an import when the guest calls it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// It is there for everybody.
    Served,
    /// It reaches these.
    Granted(Kind, Vec<String>),
    /// It links, and every call is denied without a grant.
    Denied(Kind),
    /// Nobody here serves it.
    Unserved,
}

/// The grant that an interface needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Http,
    Dirs,
    Sockets,
}

impl Access {
    pub(super) fn of(import: &Import, is_served: bool, grants: &Grants) -> Self {
        if !is_served {
            return Self::Unserved;
        }
        let Some(kind) = Kind::of(import) else {
            return Self::Served;
        };
        match kind.granted(grants) {
            granted if granted.is_empty() => Self::Denied(kind),
            granted => Self::Granted(kind, granted),
        }
    }

    pub(super) fn as_str(&self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::Granted(..) => "granted",
            Self::Denied(_) => "denied",
            Self::Unserved => "not served",
        }
    }
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Http, Self::Dirs, Self::Sockets];

    /// Types alone need no grant: a handler's own request is of them.
    fn of(import: &Import) -> Option<Self> {
        match (import.package(), import.interface()) {
            (_, "wasi:http/outgoing-handler" | "wasi:http/client") => Some(Self::Http),
            ("wasi:filesystem", _) => Some(Self::Dirs),
            ("wasi:sockets", _) => Some(Self::Sockets),
            _ => None,
        }
    }

    fn granted(self, grants: &Grants) -> Vec<String> {
        match self {
            Self::Http => grants.http.iter().map(ToString::to_string).collect(),
            Self::Sockets => grants.sockets.iter().map(ToString::to_string).collect(),
            Self::Dirs => {
                let dirs = grants.dirs.iter().map(|dir| {
                    let how = if dir.read_only { "read-only" } else { "writable" };
                    format!("{} as {}, {how}", dir.path.display(), dir.guest)
                });
                dirs.collect()
            }
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Dirs => "dirs",
            Self::Sockets => "sockets",
        }
    }

    /// The line of a component's table that grants it.
    pub(super) fn line(self) -> &'static str {
        match self {
            Self::Http => r#"grants = { http = ["https://HOST"] }"#,
            Self::Dirs => r#"grants = { dirs = [{ path = "FOLDER", guest = "/FOLDER", read_only = true }] }"#,
            Self::Sockets => r#"grants = { sockets = ["HOST:PORT"] }"#,
        }
    }

    /// The flag of `tidegate serve` that does.
    pub(super) fn flag(self) -> &'static str {
        match self {
            Self::Http => "--grant http=https://HOST",
            Self::Dirs => "--dir FOLDER::/FOLDER",
            Self::Sockets => "--grant sockets=HOST:PORT",
        }
    }
}
