//! `pipe cache push` and `pipe cache pull`: results shared through a remote.

use super::{Code, Result, load, store_root};
use crate::args::{FileArgs, PushArgs, TransferArgs};
use crate::render;
use pipe_cache::remote::Replace;
use pipe_cache::{CacheError, Fields, Remote, RemoteError, RemoteSetting, Store};
use pipe_engine::{Config, Plan, RunSummary};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What both commands need.
struct Transfer {
    root: PathBuf,
    store: Store,
    plan: Option<Plan>,
    remote: Arc<Remote>,
}

/// Sends the newest results.
pub(super) fn push(args: &PushArgs) -> Result<Code> {
    let transfer = match begin(&args.transfer)? {
        Ok(transfer) => transfer,
        Err(code) => return Ok(code),
    };
    let Transfer { root, store, plan, remote } = transfer;
    let keys = pipe_engine::remote::latest_keys(&root, plan.as_ref())?;
    let replace = if args.replace { Replace::Always } else { Replace::Never };
    let mut bar = render::transfer::Bar::new("sending");
    let pushed = remote.push(&store, &keys, replace, &mut |progress| bar.show(progress));
    bar.clear();
    ended(pushed, |pushed| render::transfer::pushed(pushed, remote.url()))
}

/// Sends the results of a run.
pub(super) fn push_run(remote: &Remote, root: &Path, run: &RunSummary) -> Result<()> {
    let keys = run.stages.iter().filter(|stage| stage.output.is_some()).filter_map(|stage| stage.key.as_ref());
    let keys: Vec<_> = keys.filter_map(|key| key.parse().ok()).collect();
    let mut bar = render::transfer::Bar::new("sending");
    let pushed = remote.push(&Store::open(root)?, &keys, Replace::Never, &mut |progress| bar.show(progress));
    bar.clear();
    render::transfer::pushed(&pushed?, remote.url());
    Ok(())
}

/// Fetches what is not here.
pub(super) fn pull(args: &TransferArgs) -> Result<Code> {
    let transfer = match begin(args)? {
        Ok(transfer) => transfer,
        Err(code) => return Ok(code),
    };
    let Transfer { store, plan, remote, .. } = transfer;
    let kinds = plan.map(|plan| plan.stages().iter().map(|stage| stage.contract.kind).collect::<BTreeSet<_>>());
    let wanted = |fields: &Fields| {
        let kind = pipe_engine::remote::kind(fields);
        kinds.as_ref().is_none_or(|kinds| kind.is_some_and(|kind| kinds.contains(kind)))
    };
    let mut bar = render::transfer::Bar::new("fetching");
    let pulled = remote.pull_all(&store, &wanted, &pipe_engine::remote::ports_fit, &mut |progress| bar.show(progress));
    bar.clear();
    ended(pulled, |pulled| render::transfer::pulled(pulled, remote.url()))
}

/// Opens store and remote, or shows why that can't be.
fn begin(args: &TransferArgs) -> Result<std::result::Result<Transfer, Code>> {
    let plan = match &args.file {
        Some(file) => match load(&FileArgs { file: file.clone(), settings: args.settings.clone() }) {
            Ok(plan) => Some(plan),
            Err(code) => return Ok(Err(code)),
        },
        None => None,
    };
    let root = store_root(args.store.clone())?;
    let remote = match remote(args.remote.as_deref(), &root, plan.as_ref()) {
        Ok(remote) => remote,
        Err(code) => return Ok(Err(code)),
    };
    let Some(remote) = remote.map(Arc::new) else {
        render::no_remote();
        return Ok(Err(Code::BadInput));
    };
    let on_signal = Arc::clone(&remote);
    ctrlc::set_handler(move || on_signal.stop())?;
    let store = Store::open(&root)?.hold(|| render::waiting("another `pipe` removes what is no longer needed"))?;
    Ok(Ok(Transfer { root, store, plan, remote }))
}

/// Returns the remote that is set for this store, pipeline and command, or shows what is wrong with the setting.
pub(super) fn remote(
    given: Option<&str>,
    root: &Path,
    plan: Option<&Plan>,
) -> std::result::Result<Option<Remote>, Code> {
    let given = given.map(str::parse::<RemoteSetting>).transpose().map_err(|error| {
        render::error(&error);
        Code::BadInput
    })?;
    let config = Config::read(root).map_err(|problems| {
        render::problems(&problems);
        Code::BadInput
    })?;
    let url = pipe_engine::remote::remote_url(given, config, plan);
    Ok(url.map(|url| Remote::new(url, std::env::vars_os().collect())))
}

fn ended<T>(result: std::result::Result<T, CacheError>, show: impl FnOnce(&T)) -> Result<Code> {
    match result {
        Ok(done) => {
            show(&done);
            Ok(Code::Ok)
        }
        Err(CacheError::Remote(RemoteError::Stopped { .. })) => Ok(Code::Cancelled),
        Err(error) => Err(error.into()),
    }
}
