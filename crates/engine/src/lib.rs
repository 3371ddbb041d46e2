//! From a pipeline file to a finished run.
//!
//! ```text
//! files ── yaml ──► Node tree with places ── merge, vars ──► one tree ── spec ──► Spec ── plan ──► Plan ── run ──► Summary
//!                                                            (every problem of the file is found before anything runs)
//! ```
//!
//! The engine knows stages by their contracts only. It prints nothing: what happens is told as [`events::RunEvent`]s.

pub mod diagnostics;
pub mod events;
pub mod housekeeping;
mod keys;
mod local;
mod merge;
pub mod place;
mod plan;
pub mod record;
mod run;
mod sources;
mod spec;
mod tools;
mod vars;
mod yaml;

pub use diagnostics::{Problem, Problems};
pub use plan::Plan;
pub use record::RunSummary;
pub use run::{Cancel, Executables, RunError, RunOptions, run};
pub use spec::{Resources, Setting, Spec, StageName, load};
