//! Runs a [`Job`] on a thread of its own, from its lock to its record.

use super::RunMessage;
use super::clock::unix_secs;
use super::compare::{Comparer, Comparison, OtherFigure, other_figure};
use super::failure::{failure_of, log_if_any};
use super::job::{ActionError, ActionOutput, Job, Purpose};
use super::parts::PartedJob;
use super::whole;
use crate::environment::environment_line;
use crate::error::RunError;
use crate::events::{FailedBy, Failure, PartCounts};
use crate::executor::{Ended, Session};
use crate::housekeeping::no_space;
use fs_err as fs;
use pipe_cache::store::Lookup;
use pipe_cache::{ActionRecord, CacheError, OutputRecord};
use pipe_schemas::{Numerics, Tolerance};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

/// If less is free, an action may have failed because the disk is full, without being able to report it.
const NO_SPACE_BYTES: u64 = 1 << 20;

/// How an action ended.
#[derive(Debug)]
pub(super) enum JobEnd {
    /// Another process ran it in the meantime.
    Shared(Box<ActionRecord>),
    Ran {
        record: Box<ActionRecord>,
        parts: Option<PartCounts>,
        /// A source that changed while the action ran; then the result is not recorded.
        changed: Option<PathBuf>,
    },
    /// It was run again, and its result equals that of the store.
    Same {
        record: Box<ActionRecord>,
        /// How they were compared.
        compared: String,
    },
    Failed(Failure),
    /// The worker crashed or was killed.
    Died(Failure),
    Cancelled,
}

impl Job {
    /// Runs to the end, and reports it.
    pub(super) fn run(self, mut session: Box<dyn Session>) {
        let ended = self.act(&mut *session);
        let is_full = ended.is_err() && self.store.free_bytes().is_ok_and(|free| free < NO_SPACE_BYTES);
        // The next run removes what can't be removed now.
        if fs::remove_dir(&self.work).is_err() {
            let _ = fs::remove_dir_all(&self.work);
        }
        let (end, is_reusable) = match ended {
            Ok(end) => (end, true),
            Err(ActionError::Ended(ended)) => self.without_result(ended),
            Err(ActionError::Error(RunError::Stopped)) => (JobEnd::Cancelled, !self.handle.is_stopped()),
            // The worker may still be running the request.
            Err(ActionError::Error(error)) => {
                (JobEnd::Failed(Failure { log: log_if_any(&self.log), ..failure_of(&error) }), false)
            }
        };
        let end = match end {
            JobEnd::Failed(failure) if is_full => {
                JobEnd::Failed(Failure { help: Some(no_space(&self.root)), ..failure })
            }
            other => other,
        };
        // Before its end is known, so that the next action finds its processes.
        if is_reusable {
            session.release();
        } else {
            drop(session);
        }
        let kept = self.kept.get();
        // Without a receiver the run is over.
        let _ = self.sender.send(RunMessage::Ended { stage: self.stage, end, kept });
    }

    /// Returns how a request without a result ends the action, and whether its session can be released.
    fn without_result(&self, ended: Ended) -> (JobEnd, bool) {
        let log = log_if_any(&self.log);
        match ended {
            Ended::Died { how, last_lines } => {
                let error = format!("the worker has ended: {how}");
                let help = (how.contains("SIGKILL")).then(|| {
                    "if it was not killed by hand, the machine ran out of memory: try a smaller batch".to_owned()
                });
                (JobEnd::Died(Failure { by: FailedBy::Run, error, causes: Vec::new(), last_lines, help, log }), false)
            }
            Ended::Failed { cancelled: true, .. } => (JobEnd::Cancelled, true),
            Ended::Failed { error, causes, last_lines, help, .. } => {
                (JobEnd::Failed(Failure { by: FailedBy::Stage, error, causes, last_lines, help, log }), true)
            }
            Ended::Planned { .. } | Ended::Made { .. } | Ended::StateNeeded { .. } | Ended::Finished { .. } => {
                let error = "the worker sent a reply that does not answer the request".to_owned();
                (JobEnd::Failed(Failure { log, ..Failure::of_run(error) }), false)
            }
        }
    }

    fn act(&self, session: &mut dyn Session) -> Result<JobEnd, ActionError> {
        let _lock = self.lock(self.key)?;
        if self.takes_hits()
            && let Lookup::Hit(record) = self.store.find(self.key)
        {
            return Ok(JobEnd::Shared(record));
        }
        let since = Instant::now();
        self.guard_inputs()?;
        let output = match (self.contract.worker, self.contract.parts) {
            (None, _) => whole::command(self, session),
            (Some(_), Some(_)) => PartedJob::new(self, session).run(),
            (Some(_), None) => whole::stage(self, session),
        };
        // Also after a failure: an input that was changed must be set aside.
        self.check_inputs()?;
        let output = output?;
        if let Purpose::Check(record) = &self.purpose {
            return Ok(self.compared(record, &output)?);
        }
        let record = self.record_of(&output, since)?;
        let changed = self.changed()?;
        if changed.is_none() {
            self.store.record(self.key, &self.fields, &record)?;
        }
        for link in &output.dropped_states {
            self.store.keep_state(*link, false)?;
        }
        Ok(JobEnd::Ran { record: Box::new(record), parts: output.counts, changed })
    }

    /// Compares a new result with that of the store: bits in the same environment, numbers otherwise.
    fn compared(&self, record: &ActionRecord, again: &ActionOutput) -> Result<JobEnd, RunError> {
        if let Numerics::Measured(tolerance) = self.contract.numerics {
            return Ok(self.compared_figures(record, again, tolerance));
        }
        let (store, data_worker, numerics) = (&self.store, &self.data_worker, self.contract.numerics);
        let comparer = Comparer { store, data_worker, numerics };
        let comparison =
            comparer.compare((record.output.tree, &record.environment), (again.tree.digest(), &again.environment))?;
        let same = |compared| JobEnd::Same { record: Box::new(record.clone()), compared };
        let (error, place) = match comparison {
            Comparison::Identical => return Ok(same("rerun is bit-identical".to_owned())),
            Comparison::WithinTolerance(tolerance) => {
                let there = environment_line(&record.environment);
                return Ok(same(format!("rerun is equal within {tolerance}, compared with a result of: {there}")));
            }
            Comparison::Different { tolerance: None, place } => ("the result of the rerun differs".to_owned(), place),
            Comparison::Different { tolerance: Some(tolerance), place } => {
                let there = environment_line(&record.environment);
                (format!("the result of the rerun differs by more than {tolerance} from a result of: {there}"), place)
            }
        };
        let help = Some("the first path is the result in the store, the second the result of the rerun".to_owned());
        let (causes, log) = (vec![place], log_if_any(&self.log));
        Ok(JobEnd::Failed(Failure { by: FailedBy::Stage, error, causes, last_lines: Vec::new(), help, log }))
    }

    /// Compares the figures of measurements, whose other numbers are different each time.
    fn compared_figures(&self, record: &ActionRecord, again: &ActionOutput, tolerance: Tolerance) -> JobEnd {
        match other_figure(&record.figures, &rounded(&again.summary.figures), tolerance) {
            None => {
                let names = record.figures.keys().cloned().collect::<Vec<_>>().join(", ");
                let compared = format!("{names} are equal within {tolerance}; its measurements are not compared");
                JobEnd::Same { record: Box::new(record.clone()), compared }
            }
            Some(OtherFigure { name, was, is }) => {
                let is = is.map_or_else(|| "missing".to_owned(), |is| is.to_string());
                let place = format!("`{name}` was {was}, now it is {is}");
                let error = format!("the figures of the rerun differ by more than {tolerance}");
                let (causes, log) = (vec![place], log_if_any(&self.log));
                let by = FailedBy::Stage;
                JobEnd::Failed(Failure { by, error, causes, last_lines: Vec::new(), help: None, log })
            }
        }
    }

    fn record_of(&self, output: &ActionOutput, since: Instant) -> Result<ActionRecord, CacheError> {
        let mut ports = BTreeMap::new();
        for port in &self.outputs {
            ports.insert(port.name.clone(), output.tree.part(&port.path)?.digest());
        }
        Ok(ActionRecord {
            kind: self.contract.kind.to_owned(),
            output: OutputRecord { tree: output.tree.digest(), ports },
            parts: output.parts.clone(),
            state: None,
            environment: output.environment.clone(),
            figures: rounded(&output.summary.figures),
            summary: output.summary.lines.clone(),
            warnings: output.warnings.clone(),
            duration_millis: since.elapsed().as_millis() as u64,
            peak_memory_bytes: output.peak_memory_bytes,
            ended_unix_secs: unix_secs(),
        })
    }
}

/// Returns the numbers that JSON has, with ten significant digits: these are read as they are written.
fn rounded(figures: &BTreeMap<String, f64>) -> BTreeMap<String, f64> {
    let finite = figures.iter().filter(|(_, value)| value.is_finite());
    finite.filter_map(|(name, value)| Some((name.clone(), format!("{value:.9e}").parse().ok()?))).collect()
}
