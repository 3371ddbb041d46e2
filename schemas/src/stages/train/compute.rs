//! What training computes on: [`ComputeDevice`] and [`NumProcesses`].

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The device that a network computes on: `auto`, `cpu`, or `cuda:N`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ComputeDevice {
    /// A granted GPU if there is one, otherwise the processor.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// An NVIDIA GPU, by its index.
    Cuda(u32),
}

impl ComputeDevice {
    /// Returns whether it is the default, which is not written.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    pub(crate) fn is_auto(&self) -> bool {
        *self == Self::Auto
    }
}

impl Serialize for ComputeDevice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Cpu => serializer.serialize_str("cpu"),
            Self::Cuda(index) => serializer.collect_str(&format_args!("cuda:{index}")),
        }
    }
}

impl<'de> Deserialize<'de> for ComputeDevice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let index = || {
            let digits = text.strip_prefix("cuda:")?;
            digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
        };
        match text.as_str() {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            _ => index().map(Self::Cuda).ok_or_else(|| {
                serde::de::Error::custom(format!("`{text}` is not a device; expected `auto`, `cpu` or `cuda:0`"))
            }),
        }
    }
}

impl JsonSchema for ComputeDevice {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ComputeDevice".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "The device that a network computes on: `auto`, `cpu`, or `cuda:N`.",
            "type": "string"
        })
    }
}

/// Number of processes that train a network together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct NumProcesses(#[schemars(range(min = 1, max = 1024))] pub u32);

impl NumProcesses {
    /// Returns whether it is the default, which is not written.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    pub(crate) fn is_one(&self) -> bool {
        self.0 == 1
    }
}

impl Default for NumProcesses {
    fn default() -> Self {
        Self(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_as_they_are_written() {
        for (device, text) in
            [(ComputeDevice::Auto, "auto"), (ComputeDevice::Cpu, "cpu"), (ComputeDevice::Cuda(3), "cuda:3")]
        {
            let json = format!("{text:?}");
            assert_eq!(serde_json::to_string(&device).expect("JSON"), json);
            assert_eq!(serde_json::from_str::<ComputeDevice>(&json).expect("a device"), device);
        }
        for text in ["", "gpu", "cuda", "cuda:", "cuda:-1", "CPU", "cuda:99999999999"] {
            let error = serde_json::from_str::<ComputeDevice>(&format!("{text:?}")).expect_err(text).to_string();
            assert!(
                error.starts_with(&format!("`{text}` is not a device; expected `auto`, `cpu` or `cuda:0`")),
                "{error}"
            );
        }
    }
}
