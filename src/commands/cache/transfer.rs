//! What `pipe cache push` and `pipe cache pull` share.

use crate::args::{FileArgs, RemoteArgs, StoreArgs};
use crate::context::RemoteUse;
use crate::error::CommandError;
use crate::exit::Code;
use crate::{context, render};
use pipe_cache::{CacheError, Remote, RemoteError, Store};
use pipe_engine::Plan;
use std::path::PathBuf;
use std::sync::Arc;

// The arguments of both commands; see `crate::args` on the plain comment.
#[derive(Debug, clap::Args)]
pub(super) struct TransferArgs {
    /// Pipeline file that limits what is transferred [default: results of all pipelines]
    file: Option<PathBuf>,
    /// Override a value of the pipeline file, as for `pipe run`; repeatable
    #[arg(long = "set", value_name = "PATH=VALUE", requires = "file")]
    settings: Vec<String>,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    remote: RemoteArgs,
}

/// A store and its remote, ready for a transfer.
pub(super) struct Transfer {
    pub(super) root: PathBuf,
    pub(super) store: Store,
    pub(super) plan: Option<Plan>,
    pub(super) remote: Arc<Remote>,
}

/// Opens store and remote. Ctrl-C stops the transfer.
pub(super) fn begin(args: TransferArgs, usage: RemoteUse) -> Result<Transfer, CommandError> {
    let settings = args.settings;
    let plan = args.file.map(|file| context::load(&FileArgs { file, settings })).transpose()?;
    let root = context::store_root(&args.store)?;
    let remote = context::remote(&args.remote, &root, plan.as_ref(), usage)?;
    let remote = remote.map(Arc::new).ok_or(CommandError::NoRemote)?;
    let on_signal = Arc::clone(&remote);
    ctrlc::set_handler(move || on_signal.stop())?;
    let store = Store::open(&root)?.hold(|| render::waiting(render::STORE_IS_COLLECTED))?;
    Ok(Transfer { root, store, plan, remote })
}

/// Shows a finished transfer, or returns the code of a stopped one.
pub(super) fn finish<T>(result: Result<T, CacheError>, show: impl FnOnce(&T)) -> Result<Code, CommandError> {
    match result {
        Ok(done) => {
            show(&done);
            Ok(Code::Ok)
        }
        Err(CacheError::Remote(RemoteError::Stopped { .. })) => Ok(Code::Cancelled),
        Err(error) => Err(error.into()),
    }
}
