//! `pipe cache pull`.

mod view;

use super::transfer::{self, Transfer, TransferArgs};
use crate::commands::Command;
use crate::context::RemoteUse;
use crate::error::CommandError;
use crate::exit::Code;
use crate::render::TransferBar;
use pipe_cache::Fields;
use std::collections::BTreeSet;

/// Fetch results from the remote that the store does not have yet
///
/// With a pipeline file, only results of the stage kinds that it uses are fetched.
#[derive(Debug, clap::Args)]
pub(crate) struct Pull {
    #[command(flatten)]
    transfer: TransferArgs,
}

impl Command for Pull {
    const NAME: &'static str = "pull";

    fn run(self) -> Result<Code, CommandError> {
        let Transfer { store, plan, remote, .. } = transfer::begin(self.transfer, RemoteUse::Fetch)?;
        let kinds = plan.map(|plan| plan.stages().map(|stage| stage.contract.kind).collect::<BTreeSet<_>>());
        let is_wanted = |fields: &Fields| {
            let kind = pipe_engine::remote::kind(fields);
            kinds.as_ref().is_none_or(|kinds| kind.is_some_and(|kind| kinds.contains(kind)))
        };
        let bar = TransferBar::new("fetching");
        let ports_fit = &pipe_engine::remote::ports_fit;
        let pulled = remote.pull_all(&store, &is_wanted, ports_fit, &mut |progress| bar.show(progress));
        bar.clear();
        transfer::finish(pulled, |pulled| view::pulled(pulled, remote.url()))
    }
}
