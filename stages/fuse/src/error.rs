//! [`FuseError`]: why predictions cannot be fused.

/// Why predictions cannot be fused.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
pub enum FuseError {
    /// The number of coefficients is not that of the connected inputs.
    #[error("`coefficients` has {num_coefficients} numbers for {num_inputs} predictions ({})", inputs.join(", "))]
    Coefficients { num_coefficients: usize, num_inputs: usize, inputs: Vec<&'static str> },
    /// Only some of the predictions have a video.
    #[error("{text}")]
    Missing { text: String },
}
