//! [`check_low_precision`]: whether this machine computes in 16 bits.

use crate::{Device, LearnError};
use pipe_schemas::stages::train::AmpDtype;
use tch::Kind;

/// Checks that training in 16 bits is faster than in 32 on a device of this machine. Where it is emulated, it takes many times as long.
///
/// # Errors
/// [`LearnError::LowPrecision`] with the reason.
pub fn check_low_precision(dtype: AmpDtype, device: Device) -> Result<(), LearnError> {
    let unsupported = |reason| Err(LearnError::LowPrecision { dtype: dtype.name(), reason });
    match (dtype, device) {
        (_, Device::Cuda(_)) => Ok(()),
        (AmpDtype::Float16, Device::Cpu) => unsupported("it needs a GPU, and training runs on the processor"),
        (AmpDtype::BFloat16, Device::Cpu) if computes_in_bfloat16() => Ok(()),
        (AmpDtype::BFloat16, Device::Cpu) => unsupported("this processor has neither AVX512-BF16 nor AMX"),
    }
}

/// Processors with AMX have AVX512-BF16 too.
#[cfg(target_arch = "x86_64")]
fn computes_in_bfloat16() -> bool {
    is_x86_feature_detected!("avx512bf16")
}

#[cfg(not(target_arch = "x86_64"))]
fn computes_in_bfloat16() -> bool {
    false
}

/// Returns libtorch's kind.
pub(crate) fn kind(dtype: AmpDtype) -> Kind {
    match dtype {
        AmpDtype::BFloat16 => Kind::BFloat16,
        AmpDtype::Float16 => Kind::Half,
    }
}
