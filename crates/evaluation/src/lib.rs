//! Evaluates predictions: metrics with their denominators and intervals, and the files of a report. The stages `evaluate` and
//! `fuse` write the same files with it. `fuse` and `compare` also check predictions with it and find the videos that tables share.
//!
//! [`Evaluation`] is the predictions with what is known about the videos. [`measure()`] computes what `metrics.json` has, [`write_report`]
//! writes the folder of the report:
//!
//! | file | |
//! |---|---|
//! | `report.txt` | the text of scikit-learn's `classification_report` |
//! | `report.parquet`, `report.json` | the same per class, and its averages |
//! | `confusion.parquet`, `confusion.png` | the confusion matrix; with one label per video |
//! | `calibration.json`, `reliability.png` | how far confidences are true; with one label per video |
//! | `slices.parquet` | a metric per duration, resolution, folder, … |
//! | `mistakes.png` | the most confident mistakes, if [`mistakes`] draws them |

mod align;
mod calibration;
mod check;
mod choice;
mod classes;
mod confusion;
mod error;
mod evaluation;
mod known;
mod left_out;
mod measure;
pub mod mistakes;
mod report;
mod slices;

pub use align::{Aligned, align, labelling_of};
pub use check::{Names, check_predictions, class_names, display_name, key};
pub use choice::Choice;
pub use classes::classes_without_videos;
pub use error::EvaluationError;
pub use evaluation::{Evaluation, groups_as_units};
pub use known::Known;
pub use left_out::LeftOut;
pub use measure::{Measured, measure};
pub use report::write_report;
pub use slices::{Column, SliceTable, columns_of_frames, columns_of_labels, columns_of_videos};
