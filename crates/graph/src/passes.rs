//! Passes: functions that rewrite a trained network into another one.

mod channels;
mod fold_batch_norm;
mod fold_tables;
mod prune_channels;
mod prune_weights;
mod quantize;

pub use channels::{ChannelGroup, ChannelGroups, PrunedGraph, Removed, TensorPart, WholeLayer};
pub use fold_batch_norm::fold_batch_norm;
pub use fold_tables::{fold_tables, foldable_tables};
pub use prune_channels::{Norm, PruneError, PruneOptions, Scope, choose_channels};
pub use prune_weights::{Sparsity, WeightScope, prune_weights};
pub use quantize::{Calibration, Histogram, Integers, Quantization, QuantizeOptions, QuantizePlan, ValueScale};
pub(crate) use quantize::{QuantizedWeight, quantize_bias, quantize_weight};
