//! [`Project`]: whose names the tensors of a checkpoint have.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Whose names the tensors of a checkpoint have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Project {
    /// The network's own names, as `train` writes them. Whatever they mean elsewhere, the parameters of the network are right.
    Pipe,
    /// torchvision.
    Torchvision,
    /// MMAction2.
    Mmaction2,
    /// PyTorchVideo.
    Pytorchvideo,
    /// SlowFast, the repository of PySlowFast.
    Pyslowfast,
    /// Transformers of Hugging Face.
    Huggingface,
    /// The repository of the network's authors, such as MCG-NJU/VideoMAE or facebookresearch/TimeSformer.
    Original,
}

impl Project {
    /// All projects.
    pub const ALL: [Self; 7] = [
        Self::Pipe,
        Self::Torchvision,
        Self::Mmaction2,
        Self::Pytorchvideo,
        Self::Pyslowfast,
        Self::Huggingface,
        Self::Original,
    ];

    /// Returns the word of parameters and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pipe => "pipe",
            Self::Torchvision => "torchvision",
            Self::Mmaction2 => "mmaction2",
            Self::Pytorchvideo => "pytorchvideo",
            Self::Pyslowfast => "pyslowfast",
            Self::Huggingface => "huggingface",
            Self::Original => "original",
        }
    }
}

impl fmt::Display for Project {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.write_str(self.name())
    }
}
