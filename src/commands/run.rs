//! `pipe run`.

use super::Command;
use super::cache::push;
use crate::args::{FileArgs, RemoteArgs, StoreArgs};
use crate::context::{self, RemoteUse};
use crate::error::CommandError;
use crate::exit::Code;
use crate::render::{self, Output};
use pipe_engine::events::Outcome;
use pipe_engine::{Bookkeeping, LockFile, Plan, Prefetch, RunOptions, RunSummary, Selection};
use std::path::Path;
use std::sync::Arc;

/// Run a pipeline; stages with a result in the store are not run again
///
/// A stage runs again if its parameters, its inputs or its source files changed. `pipe plan` shows beforehand which stages would
/// run. Results are in `.pipe/out/PIPELINE/STAGE/`.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is an independent flag of the command line")]
pub(crate) struct Run {
    #[command(flatten)]
    file: FileArgs,
    /// Stages to run, with all stages that they depend on [default: every stage]
    #[arg(value_name = "STAGE")]
    stages: Vec<String>,
    /// Leave out stages that depend on this one; repeatable
    #[arg(long, value_name = "STAGE")]
    until: Vec<String>,
    /// Run this stage even if the store has its result; repeatable
    #[arg(long, value_name = "STAGE")]
    force: Vec<String>,
    /// Fail if a result differs from the one in the lock file, which is `NAME.lock` beside the pipeline file `NAME.yaml`
    #[arg(long)]
    locked: bool,
    /// Do not write the lock file
    #[arg(long, conflicts_with = "locked")]
    no_lock: bool,
    /// Rerun these stages although the store has their results, and compare [without a stage: all stages]
    #[arg(long, value_name = "STAGE", num_args = 0..)]
    check: Option<Vec<String>>,
    /// Read stored results before they are used, and make damaged ones again. Without it, only results that become the newest of
    /// their stage are read
    #[arg(long)]
    verify: bool,
    #[command(flatten)]
    remote: RemoteArgs,
    /// After the run, send its results to the remote
    #[arg(long)]
    push: bool,
    /// After a failure, still run the stages that do not depend on the failed one
    #[arg(long)]
    keep_going: bool,
    #[command(flatten)]
    store: StoreArgs,
    /// Maximum number of stages that run at the same time [default: the number of CPUs]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// How to show progress
    #[arg(long, value_enum, default_value_t = Output::Auto)]
    output: Output,
}

impl Command for Run {
    const NAME: &'static str = "run";

    fn run(self) -> Result<Code, CommandError> {
        let (root, lock_path) = (context::store_root(&self.store)?, LockFile::path(&self.file.file));
        let kept = Bookkeeping::to_read(&root);
        let lock = if self.locked { LockFile::read(&lock_path) } else { LockFile::read_intact(&lock_path, &kept) };
        let ahead = lock.as_ref().ok().and_then(Option::as_ref).map(|lock| Prefetch::start(&root, lock));
        let plan = context::load(&self.file)?;
        let cancel = context::cancel_on_signal()?;
        let lock = lock.map_err(|error| CommandError::BadInput(error.into()))?;
        render::warnings(&kept);
        if self.locked && lock.is_none() {
            let message = format!("{} does not exist; a run without `--locked` writes it", lock_path.display());
            return Err(CommandError::bad_input(message));
        }
        let usage = if self.push { RemoteUse::Send } else { RemoteUse::Fetch };
        let remote = context::remote(&self.remote, &root, Some(&plan), usage)?.map(Arc::new);
        if self.push && remote.is_none() {
            return Err(CommandError::NoRemote);
        }
        let options = RunOptions {
            selection: Selection { stages: self.stages, until: self.until, force: self.force },
            keep_going: self.keep_going,
            locked: lock.clone().filter(|_| self.locked),
            remote: remote.clone(),
            check: self.check,
            verify: self.verify,
            ..context::run_options(root, self.jobs)?
        };
        let mut renderer = render::renderer(self.output);
        let span = tracing::info_span!("run", pipeline = plan.name()).entered();
        let ran =
            pipe_engine::run(&plan, &options, ahead.unwrap_or_default(), &cancel, &mut |event| renderer.event(event));
        drop(span);
        let summary = ran.map_err(|error| match error {
            error if error.is_bad_selection() => CommandError::BadInput(error.into()),
            error => error.into(),
        })?;
        renderer.finish(&summary, &options.root);
        if !self.locked && !self.no_lock {
            write_lock(lock, &lock_path, &plan, &summary, &options.root);
        }
        if let Some(remote) = remote.filter(|_| self.push && !summary.cancelled) {
            push::push_run(&remote, &options.root, &summary)?;
        }
        Ok(code(&summary))
    }
}

fn code(summary: &RunSummary) -> Code {
    match summary {
        summary if summary.cancelled => Code::Cancelled,
        summary if summary.count(Outcome::Failed) > 0 => Code::Failed,
        _ => Code::Ok,
    }
}

/// Writes the results of a run to the lock file if they changed, and registers it. A failure to write is a warning: the results are
/// safe in the store.
fn write_lock(lock: Option<LockFile>, path: &Path, plan: &Plan, summary: &RunSummary, root: &Path) {
    let before = lock.unwrap_or_default();
    let mut after = before.clone();
    after.update(summary, &plan.stages().map(|stage| stage.name.as_str()).collect());
    if after.0.is_empty() {
        return;
    }
    let written = if after == before { LockFile::register(path, root) } else { after.write(path, root) };
    if let Err(error) = written {
        render::warning(&format!("the lock file is not up to date: {error}"));
    }
}
