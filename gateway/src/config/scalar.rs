//! The small values configurations are made of: numbers, sizes, durations, names, addresses, paths.

use std::borrow::Borrow;
use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytesize::ByteSize;

use super::node::Value;
use super::reader::{Field, NamedField};
use crate::limits;

/// The name of a listener, component or route: 1 to 64 of `a-z 0-9 . _ -`, beginning with a letter or digit,
/// so that it can be a metric label, a file name and a part of a URL as it is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

/// A text that is not a [`Name`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a name is 1 to 64 of `a-z 0-9 . _ -` and begins with a letter or digit")]
pub struct InvalidName;

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for Name {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let first = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let later = |byte: u8| first(byte) || matches!(byte, b'.' | b'_' | b'-');
        let begins = text.bytes().next().is_some_and(first);
        if begins && text.len() <= limits::NAME_BYTES && text.bytes().all(later) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidName)
        }
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// A part of a hundred, as `20%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(u8);

impl Percent {
    /// What is more than 100 is 100.
    pub const fn new(percent: u8) -> Self {
        Self(if percent > 100 { 100 } else { percent })
    }

    /// From 0 to 100.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

/// Whether a duration of zero says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Zero {
    Allowed,
    Refused,
}

impl<'a> Field<'a> {
    /// An integer within bounds.
    pub(super) fn integer(&self, bounds: RangeInclusive<usize>) -> Option<usize> {
        let Value::Integer(number) = *self.value() else {
            return self.wrong_type("a whole number", "");
        };
        match usize::try_from(number) {
            Ok(number) if bounds.contains(&number) => Some(number),
            _ => self.fail(
                format!("`{}` cannot be {number}", self.path()),
                "out of range",
                format!("from {} to {}", bounds.start(), bounds.end()),
            ),
        }
    }

    /// As [`Self::integer`] for what is counted in 32 bits.
    pub(super) fn count(&self, bounds: RangeInclusive<u32>) -> Option<u32> {
        let wide = |bound: &u32| usize::try_from(*bound).unwrap_or(usize::MAX);
        let count = self.integer(wide(bounds.start())..=wide(bounds.end()))?;
        u32::try_from(count).ok()
    }

    /// A part of a hundred, as text.
    pub(super) fn percent(&self) -> Option<Percent> {
        const HELP: &str = "a whole number from 0 to 100 with its sign, such as \"20%\"";
        let text = match self.value() {
            Value::String(text) => text,
            Value::Integer(number) if (0..=100).contains(number) => {
                let message = format!("`{}` must be a percentage, not a number", self.path());
                return self.fail(message, format!("did you mean \"{number}%\"?"), HELP);
            }
            _ => return self.wrong_type("a percentage", HELP),
        };
        // The standard parser takes a sign, which is a slip here.
        let digits = text.strip_suffix('%').filter(|digits| !digits.starts_with('+'));
        match digits.and_then(|digits| digits.parse().ok()) {
            Some(percent @ 0..=100) => Some(Percent::new(percent)),
            _ => {
                let message = format!("`{}` is not a percentage", self.path());
                self.fail(message, "not a percentage", HELP)
            }
        }
    }

    /// A size in bytes: a number, or a text with a unit.
    pub(super) fn size(&self, bounds: RangeInclusive<u64>) -> Option<u64> {
        const HELP: &str = "a number of bytes, or a number with a unit such as \"64MiB\" or \"2GB\"";
        let bytes = match self.value() {
            Value::Integer(number) => u64::try_from(*number).ok(),
            Value::String(text) => text.parse::<ByteSize>().ok().map(|size| size.as_u64()),
            _ => return self.wrong_type("a size", HELP),
        };
        match bytes {
            Some(bytes) if bounds.contains(&bytes) => Some(bytes),
            Some(_) => self.fail(
                format!("`{}` is out of range", self.path()),
                "out of range",
                format!("from {} to {}", size_text(*bounds.start()), size_text(*bounds.end())),
            ),
            None => self.fail(format!("`{}` is not a size", self.path()), "not a size", HELP),
        }
    }

    /// As [`Self::size`] for what is held in memory.
    pub(super) fn size_in_memory(&self, bounds: RangeInclusive<usize>) -> Option<usize> {
        let widen = |bytes: usize| u64::try_from(bytes).unwrap_or(u64::MAX);
        let bytes = self.size(widen(*bounds.start())..=widen(*bounds.end()))?;
        usize::try_from(bytes).ok()
    }

    /// A duration such as "5s" or "1m 30s".
    pub(super) fn duration(&self, zero: Zero) -> Option<Duration> {
        const HELP: &str = "a number with its unit, such as \"500ms\", \"5s\" or \"2m\"";
        let text = match self.value() {
            Value::String(text) => text,
            Value::Integer(number) => {
                let help = format!("if seconds are meant, write \"{number}s\"");
                return self.wrong_type("a duration with its unit", &help);
            }
            _ => return self.wrong_type("a duration", HELP),
        };
        let Ok(duration) = humantime::parse_duration(text) else {
            return self.fail(format!("`{}` is not a duration", self.path()), "not a duration", HELP);
        };
        if duration > limits::CONFIG_DURATION_MAX {
            let longest = duration_text(limits::CONFIG_DURATION_MAX);
            let message = format!("`{}` is too long", self.path());
            return self.fail(message, "too long", format!("at most {longest}"));
        }
        if duration.is_zero() && zero == Zero::Refused {
            return self.fail(
                format!("`{}` cannot be zero", self.path()),
                "zero",
                "this time is always bounded: leave the key out for the default",
            );
        }
        Some(duration)
    }

    /// A duration that is not shorter than this.
    pub(super) fn duration_from(&self, shortest: Duration) -> Option<Duration> {
        let duration = self.duration(Zero::Allowed)?;
        if duration >= shortest {
            return Some(duration);
        }
        let message = format!("`{}` is too short", self.path());
        self.fail(message, "too short", format!("at least {}", duration_text(shortest)))
    }

    /// A duration where "0s" means that there is none.
    pub(super) fn duration_or_none(&self) -> Option<Option<Duration>> {
        let duration = self.duration(Zero::Allowed)?;
        Some(none_if_zero(duration))
    }

    /// A name.
    pub(super) fn name(&self) -> Option<Name> {
        let text = self.string()?;
        text.parse().ok().or_else(|| {
            self.fail(
                format!("`{}` is not a name", self.path()),
                "not a name",
                InvalidName.to_string(),
            )
        })
    }

    /// An IP address and port.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        let text = self.string()?;
        text.parse().ok().or_else(|| {
            let help = match text.rsplit_once(':') {
                Some(("" | "*", port)) => {
                    format!("for every address of this machine write \"0.0.0.0:{port}\" or \"[::]:{port}\"")
                }
                Some(("localhost", port)) => format!("write \"127.0.0.1:{port}\""),
                _ => "an IP address and a port, such as \"127.0.0.1:8080\" or \"[::1]:8080\"".to_owned(),
            };
            self.fail(
                format!("`{}` is not an address", self.path()),
                "not an IP address with a port",
                help,
            )
        })
    }

    /// A path, from the folder of the file it is written in.
    pub(super) fn file_path(&self) -> Option<PathBuf> {
        let text = self.string()?;
        if text.is_empty() || text.contains('\0') {
            return self.fail(
                format!("`{}` is not a path", self.path()),
                "not a path",
                "the path of a file, absolute or from the folder of this configuration file",
            );
        }
        Some(self.cx().source.resolve(text))
    }

    /// The path of a file that can be read, where files are looked at.
    pub(super) fn readable_file(&self) -> Option<PathBuf> {
        let path = self.file_path()?;
        if !self.cx().sink.options.check_files {
            return Some(path);
        }
        match check_readable(&path) {
            Ok(()) => Some(path),
            Err(reason) => self.fail(
                format!("{} cannot be read: {reason}", path.display()),
                reason,
                "relative paths start from the folder of this configuration file",
            ),
        }
    }
}

impl NamedField<'_> {
    /// The key as the name of what it defines, such as "a component".
    pub(super) fn defined_name(&self, what: &str) -> Option<Name> {
        self.name.parse().ok().or_else(|| {
            self.fail_name(
                format!("\"{}\" cannot be the name of {what}", self.name),
                "not a name",
                InvalidName.to_string(),
            )
        })
    }
}

fn check_readable(path: &std::path::Path) -> Result<(), String> {
    let metadata = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("it is not a file".to_owned());
    }
    // Opening is what tells: the permission bits do not.
    std::fs::File::open(path).map(drop).map_err(|error| error.to_string())
}

/// Zero is how limits.rs and configurations write that there is no such limit.
pub(super) fn none_if_zero(duration: Duration) -> Option<Duration> {
    (!duration.is_zero()).then_some(duration)
}

/// A size as configurations write it, exactly.
pub(super) fn size_text(bytes: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    UNITS
        .iter()
        .find(|(unit, _)| bytes >= *unit && bytes.is_multiple_of(*unit))
        .map_or_else(|| bytes.to_string(), |(unit, name)| format!("{}{name}", bytes / unit))
}

/// A duration as configurations write it.
pub(super) fn duration_text(duration: Duration) -> String {
    if duration.is_zero() || duration.subsec_nanos() == 0 && duration.as_secs() < 3600 {
        return format!("{}s", duration.as_secs());
    }
    humantime::format_duration(duration).to_string()
}
