//! [`Grant`]: the threads and devices that a request may use.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// What a request may use. A stage uses what it was granted and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// Number of threads, at least 1.
    pub threads: usize,
    /// Devices to compute on, at least one. `[cpu]` where the stage asked for no GPU.
    pub devices: Vec<Device>,
    /// The number of this process among those that work on the request together, from 0.
    pub rank: u32,
    /// The number of processes that work on the request together, at least 1.
    pub world_size: u32,
}

impl Grant {
    /// Returns a grant of `threads` threads on the CPU, for a process that works alone.
    pub fn cpu(threads: usize) -> Self {
        Self::devices(threads, vec![Device::Cpu])
    }

    /// Returns a grant of `threads` threads and `devices`, for a process that works alone.
    pub fn devices(threads: usize, devices: Vec<Device>) -> Self {
        Self { threads: threads.max(1), devices, rank: 0, world_size: 1 }
    }
}

/// A device to compute on. Its text is that of PyTorch: `cpu`, `cuda:0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Device {
    /// The processors of the machine.
    Cpu,
    /// An NVIDIA GPU, by its index.
    Cuda(u32),
}

/// The text is not the name of a device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a device; expected `cpu` or `cuda:0`")]
pub struct UnknownDevice {
    /// The text that was parsed.
    pub text: String,
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

impl FromStr for Device {
    type Err = UnknownDevice;

    fn from_str(text: &str) -> Result<Self, UnknownDevice> {
        let index = || text.strip_prefix("cuda:").filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        match text {
            "cpu" => Ok(Self::Cpu),
            _ => index()
                .and_then(|digits| digits.parse().ok())
                .map(Self::Cuda)
                .ok_or_else(|| UnknownDevice { text: text.to_owned() }),
        }
    }
}

impl Serialize for Device {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Device {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_as_they_are_written() {
        for device in [Device::Cpu, Device::Cuda(0), Device::Cuda(12)] {
            assert_eq!(device.to_string().parse(), Ok(device));
            let json = serde_json::to_string(&device).expect("JSON");
            assert_eq!(serde_json::from_str::<Device>(&json).expect("a device"), device);
        }
        for text in ["", "gpu", "cuda", "cuda:", "cuda:-1", "cuda:+1", "CPU"] {
            let error = text.parse::<Device>().expect_err(text);
            assert_eq!(error.to_string(), format!("`{text}` is not a device; expected `cpu` or `cuda:0`"));
        }
    }
}
