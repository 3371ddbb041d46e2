//! `pipe cache`: looking after the store.

use super::{Result, remote, store_root};
use crate::args::{CacheCommand, GcArgs, ReportArgs};
use crate::exit::Code;
use crate::render;
use pipe_cache::{Store, gc, stats, verify};
use pipe_engine::housekeeping::{self, Leftovers};
use std::time::SystemTime;

/// Runs the command.
pub(super) fn run(command: &CacheCommand) -> Result<Code> {
    match command {
        CacheCommand::Verify(args) => verify(args),
        CacheCommand::Gc(args) => gc(args),
        CacheCommand::Stats(args) => stats(args),
        CacheCommand::Push(args) => remote::push(args),
        CacheCommand::Pull(args) => remote::pull(args),
    }
}

fn verify(args: &ReportArgs) -> Result<Code> {
    let root = store_root(args.store.store.clone())?;
    let store =
        Store::open_existing(&root)?.hold(|| render::waiting("another `pipe` removes what is no longer needed"))?;
    let reading = render::cache::Reading::new();
    let verified = verify::verify(&store, &|bytes| reading.read(bytes))?;
    reading.finish();
    render::cache::verified(&verified, &housekeeping::stages_by_key(&root)?, args.output)?;
    Ok(if verified.damage.is_empty() { Code::Ok } else { Code::Failed })
}

fn gc(args: &GcArgs) -> Result<Code> {
    let root = store_root(args.report.store.store.clone())?;
    let store = Store::open_existing(&root)?;
    let limits = gc::Limits { max_size_bytes: args.max_size, max_age: args.max_age };
    let waiting = || render::waiting("the store is in use, by a run or by another `pipe cache`");
    // Who only looks waits for nobody. What is wanted is asked under the lock: a run that ends meanwhile counts.
    let lock = if args.dry_run { None } else { Some(store.lock_alone(waiting)?) };
    let now = SystemTime::now();
    let plan = gc::plan(&store, &limits, &housekeeping::wanted_keys(&root)?, now)?;
    let leftovers = Leftovers::find(&root, args.max_age, now)?;
    let (scratch, indexes) = (leftovers.scratch, leftovers.indexes);
    if let Some(lock) = &lock {
        gc::carry_out(&store, lock, &plan)?;
        leftovers.remove()?;
        pipe_engine::latest::compact(&root)?;
    }
    let in_use = args.dry_run && store.is_held();
    let collected = render::cache::Collected { plan: &plan, scratch, indexes, dry_run: args.dry_run, in_use };
    render::cache::collected(&collected, now, args.report.output)?;
    Ok(Code::Ok)
}

fn stats(args: &ReportArgs) -> Result<Code> {
    let root = store_root(args.store.store.clone())?;
    let store = Store::open_existing(&root)?;
    let stats = stats::stats(&store, &housekeeping::wanted_keys(&root)?)?;
    render::cache::stats(&stats, SystemTime::now(), args.output)?;
    Ok(Code::Ok)
}
