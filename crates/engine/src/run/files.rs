//! [`RunFiles`]: what a run writes beside the store.

use super::work::Work;
use crate::Plan;
use crate::bookkeeping::{Bookkeeping, is_read_only};
use crate::error::RunError;
use crate::latest::Publisher;
use crate::options::{RunMode, RunOptions};
use crate::record::{Recorder, RunSummary};

/// What a run writes beside the store.
pub(super) struct RunFiles {
    /// `None` if this user may not write to the store. Then the run can only use results that are there.
    pub(super) work: Option<Work>,
    pub(super) recorder: Recorder,
    /// `None` if the run does not publish its results.
    pub(super) latest: Option<Publisher>,
}

impl RunFiles {
    /// Creates the files. If this user may not write to the store, the run leaves no files.
    pub(super) fn create(
        plan: &Plan,
        options: &RunOptions,
        kept: &Bookkeeping,
        summary: RunSummary,
    ) -> Result<Self, RunError> {
        match Self::create_all(plan, options, kept, summary.clone()) {
            Err(RunError::Io(error)) if is_read_only(&error) => {
                Ok(Self { work: None, recorder: Recorder::without_files(summary), latest: None })
            }
            other => other,
        }
    }

    fn create_all(
        plan: &Plan,
        options: &RunOptions,
        kept: &Bookkeeping,
        summary: RunSummary,
    ) -> Result<Self, RunError> {
        let work = Work::new(&options.root, &options.run)?;
        let (record, latest) = match options.mode {
            RunMode::Results => {
                (options.root.join("runs").join(&options.run), Some(Publisher::open(kept, plan.name())?))
            }
            RunMode::Findings => (work.record(), None),
        };
        Ok(Self { work: Some(work), recorder: Recorder::new(record, summary)?, latest })
    }
}
