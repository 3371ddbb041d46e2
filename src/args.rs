//! Arguments.

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

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
    /// Share what the store keeps
    #[command(subcommand)]
    Cache(CacheCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// Send the newest results to the remote
    Push(PushArgs),
    /// Fetch the remote's results that are not here; `pipe run` fetches what it needs by itself
    Pull(TransferArgs),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct TransferArgs {
    /// Only what belongs to this pipeline file
    pub(crate) file: Option<PathBuf>,
    /// Change a value of the pipeline file, as for `pipe run`
    #[arg(long = "set", value_name = "PATH=VALUE", requires = "file")]
    pub(crate) settings: Vec<String>,
    /// Where results are kept [default: the nearest `.pipe` in this folder or above, else a new one here]
    #[arg(long, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,
    /// The remote: s3://bucket/prefix, gs://…, az://… or file:///folder [default: `remote` in .pipe/config.yaml, then in
    /// the pipeline file]
    // Text here: the parser's own message would repeat what may hold a password.
    #[arg(long, value_name = "URL")]
    pub(crate) remote: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct PushArgs {
    #[command(flatten)]
    pub(crate) transfer: TransferArgs,
    /// Send all of it anew, to a remote whose data is damaged
    #[arg(long)]
    pub(crate) replace: bool,
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
