//! From a pipeline file to a finished run.
//!
//! ```text
//! files ── yaml ──► Node trees ── merge, vars ──► one tree ── spec ──► Spec ── plan ──► Plan ── run ──► RunSummary
//! ```
//!
//! [`load()`] covers the way to the [`Plan`], and reports every mistake of the files before anything runs. [`run()`] executes a
//! plan. The engine knows stages by their contracts only. It prints nothing: callers receive [`events::RunEvent`]s.

mod bookkeeping;
mod builtin;
mod config;
pub mod diagnostics;
mod environment;
mod error;
pub mod events;
mod executor;
mod findings;
mod forecast;
pub mod housekeeping;
mod init;
mod json_schema;
mod key_planner;
mod keys;
pub mod latest;
mod load;
mod lockfile;
mod merge;
mod nearest;
mod options;
pub mod place;
mod plan;
mod prefetch;
mod reasons;
pub mod record;
pub mod remote;
mod run;
mod settings;
mod sources;
mod spec;
mod tools;
pub mod units;
mod vars;
mod yaml;

pub use bookkeeping::Bookkeeping;
pub use builtin::{BASES, Base, base};
pub use config::Config;
pub use diagnostics::{Problem, Problems, UNREADABLE_FILE};
pub use environment::environment_line;
pub use error::RunError;
pub use executor::reaper;
pub use findings::{Findings, Unchecked, findings};
pub use forecast::{Forecast, StageForecast, forecast};
pub use init::{DraftFile, InitError, draft};
pub use json_schema::{Violation, check as check_json};
pub use load::{Setting, load};
pub use lockfile::{LockFile, LockFileError, Locked};
pub use nearest::nearest;
pub use options::{Executables, RunMode, RunOptions, Selection};
pub use pipe_stage::{grouped, size_text};
pub use plan::Plan;
pub use prefetch::Prefetch;
pub use reasons::{Change, Reason, lines as reason_lines};
pub use record::{RunRecord, RunState, RunSummary, StageSummary, output_folder, runs};
pub use run::cancel::Cancel;
pub use run::run;
pub use spec::{Connection, StageLimits, StageName, StageSpec};
