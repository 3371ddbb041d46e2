//! What each command does.

use crate::args::{Args, CheckArgs, Command, FileArgs, Format, PlanArgs, RunArgs, WhyArgs};
use crate::exit::Code;
use crate::render;
use pipe_engine::{
    Ahead, Aim, Cancel, Executables, LockFile, Outlook, Plan, RunError, RunOptions, RunSummary, Selection, Setting,
    StageOutlook,
    events::{FailedBy, Outcome},
    outlook,
};
use std::error::Error;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

mod cache;
mod records;
mod remote;

pub(crate) use records::Metrics;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Runs the command that `args` name.
pub(crate) fn run(args: Args) -> Result<Code> {
    match args.command {
        Command::Run(args) => run_pipeline(&args),
        Command::Check(args) => check(&args),
        Command::Plan(args) => plan(&args),
        Command::Why(args) => why(&args),
        Command::Runs(args) => records::runs(&args),
        Command::Show(args) => records::show(&args),
        Command::Logs(args) => records::logs(&args),
        Command::Metrics(args) => records::metrics(&args),
        Command::Status(args) => records::status(&args),
        Command::Ls(args) => records::ls(&args),
        Command::Stages => {
            render::stages(pipe_schemas::stages::ALL);
            Ok(Code::Ok)
        }
        Command::Cache(command) => cache::run(&command),
    }
}

/// Loads a pipeline file, or shows what is wrong with it.
fn load(args: &FileArgs) -> std::result::Result<Plan, Code> {
    let settings: Vec<Setting> = args.settings.iter().cloned().map(Setting).collect();
    pipe_engine::load(&args.file, &settings).map_err(|problems| {
        render::problems(&problems);
        Code::BadInput
    })
}

fn check(args: &CheckArgs) -> Result<Code> {
    let plan = match load(&args.file) {
        Ok(plan) => plan,
        Err(code) => return Ok(code),
    };
    let file = render::checked(&plan);
    if !plan.has_findings() {
        render::report(&file);
        return Ok(Code::Ok);
    }
    let mut options = run_options(store_root(args.store.store.clone())?, None)?;
    options.keep_going = true;
    let cancel = cancel_on_signal()?;
    let mut progress = render::progress();
    let findings = pipe_engine::findings(plan, &options, &cancel, &mut |event| progress.event(event))?;
    render::findings(&file, &findings);
    let failures = || findings.stages.iter().filter_map(|stage| stage.failure.as_ref());
    Ok(if findings.cancelled {
        Code::Cancelled
    } else if failures().any(|failure| failure.by == FailedBy::Run) {
        Code::Failed
    } else if failures().next().is_some() {
        Code::BadInput
    } else {
        Code::Ok
    })
}

/// Returns how to run everything, as far as no argument says otherwise.
fn run_options(root: PathBuf, jobs: Option<u16>) -> Result<RunOptions> {
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
        aim: Aim::Results,
        // Names sort by time.
        run: format!("{}{:03}-{}", now.strftime("%Y%m%dT%H%M%S"), now.millisecond(), std::process::id()),
        started: now.timestamp().to_string(),
    })
}

/// Returns what Ctrl-C stops.
fn cancel_on_signal() -> Result<Arc<Cancel>> {
    let cancel = Arc::new(Cancel::default());
    let on_signal = Arc::clone(&cancel);
    ctrlc::set_handler(move || on_signal.trigger())?;
    Ok(cancel)
}

fn plan(args: &PlanArgs) -> Result<Code> {
    let plan = match load(&args.file) {
        Ok(plan) => plan,
        Err(code) => return Ok(code),
    };
    let outlooks = outlook(&plan, &store_root(args.report.store.store.clone())?, &executables()?)?;
    render::outlooks(&outlooks, args.report.output == Format::Json, render::Detail::Short);
    Ok(code_of(&outlooks))
}

fn why(args: &WhyArgs) -> Result<Code> {
    let plan = match load(&args.file) {
        Ok(plan) => plan,
        Err(code) => return Ok(code),
    };
    let mut outlooks = outlook(&plan, &store_root(args.report.store.store.clone())?, &executables()?)?;
    match &args.stage {
        Some(wanted) => {
            let named = |name: &str| plan.stages().iter().any(|s| s.name.as_str() == name && s.name.is_named(wanted));
            outlooks.retain(|outlook| named(&outlook.stage));
            if outlooks.is_empty() {
                render::error(&*Box::<dyn Error>::from(format!("the pipeline has no stage `{wanted}`")));
                return Ok(Code::BadInput);
            }
        }
        None => outlooks.retain(|outlook| !matches!(outlook.outlook, Outlook::Hit { .. })),
    }
    render::outlooks(&outlooks, args.report.output == Format::Json, render::Detail::Full);
    Ok(code_of(&outlooks))
}

fn code_of(outlooks: &[StageOutlook]) -> Code {
    let failed = outlooks.iter().any(|outlook| matches!(outlook.outlook, Outlook::Error { .. }));
    if failed { Code::Failed } else { Code::Ok }
}

fn run_pipeline(args: &RunArgs) -> Result<Code> {
    let (root, lock_path) = (store_root(args.store.store.clone())?, LockFile::path(&args.file.file));
    let lock = LockFile::read(&lock_path);
    let ahead = lock.as_ref().ok().and_then(Option::as_ref).map(|lock| Ahead::start(&root, lock));
    let plan = match load(&args.file) {
        Ok(plan) => plan,
        Err(code) => return Ok(code),
    };
    let cancel = cancel_on_signal()?;
    let lock = match lock {
        Ok(lock) => lock,
        Err(error) => {
            render::error(&error);
            return Ok(Code::BadInput);
        }
    };
    if args.locked && lock.is_none() {
        let text = format!("there is no {}; a run without `--locked` writes it", lock_path.display());
        render::error(&*Box::<dyn Error>::from(text));
        return Ok(Code::BadInput);
    }
    let selection = Selection { stages: args.stages.clone(), until: args.until.clone(), force: args.force.clone() };
    let remote = match remote::remote(args.remote.as_deref(), &root, Some(&plan)) {
        Ok(remote) => remote.map(Arc::new),
        Err(code) => return Ok(code),
    };
    if args.push && remote.is_none() {
        render::no_remote();
        return Ok(Code::BadInput);
    }
    let options = RunOptions {
        selection,
        keep_going: args.keep_going,
        locked: lock.clone().filter(|_| args.locked),
        remote: remote.clone(),
        check: args.check.clone(),
        ..run_options(root, args.jobs)?
    };
    let mut renderer = render::renderer(args.output);
    let ran = pipe_engine::run(&plan, &options, ahead.unwrap_or_default(), &cancel, &mut |event| renderer.event(event));
    if let Err(error @ RunError::NoStage { .. }) = &ran {
        render::error(error);
        return Ok(Code::BadInput);
    }
    let summary = ran?;
    renderer.finish(&summary, &options.root);
    if !args.locked && !args.no_lock {
        write_lock(lock, &lock_path, &plan, &summary, &options.root);
    }
    if let Some(remote) = remote.filter(|_| args.push && !summary.cancelled) {
        remote::push_run(&remote, &options.root, &summary)?;
    }
    Ok(if summary.cancelled {
        Code::Cancelled
    } else if summary.count(Outcome::Failed) > 0 {
        Code::Failed
    } else {
        Code::Ok
    })
}

/// Writes what the run gave beside the pipeline file, if that changed. A folder that can't be written to costs a warning.
fn write_lock(lock: Option<LockFile>, path: &Path, plan: &Plan, summary: &RunSummary, root: &Path) {
    let before = lock.unwrap_or_default();
    let mut after = before.clone();
    after.update(summary, &plan.stages().iter().map(|stage| stage.name.as_str()).collect());
    if after != before
        && let Err(error) = after.write(path, root)
    {
        render::warning(&format!("the lock file is not up to date: {error}"));
    }
}

/// Returns the `.pipe` folder to use: the one given, the nearest one here or above, or a new one here.
fn store_root(given: Option<PathBuf>) -> Result<PathBuf> {
    let here = PathBuf::from(".pipe");
    if given.is_some() || here.is_dir() {
        return Ok(given.unwrap_or(here)); // as it was written: a short path is found faster, and read more easily
    }
    let folder = std::env::current_dir()?;
    let nearest = folder.ancestors().skip(1).map(|folder| folder.join(".pipe")).find(|folder| folder.is_dir());
    Ok(nearest.unwrap_or(here))
}

/// Workers lie beside this executable.
fn executables() -> Result<Executables> {
    let pipe = std::env::current_exe()?.canonicalize()?;
    Ok(Executables { workers: pipe.parent().map(PathBuf::from).unwrap_or_default(), pipe })
}

/// Returns what commands see of the environment; what else they need, their stage declares.
fn environment() -> Vec<(String, OsString)> {
    let value = |name: &str| std::env::var_os(name).map(|value| (name.to_owned(), value));
    ["PATH", "HOME", "TMPDIR"].into_iter().filter_map(value).collect()
}
