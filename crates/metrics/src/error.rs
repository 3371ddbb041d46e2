//! [`MetricsError`]: why predictions cannot be measured.

/// Why predictions cannot be measured.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
pub enum MetricsError {
    /// The network returned NaN or infinity.
    #[error("the logits of `{video_id}` are not finite")]
    NotFinite { video_id: String },
    /// The network did not return logits for every view. This is a bug.
    #[error("{num_views} views have {num_logits} rows of logits")]
    Rows { num_views: usize, num_logits: usize },
    /// A label or a prediction is not a class.
    #[error("class {class_index} of `{video_id}` is out of range: there are {num_classes} classes, counted from 0")]
    Class {
        /// The index, at or above `num_classes`.
        class_index: u32,
        video_id: String,
        num_classes: usize,
    },
}
