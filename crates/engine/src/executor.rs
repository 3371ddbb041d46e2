//! Where actions run: [`all`] lists the executors. A new one is a file below `executor/` and a line there.
//!
//! An action is one or more requests of `pipe_stage::protocol`, which a [`Session`] runs one after the other. What happens
//! around them (keys, locks, records, parts) is the same for every executor and is in [`crate::run()`].

use crate::options::RunOptions;
use reaper::ReaperOnDemand;
use std::sync::Arc;

mod command;
mod handle;
mod local;
mod process;
pub mod reaper;
mod resources;
mod session;

pub(crate) use handle::Handle;
pub(crate) use resources::{Capacity, Resources};
pub(crate) use session::{Ended, Executor, Session, Started, Stop, WorkerUpdate};

/// Returns the executors of a run. The first that runs a stage's kind is used for it.
pub(crate) fn all(options: &RunOptions) -> Vec<Box<dyn Executor>> {
    let reaper = Arc::new(ReaperOnDemand::new(&options.executables.pipe));
    let machine = Capacity::of_this_machine(options.jobs);
    vec![
        Box::new(command::CommandExecutor::new(options, machine, Arc::clone(&reaper))),
        Box::new(local::LocalExecutor::new(options, machine, reaper)),
    ]
}
