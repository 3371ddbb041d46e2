//! The stage `annotations`: reads label lists, joins them with the `videos` table and checks both.
//!
//! It reads the `videos` table and the list files in `root` or in the input `lists`. It writes:
//!
//! - `labels/annotations.parquet`: one row per label of a video or segment
//! - `labels/classes.parquet`: class names by class index
//! - `labels/labelling.json`: whether a video may have several labels
//! - `report.json`: counts per split and class, and the findings of all checks
//!
//! The key contains the contents of the lists, the digest of `videos` and all parameters, but not the path of the lists.
//!
//! Start with `stage.rs`. A label passes through these modules:
//!
//! | module | step |
//! |---|---|
//! | `formats` | parses each format to the same rows (`lists`, `encoding`, `json`, `csv`, `label_map`) |
//! | `groups` | groups videos that were cut from one source |
//! | `split` | assigns rows to training and test |
//! | `labels` | maps labels to class indices |
//! | `join` | matches listed names with videos (`paths`) |
//! | `frame_times` | turns frames into seconds |
//! | `checks` | finds leaks, conflicts and gaps (`findings`, `near_duplicates`, `nearest`) |
//! | `report` | summarises |

mod checks;
mod csv;
mod encoding;
mod error;
mod findings;
mod formats;
mod frame_times;
#[doc(hidden)]
pub mod fuzzing;
mod groups;
mod join;
mod json;
mod label_map;
mod labels;
mod lists;
mod near_duplicates;
mod nearest;
mod paths;
mod report;
mod split;
mod stage;
#[cfg(test)]
mod test_data;

pub use stage::Annotations;
