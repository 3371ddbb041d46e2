//! What each command does.

use crate::args::{Args, CheckArgs, Command, FileArgs, RunArgs};
use crate::exit::Code;
use crate::render;
use pipe_engine::{Cancel, Executables, Plan, RunOptions, Setting, events::Outcome};
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

mod cache;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Runs the command that `args` name.
pub(crate) fn run(args: Args) -> Result<Code> {
    match args.command {
        Command::Run(args) => run_pipeline(&args),
        Command::Check(args) => Ok(check(&args)),
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

fn check(args: &CheckArgs) -> Code {
    match load(&args.file) {
        Ok(plan) => {
            render::checked(&plan);
            Code::Ok
        }
        Err(code) => code,
    }
}

fn run_pipeline(args: &RunArgs) -> Result<Code> {
    let plan = match load(&args.file) {
        Ok(plan) => plan,
        Err(code) => return Ok(code),
    };
    let cancel = Arc::new(Cancel::default());
    let on_signal = Arc::clone(&cancel);
    ctrlc::set_handler(move || on_signal.trigger())?;
    let jobs = args.jobs.map_or_else(|| std::thread::available_parallelism().map_or(1, Into::into), usize::from);
    let now = jiff::Zoned::now();
    let options = RunOptions {
        root: store_root(args.store.clone())?,
        executables: Executables { folder: workers_folder()? },
        jobs,
        run: format!("{}-{}", now.strftime("%Y%m%dT%H%M%S"), std::process::id()),
        started: now.timestamp().to_string(),
    };
    let mut renderer = render::renderer(args.output);
    let summary = pipe_engine::run(&plan, &options, &cancel, &mut |event| renderer.event(event))?;
    renderer.finish(&summary, &options.root);
    Ok(if summary.cancelled {
        Code::Cancelled
    } else if summary.count(Outcome::Failed) > 0 {
        Code::Failed
    } else {
        Code::Ok
    })
}

/// Returns the `.pipe` folder to use: the one given, the nearest one here or above, or a new one here.
fn store_root(given: Option<PathBuf>) -> Result<PathBuf> {
    if let Some(given) = given {
        return Ok(std::path::absolute(given)?);
    }
    let here = std::env::current_dir()?;
    let nearest = here.ancestors().map(|folder| folder.join(".pipe")).find(|folder| folder.is_dir());
    Ok(nearest.unwrap_or_else(|| here.join(".pipe")))
}

/// Workers lie beside this executable.
fn workers_folder() -> Result<PathBuf> {
    let own = std::env::current_exe()?.canonicalize()?;
    Ok(own.parent().map(PathBuf::from).unwrap_or_default())
}
