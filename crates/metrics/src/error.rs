//! [`MetricsError`]: why predictions cannot be measured.

/// Why predictions cannot be measured.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// The network returned NaN or infinity.
    #[error("the logits of `{video_id}` are not finite")]
    NotFinite {
        /// The first such video.
        video_id: String,
    },
}
