//! [`Problem`]: one mistake in a pipeline file, with its place and a hint.

use crate::place::{Place, SourceText};
use miette::{Diagnostic, LabeledSpan, MietteError, NamedSource, Severity, SourceCode, SourceSpan, SpanContents};
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

/// The code of a problem with an undefined variable.
pub(crate) const UNDEFINED: &str = "undefined-variable";

/// The code of a file that can't be read; it has no text to point at.
pub const UNREADABLE_FILE: &str = "unreadable-file";

/// Longer messages are cut: a name in the file may be a megabyte long.
const MAX_MESSAGE_CHARS: usize = 1000;

/// One mistake in a pipeline file.
#[derive(Debug, Clone)]
pub struct Problem {
    /// Identifies the kind of mistake, such as `unknown-key`.
    pub code: &'static str,
    /// A lower-case fragment without a full stop.
    pub message: String,
    /// A hint how to fix it.
    pub help: Option<String>,
    /// The value or key that is wrong.
    pub place: Place,
    named: NamedSource<Arc<SourceText>>,
}

/// All mistakes of a pipeline file and of the files that it extends, sorted by file and position. Never empty.
#[derive(Debug, Clone)]
pub struct Problems(pub Vec<Problem>);

impl Problem {
    /// Returns a problem at `place`.
    pub fn new(code: &'static str, place: &Place, message: impl Into<String>) -> Self {
        let named = NamedSource::new(&place.source.name, Arc::clone(&place.source));
        let mut message = message.into();
        if let Some((end, _)) = message.char_indices().nth(MAX_MESSAGE_CHARS) {
            message.replace_range(end.., "…");
        }
        Self { code, message, help: None, place: place.clone(), named }
    }

    /// Adds a hint how to fix it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl Problems {
    /// Sorts problems by file, in the order of reading, and by position.
    pub(crate) fn sorted(mut problems: Vec<Problem>, files: &[Arc<SourceText>]) -> Self {
        let rank = |problem: &Problem| files.iter().position(|file| Arc::ptr_eq(file, &problem.place.source));
        // The value of an undefined variable is unknown: other problems of the same value would mislead.
        let at = |problem: &Problem| (rank(problem), problem.place.range().0);
        let undefined: HashSet<_> = problems.iter().filter(|problem| problem.code == UNDEFINED).map(at).collect();
        problems.retain(|problem| problem.code == UNDEFINED || !undefined.contains(&at(problem)));
        problems.sort_by_cached_key(at);
        // A stage with a matrix has the same mistake once for each value.
        problems.dedup_by(|one, two| one.place.is_at(&two.place) && one.message == two.message);
        Self(problems)
    }
}

impl SourceCode for SourceText {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        lines_before: usize,
        lines_after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        self.text.read_span(span, lines_before, lines_after)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

impl Diagnostic for Problem {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.code))
    }

    fn severity(&self) -> Option<Severity> {
        Some(Severity::Error)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.named)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = self.place.range();
        Some(Box::new(std::iter::once(LabeledSpan::new_with_span(None, span))))
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => out.write_str("the pipeline file has a mistake"),
            count => write!(out, "the pipeline file has {count} mistakes"),
        }
    }
}

impl std::error::Error for Problems {}
