//! [`Precision`]: what an op computes with in mixed precision. Each kernel states its own as `PRECISION`.

/// What an op computes with in mixed precision. Weights are kept in 32 bits everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Precision {
    /// 16 bits: inputs and weights are converted. For products of matrices and convolutions, which take most of the time.
    Low,
    /// 32 bits: inputs are converted. For sums over many values, and for what is not exact in 16 bits.
    Single,
    /// That of the inputs, or 32 bits if they differ. For what only moves values, and for functions of single values.
    Any,
}
