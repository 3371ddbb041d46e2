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
    let matches = commands::pipe().get_matches();
    logging::start(matches.get_count(logging::VERBOSE));
    match commands::dispatch(commands::ALL, &matches) {
        Ok(code) => code.into(),
        Err(error) => {
            render::command_error(&error);
            error.code().into()
        }
    }
}
