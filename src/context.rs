//! What commands share: the pipeline file, the store's folder, options of a run, Ctrl-C.

use crate::args::{FileArgs, RemoteArgs, StoreArgs};
use crate::error::CommandError;
use crate::render;
use fs_err as fs;
use pipe_cache::{Remote, RemoteSetting, RemoteUrl};
use pipe_engine::{
    Bookkeeping, Cancel, Config, Executables, Plan, RunMode, RunOptions, Selection, Setting, StageForecast,
};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Loads a pipeline file.
pub(crate) fn load(args: &FileArgs) -> Result<Plan, CommandError> {
    let _span = tracing::info_span!("load", file = %args.file.display()).entered();
    let settings: Vec<Setting> = args.settings.iter().cloned().map(Setting).collect();
    let plan = pipe_engine::load(&args.file, &settings).map_err(CommandError::Problems)?;
    for note in plan.notes() {
        render::message(&format!("note: {note}"));
    }
    Ok(plan)
}

/// Returns the folder of the store: the given one, the nearest `.pipe` in this folder or a parent, or a new one here.
pub(crate) fn store_root(args: &StoreArgs) -> Result<PathBuf, CommandError> {
    let here = PathBuf::from(".pipe");
    if let Some(given) = &args.store {
        return folder_or_nothing(given.clone());
    }
    if here.symlink_metadata().is_ok() {
        // A relative path is shorter to read, and faster to resolve.
        return folder_or_nothing(here);
    }
    let folder = std::env::current_dir()?;
    let nearest = folder.ancestors().skip(1).map(|folder| folder.join(".pipe")).find(|folder| folder.is_dir());
    Ok(nearest.unwrap_or(here))
}

/// Fails if there is something at `path` that is not a folder.
fn folder_or_nothing(path: PathBuf) -> Result<PathBuf, CommandError> {
    let shown = path.display();
    match (fs::metadata(&path), fs::read_link(&path)) {
        (Ok(metadata), _) if !metadata.is_dir() => {
            Err(CommandError::bad_input(format!("the store {shown} is not a folder; remove it, or pass --store DIR")))
        }
        (Err(_), Ok(to)) => Err(CommandError::bad_input(format!(
            "the store {shown} is a link to {}, which does not exist or can't be read; create that folder, or remove the link",
            to.display()
        ))),
        (Ok(_) | Err(_), _) => Ok(path),
    }
}

/// Returns the default options of a run in the store at `root`.
pub(crate) fn run_options(root: PathBuf, jobs: Option<u16>) -> Result<RunOptions, CommandError> {
    let now = jiff::Zoned::now();
    Ok(RunOptions {
        root,
        executables: executables()?,
        environment: environment(),
        jobs: jobs.map_or_else(|| std::thread::available_parallelism().map_or(1, Into::into), usize::from),
        selection: Selection::default(),
        keep_going: false,
        locked: None,
        remote: None,
        check: None,
        verify: false,
        mode: RunMode::Results,
        // Run ids sort by time.
        run: format!("{}{:03}-{}", now.strftime("%Y%m%dT%H%M%S"), now.millisecond(), std::process::id()),
        // All with the same number of digits.
        started: now.timestamp().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
    })
}

/// Returns where the programs are: workers are in the folder of this executable.
pub(crate) fn executables() -> Result<Executables, CommandError> {
    let pipe = std::env::current_exe()?.canonicalize()?;
    Ok(Executables { workers: pipe.parent().map(PathBuf::from).unwrap_or_default(), pipe })
}

/// Returns a cancellation that Ctrl-C triggers.
pub(crate) fn cancel_on_signal() -> Result<Arc<Cancel>, CommandError> {
    let cancel = Arc::new(Cancel::default());
    let on_signal = Arc::clone(&cancel);
    ctrlc::set_handler(move || on_signal.trigger())?;
    Ok(cancel)
}

/// Returns what a run would do with each stage.
pub(crate) fn forecasts(plan: &Plan, store: &StoreArgs) -> Result<Vec<StageForecast>, CommandError> {
    let _span = tracing::info_span!("plan", pipeline = plan.name()).entered();
    let kept = Bookkeeping::to_read(&store_root(store)?);
    let forecasts = pipe_engine::forecast(plan, &kept, &executables()?)?;
    render::warnings(&kept);
    Ok(forecasts)
}

/// What a command does with a remote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RemoteUse {
    /// It takes results from it, if it has some.
    Fetch,
    /// It sends results, and creates the folder of a remote.
    Send,
    /// It checks the setting only.
    Check,
}

/// Returns the remote of a command, store and pipeline, if one is set.
pub(crate) fn remote(
    args: &RemoteArgs,
    root: &Path,
    plan: Option<&Plan>,
    usage: RemoteUse,
) -> Result<Option<Remote>, CommandError> {
    let given = args.remote.as_deref().map(str::parse::<RemoteSetting>).transpose();
    let given = given.map_err(|error| CommandError::BadInput(error.into()))?;
    let is_given = given.is_some();
    let config = Config::read(root).map_err(CommandError::Problems)?;
    let Some(url) = pipe_engine::remote::remote_url(given, config, plan) else { return Ok(None) };
    if let Some(folder) = missing_folder(&url, usage) {
        let message = format!("the remote {url} can't be used, because {} is not a folder", folder.display());
        // A run does without the remote of a file that several people share.
        if usage == RemoteUse::Fetch && !is_given {
            render::warning(&message);
        } else {
            let remedy = "create the folder, correct the remote, or use `--remote none`";
            return Err(CommandError::bad_input(format!("{message}; {remedy}")));
        }
    }
    Ok(Some(Remote::new(url, std::env::vars_os().collect())))
}

/// Returns the folder that a remote needs and that does not exist.
fn missing_folder(url: &RemoteUrl, usage: RemoteUse) -> Option<&Path> {
    let folder = url.folder()?;
    let needed = match usage {
        RemoteUse::Send => folder.parent().unwrap_or(folder),
        RemoteUse::Fetch | RemoteUse::Check => folder,
    };
    (!needed.is_dir()).then_some(needed)
}

/// Returns the environment variables that every `command` stage gets; it declares others as `env`.
fn environment() -> Vec<(String, OsString)> {
    let value = |name: &str| std::env::var_os(name).map(|value| (name.to_owned(), value));
    ["PATH", "HOME", "TMPDIR"].into_iter().filter_map(value).collect()
}
