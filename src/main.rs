//! `pipe`: trains, evaluates and exports video classifiers from one YAML file.
//!
//! This package parses arguments and prints; `pipe-engine` does the work. Start with [`commands`].

mod args;
mod commands;
mod context;
mod error;
mod exit;
mod logging;
mod records;
mod render;

use exit::Code;
use std::process::ExitCode;

/// A run of many stages makes millions of small allocations.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // A hidden flag: `pipe` starts itself with it to end commands that outlive a killed `pipe`.
    if std::env::args_os().nth(1).is_some_and(|first| first == pipe_engine::reaper::ARGUMENT) {
        let _ = pipe_engine::reaper::run(); // stderr belongs to a process that has ended
        return ExitCode::SUCCESS;
    }
    let matches = match commands::pipe().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => return shown(&error),
    };
    logging::start(matches.get_count(logging::VERBOSE));
    let code = commands::dispatch(commands::ALL, &matches).unwrap_or_else(|error| {
        render::command_error(&error, commands::wants_json(&matches));
        error.code()
    });
    render::finish(code).end_process()
}

/// Shows a help text, the version or wrong arguments, which are all errors of clap.
fn shown(error: &clap::Error) -> ExitCode {
    if error.use_stderr() {
        let _ = error.print(); // a closed stderr has no reader
        return Code::BadInput.into();
    }
    render::print_help(error);
    render::finish(Code::Ok).into()
}
