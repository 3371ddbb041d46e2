//! `pipe cache push`, and `pipe run --push`.

mod view;

use super::transfer::{self, Transfer, TransferArgs};
use crate::commands::Command;
use crate::context::RemoteUse;
use crate::error::CommandError;
use crate::exit::Code;
use crate::render::{self, TransferBar};
use pipe_cache::remote::{PushOptions, Replace};
use pipe_cache::{Remote, Store};
use pipe_engine::{Bookkeeping, RunSummary};
use std::path::Path;

/// Send the newest results to the remote
///
/// Results are sent with their parts, so that other machines reuse them, but without states of training.
#[derive(Debug, clap::Args)]
pub(crate) struct Push {
    #[command(flatten)]
    transfer: TransferArgs,
    /// Send every file again, to repair a remote with damaged data
    #[arg(long)]
    replace: bool,
    /// Also send the kept states of training, from which other machines can continue for more epochs
    #[arg(long)]
    states: bool,
}

impl Command for Push {
    const NAME: &'static str = "push";

    fn run(self) -> Result<Code, CommandError> {
        let Transfer { root, store, plan, remote } = transfer::begin(self.transfer, RemoteUse::Send)?;
        let kept = Bookkeeping::to_read(&root);
        let keys = pipe_engine::remote::latest_keys(&kept, plan.as_ref())?;
        render::warnings(&kept);
        let replace = if self.replace { Replace::Always } else { Replace::Never };
        let bar = TransferBar::new("sending");
        let pushed = remote
            .push(&store, &keys, PushOptions { replace, states: self.states }, &mut |progress| bar.show(progress));
        bar.clear();
        transfer::finish(pushed, |pushed| view::pushed(pushed, remote.url()))
    }
}

/// Sends the results of a run.
pub(crate) fn push_run(remote: &Remote, root: &Path, run: &RunSummary) -> Result<(), CommandError> {
    let keys = run.stages.iter().filter(|stage| stage.output.is_some()).filter_map(|stage| stage.key.as_ref());
    let keys: Vec<_> = keys.filter_map(|key| key.parse().ok()).collect();
    let bar = TransferBar::new("sending");
    let pushed = remote.push(&Store::open(root)?, &keys, PushOptions::default(), &mut |progress| bar.show(progress));
    bar.clear();
    view::pushed(&pushed?, remote.url());
    Ok(())
}
