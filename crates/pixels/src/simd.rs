//! [`SimdLevel`]: the instruction sets that kernels are compiled for.

/// Instructions that a kernel may use. The results are the same at every level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SimdLevel {
    /// What every processor of the target has.
    Portable,
    /// AVX2.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512F and AVX-512BW, beside AVX2.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl SimdLevel {
    /// Returns all levels of this processor, the best one last.
    pub(crate) fn available() -> &'static [Self] {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            let wide =
                std::arch::is_x86_feature_detected!("avx512f") && std::arch::is_x86_feature_detected!("avx512bw");
            let levels = &[Self::Portable, Self::Avx2, Self::Avx512];
            return if wide { levels } else { &levels[..2] };
        }
        &[Self::Portable]
    }

    /// Returns the best level of this processor.
    pub(crate) fn detect() -> Self {
        Self::available().last().copied().unwrap_or(Self::Portable)
    }
}
