//! [`Device`]: where tensors are computed; the only place that chooses it.
//!
//! The programs are linked with libtorch for processors. What it needs for NVIDIA GPUs is loaded where there is one, because that
//! takes seconds: `libtorch_cuda.so` registers itself with the libraries that are there. libtorch remembers the first answer to whether there
//! are GPUs, so nothing may ask before.

use crate::c10d::load_library;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Where tensors are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Device {
    /// The processor.
    Cpu,
    /// An NVIDIA GPU, by its index.
    Cuda(usize),
}

/// Why a device can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
pub enum DeviceError {
    /// The libraries for GPUs are not installed.
    #[error("the device cuda:{index} needs libtorch's libraries for CUDA, which are not at {}", path.display())]
    NoLibraries { index: usize, path: PathBuf },
    /// The libraries for GPUs can't be loaded.
    #[error("the device cuda:{index} can't be used: {}: {message}", path.display())]
    Load { index: usize, path: PathBuf, message: String },
    /// There is no such GPU.
    #[error("the device cuda:{index} does not exist: this machine has {count} NVIDIA GPUs with a driver")]
    NoDevice { index: usize, count: usize },
}

/// A file that exists where an NVIDIA driver runs.
const DRIVER: &str = "/dev/nvidia0";

/// The path of `libtorch_cuda.so`; set once, by [`find_cuda`].
static CUDA: OnceLock<PathBuf> = OnceLock::new();

/// The result of loading it, which is tried once.
static LOADED: OnceLock<Result<(), String>> = OnceLock::new();

/// Tells where `libtorch_cuda.so` is, and loads it if this machine has a GPU. Call it before anything else of libtorch.
pub fn find_cuda(library: PathBuf) {
    let path = CUDA.get_or_init(|| library);
    if Path::new(DRIVER).exists() && path.exists() {
        // `open_device` reports an error.
        let _ = load(path);
    }
}

fn load(path: &Path) -> &'static Result<(), String> {
    LOADED.get_or_init(|| load_library(path))
}

/// Returns a device after checking that it can be used.
///
/// # Errors
/// [`DeviceError`] with what is missing.
pub fn open_device(device: Device) -> Result<Device, DeviceError> {
    let Device::Cuda(index) = device else { return Ok(device) };
    let path = CUDA.get().cloned().unwrap_or_default();
    if !path.exists() {
        return Err(DeviceError::NoLibraries { index, path });
    }
    load(&path).clone().map_err(|message| DeviceError::Load { index, path, message })?;
    let count = usize::try_from(tch::Cuda::device_count()).unwrap_or(0);
    if index < count { Ok(device) } else { Err(DeviceError::NoDevice { index, count }) }
}

impl Device {
    /// Returns libtorch's name of the device.
    pub(crate) fn torch(self) -> tch::Device {
        match self {
            Self::Cpu => tch::Device::Cpu,
            Self::Cuda(index) => tch::Device::Cuda(index),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_gpu_is_an_error_that_says_what_is_missing() {
        assert_eq!(open_device(Device::Cpu), Ok(Device::Cpu));
        let folder = tempfile::tempdir().expect("a folder");
        let library = folder.path().join("libtorch_cuda.so");
        find_cuda(library.clone());
        let error = open_device(Device::Cuda(1)).expect_err("no libraries").to_string();
        assert!(
            error.starts_with("the device cuda:1 needs libtorch's libraries for CUDA, which are not at /"),
            "{error}"
        );
        fs_err::write(&library, "not a library").expect("written");
        let error = open_device(Device::Cuda(1)).expect_err("not a library").to_string();
        assert!(error.starts_with("the device cuda:1 can't be used: /"), "{error}");
    }
}
