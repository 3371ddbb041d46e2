//! `pipe cache gc`.

mod view;

use crate::args::ReportArgs;
use crate::commands::Command;
use crate::error::CommandError;
use crate::exit::Code;
use crate::{context, render};
use pipe_cache::{Store, gc};
use pipe_engine::housekeeping::{self, Leftovers};
use pipe_engine::{Bookkeeping, LockFile, units};
use std::time::{Duration, SystemTime};

/// Delete unreferenced data, and results beyond `--max-age` or `--max-size`
///
/// Whole results are deleted, the longest unused first. The newest result of every stage and the results of the last 10 runs are
/// always kept.
#[derive(Debug, clap::Args)]
pub(crate) struct Gc {
    #[command(flatten)]
    report: ReportArgs,
    /// Delete results, the longest unused first, until the store is no larger than this, such as 20GB or 500MiB
    #[arg(long, value_name = "SIZE", value_parser = units::size)]
    max_size: Option<u64>,
    /// Delete results that have not been used for this long, such as 30d or 12h
    #[arg(long, value_name = "AGE", value_parser = units::age)]
    max_age: Option<Duration>,
    /// Show what would be deleted, without deleting it
    #[arg(long)]
    dry_run: bool,
}

impl Command for Gc {
    const NAME: &'static str = "gc";

    fn run(self) -> Result<Code, CommandError> {
        let root = context::store_root(&self.report.store)?;
        let store = Store::open_existing(&root)?;
        let limits = gc::GcLimits { max_size_bytes: self.max_size, max_age: self.max_age };
        let waiting = || render::waiting("the store is in use by a run or by another `pipe cache`");
        // A dry run needs no lock. The keys to keep are read under the lock, so that a run that has just ended counts.
        let lock = if self.dry_run { None } else { Some(store.lock_alone(waiting)?) };
        #[expect(clippy::disallowed_methods, reason = "the age of results counts from now; no key depends on it")]
        let now = SystemTime::now();
        let kept = if self.dry_run { Bookkeeping::to_read(&root) } else { Bookkeeping::to_update(&root) };
        let wanted = housekeeping::wanted_keys(&kept)?;
        render::warnings(&kept);
        if let (true, Some(path)) =
            (limits.max_age.is_some() || limits.max_size_bytes.is_some(), LockFile::unknown(&root)?.first())
        {
            return Err(CommandError::failed(format!(
                "{} is damaged, so it is unknown which results a lock file names; run the pipeline of that lock file, or remove the \
                 damaged file",
                path.display()
            )));
        }
        let plan = gc::plan(&store, &limits, &wanted, now)?;
        let leftovers = Leftovers::find(&root, self.max_age, now)?;
        let (scratch, indexes) = (leftovers.scratch, leftovers.indexes);
        if let Some(lock) = &lock {
            gc::carry_out(&store, lock, &plan)?;
            leftovers.remove()?;
            pipe_engine::latest::compact(&kept)?;
        }
        let in_use = self.dry_run && store.is_held();
        let collected = view::Collected { plan: &plan, scratch, indexes, dry_run: self.dry_run, in_use };
        if self.report.json() {
            view::json(&collected)?;
        } else {
            view::text(&collected, now);
        }
        Ok(Code::Ok)
    }
}
