//! Metrics of a classifier, without libtorch: how far predictions agree with labels.
//!
//! [`average_views`] turns the logits of clips into one prediction per video, and [`measure`] computes every metric of [`ALL`]
//! that is defined for the labels. The stage `evaluate` and the validation during training both use these two functions, so
//! that their figures are the same.
//!
//! Definitions that all metrics share:
//! - The unit is a *video*; where the annotations have segments, a segment counts as a video.
//! - Every value is a mean over the videos that were evaluated, or over classes of these videos. Missing videos are not
//!   counted as errors; `metrics.json` reports their number.
//! - Of classes with equal probabilities the one with the lower index ranks higher.
//!
//! To add a metric, write a file with a `pub(crate) const METRIC: Metric`, and add it to [`ALL`].

mod binary_cross_entropy;
mod cross_entropy;
mod error;
mod mean_average_precision;
mod mean_class_accuracy;
mod metric;
mod top_k;
mod views;

pub use error::MetricsError;
pub use metric::{ALL, Metric, measure};
pub use views::average_views;
