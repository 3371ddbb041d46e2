//! `pipe`: from a folder of videos to a trained, evaluated and exported classifier, from one YAML file.
//!
//! This package parses arguments and shows what happens; `pipe-engine` does the rest. Start with [`args`].

mod args;
mod commands;
mod exit;
mod render;

use clap::Parser;
use std::process::ExitCode;

/// A run of many stages allocates small things by the million.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|first| first == pipe_engine::reaper::ARGUMENT) {
        let _ = pipe_engine::reaper::run(); // there is nobody left to tell
        return ExitCode::SUCCESS;
    }
    let args = args::Args::parse();
    match commands::run(args) {
        Ok(code) => code.into(),
        Err(error) => {
            render::error(&*error);
            exit::Code::Failed.into()
        }
    }
}
