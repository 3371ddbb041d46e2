//! `--locked`: compares results with those of the lock file, bit for bit or by their figures.

use super::Run;
use super::compare::{OtherFigure, other_figure};
use crate::environment::{environment_line, gives_equal_bits};
use crate::events::Failure;
use crate::key_planner::Prepared;
use crate::lockfile::Locked;
use pipe_cache::ActionRecord;
use pipe_schemas::{Numerics, Tolerance};

/// How a result was compared with the locked one that it equals.
pub(super) enum LockedComparison {
    /// The run is not locked, or an exact result has the same digest.
    Evident,
    /// All bits of a floating-point result are equal.
    Identical,
    /// Not in its bits; the text reports how.
    Approximate(String),
}

impl Run<'_> {
    /// Returns why a result with this key can't equal the locked one, if that is certain before the stage runs: floating-point
    /// results of other parameters or inputs differ.
    pub(super) fn locked_key_mismatch(&self, stage: usize, prepared: &Prepared) -> Option<Failure> {
        let lock = self.options.locked.as_ref()?;
        let spec = self.plan.stage(stage);
        let Some(locked) = lock.0.get(spec.name.as_str()) else { return Some(no_locked_result()) };
        let is_exact = matches!(spec.contract.numerics, Numerics::Exact);
        let reads_approximate = self.plan.dependencies(stage).any(|needed| self.approximate.contains(&needed));
        let other_library =
            |(name, version): (&&str, &String)| locked.environment.get(*name).is_some_and(|locked| locked != version);
        let may_match =
            locked.key == prepared.key || is_exact || reads_approximate || prepared.tools.iter().any(other_library);
        (!may_match).then(|| {
            failure("its parameters or inputs differ from those of the locked result, so it was not run".to_owned())
        })
    }

    /// Compares a result with that of the lock file, if the run is locked. Returns how they were compared, where that is not
    /// evident, or why the stage fails.
    pub(super) fn compare_with_locked(
        &mut self,
        stage: usize,
        record: &ActionRecord,
    ) -> Result<LockedComparison, Failure> {
        let Some(lock) = &self.options.locked else { return Ok(LockedComparison::Evident) };
        let spec = self.plan.stage(stage);
        let Some(locked) = lock.0.get(spec.name.as_str()) else {
            return Err(no_locked_result());
        };
        let (was, is) = (locked.output, record.output.tree);
        let reads_approximate = self.plan.dependencies(stage).any(|needed| self.approximate.contains(&needed));
        let has_equal_bits = gives_equal_bits(&locked.environment, &record.environment);
        let other_bits = || {
            let (was, is) = (was.short(), is.short());
            failure(format!("its result differs from the locked one: {is}, locked is {was}"))
        };
        match spec.contract.numerics {
            Numerics::FloatingPoint(_) if was == is => Ok(LockedComparison::Identical),
            Numerics::FloatingPoint(_) if !reads_approximate && has_equal_bits => Err(other_bits()),
            Numerics::FloatingPoint(tolerance) | Numerics::Measured(tolerance) => {
                let compared = compare_figures(locked, record, tolerance)?;
                self.approximate.insert(stage);
                Ok(LockedComparison::Approximate(compared))
            }
            Numerics::Exact if was == is => Ok(LockedComparison::Evident),
            Numerics::Exact if reads_approximate => {
                self.approximate.insert(stage);
                let text =
                    "not compared with the locked result, because an input differs from the locked one in its bits";
                Ok(LockedComparison::Approximate(text.to_owned()))
            }
            Numerics::Exact => Err(other_bits()),
        }
    }
}

/// Compares the numbers that both results come with.
fn compare_figures(locked: &Locked, record: &ActionRecord, tolerance: Tolerance) -> Result<String, Failure> {
    let environment = environment_line(&locked.environment);
    if locked.figures.is_empty() {
        return Err(failure(format!(
            "its bits differ from the locked result of another environment ({environment}), and the lock file has no figures to \
             compare"
        )));
    }
    match other_figure(&locked.figures, &record.figures, tolerance) {
        Some(OtherFigure { name, was, is: Some(is) }) => {
            let error = format!("its `{name}` is {is}, locked is {was}: they differ by more than {tolerance}");
            return Err(failure(error));
        }
        Some(OtherFigure { name, was, is: None }) => {
            return Err(failure(format!("it has no `{name}`, locked is {was}")));
        }
        None => {}
    }
    let names = locked.figures.keys().cloned().collect::<Vec<_>>().join(", ");
    Ok(format!("{names} equal the locked figures within {tolerance}; the locked result is of: {environment}"))
}

fn no_locked_result() -> Failure {
    failure("the lock file has no result of this stage".to_owned())
}

fn failure(error: String) -> Failure {
    let help = Some("run without `--locked` to accept the new result".to_owned());
    Failure { help, ..Failure::of_run(error) }
}
