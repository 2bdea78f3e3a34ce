//! Configuration texts: where they come from, and their places as people count them (line and column from 1).

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::error::{ConfigError, ConfigErrors, Location};
use crate::limits;

/// How a text is written. Both say the same model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// TOML, the form people write.
    Toml,
    /// JSON, the form generators and the admin API send.
    Json,
}

/// One configuration text with its name and the folder its relative paths start from.
pub struct Source {
    name: String,
    folder: PathBuf,
    text: String,
    format: Format,
    line_starts: OnceLock<Vec<usize>>,
}

/// A place in a text, counted from 1; the column counts characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
}

impl Source {
    /// A TOML text. `name` is what errors call it; relative paths in it start from `folder`.
    pub fn toml(name: impl Into<String>, folder: impl Into<PathBuf>, text: impl Into<String>) -> Arc<Self> {
        Self::new(name.into(), folder.into(), text.into(), Format::Toml)
    }

    /// A JSON text of the same model.
    pub fn json(name: impl Into<String>, folder: impl Into<PathBuf>, text: impl Into<String>) -> Arc<Self> {
        Self::new(name.into(), folder.into(), text.into(), Format::Json)
    }

    fn new(name: String, folder: PathBuf, text: String, format: Format) -> Arc<Self> {
        Arc::new(Self {
            name,
            folder,
            text,
            format,
            line_starts: OnceLock::new(),
        })
    }

    /// What errors call this text: its path as it was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The folder that relative paths in this text start from.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The text itself.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// How the text is written.
    pub fn format(&self) -> Format {
        self.format
    }

    /// A path written in this text, from the text's own folder unless it is absolute.
    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    /// The line and column of a byte offset; one past the end is the end.
    pub fn position(&self, offset: usize) -> Position {
        let starts = self.line_starts.get_or_init(|| line_starts(&self.text));
        let line = starts.partition_point(|start| *start <= offset).max(1);
        let start = starts.get(line - 1).copied().unwrap_or(0);
        let column = self
            .text
            .get(start..)
            .unwrap_or("")
            .char_indices()
            .take_while(|(index, _)| start + index < offset)
            .count()
            + 1;
        Position { line, column }
    }
}

// A text may be megabytes long and is never what a debug line is about.
impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source")
            .field("name", &self.name)
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

fn line_starts(text: &str) -> Vec<usize> {
    let after_newlines = text.match_indices('\n').map(|(index, _)| index + 1);
    std::iter::once(0).chain(after_newlines).collect()
}

/// Reads a file, or every `*.toml` file directly in a directory, in name order.
///
/// A name ending in `.json` is read as JSON, everything else as TOML. Hidden files are passed over, as a
/// shell's `*.toml` does: editors and orchestrators keep their own under such names.
pub(super) fn read(path: &Path) -> Result<Vec<Arc<Source>>, ConfigErrors> {
    let metadata = fs::metadata(path).map_err(|error| unreadable(path, &error.to_string()))?;
    if !metadata.is_dir() {
        return read_file(path).map(|source| vec![source]).map_err(Into::into);
    }
    let names = list(path)?;
    if names.is_empty() {
        let error = file_error(path, "this directory holds no *.toml file")
            .help("name a file, or a directory with at least one file whose name ends in .toml");
        return Err(error.into());
    }
    let mut errors = Vec::new();
    let mut sources = Vec::new();
    for name in names {
        match read_file(&path.join(name)) {
            Ok(source) => sources.push(source),
            Err(error) => errors.push(error),
        }
    }
    ConfigErrors::none_or(errors).map(|()| sources)
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let fail = |error: std::io::Error| unreadable(folder, &error.to_string());
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(fail)? {
        let name = PathBuf::from(entry.map_err(fail)?.file_name());
        let hidden = name.as_os_str().as_encoded_bytes().first() == Some(&b'.');
        let toml = name.extension().is_some_and(|extension| extension == "toml");
        // A link to nowhere is not passed over: reading it will say so.
        if toml && !hidden && !folder.join(&name).is_dir() {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn read_file(path: &Path) -> Result<Arc<Source>, ConfigError> {
    let bytes = read_bounded(path, limits::CONFIG_FILE_BYTES).map_err(|reason| unreadable(path, &reason))?;
    let name = path.display().to_string();
    // Absolute, so that what is resolved from it does not depend on where the process stands later.
    let folder = path.parent().unwrap_or(Path::new(""));
    let folder = std::path::absolute(folder.join(".")).unwrap_or_else(|_| folder.to_path_buf());
    let json = path.extension().is_some_and(|extension| extension == "json");
    let format = if json { Format::Json } else { Format::Toml };
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Source::new(name, folder, text, format)),
        Err(error) => Err(not_utf8(name, folder, error, format)),
    }
}

fn not_utf8(name: String, folder: PathBuf, error: std::string::FromUtf8Error, format: Format) -> ConfigError {
    let at = error.utf8_error().valid_up_to();
    let mut bytes = error.into_bytes();
    bytes.truncate(at);
    // The part before the first bad byte is text, so the error can be shown at its line.
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let source = Source::new(name, folder, text, format);
    let location = Location::new(&source, Some(at..at), "");
    ConfigError::new(location, "this file is not UTF-8 text")
        .label("the first byte that is not UTF-8 follows")
        .help("save the file as UTF-8")
}

/// The bytes of a file of at most `bytes_max`; the error is a clause that says why not.
pub(super) fn read_bounded(path: &Path, bytes_max: u64) -> Result<Vec<u8>, String> {
    let file = fs::File::open(path).map_err(|error| error.to_string())?;
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    if metadata.is_dir() {
        return Err("it is a directory".to_owned());
    }
    let mut bytes = Vec::new();
    // One byte more than allowed tells a file that is too long from one that just fits.
    file.take(bytes_max + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > bytes_max {
        return Err(format!("it is longer than {bytes_max} bytes"));
    }
    Ok(bytes)
}

fn unreadable(path: &Path, reason: &str) -> ConfigError {
    file_error(path, &format!("cannot be read: {reason}"))
}

/// An error about a whole file or folder, which has no text to point at.
fn file_error(path: &Path, message: &str) -> ConfigError {
    let source = Source::toml(path.display().to_string(), "", "");
    ConfigError::new(Location::new(&source, None, ""), message)
}
