//! The `grants` table: lists of destinations, and of tables for folders.

use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use super::{DirGrant, Grants, HttpGrant, InvalidGrant, SocketGrant};
use crate::config::node::Value;
use crate::config::reader::{Field, NamedField};
use crate::config::suggest;
use crate::limits;

/// What this version grants.
const SERVED: [&str; 3] = ["http", "dirs", "sockets"];
/// What a later one will: a misspelt grant is told apart from these.
const UNSERVED: [&str; 6] = ["keyvalue", "blobstore", "secrets", "websocket", "messaging", "sql"];

pub(in crate::config) fn read(field: &Field<'_>) -> Option<Grants> {
    for named in field.named()? {
        refuse_unless_served(&named);
    }
    let mut table = field.table("Grants")?;
    let http = table.take("http").map(|field| destinations::<HttpGrant>(&field));
    let dirs = table.take("dirs").map(|field| read_dirs(&field));
    let sockets = table.take("sockets").map(|field| destinations::<SocketGrant>(&field));
    // Not finished: its other keys are grants, and have been looked at as such.
    Some(Grants {
        http: http.unwrap_or_default(),
        dirs: dirs.unwrap_or_default(),
        sockets: sockets.unwrap_or_default(),
    })
}

fn refuse_unless_served(grant: &NamedField<'_>) {
    let name = grant.name;
    if SERVED.contains(&name) {
        return;
    }
    let known = || SERVED.into_iter().chain(UNSERVED);
    if !known().any(|known| known == name) {
        let label = match suggest::closest_key(name, &known().collect::<Vec<_>>()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "not a grant".to_owned(),
        };
        let message = format!("unknown grant `{name}`");
        grant.fail_name::<()>(message, label, format!("grants: {}", SERVED.join(", ")));
        return;
    }
    // A generator that writes every grant may write those that are empty.
    let empty = match grant.field.value() {
        Value::Array(items) => items.is_empty(),
        Value::Boolean(granted) => !granted,
        _ => false,
    };
    if !empty {
        grant.fail_name::<()>(
            format!("the grant `{name}` is not served by this version of Tidegate yet"),
            "not served yet",
            "remove it: a component that imports the interface cannot be served by this version",
        );
    }
}

/// The entries of a list of grants, if they are not too many.
fn entries<'a>(field: &Field<'a>) -> Vec<Field<'a>> {
    let Some(entries) = field.list() else {
        return Vec::new();
    };
    let (count, count_max) = (entries.len(), limits::GRANTS_COUNT);
    if count > count_max {
        let message = format!("`{}` has {count} entries", field.path());
        field.fail::<()>(message, "too many", format!("at most {count_max}"));
        return Vec::new();
    }
    entries
}

/// A list of destinations as text.
fn destinations<T: FromStr<Err = InvalidGrant> + fmt::Display>(field: &Field<'_>) -> Vec<T> {
    let read = |entry: &Field<'_>| {
        let text = entry.string()?;
        text.parse::<T>().map_or_else(
            |error| {
                let message = format!("`{}` is not a destination: {error}", entry.path());
                entry.fail(message, "not a destination", error.help(text))
            },
            Some,
        )
    };
    entries(field).iter().filter_map(read).collect()
}

fn read_dirs(field: &Field<'_>) -> Vec<DirGrant> {
    let mut dirs: Vec<DirGrant> = Vec::new();
    for entry in entries(field) {
        let Some(dir) = read_dir(&entry) else {
            continue;
        };
        let same = |other: &&DirGrant| normal(&other.guest) == normal(&dir.guest);
        if let Some(other) = dirs.iter().find(same) {
            let message = format!(
                "`{}` has the guest path of another folder, {}",
                entry.path(),
                other.guest
            );
            entry.fail::<()>(
                message,
                "the same guest path",
                "give each folder a guest path of its own",
            );
            continue;
        }
        dirs.push(dir);
    }
    dirs
}

fn read_dir(field: &Field<'_>) -> Option<DirGrant> {
    let mut table = field.table("DirGrant")?;
    let path = table.require("path", "a folder of this machine, such as path = \"data\"");
    let guest = table.require("guest", "what the guest calls it, such as guest = \"/data\"");
    let read_only = table.take("read_only").map(|field| field.boolean());
    table.finish();
    Some(DirGrant {
        path: read_folder(&path?)?,
        guest: read_guest_path(&guest?)?,
        read_only: read_only.unwrap_or(Some(true))?,
    })
}

/// A folder that is there, where files are looked at.
fn read_folder(field: &Field<'_>) -> Option<PathBuf> {
    let path = field.file_path()?;
    // A text from elsewhere than a file may have a relative folder, and the process may move.
    let path = std::path::absolute(&path).unwrap_or(path);
    if !field.cx().sink.options.check_files {
        return Some(path);
    }
    let reason = match std::fs::read_dir(&path) {
        Ok(_) => return Some(path),
        Err(_) if path.is_file() => "it is a file".to_owned(),
        Err(error) => error.to_string(),
    };
    field.fail(
        format!("the folder {} cannot be granted: {reason}", path.display()),
        reason,
        "name a folder that is there; relative paths start from the folder of this configuration file",
    )
}

fn read_guest_path(field: &Field<'_>) -> Option<String> {
    let text = field.string()?;
    let reason = if text.is_empty() {
        "it is empty"
    } else if text.contains('\0') {
        "it holds a NUL character"
    } else if Path::new(text).components().any(|part| part == Component::ParentDir) {
        "it has a `..`"
    } else {
        return Some(text.to_owned());
    };
    field.fail(
        format!("`{}` is not a guest path: {reason}", field.path()),
        reason,
        "the path the guest opens, such as \"/data\", or \".\" for its current folder",
    )
}

/// A guest path as the guest's own library compares it: `/data/` and `/./data` are `/data`.
fn normal(guest: &str) -> PathBuf {
    let parts = Path::new(guest).components();
    parts.filter(|part| *part != Component::CurDir).collect()
}
