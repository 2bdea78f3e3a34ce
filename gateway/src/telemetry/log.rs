//! The gateway's own log: lines on standard error, as text for people or JSON for collectors.

use crate::config::FromEnv;
use crate::limits;
use std::env::VarError;
use std::io::{self, IsTerminal};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::Registry;

/// Names the format: `text` or `json`.
pub(crate) const FORMAT_VARIABLE: &str = "TIDEGATE_LOG_FORMAT";
/// Name the filter, in `tracing_subscriber`'s directives (`info,tidegate::door=debug`); the first that is set
/// and not empty counts.
pub(crate) const FILTER_VARIABLES: [&str; 2] = ["TIDEGATE_LOG", "RUST_LOG"];

const FILTER_DEFAULT: &str = "info";

/// How the log is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogOptions {
    /// One JSON object a line instead of text.
    pub(crate) json: bool,
    /// Which events are written.
    pub(crate) filter: String,
    /// Colours, for text. Never set these for a stream that is not a terminal.
    pub(crate) colours: bool,
}

/// Why the log could not be started as asked.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LogError {
    #[error("{FORMAT_VARIABLE} is \"{0}\": write \"text\" or \"json\"")]
    Format(String),
    #[error("{0} is not valid UTF-8")]
    NotText(&'static str),
    #[error("the log filter \"{filter}\" cannot be read: {reason}; write for example \"info,tidegate::door=debug\"")]
    Filter { filter: String, reason: String },
    /// The process already has one, its own or an embedder's; that one stays.
    #[error("this process already has a log")]
    AlreadySet,
}

impl FromEnv for LogOptions {
    type Error = LogError;

    /// Colours where standard error is a terminal and `NO_COLOR` is unset.
    fn from_lookup(lookup: &dyn Fn(&str) -> Result<String, VarError>) -> Result<Self, LogError> {
        Self::read(lookup, io::stderr().is_terminal())
    }
}

impl LogOptions {
    fn read(lookup: impl Fn(&str) -> Result<String, VarError>, terminal: bool) -> Result<Self, LogError> {
        let text = |name: &'static str| match lookup(name) {
            Ok(value) => Ok(Some(value).filter(|value| !value.is_empty())),
            Err(VarError::NotPresent) => Ok(None),
            Err(VarError::NotUnicode(_)) => Err(LogError::NotText(name)),
        };
        let json = match text(FORMAT_VARIABLE)?.as_deref() {
            None | Some("text") => false,
            Some("json") => true,
            Some(other) => return Err(LogError::Format(other.to_owned())),
        };
        let mut filter = None;
        for name in FILTER_VARIABLES {
            if filter.is_none() {
                filter = text(name)?;
            }
        }
        // https://no-color.org: any value but the empty one.
        let colours = terminal && !matches!(text("NO_COLOR"), Ok(Some(_)) | Err(_));
        Ok(Self {
            json,
            filter: filter.unwrap_or_else(|| FILTER_DEFAULT.to_owned()),
            colours,
        })
    }
}

/// Keeps the log's thread; dropped, it writes what is waiting and ends it.
#[must_use = "without it the log ends at once"]
pub(crate) struct LogGuard(#[expect(dead_code, reason = "held for its drop")] WorkerGuard);

/// Starts the log on standard error for the whole process. A second call changes nothing and says
/// [`LogError::AlreadySet`].
///
/// Lines are written by a thread of their own: a log that nobody reads must not hold up a request. Beyond
/// [`limits::LOG_LINES_COUNT`] waiting lines further ones are lost.
pub(crate) fn init(options: &LogOptions) -> Result<LogGuard, LogError> {
    let (writer, guard) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(limits::LOG_LINES_COUNT)
        .thread_name("tidegate-log")
        .finish(io::stderr());
    let subscriber = subscriber(options, writer)?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_| LogError::AlreadySet)?;
    Ok(LogGuard(guard))
}

fn subscriber<W>(options: &LogOptions, writer: W) -> Result<Box<dyn Subscriber + Send + Sync>, LogError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(&options.filter).map_err(|error: ParseError| LogError::Filter {
        filter: options.filter.clone(),
        reason: error.to_string(),
    })?;
    // With internal errors on, a write that fails is reported by eprintln!, which panics when standard error
    // is a closed pipe: a log reader that dies would take requests with it.
    let lines = fmt::layer::<Registry>().with_writer(writer).log_internal_errors(false);
    // The filter stands around the lines, not around the registry: a layer of its own would be typed by what
    // stands below it, and the two formats differ.
    Ok(if options.json {
        let lines = lines
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false);
        Box::new(Registry::default().with(lines).with(filter))
    } else {
        Box::new(Registry::default().with(lines.with_ansi(options.colours)).with(filter))
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Buffer {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).expect("UTF-8")
        }
    }

    fn lookup(set: &[(&str, &str)]) -> impl Fn(&str) -> Result<String, VarError> {
        let set: Vec<(String, String)> = set
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        move |name| {
            let found = set.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.clone()).ok_or(VarError::NotPresent)
        }
    }

    fn written(options: &LogOptions) -> String {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let subscriber = subscriber(options, move || writer.clone()).expect("a subscriber");
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("request", id = "r1");
            let _entered = span.enter();
            tracing::info!(port = 8080, "listening");
            tracing::debug!("detail");
        });
        buffer.text()
    }

    #[test]
    fn the_environment_is_read_in_order() {
        let read = |set: &[(&str, &str)], terminal| LogOptions::read(lookup(set), terminal);
        let plain = LogOptions {
            json: false,
            filter: "info".into(),
            colours: false,
        };
        assert_eq!(read(&[], false), Ok(plain.clone()));
        assert_eq!(
            read(&[("TIDEGATE_LOG", ""), ("TIDEGATE_LOG_FORMAT", "")], false),
            Ok(plain.clone())
        );
        let filtered = |filter: &str| LogOptions {
            filter: filter.into(),
            ..plain.clone()
        };
        assert_eq!(read(&[("RUST_LOG", "warn")], false), Ok(filtered("warn")));
        assert_eq!(
            read(&[("RUST_LOG", "warn"), ("TIDEGATE_LOG", "debug")], false),
            Ok(filtered("debug"))
        );
        assert!(read(&[], true).expect("options").colours);
        assert!(!read(&[("NO_COLOR", "1")], true).expect("options").colours);
        assert!(read(&[("TIDEGATE_LOG_FORMAT", "json")], false).expect("options").json);
        assert_eq!(
            read(&[("TIDEGATE_LOG_FORMAT", "yaml")], false),
            Err(LogError::Format("yaml".into()))
        );
        let bytes = |_: &str| Err(VarError::NotUnicode(Default::default()));
        assert_eq!(
            LogOptions::read(bytes, false),
            Err(LogError::NotText("TIDEGATE_LOG_FORMAT"))
        );
    }

    #[test]
    fn text_has_colours_only_when_asked() {
        let mut options = LogOptions {
            json: false,
            filter: "info".into(),
            colours: false,
        };
        let plain = written(&options);
        assert!(plain.contains("listening") && plain.contains("port=8080"), "{plain}");
        assert!(!plain.contains("detail") && !plain.contains('\u{1b}'), "{plain}");
        options.colours = true;
        assert!(written(&options).contains('\u{1b}'));
    }

    #[test]
    fn json_is_one_object_a_line() {
        let options = LogOptions {
            json: true,
            filter: "debug".into(),
            colours: true,
        };
        let text = written(&options);
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert_eq!(lines[0]["message"], "listening");
        assert_eq!(lines[0]["port"], 8080);
        assert_eq!(lines[0]["span"]["id"], "r1");
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_an_error_that_names_it() {
        let options = LogOptions {
            json: false,
            filter: "tidegate=loud".into(),
            colours: false,
        };
        let error = subscriber(&options, io::stderr).err().expect("refused");
        assert!(error.to_string().contains("tidegate=loud"), "{error}");
    }

    /// Run by the test below in a process of its own, whose standard error is a closed pipe.
    #[test]
    #[ignore = "only as a child of the next test"]
    fn log_to_a_closed_pipe() {
        let options = LogOptions {
            json: false,
            filter: "info".into(),
            colours: false,
        };
        let _log = init(&options);
        tracing::info!("lost");
    }

    #[test]
    fn a_log_that_nobody_reads_does_not_panic() {
        let (reader, writer) = io::pipe().expect("a pipe");
        drop(reader);
        let path = module_path!();
        let path = path.split_once("::").map_or(path, |(_, path)| path);
        let child = std::process::Command::new(std::env::current_exe().expect("this binary"))
            .args([
                &format!("{path}::log_to_a_closed_pipe"),
                "--exact",
                "--ignored",
                "--nocapture",
            ])
            .stderr(writer)
            .output()
            .expect("a child");
        let said = String::from_utf8_lossy(&child.stdout);
        assert!(said.contains("1 passed"), "{said}");
        assert!(child.status.success(), "{said}");
    }

    #[test]
    fn a_second_start_is_refused_and_does_not_panic() {
        let options = LogOptions {
            json: false,
            filter: "off".into(),
            colours: false,
        };
        // Another test of this binary may have been first; the second call is refused in any case.
        let _log = init(&options);
        assert_eq!(init(&options).err(), Some(LogError::AlreadySet));
    }
}
