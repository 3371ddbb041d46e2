//! `pipe`: from a folder of videos to a trained, evaluated and exported classifier, from one YAML file.
//!
//! This package parses arguments and shows what happens; `pipe-engine` does the rest. Start with [`args`].

mod args;
mod commands;
mod exit;
mod render;
mod units;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = args::Args::parse();
    match commands::run(args) {
        Ok(code) => code.into(),
        Err(error) => {
            render::error(&*error);
            exit::Code::Failed.into()
        }
    }
}
