//! Arguments.

use crate::units;
use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// From a folder of videos to a trained, evaluated and exported classifier, from one YAML file.
#[derive(Debug, Parser)]
#[command(name = "pipe", version, disable_help_subcommand = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a pipeline; what is in the store already is not run again
    Run(RunArgs),
    /// Check a pipeline file without running anything
    Check(CheckArgs),
    /// List the stage kinds with what they read and write
    Stages,
    /// Look after the store that results are kept in
    #[command(subcommand)]
    Cache(CacheCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// Read all that is kept, and set aside what is damaged; the next run makes it again
    Verify(CacheArgs),
    /// Remove what no result needs, and results that are old or too much; those of recent runs stay
    Gc(GcArgs),
    /// Count what is kept, and what it cost to make
    Stats(CacheArgs),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct CacheArgs {
    /// Where results are kept [default: the nearest `.pipe` in this folder or above]
    #[arg(long, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,
    /// How to tell what was found
    #[arg(long, value_enum, default_value_t = Report::Text)]
    pub(crate) output: Report,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct GcArgs {
    #[command(flatten)]
    pub(crate) cache: CacheArgs,
    /// Remove results, the longest unused first, until the rest is no larger, such as 20GB or 500MiB
    #[arg(long, value_name = "SIZE", value_parser = units::size)]
    pub(crate) max_size: Option<u64>,
    /// Remove results that were not used for so long, such as 30d or 12h
    #[arg(long, value_name = "AGE", value_parser = units::age)]
    pub(crate) max_age: Option<Duration>,
    /// Say what would be removed, and remove nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct FileArgs {
    /// The pipeline file
    pub(crate) file: PathBuf,
    /// Change a value: `--set vars.data=DIR`, `--set stages.model.with.train_cfg.max_epochs=10`
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub(crate) settings: Vec<String>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) file: FileArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) file: FileArgs,
    /// Where results are kept [default: the nearest `.pipe` in this folder or above, else a new one here]
    #[arg(long, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,
    /// Stages that run at once [default: one a processor]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) jobs: Option<u16>,
    /// How to tell what happens
    #[arg(long, value_enum, default_value_t = Output::Auto)]
    pub(crate) output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Live bars on a terminal, lines elsewhere
    Auto,
    /// A line for each thing that happens
    Lines,
    /// JSON lines on stdout, for scripts
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Report {
    /// For people
    Text,
    /// One JSON object on stdout, for scripts
    Json,
}
