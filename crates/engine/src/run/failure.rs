//! Turns errors around a stage into the [`Failure`] that the user reads.

use crate::error::RunError;
use crate::events::Failure;
use fs_err as fs;
use std::error::Error;
use std::path::Path;
use std::time::Duration;

/// Returns the failure of a stage that ran longer than its `timeout`.
pub(super) fn timed_out(timeout: Duration, log: &Path) -> Failure {
    Failure {
        help: Some("give it more time, or find out from its log what it waits for".into()),
        log: log_if_any(log),
        ..Failure::of_run(format!("it was ended after its `timeout` of {} s", timeout.as_secs()))
    }
}

/// Returns the failure of a stage around which `error` happened.
pub(super) fn failure_of(error: &RunError) -> Failure {
    let mut causes = Vec::new();
    let mut source = error.source();
    while let Some(cause) = source {
        causes.push(cause.to_string());
        source = cause.source();
    }
    let help = error.help().map(str::to_owned);
    Failure { causes, help, ..Failure::of_run(error.to_string()) }
}

/// Returns the path of a log that is not empty.
pub(super) fn log_if_any(log: &Path) -> Option<String> {
    let any = fs::metadata(log).is_ok_and(|metadata| metadata.len() > 0);
    any.then(|| log.display().to_string())
}
