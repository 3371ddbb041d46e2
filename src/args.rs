//! Arguments that several commands share.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

// Plain comments below: clap would show a doc comment as the help text of every command that flattens the type.

// The pipeline file of a command.
#[derive(Debug, Args)]
pub(crate) struct FileArgs {
    /// Pipeline file (YAML)
    pub(crate) file: PathBuf,
    /// Override a value of the pipeline file; repeatable. Example: `--set vars.data=DIR --set stages.model.with.train_cfg.max_epochs=10`
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub(crate) settings: Vec<String>,
}

// The store of a command.
#[derive(Debug, Args)]
pub(crate) struct StoreArgs {
    /// Folder of the store, which keeps all results [default: the nearest `.pipe` in this folder or a parent, else a new `.pipe` here]
    #[arg(long, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,
}

// A command that reads the store and prints a report.
#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) output: Format,
}

impl ReportArgs {
    /// Returns whether the report is JSON.
    pub(crate) fn json(&self) -> bool {
        self.output == Format::Json
    }
}

// The remote of a command.
#[derive(Debug, Default, Args)]
pub(crate) struct RemoteArgs {
    /// Remote store to share results with: `s3://bucket/prefix`, `gs://…`, `az://…`, `file:///folder`, or `none` [default: `remote` in
    /// `.pipe/config.yaml`, else in the pipeline file]
    // Text here: a message of clap's would repeat a URL, which may contain a password.
    #[arg(long, value_name = "URL")]
    pub(crate) remote: Option<String>,
}

/// How a report is written to stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// JSON lines for scripts: one object per line
    Json,
}
