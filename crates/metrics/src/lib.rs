//! Metrics of a classifier, without libtorch: how far predictions agree with labels.
//!
//! [`average_views`] turns the logits of clips into one prediction per video, and [`measure`] computes every metric of [`OF_TRAINING`]
//! that is defined for the labels. The stage `evaluate` and the validation during training both use these two functions, so
//! that their figures are the same. Evaluations also compute [`OF_EVALUATIONS`].
//!
//! Definitions that all metrics share:
//! - The unit is a *video*; where the annotations have segments, a segment counts as a video.
//! - Every value is a mean over the videos that were evaluated, or over classes of these videos. Missing videos are not
//!   counted as errors; `metrics.json` reports their number.
//! - Of classes with equal probabilities the one with the lower index ranks higher.
//!
//! A metric of scikit-learn or MMAction2 is also a function of plain numbers, such as [`log_loss`] or [`cohen_kappa()`], and `cargo xtask golden
//! metrics` compares it with the original. [`ConfusionMatrix`], [`ClassReport`], [`LabelSets`], [`Calibration`] and [`bootstrap()`] are what
//! reports are made of.
//!
//! To add a metric, write a file with a `pub(crate) const METRIC: Metric`, and add it to [`OF_EVALUATIONS`], or to [`OF_TRAINING`] if it is also
//! measured during training.

mod average_precision;
mod balanced_accuracy;
mod binary_cross_entropy;
mod bootstrap;
mod brier;
mod calibration;
mod class_report;
mod cohen_kappa;
mod confusion_matrix;
mod cross_entropy;
mod error;
mod f1;
mod fusion;
mod label_sets;
mod mcnemar;
mod mean_average_precision;
mod mean_class_accuracy;
mod metric;
mod mmit_mean_average_precision;
mod temperature;
mod top_k;
mod views;

pub use average_precision::average_precision;
pub use balanced_accuracy::balanced_accuracy;
pub use bootstrap::{Estimator, Interval, Resamples, bootstrap};
pub use brier::brier;
pub use calibration::{Bin, Calibration};
pub use class_report::{ClassReport, ClassScores, Scores};
pub use cohen_kappa::cohen_kappa;
pub use confusion_matrix::{ConfusionMatrix, Normalise};
pub use cross_entropy::{log_loss, negative_log_likelihood};
pub use error::MetricsError;
pub use fusion::fuse;
pub use label_sets::{LabelSets, THRESHOLD};
pub use mcnemar::McNemar;
pub use mean_average_precision::average_precisions;
pub use mean_class_accuracy::mean_class_accuracy;
pub use metric::{Compute, MeanOver, Metric, OF_EVALUATIONS, OF_TRAINING, measure};
pub use temperature::{TEMPERATURES, fit_temperature};
pub use top_k::{Ties, is_among_highest, top_k_metric};
pub use views::{argmax, average_views, mean_of_views, softmax};
