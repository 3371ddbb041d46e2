//! [`LoadFrom`]: published weights to start from.

use crate::contract::{InputChoice, ParamError, SourceSet};
use crate::networks::Project;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Published weights to start from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoadFrom {
    /// A `.pth`, `.pt` or `.safetensors` file, or a folder with one or with shards and their index, as Hugging Face publishes them;
    /// its `config.json` must agree with the parameters of the network. Reading runs no code of the file. Leave it out if the input
    /// `weights` is connected.
    // The key has the file's content, not its path.
    #[serde(skip_serializing)]
    #[serde(default)]
    pub checkpoint: String,
    /// The SHA-256 or the BLAKE3 of the file, in hexadecimal, as `sha256sum` and `b3sum` print them; `sha256:` or `blake3:` may precede
    /// it. Another content is an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Whose names the tensors have. Default: it is recognised from the names. Set it to `pipe` for weights that `pipe` has trained,
    /// where the names alone could also mean a network with other strides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map: Option<Project>,
    /// The weights are those of the 2-D network from which this one is inflated, such as a ResNet-50 for `ResNet3dSlowOnly`: kernels are
    /// repeated over frames, and divided by their number.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub inflate: bool,
}

impl LoadFrom {
    pub(in crate::stages) fn check(&self) -> Vec<ParamError> {
        let Some(digest) = &self.digest else { return Vec::new() };
        let digits = ["sha256:", "blake3:"].iter().find_map(|prefix| digest.strip_prefix(prefix)).unwrap_or(digest);
        if digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Vec::new();
        }
        vec![ParamError {
            path: vec!["load_from".into(), "digest".into()],
            message: "must have 64 hexadecimal digits".into(),
            help: "copy it from the output of `sha256sum` or `b3sum`".into(),
        }]
    }

    /// Returns that the weights come from a path or from the input `weights`.
    pub(in crate::stages) fn input_choice(&self) -> InputChoice {
        InputChoice {
            port: "weights",
            param: "load_from.checkpoint",
            value: "PATH",
            given: !self.checkpoint.is_empty(),
            required: true,
        }
    }

    pub(in crate::stages) fn source(&self) -> Option<SourceSet> {
        (!self.checkpoint.is_empty()).then(|| SourceSet::of_file("load_from", &self.checkpoint))
    }
}
