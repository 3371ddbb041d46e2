//! [`Draws`]: numbers by formula, of which golden values are made. The example `golden` of `crates/metrics` includes this file, too.

/// Draws in `[0, 1)` for the elements of one tensor.
pub(crate) struct Draws {
    start: u64,
}

impl Draws {
    /// Starts the draws of a tensor: FNV-1a of its name.
    pub(crate) fn new(name: &str) -> Self {
        let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        Self { start: name.bytes().fold(0xcbf2_9ce4_8422_2325, mix) }
    }

    /// Returns the draw at a row-major index: `SplitMix64`.
    pub(crate) fn unit(&self, index: usize) -> f64 {
        let z = self.start.wrapping_add(index as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Returns the draw at an index, from -1 to 1.
    pub(crate) fn signed(&self, index: usize) -> f64 {
        2.0 * self.unit(index) - 1.0
    }
}
