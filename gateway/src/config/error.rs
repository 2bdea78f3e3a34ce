//! What is wrong with a configuration: every error with its place, drawn for people or serialised for programs.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents, SourceCode,
    SourceSpan, SpanContents,
};
use serde::ser::{Serialize, SerializeStruct as _, Serializer};

use super::file::{Position, Source};
use crate::limits;

/// Columns a drawn report is wrapped to.
const REPORT_WIDTH: usize = 100;

/// Where something is written: kept by resolved objects, so that a component that does not load is still
/// reported at its own line.
#[derive(Clone)]
pub struct Location {
    source: Arc<Source>,
    span: Option<Range<usize>>,
    path: Box<str>,
}

impl Location {
    pub(super) fn new(source: &Arc<Source>, span: Option<Range<usize>>, path: impl Into<Box<str>>) -> Self {
        Self {
            source: Arc::clone(source),
            span,
            path: path.into(),
        }
    }

    /// The text this is in.
    pub fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// The key's path from the root, such as `route[2].limits.body`; empty for a whole file.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Line and column; `None` for JSON, which is located by its path, and for a whole file.
    pub fn position(&self) -> Option<Position> {
        let span = self.span.as_ref()?;
        Some(self.source.position(span.start))
    }

    /// The byte it begins at, which is 0 where there is no place in the text.
    pub(super) fn offset(&self) -> usize {
        self.span.as_ref().map_or(0, |span| span.start)
    }

    fn source_span(&self) -> Option<SourceSpan> {
        let span = self.span.clone()?;
        // Drawing reads the text at the span, so it may never lie beyond the end.
        let end = span.end.min(self.source.text().len());
        let start = span.start.min(end);
        Some((start..end).into())
    }
}

/// `file:line:column`, or `file: path` where there is no line.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.source.name())?;
        match self.position() {
            Some(Position { line, column }) => write!(f, ":{line}:{column}"),
            None if self.path.is_empty() => Ok(()),
            None => write!(f, ": {}", self.path),
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Location({self})")
    }
}

/// All locations are equal: where an object is written is no part of what it says, and a reload that moves a
/// table by a line must find it unchanged.
impl PartialEq for Location {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Location {}

/// Another place that an error is about.
#[derive(Debug, Clone)]
struct Second {
    location: Location,
    label: &'static str,
}

/// One thing that is wrong, at one place, with what to do about it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{location}: {message}")]
pub struct ConfigError {
    location: Location,
    message: Box<str>,
    label: Option<Box<str>>,
    help: Option<Box<str>>,
    also: Option<Box<Second>>,
}

impl ConfigError {
    /// An error at `location`; the message is a clause without a full stop.
    pub fn new(location: Location, message: impl Into<Box<str>>) -> Self {
        Self {
            location,
            message: message.into(),
            label: None,
            help: None,
            also: None,
        }
    }

    /// Words beside the underlined text.
    #[must_use]
    pub fn label(mut self, label: impl Into<Box<str>>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// What to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<Box<str>>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// A second place in the same file to underline; a place elsewhere belongs in the message.
    #[must_use]
    pub fn also(mut self, location: Location, label: &'static str) -> Self {
        if Arc::ptr_eq(&location.source, &self.location.source) {
            self.also = Some(Box::new(Second { location, label }));
        }
        self
    }

    /// Where it is.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// What is wrong.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The words beside the underlined text, if they say more than the message.
    pub fn label_text(&self) -> Option<&str> {
        self.label.as_deref()
    }

    /// What to do about it, where that can be said.
    pub fn help_text(&self) -> Option<&str> {
        self.help.as_deref()
    }
}

/// `{ file, line, column, path, message, label, help }`; line, column, label and help may be null.
impl Serialize for ConfigError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let position = self.location.position();
        let mut object = serializer.serialize_struct("ConfigError", 7)?;
        object.serialize_field("file", self.location.source.name())?;
        object.serialize_field("line", &position.map(|position| position.line))?;
        object.serialize_field("column", &position.map(|position| position.column))?;
        object.serialize_field("path", &self.location.path)?;
        object.serialize_field("message", &self.message)?;
        object.serialize_field("label", &self.label)?;
        object.serialize_field("help", &self.help)?;
        object.end()
    }
}

/// How a report is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportStyle {
    /// Box drawing and colours: for a terminal.
    Fancy,
    /// ASCII without colours: for files, pipes and logs.
    Plain,
}

/// Everything that is wrong with a configuration, in the order of its files; never empty.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the configuration has {}: {}", counted(self.count()), in_one_line(errors))]
pub struct ConfigErrors {
    errors: Vec<ConfigError>,
    /// How many more there were than are kept.
    omitted: usize,
}

impl ConfigErrors {
    /// `Ok` when there is no error.
    pub(super) fn none_or(mut errors: Vec<ConfigError>) -> Result<(), Self> {
        if errors.is_empty() {
            return Ok(());
        }
        let omitted = errors.len().saturating_sub(limits::CONFIG_ERRORS_COUNT);
        errors.truncate(limits::CONFIG_ERRORS_COUNT);
        Err(Self { errors, omitted })
    }

    /// Joins errors found later, such as a component that does not load, at their [`Location`]s.
    pub fn from_errors(errors: Vec<ConfigError>) -> Option<Self> {
        Self::none_or(errors).err()
    }

    /// The errors in the order of their files and places.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.errors.iter()
    }

    /// How many there are, those beyond [`limits::CONFIG_ERRORS_COUNT`] included.
    pub fn count(&self) -> usize {
        self.errors.len() + self.omitted
    }

    /// The whole report: every error with the text around it, then the count.
    pub fn render(&self, style: ReportStyle) -> String {
        let theme = match style {
            ReportStyle::Fancy => GraphicalTheme::unicode(),
            ReportStyle::Plain => GraphicalTheme::none(),
        };
        let handler = GraphicalReportHandler::new_themed(theme)
            .with_links(false)
            .with_width(REPORT_WIDTH);
        let mut report = String::new();
        for error in &self.errors {
            // Writing to a String cannot fail, but a text miette refuses to draw must still be named.
            if handler.render_report(&mut report, &Drawn(error)).is_err() {
                report.push_str(&error.to_string());
            }
            report.push('\n');
        }
        if self.omitted > 0 {
            report.push_str(&format!("... and {} more\n", self.omitted));
        }
        report.push_str(&format!("the configuration has {}\n", counted(self.count())));
        report
    }
}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self {
            errors: vec![error],
            omitted: 0,
        }
    }
}

impl Serialize for ConfigErrors {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.errors.serialize(serializer)
    }
}

fn in_one_line(errors: &[ConfigError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn counted(count: usize) -> String {
    if count == 1 {
        "1 error".to_owned()
    } else {
        format!("{count} errors")
    }
}

/// An error as miette draws it: the place is in the frame around the text, so the message leaves it out,
/// unless there is no text to frame.
#[derive(Debug)]
struct Drawn<'a>(&'a ConfigError);

impl fmt::Display for Drawn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.location.span {
            Some(_) => f.write_str(&self.0.message),
            None => {
                self.0.fmt(f)?;
                // A label says what the message says, at its place, unless it asks whether something else is meant.
                let question = self.0.label.as_deref().filter(|label| label.ends_with('?'));
                question.map_or(Ok(()), |question| write!(f, ", {question}"))
            }
        }
    }
}

impl std::error::Error for Drawn<'_> {}

impl Diagnostic for Drawn<'_> {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let help = self.0.help.as_ref()?;
        Some(Box::new(help))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.0.location.span.as_ref()?;
        Some(&*self.0.location.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let here = self.0.location.source_span()?;
        let label = self.0.label.as_deref().unwrap_or("here").to_owned();
        let also = self.0.also.iter().filter_map(|second| {
            let span = second.location.source_span()?;
            Some(LabeledSpan::new_with_span(Some(second.label.to_owned()), span))
        });
        let primary = LabeledSpan::new_primary_with_span(Some(label), here);
        Some(Box::new(std::iter::once(primary).chain(also)))
    }
}

impl SourceCode for Source {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        context_lines_before: usize,
        context_lines_after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let contents = self.text().read_span(span, context_lines_before, context_lines_after)?;
        // The crate counts bytes where people count characters; it asks without context for the place it prints.
        let column = match context_lines_before {
            0 => self.position(span.offset()).column - 1,
            _ => contents.column(),
        };
        Ok(Box::new(MietteSpanContents::new_named(
            self.name().to_owned(),
            contents.data(),
            *contents.span(),
            contents.line(),
            column,
            contents.line_count(),
        )))
    }
}
