//! [`Problem`]: what is wrong with a pipeline file, where, and what would be right.

use crate::place::{Place, SourceText};
use miette::{Diagnostic, LabeledSpan, MietteError, NamedSource, Severity, SourceCode, SourceSpan, SpanContents};
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

/// The code of a variable that is not defined.
pub(crate) const UNDEFINED: &str = "undefined-variable";

/// A message that quotes a name of a megabyte is cut.
const MAX_MESSAGE_CHARS: usize = 1000;

/// One mistake in a pipeline file.
#[derive(Debug, Clone)]
pub struct Problem {
    /// A short name of the kind of mistake, such as `unknown-key`.
    pub code: &'static str,
    /// What is wrong, as a lower-case fragment.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
    /// Where.
    pub place: Place,
    named: NamedSource<Arc<SourceText>>,
}

/// All mistakes of a pipeline file and what it extends, in the order of files and lines. Never empty.
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

    /// Adds what would be right.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl Problems {
    /// Puts problems into the order of a reader: files as they were read, then places.
    pub(crate) fn sorted(mut problems: Vec<Problem>, files: &[Arc<SourceText>]) -> Self {
        let rank = |problem: &Problem| files.iter().position(|file| Arc::ptr_eq(file, &problem.place.source));
        // What a variable that is not defined would have been, nobody knows: other complaints about it would mislead.
        let at = |problem: &Problem| (rank(problem), problem.place.range().0);
        let undefined: HashSet<_> = problems.iter().filter(|problem| problem.code == UNDEFINED).map(at).collect();
        problems.retain(|problem| problem.code == UNDEFINED || !undefined.contains(&at(problem)));
        problems.sort_by_cached_key(at);
        // A stage of a matrix has the same mistake for each of its values.
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
