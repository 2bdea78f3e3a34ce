//! Values that may be secret: read from the environment or a file, used by value, and shown as `***`.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde::ser::{Serialize, Serializer};

use super::file;
use super::node::Value;
use super::reader::Field;
use crate::limits;

/// A text that is never shown: debug output and serialised forms hold `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

/// What stands for a secret wherever it would be shown.
const HIDDEN: &str = "***";

impl Secret {
    /// Takes a text into keeping.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one who uses it; never for anything that shows or stores it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(HIDDEN)
    }
}

/// A value of a component's `config` or `env` table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// Written in the configuration.
    Plain(String),
    /// Named there, and kept elsewhere.
    Secret(Secret),
}

impl Setting {
    /// The value for the guest, secret or not.
    pub fn expose(&self) -> &str {
        match self {
            Self::Plain(text) => text,
            Self::Secret(secret) => secret.expose(),
        }
    }
}

impl Serialize for Setting {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Plain(text) => serializer.serialize_str(text),
            Self::Secret(secret) => secret.serialize(serializer),
        }
    }
}

/// Reads a string, integer or boolean, or `{ env = ".." }` or `{ file = ".." }`.
pub(super) fn read(field: &Field<'_>) -> Option<Setting> {
    let setting = match field.value() {
        Value::String(text) => Setting::Plain(text.clone()),
        Value::Integer(number) => Setting::Plain(number.to_string()),
        Value::Boolean(boolean) => Setting::Plain(boolean.to_string()),
        Value::Table(_) => Setting::Secret(read_secret(field)?),
        _ => {
            return field.wrong_type(
                "a string, an integer, a boolean, { env = \"..\" } or { file = \"..\" }",
                "what a guest reads is text: put other values in quotes",
            );
        }
    };
    if setting.expose().contains('\0') {
        return field.fail(
            format!("`{}` holds a NUL character", field.path()),
            "holds a NUL",
            "guests read these values as C strings, which end at a NUL",
        );
    }
    Some(setting)
}

fn read_secret(field: &Field<'_>) -> Option<Secret> {
    let mut table = field.table("Secret")?;
    let variable = table.take("env");
    let path = table.take("file");
    table.finish();
    match (variable, path) {
        (Some(variable), None) => from_environment(&variable),
        (None, Some(path)) => from_file(&path),
        _ => field.fail(
            format!("`{}` names no one place to read its value from", field.path()),
            "exactly one of `env` and `file`",
            "write { env = \"VARIABLE\" } or { file = \"path\" }",
        ),
    }
}

fn from_environment(field: &Field<'_>) -> Option<Secret> {
    let name = variable_name(field, field.string()?)?;
    let options = &field.cx().sink.options;
    match (options.variable)(name) {
        Some(value) => match value.into_string() {
            Ok(text) => Some(Secret::new(text)),
            Err(_) => field.fail(
                format!("the environment variable {name} is not UTF-8"),
                "not UTF-8",
                "guests read these values as UTF-8 text",
            ),
        },
        // A look at the text alone must not depend on the machine it happens on.
        None if !options.check_files => Some(Secret::new("")),
        None => field.fail(
            format!("the environment variable {name} is not set"),
            "not set",
            "set it for the gateway's own process, or use { file = \"path\" }",
        ),
    }
}

fn from_file(field: &Field<'_>) -> Option<Secret> {
    let path = field.file_path()?;
    if !field.cx().sink.options.check_files {
        return Some(Secret::new(""));
    }
    match read_text(&path) {
        Ok(text) => Some(Secret::new(text)),
        Err(reason) => field.fail(
            format!("{} cannot be read: {reason}", path.display()),
            reason,
            "relative paths start from the folder of this configuration file",
        ),
    }
}

fn read_text(path: &Path) -> Result<String, String> {
    let bytes = file::read_bounded(path, limits::SECRET_BYTES)?;
    let mut text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    // Editors and `echo` end a file with a newline that is no part of the secret.
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

/// What the names of variables are made of.
pub(super) const VARIABLE_HELP: &str = "letters, digits and underscores, not beginning with a digit";

/// An environment variable's name, or an error at `field`.
fn variable_name<'a>(field: &Field<'_>, name: &'a str) -> Option<&'a str> {
    if is_variable_name(name) {
        return Some(name);
    }
    field.fail(
        format!("\"{name}\" is not the name of an environment variable"),
        "not a variable's name",
        VARIABLE_HELP,
    )
}

/// POSIX's portable form, lower case included.
pub(super) fn is_variable_name(name: &str) -> bool {
    let digit_first = name.bytes().next().is_none_or(|byte| byte.is_ascii_digit());
    !digit_first && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
