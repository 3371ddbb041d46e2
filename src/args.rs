//! Arguments.

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use pipe_engine::units;
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
    /// Check a pipeline file, and what its lists say of its videos, without decoding or training anything
    Check(CheckArgs),
    /// Show what a run would do, and why
    Plan(PlanArgs),
    /// Show every change that makes stages run again, against their newest results
    Why(WhyArgs),
    /// List the runs, newest first
    Runs(RunsArgs),
    /// Show the stages of a run
    Show(ShowArgs),
    /// Print the newest log of a stage
    Logs(LogsArgs),
    /// Show the figures of the newest runs, or how those of two runs differ
    Metrics(MetricsArgs),
    /// Show how the newest run of each pipeline stands
    Status(RunsArgs),
    /// List the newest results and their files
    Ls(LsArgs),
    /// List the stage kinds with what they read and write
    Stages,
    /// Look after the store that results are kept in
    #[command(subcommand)]
    Cache(CacheCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// Read all that is kept, and set aside what is damaged; the next run makes it again
    Verify(ReportArgs),
    /// Remove what no result needs, and results that are old or too much; those of recent runs stay
    Gc(GcArgs),
    /// Count what is kept, and what it cost to make
    Stats(ReportArgs),
    /// Send the newest results to the remote
    Push(PushArgs),
    /// Fetch the remote's results that are not here
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
    /// The remote: `s3://bucket/prefix`, `gs://…`, `az://…` or `file:///folder` [default: `remote` in .pipe/config.yaml,
    /// then in the pipeline file]
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
pub(crate) struct GcArgs {
    #[command(flatten)]
    pub(crate) report: ReportArgs,
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
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct StoreArgs {
    /// Where results are kept [default: the nearest `.pipe` in this folder or above, else a new one here]
    #[arg(long, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,
}

/// What a command needs that looks at results and tells what it saw.
#[derive(Debug, ClapArgs)]
pub(crate) struct ReportArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    /// How to tell it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) output: Format,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pub(crate) file: FileArgs,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct WhyArgs {
    #[command(flatten)]
    pub(crate) file: FileArgs,
    /// Only this stage [default: all that would run]
    pub(crate) stage: Option<String>,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

#[derive(Debug, ClapArgs)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own on the command line")]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) file: FileArgs,
    /// Only these stages, with all that they need [default: every stage]
    #[arg(value_name = "STAGE")]
    pub(crate) stages: Vec<String>,
    /// Nothing that depends on this stage
    #[arg(long, value_name = "STAGE")]
    pub(crate) until: Vec<String>,
    /// Run this stage even if the store has its result
    #[arg(long, value_name = "STAGE")]
    pub(crate) force: Vec<String>,
    /// Fail where a result is not that of the lock file beside the pipeline file
    #[arg(long)]
    pub(crate) locked: bool,
    /// Do not write the lock file
    #[arg(long, conflicts_with = "locked")]
    pub(crate) no_lock: bool,
    /// Make these stages again where the store has their results, and compare [without a stage: all]
    #[arg(long, value_name = "STAGE", num_args = 0..)]
    pub(crate) check: Option<Vec<String>>,
    /// Take results from here: `s3://bucket/prefix`, `gs://…`, `az://…`, `file:///folder`, or none [default: `remote` in
    /// .pipe/config.yaml, then in the pipeline file]
    // Text here: the parser's own message would repeat what may hold a password.
    #[arg(long, value_name = "URL")]
    pub(crate) remote: Option<String>,
    /// Send the results to the remote at the end
    #[arg(long)]
    pub(crate) push: bool,
    /// After a failure, still start what does not depend on the failed stage
    #[arg(long)]
    pub(crate) keep_going: bool,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    /// Stages that run at once [default: one a processor]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) jobs: Option<u16>,
    /// How to tell what happens
    #[arg(long, value_enum, default_value_t = Output::Auto)]
    pub(crate) output: Output,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct RunsArgs {
    /// Only this pipeline
    pub(crate) pipeline: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) limit: usize,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ShowArgs {
    /// How the run's name begins; `latest` is the newest, `latest~1` the one before
    #[arg(default_value = "latest")]
    pub(crate) run: String,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct LogsArgs {
    /// The stage
    pub(crate) stage: String,
    /// Only this run
    #[arg(long)]
    pub(crate) run: Option<String>,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct MetricsArgs {
    /// Only this pipeline
    pub(crate) pipeline: Option<String>,
    /// Compare two runs
    #[arg(long, num_args = 2, value_names = ["A", "B"])]
    pub(crate) diff: Vec<String>,
    /// At most so many runs
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) limit: usize,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct LsArgs {
    /// A pipeline, or `pipeline/stage`
    pub(crate) path: Option<String>,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
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
pub(crate) enum Format {
    /// For people
    Text,
    /// One JSON object on stdout, for scripts
    Json,
}
