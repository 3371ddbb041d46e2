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

use clap::ArgMatches;
use exit::Code;

/// A run of many stages makes millions of small allocations.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    // A hidden flag: `pipe` starts itself with it to end commands that outlive a killed `pipe`.
    if std::env::args_os().nth(1).is_some_and(|first| first == pipe_engine::reaper::ARGUMENT) {
        let _ = pipe_engine::reaper::run(); // stderr belongs to a process that has ended
        return;
    }
    let code = match commands::pipe().try_get_matches() {
        Ok(matches) => run(&matches),
        Err(error) => shown(&error),
    };
    render::finish(code).end_process()
}

fn run(matches: &ArgMatches) -> Code {
    logging::start(matches.get_count(logging::VERBOSE));
    commands::dispatch(commands::ALL, matches).unwrap_or_else(|error| {
        render::command_error(&error, commands::wants_json(matches));
        error.code()
    })
}

/// Shows a help text, the version or wrong arguments, which are all errors of clap.
fn shown(error: &clap::Error) -> Code {
    if error.use_stderr() {
        let _ = error.print(); // a closed stderr has no reader
        return Code::BadInput;
    }
    render::print_help(error);
    Code::Ok
}
