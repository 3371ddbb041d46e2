//! `pipe`: from a folder of videos to a trained, evaluated and exported classifier, from one YAML file.
//!
//! This package parses arguments and shows what happens; `pipe-engine` does the rest. Start with [`args`].

mod args;
mod commands;
mod exit;
mod render;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|first| first == pipe_engine::reaper::ARGUMENT) {
        pipe_engine::reaper::run(std::io::stdin().lock());
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
